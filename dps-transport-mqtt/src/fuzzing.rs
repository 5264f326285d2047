//! Entry points for fuzzing; not part of the API.

use std::net::IpAddr;
use std::time::Duration;

use dps_core::api::{DeviceResponse, Transport};
use dps_core::error::{Reason, ServiceError};
use dps_core::id::TrackingId;
use dps_core::time::Timestamp;
use dps_transport::{Conversation, Peer, Question, Stamp, Stamps, Timeouts, Verdict};

use crate::packet::{Stage, decode, encode};
use crate::session::Session;
use crate::topic::Asked;
use crate::user_name::UserName;

/// Reads the packet at the beginning of `bytes`, and writes it again; `None` if there is none. With it,
/// how many bytes were read.
#[must_use]
pub fn reencode(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (packet, length) = decode(bytes, Stage::Later).ok()??;
    let mut out = Vec::new();
    encode(&packet, &mut out).ok()?;
    Some((out, length))
}

/// Reads the topic of a request, and returns its `$rid`.
#[must_use]
pub fn rid(topic: &str) -> Option<String> {
    Asked::read(topic).map(|asked| asked.rid)
}

/// Reads a user name; says whether it names a device.
#[must_use]
pub fn is_user_name(text: &str) -> bool {
    UserName::read(text).and_then(UserName::claim).is_some()
}

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
/// * `believed`: what becomes of its credentials.
///
/// Questions are answered only when nothing more can be read, so that it does not matter where one
/// chunk ends and the next begins.
#[must_use]
pub fn converse<'a>(chunks: impl IntoIterator<Item = &'a [u8]>, believed: bool) -> Vec<u8> {
    let peer = Peer::anonymous(IpAddr::from([192, 0, 2, 7]));
    let mut session = Session::new(peer, Transport::Mqtt, Timeouts::default(), &Fixed);
    let mut told = Vec::new();
    for chunk in chunks {
        session.receive(chunk, Duration::ZERO);
        while !session.wants_bytes() && advance(&mut session, believed, &mut told) {}
        if session.end().is_some() {
            break;
        }
    }
    while advance(&mut session, believed, &mut told) {}
    told
}

fn advance(session: &mut Session<'_>, believed: bool, told: &mut Vec<u8>) -> bool {
    let refusal = ServiceError::new(Reason::Unauthorized);
    let question = session.question();
    match &question {
        Some(Question::Authenticate(_)) => {
            let verdict = if believed {
                Verdict::Believed
            } else {
                Verdict::Denied(refusal)
            };
            session.judged(verdict, Duration::ZERO);
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
