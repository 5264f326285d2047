//! An operator's client: one TLS connection, and requests as bytes.

use std::collections::BTreeMap;
use std::sync::Arc;

use dps_core::time::Clock;
use dps_testkit::certs::Identity;
use dps_testkit::sas::policy_token;
use rustls::client::WantsClientCert;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::described::{DEVICE, SERVICE};
use crate::site::{HOUR, ONE, Site, key};

const VERSION: &str = "api-version=2021-10-01";

/// Whoever asks, over a connection that is kept.
pub struct Operator {
    /// Whom it means; sent as `Host`.
    pub host: String,
    /// What it shows.
    pub token: Option<String>,
    stream: TlsStream<Box<dyn Stream>>,
}

/// What bytes go over.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Operator {
    /// One with a token of `policy` for all of `host`.
    pub async fn new(site: &Site, host: &str, policy: &str) -> Self {
        Self::with_token(site, host, Some(token(site, host, policy))).await
    }

    /// As [`Operator::new`], calling from any address that there may be.
    pub async fn calling_from(site: &Site, address: &str, policy: &str) -> Self {
        let socket = Box::new(site.connect(address));
        Self::over(anonymous(site), socket, ONE, Some(token(site, ONE, policy))).await
    }

    /// As [`Operator::new`], calling at a private endpoint.
    pub async fn calling_at(site: &Site, endpoint: &str, address: &str, policy: &str) -> Self {
        let socket = Box::new(site.connect_privately(endpoint, address));
        Self::over(anonymous(site), socket, ONE, Some(token(site, ONE, policy))).await
    }

    /// A device that shows its certificate.
    pub async fn with_identity(site: &Site, identity: &Identity) -> Self {
        let socket = TcpStream::connect(site.address).await.unwrap();
        let chain = identity.chain_der().to_vec();
        let config = trusting(site);
        let config = config
            .with_client_auth_cert(chain, identity.key_der())
            .unwrap();
        Self::over(config, Box::new(socket), ONE, None).await
    }

    pub async fn with_token(site: &Site, host: &str, token: Option<String>) -> Self {
        let socket = TcpStream::connect(site.address).await.unwrap();
        socket.set_nodelay(true).unwrap();
        Self::over(anonymous(site), Box::new(socket), host, token).await
    }

    async fn over(
        config: ClientConfig,
        socket: Box<dyn Stream>,
        host: &str,
        token: Option<String>,
    ) -> Self {
        let name = ServerName::try_from(host.to_owned()).unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        Self {
            host: host.to_owned(),
            token,
            stream: connector.connect(name, socket).await.unwrap(),
        }
    }

    /// Asks, with the usual `api-version` unless `path` has a query, and these headers beside the usual.
    pub async fn ask(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let query = if path.contains('?') {
            String::new()
        } else {
            format!("?{VERSION}")
        };
        let mut request = format!("{method} {path}{query} HTTP/1.1\r\nhost: {}\r\n", self.host);
        let token = self.token.iter().map(|token| ("authorization", &**token));
        let kind = headers.iter().all(|(name, _)| *name != "content-type");
        let kind = kind.then_some(("content-type", "application/json; charset=utf-8"));
        for (name, value) in token.chain(kind).chain(headers.iter().copied()) {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
        self.stream.write_all(request.as_bytes()).await.unwrap();
        self.stream.write_all(body).await.unwrap();
        self.stream.flush().await.unwrap();
        let answer = self.receive().await;
        let (status, headers) = (answer.status, &answer.headers);
        let described = if path.starts_with("/0ne") {
            &DEVICE
        } else {
            &SERVICE
        };
        described.hold((method, path), status, headers, &answer.body);
        answer
    }

    /// Announces a body of `length` bytes, and sends none of it.
    pub async fn announce(&mut self, method: &str, path: &str, length: u64) -> Answer {
        let token = self.token.as_deref().unwrap();
        let request = format!(
            "{method} {path}?{VERSION} HTTP/1.1\r\nhost: {}\r\nauthorization: {token}\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n",
            self.host
        );
        self.stream.write_all(request.as_bytes()).await.unwrap();
        self.stream.flush().await.unwrap();
        self.receive().await
    }

    pub async fn get(&mut self, path: &str) -> Answer {
        self.ask("GET", path, &[], b"").await
    }

    pub async fn delete(&mut self, path: &str) -> Answer {
        self.ask("DELETE", path, &[], b"").await
    }

    pub async fn put(&mut self, path: &str, document: &Value) -> Answer {
        self.ask("PUT", path, &[], document.to_string().as_bytes())
            .await
    }

    pub async fn put_if(&mut self, path: &str, tag: &str, document: &Value) -> Answer {
        let headers = [("if-match", tag)];
        self.ask("PUT", path, &headers, document.to_string().as_bytes())
            .await
    }

    pub async fn post(&mut self, path: &str, document: &Value) -> Answer {
        self.ask("POST", path, &[], document.to_string().as_bytes())
            .await
    }

    async fn receive(&mut self) -> Answer {
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
        let length = headers.get("content-length");
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        self.stream.read_exact(&mut body).await.unwrap();
        assert!(body.is_ascii());
        let body = if body.is_empty() {
            Value::Null
        } else {
            assert_eq!(headers["content-type"], "application/json; charset=utf-8");
            serde_json::from_slice(&body).unwrap()
        };
        assert!(headers.contains_key("x-ms-request-id"));
        Answer {
            status,
            headers,
            body,
        }
    }
}

fn anonymous(site: &Site) -> ClientConfig {
    trusting(site).with_no_client_auth()
}

fn trusting(site: &Site) -> ConfigBuilder<ClientConfig, WantsClientCert> {
    let mut roots = RootCertStore::empty();
    roots.add(site.root.certificate_der().clone()).unwrap();
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
}

/// A token of `policy` for all of `host`.
pub fn token(site: &Site, host: &str, policy: &str) -> String {
    let expires = site.clock.now().plus(HOUR);
    policy_token(&key(host, policy, 1), policy, host, expires)
}

#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    /// Null if there is none.
    pub body: Value,
}

impl Answer {
    /// The body of a success.
    #[track_caller]
    pub fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        self.body
    }

    /// The six digits of an error, which stand in its header too.
    #[track_caller]
    pub fn code(&self) -> u64 {
        let code = self.body["errorCode"].as_u64();
        let code = code.unwrap_or_else(|| panic!("no error in {self:?}"));
        assert_eq!(self.headers["x-ms-error-code"], code.to_string());
        assert_eq!(
            self.headers["x-ms-request-id"],
            self.body["trackingId"].as_str().unwrap()
        );
        assert_eq!(u64::from(self.status), code / 1000);
        code
    }

    #[track_caller]
    pub fn message(&self) -> &str {
        self.body["message"].as_str().unwrap()
    }

    #[track_caller]
    pub fn tag(&self) -> String {
        self.body["etag"].as_str().unwrap().to_owned()
    }
}
