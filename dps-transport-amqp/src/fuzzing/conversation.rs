//! Whole conversations.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use dps_core::api::{DeviceRequest, DeviceResponse, Transport};
use dps_core::attest::Evidence;
use dps_core::error::{Reason, ServiceError};
use dps_core::hub::Place;
use dps_core::id::{ApiVersion, DeviceId, HubName, OperationId, RegistrationId, TrackingId};
use dps_core::registration::{
    Assignment, Extras, Mechanism, Operation, Owner, Phase, Registration, RegistrationState,
    Substatus,
};
use dps_core::store::Version;
use dps_core::time::Timestamp;
use dps_core::trace::Trace;
use dps_transport::{Conversation, Peer, Question, Stamp, Stamps, Timeouts, Verdict};

use crate::conversation::Session;

/// As many as the challenge of the longest name has.
const CHALLENGE_BYTES: usize = 961;

#[derive(Debug)]
struct Fixed;

impl Stamps for Fixed {
    fn stamp(&self) -> Stamp {
        Stamp {
            id: TrackingId::from_random([0; 16]),
            now: Timestamp(0),
        }
    }
}

/// Holds a conversation with a device that sends `chunks`, and returns what it is told.
///
/// * `certified`: whether it has shown a certificate.
/// * `believed`: what becomes of its credentials.
///
/// The keys of a TPM are challenged before they are judged. A register is assigned, and a poll is answered with an error. Questions are answered only when
/// nothing more can be read, so that it does not matter where one chunk ends and the next begins.
#[must_use]
pub fn converse<'a>(
    chunks: impl IntoIterator<Item = &'a [u8]>,
    certified: bool,
    believed: bool,
) -> Vec<u8> {
    let mut peer = Peer::anonymous(IpAddr::from([192, 0, 2, 7]));
    if certified {
        peer.chain = Arc::from([b"leaf".to_vec().into()]);
    }
    let mut session = Session::new(peer, Transport::Amqp, Timeouts::default(), "us", &Fixed);
    let mut told = Vec::new();
    for chunk in chunks {
        session.receive(chunk, Duration::ZERO);
        while !session.wants_bytes() && advance(&mut session, believed, &mut told) {}
        if session.is_over() {
            break;
        }
    }
    while advance(&mut session, believed, &mut told) {}
    told
}

fn advance(session: &mut Session<'_>, believed: bool, told: &mut Vec<u8>) -> bool {
    let question = session.question();
    match &question {
        Some(Question::Authenticate(hello)) => {
            let unsigned = matches!(hello.evidence, Some(Evidence::Tpm { token: None, .. }));
            let verdict = if unsigned {
                Verdict::Challenge(vec![7; CHALLENGE_BYTES])
            } else if believed {
                Verdict::Believed
            } else {
                Verdict::Denied(ServiceError::new(Reason::Unauthorized))
            };
            session.judged(verdict, Duration::ZERO);
        }
        Some(Question::Call(_, DeviceRequest::Register { .. })) => {
            session.answered(&assigned(), Duration::ZERO);
        }
        Some(Question::Call(..)) => {
            let busy = DeviceResponse::Error(ServiceError::new(Reason::Throttled));
            session.answered(&busy, Duration::ZERO);
        }
        None => {}
    }
    let written = session.take_output();
    let more = question.is_some() || !written.is_empty();
    told.extend(written);
    session.resume(Duration::ZERO);
    more
}

/// An answer that needs more than one of the smallest frames.
#[allow(clippy::expect_used, reason = "names that are good")]
fn assigned() -> DeviceResponse {
    let id = RegistrationId::parse("d").expect("it is a name");
    let operation = OperationId::parse("5.0.a").expect("it is a name");
    let payload = [("p".to_owned(), "x".repeat(1000).into())];
    let at = Timestamp(0);
    let record = Registration {
        id: id.clone(),
        created: at,
        updated: at,
        owner: Owner {
            group: None,
            mechanism: Mechanism::SymmetricKey,
        },
        assignment: Some(Assignment {
            place: Place {
                hub: HubName::parse("a.example").expect("it is a name"),
                device: DeviceId::from(&id),
            },
            substatus: Substatus::InitialAssignment,
            payload: None,
        }),
        operation: Operation {
            id: operation.clone(),
            phase: Phase::Done,
            started: at,
            since: at,
            resume_at: at,
            attempts: 1,
            token: None,
            storage_root_key: None,
            asked: [0; 32],
            version: ApiVersion::usual(),
            extras: Extras {
                payload: Some(payload.into_iter().collect()),
                ..Extras::default()
            },
        },
        trace: Arc::new(Trace::default()),
    };
    DeviceResponse::Operation {
        operation,
        state: RegistrationState::of(&record, Version(1), &id),
        retry_after: None,
    }
}
