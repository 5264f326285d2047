//! A TLS client that can be told to cheat, certificates for it, and protocols to meet it.
#![allow(
    dead_code,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "each test file takes what it needs; a test that fails says so"
)]

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use dps_transport::{ByteStream, Limits, Listener, Peer, Protocol, ServerTls, Tasks, TlsProvider};
use rcgen::{CertificateParams, KeyPair};
use rustls::client::ResolvesClientCert;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, SignatureScheme, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
pub const VERSIONS: [&SupportedProtocolVersion; 2] =
    [&rustls::version::TLS12, &rustls::version::TLS13];

/// Every provider of this build.
pub fn providers() -> Vec<TlsProvider> {
    vec![
        #[cfg(feature = "aws-lc")]
        TlsProvider::aws_lc(),
        #[cfg(feature = "ring")]
        TlsProvider::ring(),
    ]
}

/// A certificate chain and a key, which need not belong together.
pub struct Identity {
    pub chain: Vec<CertificateDer<'static>>,
    pub pem: String,
    pub key: KeyPair,
}

impl Identity {
    pub fn new(name: &str) -> Self {
        Self::made(name, KeyPair::generate().unwrap(), |_| {})
    }

    pub fn made(name: &str, key: KeyPair, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        change(&mut params);
        let leaf = params.self_signed(&key).unwrap();
        Self {
            chain: vec![leaf.der().clone()],
            pem: leaf.pem(),
            key,
        }
    }

    /// The same certificates in the hands of somebody who does not have the key.
    pub fn stolen(&self) -> Self {
        Self {
            chain: self.chain.clone(),
            pem: self.pem.clone(),
            key: KeyPair::generate().unwrap(),
        }
    }

    pub fn key_der(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(self.key.serialize_der().into())
    }
}

/// The server of all tests, and a client that trusts it.
pub struct Bench {
    pub server: Identity,
    pub peers: mpsc::UnboundedReceiver<Peer>,
    pub listener: Listener,
    pub tasks: Tasks,
}

impl Bench {
    /// A listener whose protocol tells who came and echoes what they say.
    pub fn new(provider: &TlsProvider) -> Self {
        let (came, peers) = mpsc::unbounded_channel();
        Self::with(provider, Arc::new(Echo { came }), peers)
    }

    pub fn with(
        provider: &TlsProvider,
        protocol: Arc<dyn Protocol>,
        peers: mpsc::UnboundedReceiver<Peer>,
    ) -> Self {
        let server = Identity::new("dps.test");
        let tls = ServerTls::from_der(provider, server.chain.clone(), server.key_der()).unwrap();
        let tasks = Tasks::new();
        Self {
            server,
            peers,
            listener: Listener::new(tls, protocol, tasks.clone()),
            tasks,
        }
    }

    pub fn limited(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        let mut limits = Limits::default();
        change(&mut limits);
        self.listener = self.listener.with_limits(limits);
        self
    }

    pub fn client(&self, version: &'static SupportedProtocolVersion) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.server.chain[0].clone()).unwrap();
        ClientConfig::builder_with_provider(rustls::crypto::aws_lc_rs::default_provider().into())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth()
    }

    /// A client that shows `identity` without looking whether its two halves belong together.
    pub fn client_of(
        &self,
        version: &'static SupportedProtocolVersion,
        identity: &Identity,
    ) -> (ClientConfig, Arc<Shown>) {
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let key = provider.key_provider.load_private_key(identity.key_der());
        let shown = Arc::new(Shown {
            identity: Arc::new(CertifiedKey::new(identity.chain.clone(), key.unwrap())),
            hints: Mutex::default(),
        });
        let mut config = self.client(version);
        config.client_auth_cert_resolver = Arc::clone(&shown) as Arc<dyn ResolvesClientCert>;
        (config, shown)
    }

    /// Connects through a pipe, says something, and waits for the echo.
    pub async fn exchange(&self, config: ClientConfig) -> io::Result<TlsStream<impl ByteStream>> {
        let (near, far) = tokio::io::duplex(16 * 1024);
        self.listener.admit(far, HOME);
        converse(near, config).await
    }
}

pub async fn converse<S: ByteStream>(io: S, config: ClientConfig) -> io::Result<TlsStream<S>> {
    let name = ServerName::try_from("dps.test").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let mut stream = connector.connect(name, io).await?;
    stream.write_all(b"hello").await?;
    stream.flush().await?;
    let mut heard = [0; 5];
    stream.read_exact(&mut heard).await?;
    assert_eq!(&heard, b"hello");
    Ok(stream)
}

/// Shows a certificate to whoever asks, and keeps the authorities that were asked for.
#[derive(Debug)]
pub struct Shown {
    identity: Arc<CertifiedKey>,
    pub hints: Mutex<Option<usize>>,
}

impl ResolvesClientCert for Shown {
    fn resolve(&self, hints: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        *self.hints.lock().unwrap() = Some(hints.len());
        Some(Arc::clone(&self.identity))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Tells who came, and echoes until the drain.
#[derive(Debug)]
pub struct Echo {
    pub came: mpsc::UnboundedSender<Peer>,
}

#[async_trait]
impl Protocol for Echo {
    async fn serve(&self, mut io: Box<dyn ByteStream>, peer: Peer, tasks: Tasks) {
        self.came.send(peer).unwrap();
        let mut buffer = [0; 256];
        loop {
            let read = tokio::select! {
                () = tasks.draining() => return,
                read = io.read(&mut buffer) => read,
            };
            match read {
                Ok(length) if length > 0 => {
                    let _ = io.write_all(&buffer[..length]).await;
                    let _ = io.flush().await;
                }
                _ => return,
            }
        }
    }
}
