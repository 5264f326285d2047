//! The certificates of a benchmark: P-256 root, intermediate, and one leaf for each device.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;

/// The certificate authority of one run, and where its files are.
///
/// The chain is what factories use: a root, an intermediate signed by it, and device certificates for
/// client authentication signed by the intermediate. The server's certificate is signed by the root.
#[derive(Debug)]
pub struct Pki {
    files: PkiFiles,
    intermediate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
    device_key: KeyPair,
}

/// The PEM files of a run, which is how another process learns of them.
#[derive(Clone, Debug)]
pub struct PkiFiles(PathBuf);

impl Pki {
    /// Makes a new authority and writes its PEM files into `folder`, which must exist.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn make(folder: &Path) -> io::Result<Self> {
        let root_key = new_key();
        let root_params = authority("Bench Root");
        let root = root_params
            .self_signed(&root_key)
            .expect("a root signs itself");
        let root_issuer = Issuer::new(root_params, root_key);

        let intermediate_key = new_key();
        let intermediate_params = authority("Bench Intermediate");
        let intermediate = intermediate_params
            .signed_by(&intermediate_key, &root_issuer)
            .expect("a root signs an intermediate");

        let server_key = new_key();
        let mut server_params = leaf("localhost", ExtendedKeyUsagePurpose::ServerAuth);
        server_params.subject_alt_names = vec![rcgen::SanType::DnsName(
            "localhost".try_into().expect("an ASCII name"),
        )];
        let server = server_params
            .signed_by(&server_key, &root_issuer)
            .expect("a root signs a server certificate");

        let files = PkiFiles(folder.to_owned());
        std::fs::write(files.root(), root.pem())?;
        std::fs::write(files.intermediate(), intermediate.pem())?;
        std::fs::write(files.server_chain(), server.pem())?;
        std::fs::write(files.server_key(), server_key.serialize_pem())?;
        Ok(Self {
            files,
            intermediate: intermediate.der().clone(),
            issuer: Issuer::new(intermediate_params, intermediate_key),
            device_key: new_key(),
        })
    }

    /// Where the PEM files are.
    pub fn files(&self) -> &PkiFiles {
        &self.files
    }

    /// The certificate chain (leaf, intermediate) and key of one device.
    ///
    /// * `name`: the common name, which is the registration id.
    ///
    /// All devices share one private key, so that a hundred thousand of them are quickly made; no
    /// server gains by it, because none keeps anything by public key.
    pub fn device(&self, name: &str) -> Arc<CertifiedKey> {
        let certificate = leaf(name, ExtendedKeyUsagePurpose::ClientAuth)
            .signed_by(&self.device_key, &self.issuer)
            .expect("an intermediate signs a device");
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.device_key.serialize_der()));
        let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key)
            .expect("a P-256 key is supported");
        let chain = vec![certificate.der().clone(), self.intermediate.clone()];
        Arc::new(CertifiedKey::new(chain, key))
    }
}

impl PkiFiles {
    /// The files in `folder`, where [`Pki::make`] put them.
    pub fn in_folder(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    /// The self-signed root.
    pub fn root(&self) -> PathBuf {
        self.0.join("root.pem")
    }

    /// The intermediate that signs the devices.
    pub fn intermediate(&self) -> PathBuf {
        self.0.join("intermediate.pem")
    }

    /// The server's certificate.
    pub fn server_chain(&self) -> PathBuf {
        self.0.join("server.pem")
    }

    /// The server's private key (PKCS #8).
    pub fn server_key(&self) -> PathBuf {
        self.0.join("server.key")
    }

    /// Reads the one certificate of a file.
    ///
    /// # Panics
    /// When the file is not there or holds no certificate: the run is broken.
    pub fn certificate(path: &Path) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(path).expect("the run wrote its certificates")
    }

    /// Reads the server's private key.
    ///
    /// # Panics
    /// When the file is not there or holds no key: the run is broken.
    pub fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_file(self.server_key()).expect("the run wrote its key")
    }
}

fn new_key() -> KeyPair {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("a P-256 key")
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2049, 12, 31);
    params
}

fn authority(name: &str) -> CertificateParams {
    let mut params = named(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn leaf(name: &str, usage: ExtendedKeyUsagePurpose) -> CertificateParams {
    let mut params = named(name);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![usage];
    params
}
