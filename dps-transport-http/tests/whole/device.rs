//! A device: one TLS connection, and requests as bytes.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use dps_core::attest::derive_device_key;
use dps_core::id::SecretBytes;
use dps_core::time::{Clock, Timestamp};
use dps_testkit::certs::Identity;
use dps_testkit::sas;
use rustls::client::ResolvesClientCert;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, SignatureScheme};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::described::DEVICE;
use crate::site::{HOUR, SCOPE, Site};

const VERSION: &str = "api-version=2019-03-31";

/// Who calls, from where, and what it shows.
pub struct Device {
    pub id: String,
    pub scope: String,
    pub from: IpAddr,
    proof: Proof,
}

enum Proof {
    Key(SecretBytes),
    Token(String),
    Certificate(Arc<CertifiedKey>),
    Nothing,
}

impl Device {
    fn new(id: &str, proof: Proof) -> Self {
        Self {
            id: id.to_owned(),
            scope: SCOPE.to_owned(),
            from: IpAddr::from([127, 0, 0, 1]),
            proof,
        }
    }

    pub fn with_key(id: &str, key: &SecretBytes) -> Self {
        Self::new(id, Proof::Key(key.clone()))
    }

    pub fn derived(id: &str, group: &SecretBytes) -> Self {
        Self::with_key(id, &derive_device_key(group, id))
    }

    pub fn with_token(id: &str, token: &str) -> Self {
        Self::new(id, Proof::Token(token.to_owned()))
    }

    /// Shows its certificate, and its issuers without the root.
    pub fn with_identity(id: &str, identity: &Identity) -> Self {
        Self::with_chain(id, identity, identity.chain_der())
    }

    /// Shows `chain`, whatever it is; holds the key of `identity`.
    pub fn with_chain(id: &str, identity: &Identity, chain: &[CertificateDer<'static>]) -> Self {
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let key = provider.key_provider.load_private_key(identity.key_der());
        let key = CertifiedKey::new(chain.to_vec(), key.unwrap());
        Self::new(id, Proof::Certificate(Arc::new(key)))
    }

    pub fn empty_handed(id: &str) -> Self {
        Self::new(id, Proof::Nothing)
    }

    pub fn of_scope(mut self, scope: &str) -> Self {
        self.scope = scope.to_owned();
        self
    }

    pub fn from(mut self, last: u8) -> Self {
        self.from = IpAddr::from([127, 0, 0, last]);
        self
    }

    /// The head and body of a request.
    pub fn request(&self, now: Timestamp, method: &str, action: &str, body: &str) -> String {
        let token = match &self.proof {
            Proof::Key(key) => Some(sas::token(key, &self.scope, &self.id, now.plus(HOUR))),
            Proof::Token(token) => Some(token.clone()),
            Proof::Certificate(_) | Proof::Nothing => None,
        };
        let authorization =
            token.map_or_else(String::new, |token| format!("authorization: {token}\r\n"));
        format!(
            "{method} /{}/registrations/{}{action}?{VERSION} HTTP/1.1\r\nhost: dps.test\r\n\
             {authorization}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.scope,
            self.id,
            body.len()
        )
    }

    pub fn registering(&self, now: Timestamp) -> String {
        let body = format!(r#"{{"registrationId":"{}"}}"#, self.id);
        self.request(now, "PUT", "/register", &body)
    }
}

/// A connection that is open.
pub struct Line {
    pub stream: TlsStream<TcpStream>,
    /// How many answers have come.
    pub answers: usize,
}

impl Line {
    pub async fn open(site: &Site, device: &Device) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(site.tls_root.certificate_der().clone()).unwrap();
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let config = ClientConfig::builder_with_provider(provider.into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match &device.proof {
            Proof::Certificate(key) => {
                config.with_client_cert_resolver(Arc::new(Shown(Arc::clone(key))))
            }
            _ => config.with_no_client_auth(),
        };
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(device.from, 0)).unwrap();
        let socket = socket.connect(site.address).await.unwrap();
        socket.set_nodelay(true).unwrap();
        let name = ServerName::try_from("dps.test").unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        let stream = connector.connect(name, socket).await.unwrap();
        Self { stream, answers: 0 }
    }

    pub async fn send(&mut self, request: &str) {
        self.stream.write_all(request.as_bytes()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    pub async fn receive(&mut self) -> Answer {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().unwrap()[9..12].parse().unwrap();
        let headers: BTreeMap<_, _> = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let mut body = vec![0; headers["content-length"].parse().unwrap()];
        self.stream.read_exact(&mut body).await.unwrap();
        self.answers += 1;
        let body = serde_json::from_slice(&body).unwrap();
        Answer {
            status,
            headers,
            body,
        }
    }

    pub async fn ask(&mut self, request: &str) -> Answer {
        self.send(request).await;
        let answer = self.receive().await;
        let mut words = request.split(' ');
        let asked = (words.next().unwrap(), words.next().unwrap());
        DEVICE.hold(asked, answer.status, &answer.headers, &answer.body);
        answer
    }

    pub async fn register(&mut self, site: &Site, device: &Device) -> Answer {
        self.ask(&device.registering(site.clock.now())).await
    }

    pub async fn poll(&mut self, site: &Site, device: &Device, operation: &str) -> Answer {
        let action = format!("/operations/{operation}");
        let request = device.request(site.clock.now(), "GET", &action, "");
        self.ask(&request).await
    }
}

/// Registers over a connection of its own.
pub async fn register(site: &Site, device: &Device) -> Answer {
    let mut line = Line::open(site, device).await;
    line.register(site, device).await
}

/// Asks after an operation over a connection of its own.
pub async fn poll(site: &Site, device: &Device, operation: &str) -> Answer {
    let mut line = Line::open(site, device).await;
    line.poll(site, device, operation).await
}

#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: Value,
}

impl Answer {
    /// The word for how far the operation is.
    pub fn word(&self) -> &str {
        self.body["status"].as_str().unwrap_or_default()
    }

    pub fn operation(&self) -> String {
        let operation = self.body["operationId"].as_str();
        operation
            .unwrap_or_else(|| panic!("no operation in {self:?}"))
            .to_owned()
    }

    pub fn state(&self) -> &Value {
        &self.body["registrationState"]
    }

    pub fn hub(&self) -> Option<&str> {
        self.state()["assignedHub"].as_str()
    }

    pub fn code(&self) -> u64 {
        let code = &self.body["errorCode"];
        code.as_u64()
            .unwrap_or_else(|| panic!("no error in {self:?}"))
    }

    /// An error without what differs between any two.
    pub fn anonymous(&self) -> (u16, Value, Vec<String>) {
        let mut body = self.body.clone();
        for name in ["trackingId", "timestampUtc"] {
            if let Some(body) = body.as_object_mut() {
                assert!(body.remove(name).is_some(), "{self:?}");
            }
        }
        (self.status, body, self.headers.keys().cloned().collect())
    }
}

/// Shows a certificate to whoever asks.
#[derive(Debug)]
struct Shown(Arc<CertifiedKey>);

impl ResolvesClientCert for Shown {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}
