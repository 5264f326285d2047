//! Visits over MQTT: CONNECT, SUBSCRIBE, PUBLISH, each when the last was answered; at the end PUBACK and
//! DISCONNECT, in one write.

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use rustls::ClientConfig;

use super::{SCOPE, certified, device_id, in_turn};
use crate::Bench;
use crate::client::{Exchange, Heard, Visit, Visits};
use crate::packets::{self, ANSWERS, CONNACK, DISCONNECT, PUBACK, SUBACK};
use crate::server::Answer;
use crate::world::token;

/// Devices with a token each, without TLS, that register; `count` of them, in turn.
pub fn registering_with_tokens(count: u64) -> Visits {
    let visits = (0..count).map(|n| {
        let id = device_id(n);
        registering(&id, None, Some(&token(&id)))
    });
    in_turn(visits.collect())
}

/// Devices with a certificate each that register; `count` of them, in turn.
pub fn registering_with_certificates(bench: &Bench, count: u64) -> Visits {
    let certified = certified(bench, count);
    let visits = certified.map(|(id, tls)| registering(&id, Some(tls), None));
    in_turn(visits.collect())
}

/// Clients of a broker, `count` of them in turn: each subscribes to a topic of its own, as long as
/// that of an answer, and sends itself an [`Answer`] of `body` bytes.
///
/// * `mutual`: with a certificate each; otherwise without TLS.
pub fn of_a_broker(bench: &Bench, count: u64, mutual: bool, body: usize) -> Visits {
    let answer = Answer::of(body);
    let visit = |(id, tls): (String, Option<Arc<ClientConfig>>)| {
        let topic = format!("{id:-<0$}", packets::answer_topic().len());
        let said = [
            (packets::connect(&id, None, None), Heard::Exactly(CONNACK)),
            (packets::subscribe(&topic), Heard::Exactly(SUBACK)),
            (packets::publish(&topic, answer.body()), Heard::Packets(2)),
        ];
        visit(tls, said, &[PUBACK, DISCONNECT])
    };
    let visits = if mutual {
        let certified = certified(bench, count);
        certified.map(|(id, tls)| visit((id, Some(tls)))).collect()
    } else {
        let plain = (0..count).map(|n| visit((device_id(n), None)));
        plain.collect()
    };
    in_turn(visits)
}

/// Devices with a certificate each that connect, subscribe, and say no more; `count` of them.
///
/// * `broker`: to a broker, which knows nothing of user names and answers.
pub fn waiting(bench: &Bench, count: u64, broker: bool) -> Visits {
    let visits = certified(bench, count).map(|(id, tls)| {
        let user = user(&id);
        let (user, filter) = if broker {
            (None, "answers/#")
        } else {
            (Some(user.as_str()), ANSWERS)
        };
        let said = [
            (packets::connect(&id, user, None), Heard::Exactly(CONNACK)),
            (packets::subscribe(filter), Heard::Exactly(SUBACK)),
        ];
        visit(Some(tls), said, &[DISCONNECT])
    });
    in_turn(visits.collect())
}

/// As [`waiting`], in a WebSocket over HTTPS.
///
/// * `mqtt`: connect and subscribe; otherwise the WebSocket is opened and no more.
pub fn waiting_in_websockets(bench: &Bench, count: u64, mqtt: bool) -> Visits {
    const CONNACK: &[u8] = &[0x82, 4, 0x20, 2, 0, 0];
    const SUBACK: &[u8] = &[0x82, 5, 0x90, 3, 0, 1, 1];
    const CLOSE: &[u8] = &[0x88, 0x82, 0, 0, 0, 0, 3, 0xe8];
    let upgrade = packets::upgrade("mqtt");
    let visits = certified(bench, count).map(|(id, tls)| {
        let connect = packets::connect(&id, Some(&user(&id)), None);
        let said = [
            (upgrade.clone().into(), Heard::Http("HTTP/1.1 101")),
            (packets::frame(&connect), Heard::Exactly(CONNACK)),
            (
                packets::frame(&packets::subscribe(ANSWERS)),
                Heard::Exactly(SUBACK),
            ),
        ];
        let said = said.into_iter().take(if mqtt { 3 } else { 1 });
        visit(Some(tls), said, &[CLOSE])
    });
    in_turn(visits.collect())
}

fn registering(id: &str, tls: Option<Arc<ClientConfig>>, password: Option<&str>) -> Visit {
    let connect = packets::connect(id, Some(&user(id)), password);
    let body = format!(r#"{{"registrationId":"{id}"}}"#);
    let register = packets::publish(&packets::register_topic(), body.as_bytes());
    let said = [
        (connect, Heard::Exactly(CONNACK)),
        (packets::subscribe(ANSWERS), Heard::Exactly(SUBACK)),
        (register, Heard::Packets(2)),
    ];
    visit(tls, said, &[PUBACK, DISCONNECT])
}

/// The user name as the SDK for Node.js sends it.
fn user(id: &str) -> String {
    const CLIENT: &str =
        "azure-iot-provisioning-device-mqtt%2F1.8.1%20(node%20v18.20.4%3B%20Linux)";
    format!("{SCOPE}/registrations/{id}/api-version=2021-06-01&ClientVersion={CLIENT}")
}

fn visit(
    tls: Option<Arc<ClientConfig>>,
    said: impl IntoIterator<Item = (Vec<u8>, Heard)>,
    goodbye: &[&[u8]],
) -> Visit {
    let talk = said.into_iter().map(|(said, heard)| Exchange {
        said: said.into(),
        heard,
    });
    Visit {
        tls,
        talk: Rc::from_iter(talk),
        goodbye: Exchange::unanswered(Bytes::from(goodbye.concat())),
    }
}
