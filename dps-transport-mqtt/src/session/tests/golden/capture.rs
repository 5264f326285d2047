//! Captures: their files, and what the service must have meant by what it said in them.

use std::collections::VecDeque;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use dps_core::hub::{DeviceAuth, Place};
use dps_core::id::{DeviceId, GroupId, HubName};
use dps_core::registration::{
    Assignment, Extras, Mechanism, Operation, Owner, Phase, Registration, RegistrationState,
    Substatus,
};
use dps_core::store::Version;
use dps_core::trace::Trace;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde_json::Value;

use super::*;

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

    pub(super) fn transport(&self) -> Transport {
        match self.fact("transport") {
            "mqtt" => Transport::Mqtt,
            "mqtt-ws" => Transport::MqttWs,
            other => panic!("{other} is not MQTT"),
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

    /// The bodies of the service's answers.
    pub(super) fn bodies(&self) -> Vec<Value> {
        let bytes = self.answered();
        let published = packets(&bytes)
            .into_iter()
            .filter_map(|packet| match packet {
                (Packet::Publish(publish), _) => serde_json::from_slice(publish.payload).unwrap(),
                _ => None,
            });
        published.collect()
    }

    /// What the calls of the device came to.
    pub(super) fn responses(&self) -> VecDeque<DeviceResponse> {
        let mut bodies = self.bodies();
        bodies.retain(|body| body.get("operationId").is_some());
        bodies.iter().map(response).collect()
    }

    /// What was written into errors.
    pub(super) fn stamps(&self) -> Written {
        let mut bodies = self.bodies();
        bodies.retain(|body| body.get("errorCode").is_some());
        Written(Mutex::new(bodies.iter().map(stamp).collect()))
    }
}

/// The packets that `bytes` consist of, and the bytes of each.
pub(super) fn packets(mut bytes: &[u8]) -> Vec<(Packet<'_>, &[u8])> {
    let mut packets = Vec::new();
    while !bytes.is_empty() {
        let (packet, length) = decode(bytes, Stage::Later).unwrap().unwrap();
        let (whole, rest) = bytes.split_at(length);
        packets.push((packet, whole));
        bytes = rest;
    }
    packets
}

/// Stamps from a capture, in order.
#[derive(Debug)]
pub(super) struct Written(Mutex<VecDeque<Stamp>>);

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
            asked: [0; 32],
            version: ApiVersion::usual(),
            extras: Extras {
                payload,
                ..Extras::default()
            },
        },
        trace: Arc::new(Trace::default()),
    };
    RegistrationState::of(&record, version(said), &id)
}

/// An individual enrollment with a key is the one kind that nothing is told of.
fn owner(said: &Value) -> Owner {
    let (mechanism, entry) = match said.get("x509") {
        Some(entry) => (Mechanism::X509, Some(entry)),
        None => (Mechanism::SymmetricKey, said.get("symmetricKey")),
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
