//! A device API that answers what a test says, and both ways to ask it.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    reason = "shared by tests that each use a part of it"
)]

use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use dps_core::api::{
    Authentication, DeviceApi, DeviceHello, DeviceRequest, DeviceResponse, Reply, Session,
};
use dps_core::attest::{Attested, SignIn};
use dps_core::error::{Failure, ServiceError};
use dps_core::hub::{DeviceAuth, Place};
use dps_core::id::{ApiVersion, DeviceId, HubName, OperationId, RegistrationId};
use dps_core::registration::{
    Assignment, Extras, Mechanism, Operation, Owner, Phase, Registration, RegistrationState,
    Substatus,
};
use dps_core::store::Version;
use dps_core::time::Timestamp;
use dps_core::trace::Trace;
use dps_transport::{Peer, Protocol, Tasks};
use dps_transport_http::Http;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;
use tower::ServiceExt;

pub const REGISTER: &str = "/0neS/registrations/Press-1/register?api-version=2019-03-31";
pub const POLL: &str = "/0neS/registrations/Press-1/operations/5.0.a?api-version=2019-03-31";
pub const LOOK_UP: &str = "/0neS/registrations/Press-1?api-version=2019-03-31";
pub const TOKEN: &str = "SharedAccessSignature sr=0neS%2fregistrations%2fPress-1&sig=x&se=1";

type Say = dyn Fn(&Session, &DeviceRequest) -> Reply + Send + Sync;

/// Believes everybody, or nobody; answers with what a closure says; keeps what it was asked.
pub struct Script {
    pub refuse: Option<fn() -> Authentication>,
    pub say: Box<Say>,
    pub hellos: Mutex<Vec<DeviceHello>>,
    pub calls: Mutex<Vec<(ApiVersion, String)>>,
}

impl std::fmt::Debug for Script {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Script")
    }
}

#[async_trait]
impl DeviceApi for Script {
    async fn authenticate(&self, hello: DeviceHello) -> Authentication {
        let sign_in = SignIn::Known(DeviceAuth::CertificateAuthority);
        let session = Session::assertion(&hello, Attested::assertion(sign_in));
        self.hellos.lock().unwrap().push(hello);
        match self.refuse {
            Some(refuse) => refuse(),
            None => Authentication::Accepted(session),
        }
    }

    async fn call(&self, session: &Session, version: &ApiVersion, request: DeviceRequest) -> Reply {
        let call = (version.clone(), format!("{request:?}"));
        self.calls.lock().unwrap().push(call);
        (self.say)(session, &request)
    }
}

impl Script {
    pub fn saying(say: impl Fn(&Session, &DeviceRequest) -> Reply + Send + Sync + 'static) -> Self {
        Self {
            refuse: None,
            say: Box::new(say),
            hellos: Mutex::default(),
            calls: Mutex::default(),
        }
    }

    /// Everybody is assigned, whatever they ask.
    pub fn assigning_all() -> Self {
        Self::saying(|session, request| answer(session, request, Phase::Done).into())
    }

    pub fn refusing(refuse: fn() -> Authentication) -> Self {
        Self {
            refuse: Some(refuse),
            ..Self::assigning_all()
        }
    }

    pub fn served(self) -> (Arc<Self>, Http) {
        let script = Arc::new(self);
        let http = Http::new(Arc::clone(&script) as Arc<dyn DeviceApi>);
        (script, http)
    }
}

pub fn waiting() -> Phase {
    Phase::Accepted {
        auth: DeviceAuth::CertificateAuthority,
        origin: IpAddr::from([127, 0, 0, 1]),
        payload: None,
    }
}

pub fn failed() -> Phase {
    Phase::Failed(Failure::new(Failure::NO_HUB_NAMED, "the hook named no hub"))
}

/// The answer to `request` for a device whose last operation is at `phase`.
pub fn answer(session: &Session, request: &DeviceRequest, phase: Phase) -> DeviceResponse {
    let state = state(session.registration(), phase);
    match request {
        DeviceRequest::RegistrationStatus => DeviceResponse::Registration(state),
        _ => DeviceResponse::Operation {
            operation: OperationId::parse("5.0.a").unwrap(),
            retry_after: (!state.status.is_final()).then_some(Duration::from_secs(3)),
            state,
        },
    }
}

fn state(id: &RegistrationId, phase: Phase) -> RegistrationState {
    let at = Timestamp(1_661_622_799_514);
    let record = Registration {
        id: id.clone(),
        created: at,
        updated: at,
        owner: Owner {
            group: None,
            mechanism: Mechanism::X509,
        },
        assignment: Some(Assignment {
            place: Place {
                hub: HubName::parse("north.example.net").unwrap(),
                device: DeviceId::from(id),
            },
            substatus: Substatus::InitialAssignment,
            payload: None,
        }),
        operation: Operation {
            id: OperationId::parse("5.0.a").unwrap(),
            phase,
            started: at,
            since: at,
            resume_at: at,
            attempts: 1,
            token: None,
            storage_root_key: None,
            asked: [0; 32],
            version: ApiVersion::usual(),
            extras: Extras::default(),
        },
        trace: Arc::new(Trace::default()),
    };
    RegistrationState::of(&record, Version(7), id)
}

pub fn peer() -> Peer {
    Peer::anonymous(IpAddr::from([192, 0, 2, 7]))
}

/// An answer, taken apart.
#[derive(Debug)]
pub struct Told {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl Told {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub fn code(&self) -> u64 {
        self.json()["errorCode"].as_u64().unwrap()
    }

    pub fn message(&self) -> String {
        self.json()["message"].as_str().unwrap().to_owned()
    }
}

pub fn request(method: &str, uri: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    Request::builder()
        .method(method)
        .uri(uri)
        .header("host", "dps.example.net")
        .header("content-type", "application/json; charset=utf-8")
        .extension(peer())
        .body(Full::new(body.into()))
        .unwrap()
}

pub async fn ask(http: &Http, request: Request<Full<Bytes>>) -> Told {
    let answer = http.clone().oneshot(request).await.unwrap();
    told(answer).await
}

async fn told(answer: Response<Full<Bytes>>) -> Told {
    let (head, body) = answer.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Told {
        status: head.status.as_u16(),
        headers: head.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}

/// One end of a connection that is served at the other.
pub struct Wire {
    pub io: DuplexStream,
    pub served: JoinHandle<()>,
    pub tasks: Tasks,
}

impl Wire {
    pub fn to(http: &Http) -> Self {
        Self::with_pipe(http, 64 * 1024)
    }

    pub fn with_pipe(http: &Http, bytes: usize) -> Self {
        let (io, theirs) = tokio::io::duplex(bytes);
        let (http, tasks) = (http.clone(), Tasks::new());
        let connection = tasks.clone();
        let served =
            tokio::spawn(async move { http.serve(Box::new(theirs), peer(), connection).await });
        Self { io, served, tasks }
    }

    pub async fn write(&mut self, text: &str) {
        self.io.write_all(text.as_bytes()).await.unwrap();
    }

    /// Reads one answer, by its `content-length`.
    pub async fn read(&mut self) -> Told {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.io.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let first = lines.next().unwrap();
        assert!(first.starts_with("HTTP/1.1 "), "{first}");
        assert!(first.len() > "HTTP/1.1 200 ".len(), "a reason is given");
        let status: StatusCode = first[9..12].parse().unwrap();
        let mut headers = HeaderMap::new();
        for line in lines {
            let (name, value) = line.split_once(": ").unwrap();
            let name = http::HeaderName::try_from(name).unwrap();
            headers.append(name, value.parse().unwrap());
        }
        let length = headers["content-length"].to_str().unwrap().parse().unwrap();
        let mut body = vec![0; length];
        self.io.read_exact(&mut body).await.unwrap();
        Told {
            status: status.as_u16(),
            headers,
            body: String::from_utf8(body).unwrap(),
        }
    }

    pub async fn ask(&mut self, text: &str) -> Told {
        self.write(text).await;
        self.read().await
    }

    /// Waits for the other end to close; returns what still came.
    pub async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.io.read_to_end(&mut rest).await.unwrap();
        rest
    }
}

/// A request as bytes.
pub fn raw(method: &str, target: &str, body: &str) -> String {
    format!(
        "{method} {target} HTTP/1.1\r\nhost: dps.example.net\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Not believed, for one and the same reason.
pub fn unauthorized() -> Authentication {
    Authentication::Denied(ServiceError::new(dps_core::error::Reason::Unauthorized))
}
