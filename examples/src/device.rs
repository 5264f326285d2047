//! A simulated device: the HTTPS side of the device API, as small as it can honestly be. Those of
//! MQTT and AMQP are in `mqtt.rs` and `amqp.rs` beside it.
//!
//! It opens one connection, registers, asks after the operation while it is told to, and closes. It
//! keeps no assignment and retries nothing: a real device does both.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dps_core::attest::derive_device_key;
use dps_core::id::SecretBytes;
use dps_core::store::BoxError;
use dps_core::time::{Clock, SystemClock};
use dps_testkit::certs::Identity;
use dps_testkit::sas;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, RETRY_AFTER};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// What nearly all device SDKs send.
pub(crate) const API_VERSION: &str = "2019-03-31";

/// How often a device asks after an operation before it gives up.
pub(crate) const MOST_POLLS: u32 = 20;

/// Who a device is, and how it proves it.
#[derive(Debug)]
pub struct Device {
    /// Its registration id.
    pub registration: String,
    /// What it proves it with.
    pub proof: Proof,
}

/// What a device proves itself with.
#[derive(Debug)]
pub enum Proof {
    /// A certificate in the TLS handshake.
    Certificate(Identity),
    /// A key of its own, with which it signs a token.
    Key(SecretBytes),
}

impl Device {
    /// A device that holds a certificate.
    #[must_use]
    pub fn with_certificate(registration: &str, identity: Identity) -> Self {
        Self {
            registration: registration.to_owned(),
            proof: Proof::Certificate(identity),
        }
    }

    /// A device that holds a key.
    #[must_use]
    pub fn with_key(registration: &str, key: SecretBytes) -> Self {
        Self {
            registration: registration.to_owned(),
            proof: Proof::Key(key),
        }
    }

    /// A device that was given its key, derived from a group's, in the factory.
    #[must_use]
    pub fn of_group(registration: &str, group_key: &SecretBytes) -> Self {
        Self::with_key(registration, derive_device_key(group_key, registration))
    }
}

/// The service as a device knows it.
#[derive(Clone, Debug)]
pub struct Service {
    pub(crate) address: SocketAddr,
    pub(crate) host: ServerName<'static>,
    pub(crate) scope: String,
    mqtts: Option<SocketAddr>,
    amqps: Option<SocketAddr>,
    roots: Arc<RootCertStore>,
}

/// What a device speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// HTTP over TLS.
    Https,
    /// MQTT over TLS.
    Mqtt,
    /// MQTT in WebSockets, at the port of HTTPS.
    MqttOverWebSockets,
    /// AMQP over TLS.
    Amqp,
    /// AMQP in WebSockets, at the port of HTTPS.
    AmqpOverWebSockets,
}

/// What a device was told in the end.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status of the last answer; over MQTT the status in its topic; over AMQP what HTTP would have
    /// said.
    pub status: u16,
    /// Body of the last answer; null of one that has none.
    pub body: Value,
    /// How many requests it took.
    pub exchanges: u32,
}

impl Answer {
    /// The word for how far the registration is; empty with an error.
    #[must_use]
    pub fn state(&self) -> &str {
        self.body["status"].as_str().unwrap_or_default()
    }

    /// The hub it was assigned to.
    #[must_use]
    pub fn hub(&self) -> Option<&str> {
        let hub = self.body["registrationState"]["assignedHub"].as_str();
        hub.filter(|_| self.state() == "assigned")
    }
}

impl Service {
    /// The service `scope` at `address`, whose certificate is for `host` and issued by `root`.
    ///
    /// # Errors
    /// `host` is not a host name, or `root` not a certificate.
    pub fn new(
        address: SocketAddr,
        host: &str,
        root: CertificateDer<'static>,
        scope: &str,
    ) -> Result<Self, BoxError> {
        let mut roots = RootCertStore::empty();
        roots.add(root)?;
        Ok(Self {
            address,
            host: ServerName::try_from(host.to_owned())?,
            scope: scope.to_owned(),
            mqtts: None,
            amqps: None,
            roots: Arc::new(roots),
        })
    }

    /// Says where it speaks MQTT.
    #[must_use]
    pub fn with_mqtts(mut self, address: SocketAddr) -> Self {
        self.mqtts = Some(address);
        self
    }

    /// Says where it speaks AMQP.
    #[must_use]
    pub fn with_amqps(mut self, address: SocketAddr) -> Self {
        self.amqps = Some(address);
        self
    }

    /// Registers `device` over a connection of its own, and waits for the outcome.
    ///
    /// # Errors
    /// No complete answer came, or the service does not speak `transport`. A refusal is an [`Answer`].
    pub async fn register_over(
        &self,
        transport: Transport,
        device: &Device,
        payload: Option<&Value>,
    ) -> Result<Answer, BoxError> {
        match transport {
            Transport::Https => self.register(device, payload).await,
            Transport::Mqtt => {
                let mqtts = self.mqtts.ok_or("it is not known where MQTT is spoken")?;
                self.register_by_mqtt(Some(mqtts), device, payload).await
            }
            Transport::MqttOverWebSockets => self.register_by_mqtt(None, device, payload).await,
            Transport::Amqp => {
                let amqps = self.amqps.ok_or("it is not known where AMQP is spoken")?;
                self.register_by_amqp(Some(amqps), device, payload).await
            }
            Transport::AmqpOverWebSockets => self.register_by_amqp(None, device, payload).await,
        }
    }

    /// Registers `device` over HTTPS.
    ///
    /// # Errors
    /// No complete answer came. A refusal is an [`Answer`].
    pub async fn register(
        &self,
        device: &Device,
        payload: Option<&Value>,
    ) -> Result<Answer, BoxError> {
        let mut connection = self.connect(Some(&device.proof)).await?;
        let id = &device.registration;
        let base = format!("/{}/registrations/{id}", self.scope);
        let mut body = json!({"registrationId": id});
        if let Some(payload) = payload {
            body["payload"] = payload.clone();
        }
        let path = format!("{base}/register?api-version={API_VERSION}");
        let request = self.request(Some(device), Method::PUT, &path, body.to_string())?;
        let (mut answer, mut delay) = exchange(&mut connection, request).await?;
        while answer.state() == "assigning" && answer.exchanges <= MOST_POLLS {
            tokio::time::sleep(delay).await;
            let operation = answer.body["operationId"].as_str().unwrap_or_default();
            let path = format!("{base}/operations/{operation}?api-version={API_VERSION}");
            let request = self.request(Some(device), Method::GET, &path, String::new())?;
            let exchanges = answer.exchanges;
            (answer, delay) = exchange(&mut connection, request).await?;
            answer.exchanges += exchanges;
        }
        Ok(answer)
    }

    /// Asks for `path` without any credentials, over a connection of its own.
    ///
    /// # Errors
    /// No complete answer came, or one that is not JSON.
    pub async fn get(&self, path: &str) -> Result<Answer, BoxError> {
        let mut connection = self.connect(None).await?;
        let request = self.request(None, Method::GET, path, String::new())?;
        Ok(exchange(&mut connection, request).await?.0)
    }

    async fn connect(&self, proof: Option<&Proof>) -> Result<SendRequest<Full<Bytes>>, BoxError> {
        let stream = self.dial(self.address, proof).await?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }

    pub(crate) async fn dial(
        &self,
        address: SocketAddr,
        proof: Option<&Proof>,
    ) -> Result<TlsStream<TcpStream>, BoxError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(Arc::clone(&self.roots));
        let config = match proof {
            Some(Proof::Certificate(own)) => {
                config.with_client_auth_cert(own.chain_der().to_vec(), own.key_der())?
            }
            Some(Proof::Key(_)) | None => config.with_no_client_auth(),
        };
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        let connector = TlsConnector::from(Arc::new(config));
        Ok(connector.connect(self.host.clone(), socket).await?)
    }

    fn request(
        &self,
        device: Option<&Device>,
        method: Method,
        path: &str,
        body: String,
    ) -> Result<Request<Full<Bytes>>, BoxError> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, self.host.to_str().as_ref())
            .header(CONTENT_TYPE, "application/json; charset=utf-8");
        if let Some(Device {
            registration,
            proof: Proof::Key(key),
        }) = device
        {
            let expires = SystemClock.now().plus(Duration::from_secs(3600));
            let token = sas::token(key, &self.scope, registration, expires);
            request = request.header(AUTHORIZATION, token);
        }
        Ok(request.body(Full::from(body))?)
    }
}

async fn exchange(
    connection: &mut SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> Result<(Answer, Duration), BoxError> {
    connection.ready().await?;
    let response = connection.send_request(request).await?;
    let status = response.status().as_u16();
    let delay = response.headers().get(RETRY_AFTER);
    let delay = delay.and_then(|value| value.to_str().ok()?.parse().ok());
    let body = response.into_body().collect().await?.to_bytes();
    let answer = Answer {
        status,
        body: serde_json::from_slice(&body)?,
        exchanges: 1,
    };
    Ok((answer, Duration::from_secs(delay.unwrap_or(2))))
}
