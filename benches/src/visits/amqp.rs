//! Visits over AMQP as the SDK for Node.js makes them: each step when the last was answered; at the end
//! the disposition of the answer, and `close`.

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use rustls::ClientConfig;

use super::{SCOPE, certified, device_id, in_turn};
use crate::Bench;
use crate::client::{Exchange, Heard, Visit, Visits};
use crate::frames::{self, ANSWERS, REQUESTS};
use crate::packets;
use crate::world::token;

/// Devices with a token each, without TLS, that register; `count` of them, in turn.
///
/// * `hasty`: to a server that says its header of AMQP before it is asked, right after SASL; it is then
///   waited for once less, and said as much.
pub fn registering_with_tokens(count: u64, hasty: bool) -> Visits {
    let visits = (0..count).map(|n| {
        let id = device_id(n);
        let proof = frames::plain(&address(&id), &token(&id));
        let mut steps = vec![
            (frames::SASL.to_vec(), Heard::Frames(2)),
            (proof, Heard::Frames(1)),
        ];
        steps.extend(attaching(&id));
        steps.push(registering(&id));
        if hasty {
            let (header, heard) = steps.remove(2);
            steps[1].1 = Heard::Frames(2);
            steps[2] = ([header, steps[2].0.clone()].concat(), heard);
        }
        visit(None, steps)
    });
    in_turn(visits.collect())
}

/// Devices with a certificate each, and without SASL, that register; `count` of them, in turn.
pub fn registering_with_certificates(bench: &Bench, count: u64) -> Visits {
    let visits = certified(bench, count).map(|(id, tls)| {
        let steps = attaching(&id).into_iter().chain([registering(&id)]);
        visit(Some(tls), steps)
    });
    in_turn(visits.collect())
}

/// Devices with a certificate each that attach both links, and say no more; `count` of them.
pub fn waiting(bench: &Bench, count: u64) -> Visits {
    let visits = certified(bench, count).map(|(id, tls)| visit(Some(tls), attaching(&id)));
    in_turn(visits.collect())
}

/// As [`waiting`], in a WebSocket over HTTPS.
pub fn waiting_in_websockets(bench: &Bench, count: u64) -> Visits {
    let upgrade = packets::upgrade("AMQPWSB10").into_bytes();
    let visits = certified(bench, count).map(|(id, tls)| {
        let inside = attaching(&id).into_iter();
        let steps = inside.map(|(said, _)| (packets::frame(&said), Heard::Message));
        let first = (upgrade.clone(), Heard::Http("HTTP/1.1 101"));
        visit(Some(tls), [first].into_iter().chain(steps))
    });
    in_turn(visits.collect())
}

/// From the protocol's header to both links.
fn attaching(id: &str) -> Vec<(Vec<u8>, Heard)> {
    let address = address(id);
    let requests = [
        frames::credit(ANSWERS),
        frames::attach(REQUESTS, &address, false),
    ];
    vec![
        (frames::AMQP.to_vec(), Heard::Frames(1)),
        (
            frames::open("4ba1c8a5-9bb1-4e1e-bd8e-5c0f0a2e3c11"),
            Heard::Frames(1),
        ),
        (frames::begin(false), Heard::Frames(1)),
        (frames::attach(ANSWERS, &address, false), Heard::Frames(1)),
        (requests.concat(), Heard::Frames(2)),
    ]
}

fn registering(id: &str) -> (Vec<u8>, Heard) {
    let body = format!(r#"{{"registrationId":"{id}"}}"#);
    let message = frames::register(body.as_bytes());
    (frames::transfer(REQUESTS, &message), Heard::Frames(2))
}

fn address(id: &str) -> String {
    format!("{SCOPE}/registrations/{id}")
}

fn visit(
    tls: Option<Arc<ClientConfig>>,
    steps: impl IntoIterator<Item = (Vec<u8>, Heard)>,
) -> Visit {
    let talk = steps.into_iter().map(|(said, heard)| Exchange {
        said: said.into(),
        heard,
    });
    Visit {
        tls,
        talk: Rc::from_iter(talk),
        goodbye: Exchange {
            said: Bytes::from([frames::accepted(), frames::close()].concat()),
            heard: Heard::Frames(1),
        },
    }
}
