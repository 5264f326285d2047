//! What devices can ask, and all that transports need to know.
//!
//! A transport makes a [`DeviceHello`] of what came, asks [`DeviceApi::authenticate`], and with the
//! [`Session`] it gets asks [`DeviceApi::call`]. It sends the response, and runs the [`Work`] that
//! comes with it.

use std::fmt::{self, Debug};
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;

use crate::access::Ingress;
use crate::attest::Evidence;
use crate::error::ServiceError;
use crate::id::{ApiVersion, IdScope, OperationId, RegistrationId};
use crate::registration::RegistrationState;
pub use crate::session::Session;

/// Everything a transport learns of a caller before anything is believed.
#[derive(Clone, Debug)]
pub struct DeviceHello {
    /// The tenant it names.
    pub scope: IdScope,
    /// Who it says it is.
    pub registration: RegistrationId,
    /// What it shows for it; `None` is refused like a wrong key.
    pub evidence: Option<Evidence>,
    /// The operation asked about, where credentials come with every request: a token that began an
    /// operation stays good for asking after it, and for nothing else. `None` on other requests.
    pub operation: Option<OperationId>,
    /// Where it calls from.
    pub origin: Origin,
}

/// Where a caller calls from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// Its address, as the socket has it; never from a header, where anybody could write it.
    pub address: IpAddr,
    /// The door it came through.
    pub ingress: Ingress,
    /// What it speaks.
    pub transport: Transport,
}

/// What a caller speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Transport {
    /// HTTPS.
    Http,
    /// MQTT over TLS.
    Mqtt,
    /// MQTT over WebSockets.
    MqttWs,
    /// AMQP over TLS.
    Amqp,
    /// AMQP over WebSockets.
    AmqpWs,
}

impl Transport {
    /// Whether credentials come with each request, instead of once for a connection.
    #[must_use]
    pub const fn proves_each_request(self) -> bool {
        matches!(self, Self::Http)
    }
}

/// What a proven device asks.
#[derive(Debug)]
#[non_exhaustive]
pub enum DeviceRequest {
    /// To be given a hub.
    Register {
        /// For the allocation hook: any JSON. Its size is the transport's to bound.
        payload: Option<Value>,
    },
    /// How far an operation is.
    OperationStatus {
        /// Which.
        operation: OperationId,
    },
    /// How the device stands, whatever operation brought it there.
    RegistrationStatus,
}

/// What a device is told.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum DeviceResponse {
    /// How far an operation is.
    Operation {
        /// Which.
        operation: OperationId,
        /// How the device stands.
        state: RegistrationState,
        /// When to ask again, 1 to 5 whole seconds; `None` if nothing more will come.
        retry_after: Option<Duration>,
    },
    /// How the device stands.
    Registration(RegistrationState),
    /// The request was not done.
    Error(ServiceError),
}

/// What became of a caller's credentials.
#[derive(Debug)]
#[non_exhaustive]
pub enum Authentication {
    /// It is who it says.
    Accepted(Session),
    /// It has to answer this first: its TPM has to unwrap a key, and sign with it.
    Challenge {
        /// What is sent to it, as bytes; transports encode it.
        authentication_key: Vec<u8>,
    },
    /// It is not believed (401, the same for every cause), or cannot be judged now (500, 503).
    Denied(ServiceError),
}

/// What is still owed after the reply.
///
/// Dropping it is what a crash does: a later poll takes it up. Whoever runs it may therefore give up
/// on it at any time, and should after [`Work::LEASE`], when somebody else may take it up.
#[must_use = "send the reply, then run this"]
pub struct Work(Pin<Box<dyn Future<Output = Reply> + Send + 'static>>);

impl Work {
    /// How long an operation is left to whoever took it up. Our choice.
    pub const LEASE: Duration = Duration::from_secs(30);

    /// Wraps a future that can be dropped at any point: for a [`DeviceApi`] of one's own.
    pub fn new(future: impl Future<Output = Reply> + Send + 'static) -> Self {
        Self(Box::pin(future))
    }
}

impl Future for Work {
    type Output = Reply;

    /// Ends with what a poll would be told, and with what is owed even then, such as cleaning the
    /// place that the device has left.
    fn poll(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> std::task::Poll<Reply> {
        self.0.as_mut().poll(cx)
    }
}

impl Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Work(..)")
    }
}

/// An answer that can be sent now, and the work that may make a better one.
#[derive(Debug)]
pub struct Reply {
    /// What is true now.
    pub response: DeviceResponse,
    /// What is still owed; its output is a newer reply to the same request.
    pub work: Option<Work>,
}

impl From<DeviceResponse> for Reply {
    fn from(response: DeviceResponse) -> Self {
        Self {
            response,
            work: None,
        }
    }
}

/// What transports talk to.
///
/// Two steps with a value between them: MQTT and AMQP authenticate once a connection, HTTP once a
/// request. Throttling is an answer here, not back-pressure. Behaviour is added by wrapping one
/// `DeviceApi` in another.
#[async_trait]
pub trait DeviceApi: Debug + Send + Sync + 'static {
    /// Finds out whether a caller is who it says. Writes nothing for one who is not, but that a TPM has
    /// shown an enrolled endorsement key with a storage root key that is new.
    ///
    /// A session ends, with 401, when the entry that let the caller in asks for other credentials, is
    /// enabled or disabled, or gives way to another, or when a certificate that its chain may have
    /// ended at is not verified any more. Its first call, within a second, relies on what was read
    /// here; what it commits does not, as far as the device's own records go.
    async fn authenticate(&self, hello: DeviceHello) -> Authentication;

    /// Does what a proven device asks. `version` comes with the request, because AMQP names it only
    /// when it attaches.
    ///
    /// The reply is true, and what it promises is durable, when this returns. Errors are answers:
    /// [`DeviceResponse::Error`].
    async fn call(&self, session: &Session, version: &ApiVersion, request: DeviceRequest) -> Reply;
}
