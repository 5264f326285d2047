//! A simulated device that speaks MQTT 3.1.1, over TLS or in WebSockets; as small as it can honestly be.
//!
//! It builds the five packets it needs, and reads those it is sent by their first byte.

use std::net::SocketAddr;
use std::time::Duration;

use dps_core::store::BoxError;
use dps_core::time::{Clock, SystemClock};
use dps_testkit::sas;
use serde_json::{Value, json};

use crate::device::{API_VERSION, Answer, Device, MOST_POLLS, Proof, Service};
use crate::link::Link;

const CONNECT: u8 = 0x10;
const CONNACK: u8 = 0x20;
const PUBLISH: u8 = 0x30;
const AT_LEAST_ONCE: u8 = 0x02;
const PUBACK: u8 = 0x40;
const SUBSCRIBE: u8 = 0x82;
const DISCONNECT: u8 = 0xe0;

/// The number of every packet of ours that has one: no two are under way at a time.
const NUMBER: [u8; 2] = [0, 1];

impl Service {
    /// Registers `device` over MQTT at `mqtts`, or in a WebSocket of the HTTPS port if that is `None`,
    /// and waits for the outcome.
    ///
    /// # Errors
    /// No complete answer came. A refusal is an [`Answer`].
    pub(crate) async fn register_by_mqtt(
        &self,
        mqtts: Option<SocketAddr>,
        device: &Device,
        payload: Option<&Value>,
    ) -> Result<Answer, BoxError> {
        let link = Link::open(self, mqtts, "mqtt", &device.proof).await?;
        let mut session = Session { link };
        session.begin(self, device).await?;
        let mut body = json!({"registrationId": device.registration});
        if let Some(payload) = payload {
            body["payload"] = payload.clone();
        }
        let mut exchanges = 1;
        let mut ask = ("PUT/iotdps-register/?$rid=1".to_owned(), body.to_string());
        let answer = loop {
            let (topic, body) = session.ask(&ask.0, &ask.1).await?;
            let answer = read_answer(&topic, &body, exchanges)?;
            if answer.state() != "assigning" || exchanges > MOST_POLLS {
                break answer;
            }
            let delay = topic
                .split("retry-after=")
                .nth(1)
                .and_then(|delay| delay.parse().ok());
            tokio::time::sleep(Duration::from_secs(delay.unwrap_or(2))).await;
            exchanges += 1;
            let operation = answer.body["operationId"].as_str().unwrap_or_default();
            let topic = "GET/iotdps-get-operationstatus/";
            let poll = format!("{topic}?$rid={exchanges}&operationId={operation}");
            ask = (poll, String::new());
        };
        session.send(DISCONNECT, &[]).await?;
        Ok(answer)
    }
}

/// The status is in the topic: `$dps/registrations/res/{status}/?$rid={rid}`.
fn read_answer(topic: &str, body: &[u8], exchanges: u32) -> Result<Answer, BoxError> {
    let status = topic.split('/').nth(3).ok_or("a topic without a status")?;
    Ok(Answer {
        status: status.parse()?,
        body: serde_json::from_slice(body)?,
        exchanges,
    })
}

struct Session {
    link: Link,
}

impl Session {
    /// Connects, and asks for the answers.
    async fn begin(&mut self, service: &Service, device: &Device) -> Result<(), BoxError> {
        let (scope, id) = (&service.scope, &device.registration);
        let user = format!("{scope}/registrations/{id}/api-version={API_VERSION}");
        let mut connect = text("MQTT");
        // Version 4 is 3.1.1; a clean session, a user name and perhaps a password; keep-alive 60 s.
        connect.extend([4, 0x82, 0, 60]);
        connect.extend([text(id), text(&user)].concat());
        if let Proof::Key(key) = &device.proof {
            connect[7] |= 0x40;
            let expires = SystemClock.now().plus(Duration::from_secs(3600));
            connect.extend(text(&sas::token(key, scope, id, expires)));
        }
        self.send(CONNECT, &connect).await?;
        let (kind, said) = self.receive().await?;
        if kind != CONNACK || said != [0, 0] {
            return Err(format!("not connected: {kind:#x} {said:?}").into());
        }
        let topic = text("$dps/registrations/res/#");
        self.send(SUBSCRIBE, &[&NUMBER, topic.as_slice(), &[1]].concat())
            .await?;
        self.receive().await?;
        Ok(())
    }

    /// Publishes a question; returns the topic and the payload of the answer.
    async fn ask(&mut self, topic: &str, body: &str) -> Result<(String, Vec<u8>), BoxError> {
        let topic = text(&format!("$dps/registrations/{topic}"));
        let packet = [topic.as_slice(), &NUMBER, body.as_bytes()].concat();
        self.send(PUBLISH | AT_LEAST_ONCE, &packet).await?;
        loop {
            let (kind, packet) = self.receive().await?;
            if kind & 0xf0 != PUBLISH {
                continue;
            }
            let short = "a packet that is too short";
            let (length, rest) = packet.split_first_chunk().ok_or(short)?;
            let length = usize::from(u16::from_be_bytes(*length));
            let (topic, mut body) = rest.split_at_checked(length).ok_or(short)?;
            if kind & AT_LEAST_ONCE != 0 {
                let (number, rest) = body.split_first_chunk::<2>().ok_or(short)?;
                self.send(PUBACK, number).await?;
                body = rest;
            }
            return Ok((String::from_utf8(topic.to_vec())?, body.to_vec()));
        }
    }

    async fn send(&mut self, kind: u8, body: &[u8]) -> Result<(), BoxError> {
        let mut packet = vec![kind];
        let mut length = body.len();
        while length > 0x7f {
            packet.push(0x80 | (length & 0x7f) as u8);
            length >>= 7;
        }
        packet.push(length as u8);
        packet.extend_from_slice(body);
        self.link.send(packet).await
    }

    /// The first byte of a packet, and what follows its length.
    async fn receive(&mut self) -> Result<(u8, Vec<u8>), BoxError> {
        loop {
            let come = &mut self.link.come;
            if let Some((length, begin)) = length(come)
                && come.len() >= begin + length
            {
                let packet: Vec<u8> = come.drain(..begin + length).collect();
                return Ok((packet[0], packet[begin..].to_vec()));
            }
            self.link.more().await?;
        }
    }
}

/// A string with its length before it.
fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u16).to_be_bytes(), text.as_bytes()].concat()
}

/// How long the packet in `come` is after its head, and where the head ends; `None` while more of the
/// head has to come.
fn length(come: &[u8]) -> Option<(usize, usize)> {
    let mut length = 0;
    for (nth, byte) in come.iter().skip(1).take(4).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * nth);
        if byte & 0x80 == 0 {
            return Some((length, nth + 2));
        }
    }
    None
}
