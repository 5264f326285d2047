//! The server's side of TLS.

use std::fmt;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::NoServerSessionStorage;
use rustls::version::{TLS12, TLS13};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::possession::Possession;
use super::{TlsError, TlsProvider};

/// A server's certificate and key, ready for handshakes. Cheap to clone; the key is never shown.
///
/// TLS 1.2 and 1.3. One certificate serves every name, because devices may name none. A client
/// certificate is asked for with an empty list of authorities (Java's and .NET's clients drop a
/// certificate whose issuer is not listed), never required, and never judged here; that its sender
/// holds the key is proven, for X.509 v1 certificates and for those with unknown critical extensions
/// too. There is no session resumption and no early data: each connection proves its key anew.
#[derive(Clone)]
pub struct ServerTls {
    config: Arc<ServerConfig>,
    chain_length: usize,
}

impl ServerTls {
    /// Reads a certificate chain and a private key from PEM.
    ///
    /// * `chain`: the server's certificate first, then its issuers; other sections are passed over.
    /// * `key`: PKCS#8, PKCS#1 or SEC 1, without a passphrase; the first key found counts.
    ///
    /// # Errors
    /// [`TlsError`] says which of the two is at fault, and why.
    pub fn from_pem(provider: &TlsProvider, chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let chain = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<Vec<_>, _>>()
            .map_err(TlsError::ChainPem)?;
        if chain.is_empty() {
            return Err(TlsError::NoCertificate);
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| match error {
            pem::Error::NoItemsFound if is_encrypted(key) => TlsError::EncryptedKey,
            pem::Error::NoItemsFound => TlsError::NoKey,
            _ => TlsError::KeyPem,
        })?;
        Self::from_der(provider, chain, key)
    }

    /// Takes a certificate chain, the server's own first, and its private key.
    ///
    /// # Errors
    /// [`TlsError`] says what is at fault.
    pub fn from_der(
        provider: &TlsProvider,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, TlsError> {
        if chain.is_empty() {
            return Err(TlsError::NoCertificate);
        }
        let chain_length = chain.len();
        let possession = Possession::new(provider.0.signature_verification_algorithms);
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&provider.0))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(TlsError::Provider)?
            .with_client_cert_verifier(Arc::new(possession))
            .with_single_cert(chain, key)
            .map_err(TlsError::identity)?;
        config.ignore_client_order = true;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.max_early_data_size = 0;
        Ok(Self {
            config: Arc::new(config),
            chain_length,
        })
    }

    /// Offers these application protocols (ALPN), in order of preference.
    ///
    /// A client that offers others only is cut off in the handshake; one that offers none is served.
    #[must_use]
    pub fn with_alpn(mut self, protocols: &[&str]) -> Self {
        Arc::make_mut(&mut self.config).alpn_protocols = protocols
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        self
    }

    /// For a listener of one's own.
    #[must_use]
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerTls({} certificates)", self.chain_length)
    }
}

fn is_encrypted(pem: &[u8]) -> bool {
    let label = b"BEGIN ENCRYPTED PRIVATE KEY";
    pem.windows(label.len()).any(|window| window == label)
}
