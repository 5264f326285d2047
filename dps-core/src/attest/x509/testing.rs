//! Chains for tests, and a count of the signatures that were checked.

use std::cell::Cell;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls_pki_types::{
    AlgorithmIdentifier, CertificateDer, InvalidSignature, SignatureVerificationAlgorithm,
};

use crate::certificate::Certificate;
use crate::crypto::{AWS_LC, Crypto};
use crate::time::Timestamp;

/// A moment at which everything is valid that does not say otherwise.
pub(crate) const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// A certificate and its key.
pub(crate) struct Made {
    pub(crate) certificate: Certificate,
    pub(crate) key: KeyPair,
    pub(crate) params: CertificateParams,
}

/// A root that signs itself.
pub(crate) fn root(name: &str) -> Made {
    root_with(name, |_| {})
}

pub(crate) fn root_with(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Made {
    let (key, params) = (KeyPair::generate().unwrap(), ca(name, change));
    let certificate = params.self_signed(&key).unwrap();
    Made::new(certificate.der(), key, params)
}

/// A device's certificate that signs itself.
pub(crate) fn self_signed(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Made {
    let (key, mut params) = (KeyPair::generate().unwrap(), named(name));
    change(&mut params);
    let certificate = params.self_signed(&key).unwrap();
    Made::new(certificate.der(), key, params)
}

impl Made {
    fn new(der: &CertificateDer<'_>, key: KeyPair, params: CertificateParams) -> Self {
        let certificate = Certificate::parse(der).unwrap();
        Self {
            certificate,
            key,
            params,
        }
    }

    /// A CA below this one.
    pub(crate) fn ca(&self, name: &str) -> Self {
        self.ca_with(name, |_| {})
    }

    pub(crate) fn ca_with(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        self.issue(ca(name, change), KeyPair::generate().unwrap())
    }

    /// A device's certificate below this CA.
    pub(crate) fn leaf(&self, name: &str) -> Certificate {
        self.leaf_with(name, |_| {})
    }

    pub(crate) fn leaf_with(
        &self,
        name: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Certificate {
        let mut params = named(name);
        change(&mut params);
        self.issue(params, KeyPair::generate().unwrap()).certificate
    }

    /// Anything below this CA.
    pub(crate) fn issue(&self, params: CertificateParams, key: KeyPair) -> Self {
        let issuer = Issuer::from_params(&self.params, &self.key);
        let certificate = params.signed_by(&key, &issuer).unwrap();
        Self::new(certificate.der(), key, params)
    }
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn ca(name: &str, change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let mut params = named(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    change(&mut params);
    params
}

/// Limits how many intermediates may follow.
pub(crate) fn path_length(length: u8) -> impl FnOnce(&mut CertificateParams) {
    move |params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(length))
}

/// Valid in these years, the last not included.
pub(crate) fn years(from: i32, to: i32) -> impl FnOnce(&mut CertificateParams) {
    move |params| {
        params.not_before = rcgen::date_time_ymd(from, 1, 1);
        params.not_after = rcgen::date_time_ymd(to, 1, 1);
    }
}

/// The same certificate without version and extensions, as X.509 v1 has it, signed by `issuer`.
pub(crate) fn as_version_1(made: &Made, issuer: &KeyPair) -> Certificate {
    use rcgen::SigningKey as _;
    use x509_parser::prelude::{FromDer, X509Certificate};

    let der = made.certificate.der();
    let (_, read) = X509Certificate::from_der(der).unwrap();
    let algorithm = [0x30, 0x0a, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2_u8];
    let stamp = |year: &[u8]| wrap(0x18, &[year, b"0101000000Z"].concat());
    let body = wrap(
        0x30,
        &[
            wrap(2, &[1]),
            algorithm.to_vec(),
            made.certificate.issuer().to_vec(),
            wrap(0x30, &[stamp(b"2000"), stamp(b"2100")].concat()),
            made.certificate.subject().to_vec(),
            read.public_key().raw.to_vec(),
        ]
        .concat(),
    );
    let signature = [vec![0], issuer.sign(&body).unwrap()].concat();
    let whole = wrap(
        0x30,
        &[body, algorithm.to_vec(), wrap(3, &signature)].concat(),
    );
    Certificate::parse(&CertificateDer::from(whole)).unwrap()
}

fn wrap(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = match content.len() {
        short @ 0..128 => vec![short as u8],
        middle @ 128..256 => vec![0x81, middle as u8],
        long => [&[0x82], &(long as u16).to_be_bytes()[..]].concat(),
    };
    [&[tag][..], &length, content].concat()
}

/// How many signatures `work` checks.
pub(crate) fn signatures<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = COUNT.get();
    (work(), COUNT.get() - before)
}

/// Counts the signatures it checks.
pub(crate) static CRYPTO: &Crypto = &Crypto::new(&[&Counting], AWS_LC.random);

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

#[derive(Debug)]
struct Counting;

impl SignatureVerificationAlgorithm for Counting {
    fn verify_signature(
        &self,
        key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        COUNT.set(COUNT.get() + 1);
        webpki::aws_lc_rs::ECDSA_P256_SHA256.verify_signature(key, message, signature)
    }
    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        webpki::aws_lc_rs::ECDSA_P256_SHA256.public_key_alg_id()
    }
    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        webpki::aws_lc_rs::ECDSA_P256_SHA256.signature_alg_id()
    }
}
