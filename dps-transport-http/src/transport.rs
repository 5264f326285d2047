//! From a request to its answer.

use std::convert::Infallible;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use dps_core::api::{
    Authentication, DeviceApi, DeviceHello, DeviceRequest, DeviceResponse, Origin, Transport,
};
use dps_core::error::{Reason, ServiceError};
use dps_core::time::Clock;
use dps_core::tpm::TpmKeys;
use dps_transport::device_json::DeviceRegistration;
use dps_transport::{ByteStream, ClockStamps, Peer, Protocol, Stamps as _, Tasks, Terms, settle};
use http::header::CONTENT_TYPE;
use http::request::Parts as Head;
use http::{HeaderMap, Request, Response};
use http_body::Body;
use http_body_util::Full;

use crate::address::{self, Action, Address};
use crate::evidence::evidence;
use crate::limits::{Limits, within};
use crate::reply::{Answer, Stamp, location};
use crate::service::ServiceApi;
use crate::websocket::{Upgrade, WebSockets};
use crate::{body, connection};

/// The device API over HTTP, the service API, or both.
///
/// Cheap to clone; clones are one. See the [crate] for the two ways to use it.
#[derive(Clone, Debug)]
pub struct Http {
    parts: Arc<Parts>,
    tasks: Tasks,
}

#[derive(Clone, Debug)]
struct Parts {
    /// None where only operators are served.
    api: Option<Arc<dyn DeviceApi>>,
    service: Option<ServiceApi>,
    grace: Duration,
    limits: Limits,
    stamps: Arc<ClockStamps>,
    websockets: WebSockets,
}

impl Http {
    /// How long a register waits for its hub unless said otherwise.
    pub const DEFAULT_GRACE: Duration = Terms::DEFAULT_GRACE;

    /// Serves `api` to devices.
    #[must_use]
    pub fn new(api: Arc<dyn DeviceApi>) -> Self {
        Self::of(Some(api), None)
    }

    /// Serves `service` to operators, and nothing to devices: for a port of their own. Their clients
    /// connect to port 443 of the host they are given, some of them to no other.
    #[must_use]
    pub fn operators(service: ServiceApi) -> Self {
        Self::of(None, Some(service))
    }

    fn of(api: Option<Arc<dyn DeviceApi>>, service: Option<ServiceApi>) -> Self {
        let parts = Parts {
            api,
            service,
            grace: Self::DEFAULT_GRACE,
            limits: Limits::default(),
            stamps: Arc::default(),
            websockets: WebSockets::default(),
        };
        Self {
            parts: Arc::new(parts),
            tasks: Tasks::new(),
        }
    }

    /// Serves `service` to operators, beside devices. Nobody is mistaken for another: the paths of
    /// operators begin with words that no ID scope is.
    #[must_use]
    pub fn with_service(mut self, service: ServiceApi) -> Self {
        Arc::make_mut(&mut self.parts).service = Some(service);
        self
    }

    /// How long a register or poll waits for what is still being done, so that its answer says
    /// `assigned` at once. Zero makes every registration take two steps, as the service does.
    /// Default [`Http::DEFAULT_GRACE`]; keep it well below [`Limits::answer`].
    #[must_use]
    pub fn with_grace(mut self, grace: Duration) -> Self {
        Arc::make_mut(&mut self.parts).grace = grace;
        self
    }

    /// How much and how long.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        Arc::make_mut(&mut self.parts).limits = limits;
        self
    }

    /// What tells the time written into error bodies. Default the system's clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        Arc::make_mut(&mut self.parts).stamps = Arc::new(ClockStamps::new(clock));
        self
    }

    /// Where work goes on after its answer was sent, when mounted elsewhere: drain it before the
    /// process ends. A listener brings its own.
    #[must_use]
    pub fn with_tasks(mut self, tasks: Tasks) -> Self {
        self.tasks = tasks;
        self
    }

    /// Speaks `protocol` over WebSockets, beside the requests: on any path, for peers that offer
    /// `subprotocol`. A second one of the same name replaces the first.
    ///
    /// * `subprotocol`: as in `Sec-WebSocket-Protocol`, such as `mqtt`; matched without regard to
    ///   case, and answered in the spelling of the offer.
    /// * `protocol`: gets the bytes of binary frames; frames begin and end anywhere. Its peer is that
    ///   of the connection, with the certificates of the TLS handshake. Its timeouts begin anew.
    ///
    /// Only connections that are served as a [`Protocol`] can be upgraded; mounted in another server,
    /// an upgrade is a request like any other.
    #[must_use]
    pub fn websocket(mut self, subprotocol: &str, protocol: Arc<dyn Protocol>) -> Self {
        let parts = Arc::make_mut(&mut self.parts);
        parts.websockets.insert(subprotocol, protocol);
        self
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.parts.limits
    }

    /// Answers one request.
    async fn answer<B: Body<Data = Bytes>>(
        &self,
        request: Request<B>,
        peer: &Peer,
        tasks: &Tasks,
    ) -> Answered {
        if self.is_for_operators(&request) {
            self.answer_operator(request, peer).await
        } else {
            self.answer_device(request, peer, tasks).await
        }
    }

    /// Whether a request is answered as an operator's.
    pub(crate) fn is_for_operators<B>(&self, request: &Request<B>) -> bool {
        self.parts.service.is_some() && address::is_for_operators(request.uri().path())
    }

    /// Answers one request that is for operators.
    pub(crate) async fn answer_operator<B: Body<Data = Bytes>>(
        &self,
        request: Request<B>,
        peer: &Peer,
    ) -> Answered {
        let stamp = self.stamp();
        let (head, body) = request.into_parts();
        if let Some(service) = &self.parts.service {
            let terms = (stamp, &self.parts.limits);
            return service.answer(&head, body, peer, terms).await;
        }
        Answered {
            answer: stamp.error(&ServiceError::new(Reason::NoSuchPath)),
            proven: false,
            whole: false,
        }
    }

    /// Answers one request that is for devices, or for nobody.
    pub(crate) async fn answer_device<B: Body<Data = Bytes>>(
        &self,
        request: Request<B>,
        peer: &Peer,
        tasks: &Tasks,
    ) -> Answered {
        let stamp = self.stamp();
        let (head, body) = request.into_parts();
        // Bodies that nobody asked for are read too, so that the connection can go on: the SDK for
        // Node.js polls with one (`http.ts`).
        let body = body::read(body, self.parts.limits.body_bytes, &self.parts.limits).await;
        let whole = body.is_ok();
        let exchange = Exchange {
            parts: &self.parts,
            stamp,
            peer,
            tasks,
        };
        let exchange = pin!(exchange.run(&head, body));
        let (answer, proven) = within(self.parts.limits.answer, exchange)
            .await
            .unwrap_or_else(|| (stamp.error(&ServiceError::new(Reason::Unavailable)), false));
        Answered {
            answer,
            proven,
            whole,
        }
    }

    /// The answer to a wish to go on as a WebSocket; `None` for a request like any other.
    pub(crate) fn upgrade<B: Body>(&self, request: &Request<B>) -> Option<Upgrade> {
        self.parts.websockets.upgrade(request, || self.stamp())
    }

    pub(crate) fn stamp(&self) -> Stamp {
        self.parts.stamps.stamp().into()
    }
}

/// An answer, and what the connection has to know of its request.
pub(crate) struct Answered {
    pub(crate) answer: Answer,
    /// Whether its sender has proven to be a device.
    pub(crate) proven: bool,
    /// Whether it has been read to its end; otherwise nobody knows where the next one begins.
    pub(crate) whole: bool,
}

/// One request and all that belongs to it.
#[derive(Clone, Copy)]
struct Exchange<'a> {
    parts: &'a Parts,
    stamp: Stamp,
    peer: &'a Peer,
    tasks: &'a Tasks,
}

impl Exchange<'_> {
    async fn run(self, head: &Head, body: Result<Bytes, ServiceError>) -> (Answer, bool) {
        let address = match Address::read(&head.method, head.uri.path(), head.uri.query()) {
            Ok(address) => address,
            Err(refusal) => return (self.stamp.refusal(&refusal), false),
        };
        let Some(api) = &self.parts.api else {
            let error = ServiceError::new(Reason::NoSuchPath);
            return (self.stamp.error(&error), false);
        };
        let (request, tpm) = match read_request(&address, &head.headers, body) {
            Ok(read) => read,
            Err(error) => return (self.stamp.error(&error), false),
        };
        let hello = self.hello(&address, &head.headers, tpm);
        let session = match api.authenticate(hello).await {
            Authentication::Accepted(session) => session,
            Authentication::Challenge { authentication_key } => {
                return (self.stamp.challenge(&authentication_key), false);
            }
            Authentication::Denied(error) => return (self.stamp.error(&error), false),
            other => {
                tracing::error!(?other, "an outcome of authentication that HTTP cannot tell");
                let error = ServiceError::new(Reason::Internal);
                return (self.stamp.error(&error), false);
            }
        };
        let reply = api.call(&session, &address.version, request).await;
        let response = settle(self.tasks, reply, self.parts.grace).await;
        (self.render(&address, head, &response), true)
    }

    fn hello(&self, address: &Address, headers: &HeaderMap, tpm: Option<TpmKeys>) -> DeviceHello {
        DeviceHello {
            scope: address.scope.clone(),
            registration: address.registration.clone(),
            evidence: evidence(headers, tpm, self.peer),
            operation: match &address.action {
                Action::Poll(operation) => Some(operation.clone()),
                Action::Register | Action::LookUp => None,
            },
            origin: Origin {
                address: self.peer.address,
                ingress: self.peer.ingress.clone(),
                transport: Transport::Http,
            },
        }
    }

    fn render(&self, address: &Address, head: &Head, response: &DeviceResponse) -> Answer {
        match address.action {
            Action::Register => {
                let location = location(&head.uri, &head.headers);
                self.stamp.registered(response, location)
            }
            Action::Poll(_) => self.stamp.polled(response),
            Action::LookUp => self.stamp.looked_up(response),
        }
    }
}

/// What is asked, and the keys of a TPM that are shown with it. A poll shows none: its body is nobody's.
fn read_request(
    address: &Address,
    headers: &HeaderMap,
    body: Result<Bytes, ServiceError>,
) -> Result<(DeviceRequest, Option<TpmKeys>), ServiceError> {
    let body = body?;
    if let Action::Poll(operation) = &address.action {
        let operation = operation.clone();
        return Ok((DeviceRequest::OperationStatus { operation }, None));
    }
    if !body.is_empty() && !is_json(headers) {
        return Err(ServiceError::new(Reason::UnsupportedMediaType));
    }
    let sent = DeviceRegistration::parse(&body, &address.registration)?;
    let request = match address.action {
        Action::Register => DeviceRequest::Register {
            payload: sent.payload,
        },
        _ => DeviceRequest::RegistrationStatus,
    };
    Ok((request, sent.tpm))
}

/// Parameters do not matter; the SDK for C names the character set.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let named = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let kind = named.and_then(|named| named.split(';').next());
    kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

impl<B> tower::Service<Request<B>> for Http
where
    B: Body<Data = Bytes> + Send + 'static,
{
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    /// Answers one request. It is the server's fault, and 500, if the request has no [`Peer`] among
    /// its extensions.
    fn call(&mut self, request: Request<B>) -> Self::Future {
        let http = self.clone();
        Box::pin(async move {
            let Some(peer) = request.extensions().get::<Peer>().cloned() else {
                tracing::error!("a request without dps_transport::Peer among its extensions");
                return Ok(http.stamp().error(&ServiceError::new(Reason::Internal)));
            };
            Ok(http.answer(request, &peer, &http.tasks).await.answer)
        })
    }
}

#[async_trait]
impl Protocol for Http {
    async fn serve(&self, io: Box<dyn ByteStream>, peer: Peer, tasks: Tasks) {
        connection::serve(self.clone(), io, peer, tasks).await;
    }
}
#[cfg(test)]
mod tests {
    use dps_testkit::Scripted;

    use super::*;

    /// One is made for each request, and memory of more than that is not cheap any more.
    #[test]
    fn a_request_in_hand_takes_little_room() {
        let error = ServiceError::new(Reason::Internal);
        let http = Http::new(Arc::new(Scripted::refusing(error)));
        let (peer, tasks) = (Peer::anonymous([127, 0, 0, 1].into()), Tasks::new());
        let request = || Request::new(Full::new(Bytes::new()));
        let device = size_of_val(&http.answer_device(request(), &peer, &tasks));
        let operator = size_of_val(&http.answer_operator(request(), &peer));
        assert!(device < 3 * 1024, "{device}");
        assert!(operator < 3 * 1024, "{operator}");
    }
}
