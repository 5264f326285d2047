//! A small provisioning client: registers a device that has a TPM, over HTTPS or AMQP.
//!
//! One connection, two exchanges: the challenge, and the register with a token that the TPM has signed. If the
//! service is not done by then, it is asked again when it said so. It speaks the device API of the Azure IoT Hub
//! Device Provisioning Service, and keeps to what its device SDKs send.

mod amqp;
mod error;
mod http;
mod sasl;
mod stream;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use self::amqp::Amqp;
pub use self::error::Error;
use self::http::Http;
pub use self::stream::Stream;
use crate::token;
use crate::tpm::Tpm;

/// What nearly all device SDKs say they speak.
const API_VERSION: &str = "2019-03-31";

/// When to ask again, if the service does not say: what the device SDK for Node.js does.
const DELAY: Duration = Duration::from_secs(2);

/// What to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transport {
    /// HTTP over TLS, port 443.
    Https,
    /// AMQP 1.0 over TLS, port 5671.
    Amqp,
    /// AMQP 1.0 in WebSockets, port 443.
    AmqpOverWebSockets,
}

/// A provisioning service, as a device knows it.
#[derive(Clone)]
pub struct Endpoint {
    host: String,
    scope: String,
    tls: Arc<ClientConfig>,
    https_port: u16,
    amqps_port: u16,
}

/// Where a device belongs.
#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    /// The host name of its hub.
    pub hub: String,
    /// Its name there.
    pub device_id: String,
    /// How many requests it took, the one that was answered by a challenge among them.
    pub exchanges: u32,
    /// All that was said: `registrationState`, with substatus, payload, and times.
    pub state: Value,
}

impl Endpoint {
    /// The service at `host`.
    ///
    /// * `host`: its name or address, for which its certificate must be good.
    /// * `scope`: the ID scope.
    /// * `roots`: who may have issued its certificate.
    ///
    /// # Errors
    /// [`Error::Tls`] if the cryptography that is compiled in does not do TLS 1.2 and 1.3.
    pub fn new(host: &str, scope: &str, roots: RootCertStore) -> Result<Self, Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            host: host.to_owned(),
            scope: scope.to_owned(),
            tls: Arc::new(tls),
            https_port: 443,
            amqps_port: 5671,
        })
    }

    /// Says where it listens, if not at the ports of the Azure service, 443 and 5671.
    #[must_use]
    pub fn with_ports(mut self, https: u16, amqps: u16) -> Self {
        (self.https_port, self.amqps_port) = (https, amqps);
        self
    }

    /// Registers a device, and has its TPM take in the key for its hub: from then on [`Tpm::sign`] signs with
    /// that.
    ///
    /// * `registration`: its registration id, under which the TPM's endorsement key is enrolled.
    /// * `payload`: what it wants to say to a custom allocation policy.
    ///
    /// It waits as long as the service takes, so put a timeout around it. The TPM works on the thread of the
    /// caller. Dropping it leaves the TPM with one of the keys it was given, or none.
    ///
    /// # Errors
    /// See [`Error`]. The service's refusal is [`Error::Refused`].
    pub async fn register(
        &self,
        transport: Transport,
        tpm: &mut Tpm,
        registration: &str,
        payload: Option<&Value>,
    ) -> Result<Assignment, Error> {
        let port = match transport {
            Transport::Https | Transport::AmqpOverWebSockets => self.https_port,
            Transport::Amqp => self.amqps_port,
        };
        let connection = TcpStream::connect((self.host.as_str(), port)).await?;
        connection.set_nodelay(true)?;
        let host = ServerName::try_from(self.host.clone()).map_err(|_| Error::Host)?;
        let tls = TlsConnector::from(Arc::clone(&self.tls));
        let stream = Box::new(tls.connect(host, connection).await?);
        self.register_on(stream, transport, tpm, registration, payload)
            .await
    }

    /// The same on a connection that is there already: through a proxy, or in a test.
    ///
    /// # Errors
    /// Those of [`Endpoint::register`].
    pub async fn register_on(
        &self,
        stream: Box<dyn Stream>,
        transport: Transport,
        tpm: &mut Tpm,
        registration: &str,
        payload: Option<&Value>,
    ) -> Result<Assignment, Error> {
        let keys = Keys::of(tpm)?;
        let body = keys.body(registration, payload);
        let path = format!("/{}/registrations/{registration}", self.scope);
        let prove = |challenge: &[u8]| {
            tpm.activate(challenge)?;
            let expires = SystemTime::now() + token::LIFETIME;
            token::sign(tpm, &self.scope, registration, expires)
        };
        let mut connection = match transport {
            Transport::Https => {
                Connection::Http(Http::prove(stream, &self.host, &path, &body, prove).await?)
            }
            Transport::Amqp | Transport::AmqpOverWebSockets => {
                let stream = match transport {
                    Transport::AmqpOverWebSockets => stream::websocket(stream, &self.host).await?,
                    _ => stream,
                };
                let names = [self.scope.as_str(), registration];
                let amqp = Amqp::prove(stream, &self.host, names, &keys, prove).await?;
                Connection::Amqp(Box::new(amqp))
            }
        };
        let mut answer = connection.ask(Question::Register(&body)).await?;
        let mut exchanges = 2;
        while answer.state() == "assigning" {
            let operation = answer.text("operationId")?;
            tokio::time::sleep(answer.delay.unwrap_or(DELAY)).await;
            answer = connection.ask(Question::Poll(&operation)).await?;
            exchanges += 1;
        }
        connection.close().await?;
        assigned(answer, exchanges, tpm)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("host", &self.host)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

/// What a device asks once it has proven who it is.
#[derive(Clone, Copy)]
enum Question<'a> {
    /// To be registered; with the body that says what there is to say.
    Register(&'a Value),
    /// How far this operation is.
    Poll(&'a str),
}

/// What the service said.
struct Answer {
    /// In the words of HTTP.
    status: u16,
    body: Value,
    delay: Option<Duration>,
}

impl Answer {
    fn state(&self) -> &str {
        self.body["status"].as_str().unwrap_or_default()
    }

    fn text(&self, member: &'static str) -> Result<String, Error> {
        text(&self.body, member)
    }
}

fn text(object: &Value, member: &'static str) -> Result<String, Error> {
    let text = object[member].as_str();
    text.map(str::to_owned).ok_or(Error::Missing(member))
}

enum Connection {
    Http(Http),
    Amqp(Box<Amqp>),
}

impl Connection {
    async fn ask(&mut self, question: Question<'_>) -> Result<Answer, Error> {
        match self {
            Self::Http(http) => http.ask(question).await,
            Self::Amqp(amqp) => amqp.ask(question).await,
        }
    }

    async fn close(self) -> Result<(), Error> {
        match self {
            // It is closed when it is dropped, and nobody waits for that.
            Self::Http(_) => Ok(()),
            Self::Amqp(amqp) => amqp.close().await,
        }
    }
}

/// The two keys that a TPM presents.
struct Keys {
    endorsement: Vec<u8>,
    storage: Vec<u8>,
}

impl Keys {
    fn of(tpm: &Tpm) -> Result<Self, Error> {
        Ok(Self {
            endorsement: tpm.endorsement_key()?,
            storage: tpm.storage_root_key()?,
        })
    }

    fn body(&self, registration: &str, payload: Option<&Value>) -> Value {
        let mut body = json!({
            "registrationId": registration,
            "tpm": {
                "endorsementKey": STANDARD.encode(&self.endorsement),
                "storageRootKey": STANDARD.encode(&self.storage),
            },
        });
        if let Some(payload) = payload {
            body["payload"] = payload.clone();
        }
        body
    }
}

/// Reads the last answer, and has the TPM take in the key in it.
fn assigned(answer: Answer, exchanges: u32, tpm: &mut Tpm) -> Result<Assignment, Error> {
    let state = &answer.body["registrationState"];
    match answer.state() {
        "assigned" => {}
        "failed" => {
            return Err(Error::Failed {
                code: state["errorCode"].as_u64(),
                message: state["errorMessage"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned(),
            });
        }
        "disabled" => return Err(Error::Disabled),
        _ => {
            return Err(Error::Refused {
                status: answer.status,
                body: answer.body,
            });
        }
    }
    let key = text(&state["tpm"], "authenticationKey")?;
    let key = STANDARD
        .decode(key)
        .map_err(|_| Error::Unreadable("authenticationKey"))?;
    tpm.activate(&key)?;
    Ok(Assignment {
        hub: text(state, "assignedHub")?,
        device_id: text(state, "deviceId")?,
        exchanges,
        state: state.clone(),
    })
}
