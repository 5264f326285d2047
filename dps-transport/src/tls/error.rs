//! What can be wrong with a server's certificate and key.

use rustls::{Error, InconsistentKeys};
use rustls_pki_types::pem;

/// Why a certificate chain and a key do not make a TLS server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The text holds no certificate.
    #[error("there is no certificate in the chain (no \"BEGIN CERTIFICATE\" section)")]
    NoCertificate,
    /// A section of the chain cannot be read.
    #[error("the certificate chain is not sound PEM")]
    ChainPem(#[source] pem::Error),
    /// The text holds no private key.
    #[error("there is no private key (no \"BEGIN PRIVATE KEY\" section)")]
    NoKey,
    /// The private key is under a passphrase.
    #[error("the private key is encrypted; store it without a passphrase")]
    EncryptedKey,
    /// The section of the key cannot be read. The cause is not kept: it may quote the key.
    #[error("the private key is not sound PEM")]
    KeyPem,
    /// The first certificate of the chain cannot be read.
    #[error("the first certificate of the chain cannot be read")]
    Certificate(#[source] Error),
    /// The key is of no kind that the provider signs with, or broken.
    #[error("the private key cannot be used")]
    Key(#[source] Error),
    /// The key is somebody else's.
    #[error("the private key does not belong to the first certificate of the chain")]
    KeyMismatch,
    /// The provider lacks what TLS 1.2 or 1.3 needs.
    #[error("the cryptographic provider cannot serve TLS 1.2 and 1.3")]
    Provider(#[source] Error),
}

impl TlsError {
    pub(super) fn identity(error: Error) -> Self {
        match error {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => Self::KeyMismatch,
            Error::InvalidCertificate(_) => Self::Certificate(error),
            _ => Self::Key(error),
        }
    }
}
