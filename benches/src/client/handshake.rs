//! The client's end of TLS.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};

/// The handshake of a device: TLS 1.3, no resumption, and the server's certificate is not verified, so
/// that the client is cheaper than any server.
///
/// * `identity`: the client certificate, if any.
/// * `post_quantum`: offer X25519MLKEM768 and X25519, instead of X25519 alone.
///
/// The order of cipher suites is that of OpenSSL and most others: AES-256 with SHA-384 first.
pub fn handshake(identity: Option<Arc<CertifiedKey>>, post_quantum: bool) -> Arc<ClientConfig> {
    use aws_lc_rs::kx_group::{X25519, X25519MLKEM768};
    let provider = Arc::new(CryptoProvider {
        kx_groups: if post_quantum {
            vec![X25519MLKEM768, X25519]
        } else {
            vec![X25519]
        },
        ..aws_lc_rs::default_provider()
    });
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("the provider can do TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyServer));
    let mut config = match identity {
        Some(key) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key))),
        None => builder.with_no_client_auth(),
    };
    config.resumption = Resumption::disabled();
    Arc::new(config)
}

/// The same handshake as `like`, as another device.
pub fn handshake_as(like: &ClientConfig, identity: Arc<CertifiedKey>) -> Arc<ClientConfig> {
    let mut config = like.clone();
    config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(identity));
    Arc::new(config)
}

/// Believes every server.
#[derive(Debug)]
struct AnyServer;

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}
