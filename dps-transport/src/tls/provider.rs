//! With which cryptography TLS is done.

use std::fmt;
use std::sync::Arc;

use rustls::CipherSuite;
use rustls::crypto::CryptoProvider;

/// The primitives of TLS, with the cipher suites in the order in which the server prefers them.
///
/// Always passed as a value: nothing is installed for the whole process.
#[derive(Clone)]
pub struct TlsProvider(pub(super) Arc<CryptoProvider>);

/// Which cipher suites the server takes first, of those that the client offers.
///
/// The order is the server's: clients list AES-256 first as a matter of course.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CipherOrder {
    /// AES-128-GCM with SHA-256 first: a handshake costs the server 7 % less, because many CPUs have
    /// no hardware for SHA-384.
    #[default]
    Aes128First,
    /// AES-256-GCM with SHA-384 first, for those who must.
    Aes256First,
}

impl TlsProvider {
    /// Puts together a provider of one's own; suites are ordered with AES-128 first.
    #[must_use]
    pub fn new(provider: CryptoProvider) -> Self {
        Self(Arc::new(provider)).with_cipher_order(CipherOrder::default())
    }

    /// AWS-LC, the default; offers the hybrid post-quantum key exchange X25519MLKEM768 first.
    #[cfg(feature = "aws-lc")]
    #[must_use]
    pub fn aws_lc() -> Self {
        Self::new(rustls::crypto::aws_lc_rs::default_provider())
    }

    /// ring, for builds that want no C compiler beyond what ring needs.
    #[cfg(feature = "ring")]
    #[must_use]
    pub fn ring() -> Self {
        Self::new(rustls::crypto::ring::default_provider())
    }

    /// Whether TLS with it runs in a module that keeps to FIPS 140: `aws_lc` in a build with the feature `fips`.
    ///
    /// Key exchange without such a module (plain X25519, ChaCha20) is not on offer then, and TLS 1.2 asks for the extended
    /// master secret.
    #[must_use]
    pub fn fips(&self) -> bool {
        self.0.fips()
    }

    /// Sets which cipher suites are taken first; the others stay on offer.
    #[must_use]
    pub fn with_cipher_order(mut self, order: CipherOrder) -> Self {
        Arc::make_mut(&mut self.0)
            .cipher_suites
            .sort_by_key(|suite| order.rank(suite.suite()));
        self
    }
}

impl CipherOrder {
    const fn rank(self, suite: CipherSuite) -> u8 {
        match suite {
            CipherSuite::TLS13_AES_128_GCM_SHA256
            | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
            | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => match self {
                Self::Aes128First => 0,
                Self::Aes256First => 1,
            },
            CipherSuite::TLS13_AES_256_GCM_SHA384
            | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
            | CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => match self {
                Self::Aes128First => 1,
                Self::Aes256First => 0,
            },
            _ => 2,
        }
    }
}

impl fmt::Debug for TlsProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let suites = self.0.cipher_suites.iter().map(|suite| suite.suite());
        f.write_str("TlsProvider")?;
        f.debug_list().entries(suites).finish()
    }
}

#[cfg(all(test, feature = "aws-lc"))]
mod tests {
    use rustls_pki_types::PrivateKeyDer;

    use super::*;
    use crate::ServerTls;

    /// The test of the feature `fips` is that this holds either way.
    #[test]
    fn aws_lc_reports_itself_as_it_was_built() {
        let provider = TlsProvider::aws_lc();
        assert_eq!(provider.fips(), cfg!(feature = "fips"));
        let made = rcgen::generate_simple_self_signed(["one.example.net".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let tls = ServerTls::from_der(&provider, vec![made.cert.der().clone()], key).unwrap();
        assert_eq!(tls.config().fips(), cfg!(feature = "fips"));
    }

    #[cfg(feature = "ring")]
    #[test]
    fn ring_is_no_module_of_fips() {
        assert!(!TlsProvider::ring().fips());
    }
}
