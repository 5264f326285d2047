//! A certificate authority for examples: P-256 keys, made in memory, never kept.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// A certificate chain, leaf first, and the key of the leaf.
#[derive(Debug)]
pub struct Identity {
    /// The leaf, and what issued it, up to but without the root.
    pub chain: Vec<CertificateDer<'static>>,
    /// The key of the leaf.
    pub key: PrivateKeyDer<'static>,
}

/// A certificate that issues others.
#[derive(Debug)]
pub struct Authority {
    certificate: rcgen::Certificate,
    issuer: Issuer<'static, KeyPair>,
    above: Vec<CertificateDer<'static>>,
}

impl Authority {
    /// A root.
    ///
    /// # Errors
    /// [`rcgen::Error`] if `name` does not fit into a certificate.
    pub fn root(name: &str) -> Result<Self, rcgen::Error> {
        let (params, key) = (authority(name), KeyPair::generate()?);
        let certificate = params.self_signed(&key)?;
        Ok(Self {
            certificate,
            issuer: Issuer::new(params, key),
            above: Vec::new(),
        })
    }

    /// An intermediate below this authority.
    ///
    /// # Errors
    /// As [`Authority::root`].
    pub fn intermediate(&self, name: &str) -> Result<Self, rcgen::Error> {
        let (params, key) = (authority(name), KeyPair::generate()?);
        let certificate = params.signed_by(&key, &self.issuer)?;
        let mut above = vec![certificate.der().clone()];
        above.extend(self.above.iter().cloned());
        Ok(Self {
            certificate,
            issuer: Issuer::new(params, key),
            above,
        })
    }

    /// The certificate itself, in DER.
    #[must_use]
    pub fn der(&self) -> &CertificateDer<'static> {
        self.certificate.der()
    }

    /// The certificate itself, in PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// A certificate for a device: its common name is the registration id.
    ///
    /// # Errors
    /// As [`Authority::root`].
    pub fn device(&self, registration: &str) -> Result<Identity, rcgen::Error> {
        self.issue(&leaf(registration, ExtendedKeyUsagePurpose::ClientAuth)?)
    }

    /// A certificate for a server of this host name.
    ///
    /// # Errors
    /// As [`Authority::root`].
    pub fn server(&self, host: &str) -> Result<Identity, rcgen::Error> {
        let mut params = CertificateParams::new([host.to_owned()])?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.issue(&params)
    }

    fn issue(&self, params: &CertificateParams) -> Result<Identity, rcgen::Error> {
        let key = KeyPair::generate()?;
        let mut chain = vec![params.signed_by(&key, &self.issuer)?.der().clone()];
        chain.extend(self.above.iter().cloned());
        Ok(Identity {
            chain,
            key: private(&key),
        })
    }
}

/// A device's certificate that nobody issued but the device.
///
/// # Errors
/// As [`Authority::root`].
pub fn self_signed(registration: &str) -> Result<Identity, rcgen::Error> {
    let key = KeyPair::generate()?;
    let params = leaf(registration, ExtendedKeyUsagePurpose::ClientAuth)?;
    Ok(Identity {
        chain: vec![params.self_signed(&key)?.der().clone()],
        key: private(&key),
    })
}

fn leaf(name: &str, usage: ExtendedKeyUsagePurpose) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new([])?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![usage];
    Ok(params)
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn private(key: &KeyPair) -> PrivateKeyDer<'static> {
    PrivatePkcs8KeyDer::from(key.serialize_der()).into()
}
