//! Who visits and what they send.

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;

use crate::Bench;
use crate::client::{Visit, Visits, handshake, handshake_as};

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
        Visit {
            tls,
            request: register(&id, "", close),
        }
    });
    in_turn(visits.collect())
}

/// Devices with a token each, and without a certificate.
///
/// * `count`, `close`: as for [`with_certificates`].
/// * `token`: the value of `Authorization` for a registration id.
pub fn with_tokens(count: u64, close: bool, token: impl Fn(&str) -> String) -> Visits {
    let tls = handshake(None, false);
    let visits = (0..count).map(|n| {
        let id = device_id(n);
        let header = format!("authorization: {}\r\n", token(&id));
        Visit {
            tls: Arc::clone(&tls),
            request: register(&id, &header, close),
        }
    });
    in_turn(visits.collect())
}

/// A token of the right shape and length that no key has signed.
pub fn unsigned_token(id: &str) -> String {
    let signature = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA%3D";
    format!(
        "SharedAccessSignature sr={SCOPE}%2Fregistrations%2F{id}\
         &sig={signature}&se=4102444800&skn=registration"
    )
}

fn in_turn(visits: Vec<Visit>) -> Visits {
    Rc::new(move |n| visits[usize::try_from(n).unwrap_or(0) % visits.len()].clone())
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
