//! Captures, for the tests of every protocol that keeps a connection: their files, what the service must
//! have meant by what it said in them, and how to hold them again without a socket.
//!
//! It is a module of these tests, by its path: what is of one protocol is in them.

use std::collections::VecDeque;
use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use dps_core::api::DeviceResponse;
use dps_core::attest::Evidence;
use dps_core::error::{Reason, ServiceError};
use dps_core::hub::{DeviceAuth, Place};
use dps_core::id::{
    ApiVersion, DeviceId, GroupId, HubName, OperationId, RegistrationId, TrackingId,
};
use dps_core::registration::{
    Assignment, Extras, Mechanism, Operation, Owner, Phase, Registration, RegistrationState,
    Substatus,
};
use dps_core::store::Version;
use dps_core::time::Timestamp;
use dps_core::trace::Trace;
use dps_transport::{Conversation, Peer, Question, Stamp, Stamps, Verdict};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde_json::Value;

/// What one device and the service told each other on one connection.
pub(super) struct Capture {
    /// Everything but the bytes.
    pub(super) facts: Value,
    pub(super) chunks: Vec<Chunk>,
}

pub(super) enum Chunk {
    Device(Vec<u8>),
    Service(Vec<u8>),
}

/// All captures, in the order of their names.
pub(super) fn captures() -> Vec<Capture> {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/captures");
    let files = fs::read_dir(directory).unwrap();
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|name| name == "json"));
    paths.sort();
    let captures = paths.iter().map(|path| read(&fs::read(path).unwrap()));
    captures.collect()
}

fn read(file: &[u8]) -> Capture {
    let mut facts: Value = serde_json::from_slice(file).unwrap();
    let chunks = facts["chunks"].take();
    let chunks = chunks.as_array().unwrap().iter().map(|chunk| {
        let text = chunk["bytes"].as_str().unwrap().chars();
        let bytes = text.map(|byte| u8::try_from(byte).unwrap()).collect();
        match chunk["from"].as_str().unwrap() {
            "device" => Chunk::Device(bytes),
            "service" => Chunk::Service(bytes),
            other => panic!("{other} is neither"),
        }
    });
    Capture {
        chunks: chunks.collect(),
        facts,
    }
}

impl Capture {
    pub(super) fn fact(&self, name: &str) -> &str {
        self.facts[name].as_str().unwrap()
    }

    pub(super) fn accepted(&self) -> bool {
        self.fact("verdict") == "accepted"
    }

    /// Where it was: whoever it was that called.
    pub(super) fn peer(&self) -> Peer {
        Peer {
            chain: self.chain(),
            ..Peer::anonymous(IpAddr::from([192, 0, 2, 7]))
        }
    }

    /// What the device presented, leaf first.
    pub(super) fn chain(&self) -> Arc<[CertificateDer<'static>]> {
        let Some(pem) = self.facts["certificates"].as_str() else {
            return Arc::from([]);
        };
        let chain = CertificateDer::pem_slice_iter(pem.as_bytes());
        chain.map(Result::unwrap).collect()
    }

    pub(super) fn sent(&self) -> Vec<u8> {
        let chunks = self.chunks.iter().filter_map(|chunk| match chunk {
            Chunk::Device(bytes) => Some(&bytes[..]),
            Chunk::Service(_) => None,
        });
        chunks.collect::<Vec<_>>().concat()
    }

    pub(super) fn answered(&self) -> Vec<u8> {
        let chunks = self.chunks.iter().filter_map(|chunk| match chunk {
            Chunk::Service(bytes) => Some(&bytes[..]),
            Chunk::Device(_) => None,
        });
        chunks.collect::<Vec<_>>().concat()
    }
}

/// What the calls of the device came to, by what it was told.
fn responses(bodies: &[Value]) -> VecDeque<DeviceResponse> {
    let operations = bodies
        .iter()
        .filter(|body| body.get("operationId").is_some());
    operations.map(response).collect()
}

/// Stamps from a capture, in order.
#[derive(Debug)]
pub(super) struct Written(Mutex<VecDeque<Stamp>>);

impl Written {
    /// What was written into errors. They live as long as the tests.
    pub(super) fn into(bodies: &[Value]) -> &'static Self {
        let errors = bodies.iter().filter(|body| body.get("errorCode").is_some());
        let stamps = errors.map(stamp).collect();
        Box::leak(Box::new(Self(Mutex::new(stamps))))
    }
}

impl Stamps for Written {
    fn stamp(&self) -> Stamp {
        let next = self.0.lock().unwrap().pop_front();
        next.expect("no error more than in the capture")
    }
}

fn stamp(body: &Value) -> Stamp {
    let digits = text(body, "trackingId").unwrap().replace('-', "");
    let id = u128::from_str_radix(&digits, 16).unwrap();
    Stamp {
        id: TrackingId::from_random(id.to_be_bytes()),
        now: time(body, "timestampUtc"),
    }
}

fn response(body: &Value) -> DeviceResponse {
    let operation = OperationId::parse(text(body, "operationId").unwrap()).unwrap();
    let state = state(&body["registrationState"], &operation);
    assert_eq!(text(body, "status"), Some(state.status.word()));
    DeviceResponse::Operation {
        operation,
        retry_after: (!state.status.is_final()).then_some(Duration::from_secs(3)),
        state,
    }
}

fn state(said: &Value, operation: &OperationId) -> RegistrationState {
    let (id, assigned) = (
        RegistrationId::parse(text(said, "registrationId").unwrap()).unwrap(),
        text(said, "status") == Some("assigned"),
    );
    let payload = said.get("payload").and_then(Value::as_object).cloned();
    let (created, updated) = if assigned {
        (
            time(said, "createdDateTimeUtc"),
            time(said, "lastUpdatedDateTimeUtc"),
        )
    } else {
        (Timestamp(0), Timestamp(0))
    };
    let record = Registration {
        id: id.clone(),
        created,
        updated,
        owner: owner(said),
        assignment: assigned.then(|| Assignment {
            place: Place {
                hub: HubName::parse(text(said, "assignedHub").unwrap()).unwrap(),
                device: DeviceId::parse(text(said, "deviceId").unwrap()).unwrap(),
            },
            substatus: Substatus::InitialAssignment,
            payload: None,
        }),
        operation: Operation {
            id: operation.clone(),
            phase: if assigned { Phase::Done } else { undecided() },
            started: created,
            since: created,
            resume_at: created,
            attempts: 1,
            token: None,
            storage_root_key: None,
            asked: [0; 32],
            version: ApiVersion::usual(),
            extras: Extras {
                payload,
                tpm: said.get("tpm").map(hub_key).map(Into::into),
                ..Extras::default()
            },
        },
        trace: Arc::new(Trace::default()),
    };
    RegistrationState::of(&record, version(said), &id)
}

fn hub_key(said: &Value) -> Vec<u8> {
    let key = STANDARD.decode(text(said, "authenticationKey").unwrap());
    key.unwrap()
}

/// An individual enrollment with a key is the one kind that nothing is told of.
fn owner(said: &Value) -> Owner {
    let (mechanism, entry) = match (said.get("x509"), said.get("tpm")) {
        (Some(entry), _) => (Mechanism::X509, Some(entry)),
        (None, Some(_)) => (Mechanism::Tpm, None),
        (None, None) => (Mechanism::SymmetricKey, said.get("symmetricKey")),
    };
    let group = entry.and_then(|entry| text(entry, "enrollmentGroupId"));
    Owner {
        group: group.map(|group| GroupId::parse(group).unwrap()),
        mechanism,
    }
}

fn undecided() -> Phase {
    Phase::Accepted {
        auth: DeviceAuth::CertificateAuthority,
        origin: IpAddr::from([127, 0, 0, 1]),
        payload: None,
    }
}

fn version(said: &Value) -> Version {
    let Some(etag) = text(said, "etag") else {
        return Version(0);
    };
    let quoted = String::from_utf8(STANDARD.decode(etag).unwrap()).unwrap();
    Version(u64::from_str_radix(quoted.trim_matches('"'), 16).unwrap())
}

fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str)
}

fn time(value: &Value, name: &str) -> Timestamp {
    Timestamp::parse(text(value, name).unwrap()).unwrap()
}

/// The service of a capture: it answers as it did there.
pub(super) struct Service<C> {
    pub(super) conversation: C,
    believed: bool,
    /// What a TPM is asked.
    pub(super) challenge: Vec<u8>,
    responses: VecDeque<DeviceResponse>,
    pub(super) told: Vec<u8>,
    pub(super) asked: Vec<Question>,
}

impl<C: Conversation> Service<C> {
    /// * `bodies`: what the device was told in it.
    pub(super) fn new(conversation: C, capture: &Capture, bodies: &[Value]) -> Self {
        Self {
            conversation,
            believed: capture.accepted(),
            challenge: Vec::new(),
            responses: responses(bodies),
            told: Vec::new(),
            asked: Vec::new(),
        }
    }

    /// Takes what has come, and goes on until there is nothing to do but wait for more.
    pub(super) fn hear(&mut self, bytes: &[u8]) {
        self.conversation.receive(bytes, Duration::ZERO);
        while let Some(question) = self.conversation.question() {
            match &question {
                Question::Authenticate(hello) => {
                    let verdict = match hello.evidence {
                        Some(Evidence::Tpm { token: None, .. }) => {
                            Verdict::Challenge(self.challenge.clone())
                        }
                        _ if self.believed => Verdict::Believed,
                        _ => Verdict::Denied(ServiceError::new(Reason::Unauthorized)),
                    };
                    self.conversation.judged(verdict, Duration::ZERO);
                }
                Question::Call(..) => {
                    let response = self.responses.pop_front();
                    let response = response.expect("no call more than in the capture");
                    self.conversation.answered(&response, Duration::ZERO);
                }
            }
            self.asked.push(question);
        }
        self.told.extend(self.conversation.take_output());
        self.conversation.resume(Duration::ZERO);
        assert!(
            self.conversation.question().is_none(),
            "all has been answered"
        );
    }

    /// Hears what the device says, chunk by chunk, and holds that the service says what it said, when it
    /// said it.
    pub(super) fn hold(&mut self, capture: &Capture) {
        let mut expected = Vec::new();
        for chunk in &capture.chunks {
            match chunk {
                Chunk::Device(bytes) => self.hear(bytes),
                Chunk::Service(bytes) => {
                    expected.extend(bytes);
                    assert!(
                        self.told.starts_with(&expected),
                        "{}: {:?} before {:?}",
                        capture.fact("case"),
                        self.told.escape_ascii().to_string(),
                        bytes.escape_ascii().to_string(),
                    );
                }
            }
        }
        self.assert_told(capture, "as it came");
    }

    /// Hears `pieces` of what the device says.
    pub(super) fn heard<'a>(mut self, pieces: impl IntoIterator<Item = &'a [u8]>) -> Self {
        for piece in pieces {
            self.hear(piece);
        }
        self
    }

    /// Holds that the service has said all that it said in the capture, and nothing else.
    pub(super) fn assert_told(&self, capture: &Capture, how: &str) {
        let (told, expected) = (
            self.told.escape_ascii().to_string(),
            capture.answered().escape_ascii().to_string(),
        );
        assert_eq!(told, expected, "{}, {how}", capture.fact("case"));
        assert!(self.responses.is_empty(), "{}", capture.fact("case"));
    }
}

/// Holds that a device has shown what it had. The SDKs write the slashes of the resource each in its own
/// way.
pub(super) fn assert_evidence(capture: &Capture, evidence: Option<Evidence>) {
    match evidence.unwrap() {
        Evidence::X509 { chain } => {
            assert!(capture.fact("credential").contains("x509"));
            assert_eq!(chain, capture.chain());
            let certificates = match capture.fact("credential") {
                "x509-group" => 2,
                _ => 1,
            };
            assert_eq!(chain.len(), certificates);
        }
        Evidence::Tpm { token, .. } => {
            assert_eq!(capture.fact("credential"), "tpm");
            if let Some(token) = token {
                assert_token(capture, &token);
            }
        }
        Evidence::Sas { token } => {
            let credential = capture.fact("credential");
            assert!(!credential.contains("x509") && credential != "tpm");
            assert_token(capture, &token);
        }
        other => panic!("no SDK sends {other:?}"),
    }
}

fn assert_token(capture: &Capture, token: &str) {
    let (scope, id) = (capture.fact("idScope"), capture.fact("registrationId"));
    let resource = format!("SharedAccessSignature sr={scope}/registrations/{id}&");
    let token = token.replace("%2F", "/");
    assert!(token.starts_with(&resource), "{token}");
}
