//! Certificates for tests and examples: CAs, devices, servers. ECDSA over P-256, made in memory.
//!
//! ```
//! use dps_testkit::certs::Ca;
//!
//! let root = Ca::root("Example Root");
//! let factory = root.intermediate("Example Factory 1");
//! let device = factory.device("press-1");
//! assert_eq!(device.chain_der().len(), 2); // the device and the factory; roots are not sent
//! ```

use std::net::IpAddr;

use dps_core::time::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use time::OffsetDateTime;

/// A name that cannot stand in a certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a host name or address that fits a certificate: {0:?}")]
pub struct NameError(pub String);

/// What is to stand in a certificate. Valid from 2020 to the end of 2049 unless it says otherwise.
#[derive(Clone, Debug)]
pub struct Profile {
    params: CertificateParams,
}

impl Profile {
    /// First moment of validity where nothing else is asked for: `2020-01-01T00:00:00Z`.
    pub const NOT_BEFORE: Timestamp = Timestamp(1_577_836_800_000);
    /// Last moment of validity where nothing else is asked for: `2049-12-31T00:00:00Z`.
    pub const NOT_AFTER: Timestamp = Timestamp(2_524_521_600_000);

    /// A CA with this common name and no limit to the length of paths.
    #[must_use]
    pub fn ca(name: &str) -> Self {
        let usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Self::new(name, usages, Vec::new()).with_ca(true)
    }

    /// A device; `name` is the registration id.
    #[must_use]
    pub fn device(name: &str) -> Self {
        let usages = vec![KeyUsagePurpose::DigitalSignature];
        Self::new(name, usages, vec![ExtendedKeyUsagePurpose::ClientAuth])
    }

    /// A server; its first name is its common name too.
    ///
    /// * `names`: host names and IP addresses; may be empty.
    ///
    /// # Errors
    /// [`NameError`] if one is not ASCII.
    pub fn server(names: &[&str]) -> Result<Self, NameError> {
        let usages = vec![KeyUsagePurpose::DigitalSignature];
        let first = names.first().copied().unwrap_or("server");
        let mut profile = Self::new(first, usages, vec![ExtendedKeyUsagePurpose::ServerAuth]);
        for name in names {
            let name = match name.parse::<IpAddr>() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName(
                    (*name)
                        .try_into()
                        .map_err(|_| NameError((*name).to_owned()))?,
                ),
            };
            profile.params.subject_alt_names.push(name);
        }
        Ok(profile)
    }

    fn new(
        name: &str,
        usages: Vec<KeyUsagePurpose>,
        purposes: Vec<ExtendedKeyUsagePurpose>,
    ) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.key_usages = usages;
        params.extended_key_usages = purposes;
        params.use_authority_key_identifier_extension = true;
        Self { params }.with_validity(Self::NOT_BEFORE, Self::NOT_AFTER)
    }

    /// Sets the validity, in whole seconds; both ends are in it.
    #[must_use]
    pub fn with_validity(mut self, not_before: Timestamp, not_after: Timestamp) -> Self {
        self.params.not_before = moment(not_before);
        self.params.not_after = moment(not_after);
        self
    }

    /// Sets whether the certificate says that it may issue others, whatever it is made for.
    #[must_use]
    pub fn with_ca(mut self, ca: bool) -> Self {
        self.params.is_ca = if ca {
            IsCa::Ca(BasicConstraints::Unconstrained)
        } else {
            IsCa::NoCa
        };
        self
    }

    /// Makes it a CA below which at most `intermediates` others may follow.
    #[must_use]
    pub fn with_path_length(mut self, intermediates: u8) -> Self {
        self.params.is_ca = IsCa::Ca(BasicConstraints::Constrained(intermediates));
        self
    }
}

/// The latest moment that fits a certificate is the last second of the year 9999.
fn moment(at: Timestamp) -> OffsetDateTime {
    const LAST: i64 = 253_402_300_799;
    let seconds = i64::try_from(at.seconds()).unwrap_or(LAST).min(LAST);
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// A CA that issues. Signs whatever it is asked to: for tests only.
#[derive(Debug)]
pub struct Ca {
    params: CertificateParams,
    identity: Identity,
}

impl Ca {
    /// A root that signs itself.
    #[must_use]
    pub fn root(name: &str) -> Self {
        Self::root_with(&Profile::ca(name))
    }

    /// A root of one's own making.
    #[must_use]
    pub fn root_with(profile: &Profile) -> Self {
        let identity = Identity::self_signed_with(profile);
        Self {
            params: profile.params.clone(),
            identity,
        }
    }

    /// A CA below this one. Call it twice with one name for two that differ in their keys.
    #[must_use]
    pub fn intermediate(&self, name: &str) -> Self {
        self.intermediate_with(&Profile::ca(name))
    }

    /// A CA below this one, of one's own making.
    #[must_use]
    pub fn intermediate_with(&self, profile: &Profile) -> Self {
        let identity = self.issue(profile);
        Self {
            params: profile.params.clone(),
            identity,
        }
    }

    /// A device below this CA; `registration` becomes its common name.
    #[must_use]
    pub fn device(&self, registration: &str) -> Identity {
        self.issue(&Profile::device(registration))
    }

    /// A server below this CA.
    ///
    /// # Errors
    /// [`NameError`] as in [`Profile::server`].
    pub fn server(&self, names: &[&str]) -> Result<Identity, NameError> {
        Ok(self.issue(&Profile::server(names)?))
    }

    /// Anything below this CA.
    #[must_use]
    pub fn issue(&self, profile: &Profile) -> Identity {
        let key = new_key();
        let issuer = Issuer::from_params(&self.params, &self.identity.key);
        let certificate = profile
            .params
            .signed_by(&key, &issuer)
            .expect("a key made here signs");
        let chain = [certificate.der().clone()]
            .into_iter()
            .chain(self.identity.full_chain.iter().cloned())
            .collect();
        Identity {
            full_chain: chain,
            key,
        }
    }

    /// Its own certificate.
    #[must_use]
    pub fn certificate_der(&self) -> &CertificateDer<'static> {
        self.identity.certificate_der()
    }

    /// Its own certificate in PEM.
    #[must_use]
    pub fn certificate_pem(&self) -> String {
        self.identity.certificate_pem()
    }

    /// Its certificate, key and chain.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }
}

/// A certificate, its key, and what issued it. `Debug` does not show the key.
pub struct Identity {
    /// Never empty.
    full_chain: Vec<CertificateDer<'static>>,
    key: KeyPair,
}

impl Identity {
    /// A device that signs itself; `registration` becomes its common name.
    #[must_use]
    pub fn self_signed(registration: &str) -> Self {
        Self::self_signed_with(&Profile::device(registration))
    }

    /// Anything that signs itself.
    #[must_use]
    pub fn self_signed_with(profile: &Profile) -> Self {
        let key = new_key();
        let certificate = profile
            .params
            .self_signed(&key)
            .expect("a key made here signs");
        Self {
            full_chain: vec![certificate.der().clone()],
            key,
        }
    }

    /// Its own certificate.
    #[must_use]
    pub fn certificate_der(&self) -> &CertificateDer<'static> {
        &self.full_chain[0]
    }

    /// What a device sends: its own certificate first, then its issuers without the root.
    #[must_use]
    pub fn chain_der(&self) -> &[CertificateDer<'static>] {
        let sent = self.full_chain.len().saturating_sub(1).max(1);
        &self.full_chain[..sent]
    }

    /// Its own certificate first, then its issuers with the root.
    #[must_use]
    pub fn full_chain_der(&self) -> &[CertificateDer<'static>] {
        &self.full_chain
    }

    /// The private key in PKCS #8.
    #[must_use]
    pub fn key_der(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.serialize_der()).into()
    }

    /// Its own certificate in PEM.
    #[must_use]
    pub fn certificate_pem(&self) -> String {
        pem(self.certificate_der())
    }

    /// [`Identity::chain_der`] in PEM.
    #[must_use]
    pub fn chain_pem(&self) -> String {
        self.chain_der().iter().map(pem).collect()
    }

    /// The private key in PEM.
    #[must_use]
    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Identity({} certificates)", self.full_chain.len())
    }
}

fn new_key() -> KeyPair {
    KeyPair::generate().expect("the operating system gives random bytes")
}

fn pem(der: &CertificateDer<'static>) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let mut out = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in text.as_bytes().chunks(64) {
        out.extend(line.iter().copied().map(char::from));
        out.push('\n');
    }
    out.push_str("-----END CERTIFICATE-----\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use dps_core::certificate::{Authority, Certificate};
    use rustls_pki_types::pem::PemObject;

    fn read(der: &CertificateDer<'_>) -> Certificate {
        Certificate::parse(der).unwrap()
    }

    #[test]
    fn a_chain_is_the_device_and_its_issuers_without_the_root() {
        let root = Ca::root("root");
        let factory = root.intermediate("factory");
        let device = factory.device("Press-1");
        let sent: Vec<_> = device.chain_der().iter().map(read).collect();
        assert_eq!(sent[0].common_name(), Some("Press-1"));
        assert_eq!(sent[0].authority(), None);
        assert_eq!(sent[0].issuer(), sent[1].subject());
        assert_eq!(sent[1], read(factory.certificate_der()));
        assert_eq!(sent.len(), 2);
        let last = device.full_chain_der().last().unwrap();
        assert_eq!(read(last), read(root.certificate_der()));
        assert!(read(last).is_self_issued());
    }

    #[test]
    fn one_that_signs_itself_sends_itself() {
        let device = Identity::self_signed("dev");
        assert_eq!(device.chain_der().len(), 1);
        assert!(read(device.certificate_der()).is_self_issued());
    }

    #[test]
    fn pem_reads_back() {
        let device = Ca::root("root").intermediate("factory").device("dev");
        let pem = device.chain_pem();
        let back: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes())
            .map(Result::unwrap)
            .collect();
        assert_eq!(back, device.chain_der());
        let key = PrivateKeyDer::from_pem_slice(device.key_pem().as_bytes()).unwrap();
        assert_eq!(key, device.key_der());
    }

    #[test]
    fn profiles_are_what_was_asked_for() {
        let (from, to) = (Timestamp(1_000_000_000_000), Timestamp(1_000_000_999_000));
        let profile = Profile::ca("ca")
            .with_path_length(3)
            .with_validity(from, to);
        let ca = read(Ca::root_with(&profile).certificate_der());
        let path_length = Some(3);
        assert_eq!(ca.authority(), Some(Authority { path_length }));
        assert_eq!((ca.not_before(), ca.not_after()), (from, to));
        let device = Identity::self_signed_with(&Profile::device("dev").with_ca(true));
        assert!(read(device.certificate_der()).authority().is_some());
        let usual = read(Identity::self_signed("dev").certificate_der());
        let validity = (usual.not_before(), usual.not_after());
        assert_eq!(validity, (Profile::NOT_BEFORE, Profile::NOT_AFTER));
        let late = Profile::device("dev").with_validity(from, Timestamp(u64::MAX));
        let late = Identity::self_signed_with(&late);
        assert_eq!(
            read(late.certificate_der()).not_after().to_string(),
            "9999-12-31T23:59:59.0000000Z"
        );
    }

    #[test]
    fn a_server_has_host_names_and_addresses() {
        let root = Ca::root("root");
        let server = root.server(&["dps.example", "127.0.0.1", "::1"]).unwrap();
        assert_eq!(
            read(server.certificate_der()).common_name(),
            Some("dps.example")
        );
        assert_eq!(
            root.server(&["bücher.example"]).unwrap_err(),
            NameError("bücher.example".to_owned())
        );
    }
}
