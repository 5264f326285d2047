//! Who visits and what they send.

pub mod amqp;
pub mod mqtt;
pub mod operators;

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use rustls::ClientConfig;

use crate::Bench;
use crate::client::{Exchange, Heard, Visit, Visits, handshake, handshake_as};
use crate::world::token;

/// The ID scope in every request.
pub const SCOPE: &str = "0ne00000000";

/// The registration id of the n-th device.
pub fn device_id(n: u64) -> String {
    format!("device-{n:07}")
}

/// Devices with a certificate each.
///
/// * `count`: how many; when all had their turn they come again.
/// * `post_quantum`: see [`handshake`].
/// * `close`: say in the request that it is the last of its connection.
pub fn with_certificates(bench: &Bench, count: u64, post_quantum: bool, close: bool) -> Visits {
    let plain = handshake(None, post_quantum);
    let visits = (0..count).map(|n| {
        let id = device_id(n);
        let tls = handshake_as(&plain, bench.pki().device(&id));
        over_http(Some(tls), REGISTERED, register(&id, "", close))
    });
    in_turn(visits.collect())
}

/// Devices with a token each, and without a certificate.
///
/// * `numbers`: which; when all had their turn they come again.
/// * `close`: as for [`with_certificates`].
pub fn with_tokens(numbers: impl IntoIterator<Item = u64>, close: bool) -> Visits {
    let tls = handshake(None, false);
    let visits = numbers.into_iter().map(|n| {
        let id = device_id(n);
        let header = format!("authorization: {}\r\n", token(&id));
        let said = register(&id, &header, close);
        over_http(Some(Arc::clone(&tls)), REGISTERED, said)
    });
    in_turn(visits.collect())
}

/// `count` numbers below `among`, each once (unless there are more than that), in no visible order.
///
/// `among` must not be a multiple of 7919.
pub fn scattered(count: u64, among: u64) -> impl Iterator<Item = u64> {
    (0..count).map(move |n| n * 7919 % among.max(1))
}

fn certified(bench: &Bench, count: u64) -> impl Iterator<Item = (String, Arc<ClientConfig>)> {
    let plain = handshake(None, false);
    (0..count).map(move |n| {
        let id = device_id(n);
        let tls = handshake_as(&plain, bench.pki().device(&id));
        (id, tls)
    })
}

fn in_turn(visits: Vec<Visit>) -> Visits {
    Rc::new(move |n| visits[usize::try_from(n).unwrap_or(0) % visits.len()].clone())
}

/// How the answer to a register begins.
const REGISTERED: &str = "HTTP/1.1 202";

fn over_http(tls: Option<Arc<ClientConfig>>, start: &'static str, said: Bytes) -> Visit {
    let heard = Heard::Http(start);
    Visit {
        tls,
        talk: Rc::new([Exchange { said, heard }]),
        goodbye: Exchange::unanswered(Bytes::new()),
    }
}

/// A register request with the headers that the Azure SDKs send.
fn register(id: &str, header: &str, close: bool) -> Bytes {
    let body = format!(r#"{{"registrationId":"{id}"}}"#);
    let connection = if close { "close" } else { "keep-alive" };
    let length = body.len();
    Bytes::from(format!(
        "PUT /{SCOPE}/registrations/{id}/register?api-version=2021-06-01 HTTP/1.1\r\n\
         host: localhost\r\nuser-agent: bench\r\naccept: application/json\r\n\
         content-type: application/json; charset=utf-8\r\nconnection: {connection}\r\n{header}\
         content-length: {length}\r\n\r\n{body}"
    ))
}
