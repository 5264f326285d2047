//! A device that speaks MQTT over a pipe, written apart from the code it tests.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    reason = "shared by tests that each use a part of it"
)]

use dps_transport::{Peer, Protocol, Tasks};
use dps_transport_mqtt::Mqtt;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;

/// Over WebSockets.
pub const SUBPROTOCOL: &str = "MQTT";
pub const RESPONSES: &str = "$dps/registrations/res/#";
pub const REGISTER: &str = "$dps/registrations/PUT/iotdps-register/?$rid=";
pub const POLL: &str = "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=";

pub fn peer() -> Peer {
    Peer::anonymous([192, 0, 2, 7].into())
}

fn text(text: &[u8]) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap();
    [&length.to_be_bytes(), text].concat()
}

fn packet(first: u8, fields: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    let mut left = fields.len();
    loop {
        let low = u8::try_from(left % 128).unwrap();
        left /= 128;
        out.push(if left > 0 { low | 128 } else { low });
        if left == 0 {
            break;
        }
    }
    out.extend(fields);
    out
}

pub fn connect(client_id: &str, user: &str, password: Option<&str>, keep_alive: u16) -> Vec<u8> {
    let flags = if password.is_some() { 0xc2 } else { 0x82 };
    let mut fields = [&b"\0\x04MQTT\x04"[..], &[flags], &keep_alive.to_be_bytes()].concat();
    fields.extend(text(client_id.as_bytes()));
    fields.extend(text(user.as_bytes()));
    if let Some(password) = password {
        fields.extend(text(password.as_bytes()));
    }
    packet(0x10, &fields)
}

pub fn subscribe(filter: &str, qos: u8) -> Vec<u8> {
    packet(
        0x82,
        &[&[0, 1][..], &text(filter.as_bytes()), &[qos]].concat(),
    )
}

pub fn publish(topic: &str, payload: &[u8]) -> Vec<u8> {
    packet(
        0x32,
        &[&text(topic.as_bytes())[..], &[0, 7], payload].concat(),
    )
}

pub fn publish_once(topic: &str, payload: &[u8]) -> Vec<u8> {
    packet(0x30, &[&text(topic.as_bytes())[..], payload].concat())
}

pub const PING: &[u8] = &[0xc0, 0];
pub const DISCONNECT: &[u8] = &[0xe0, 0];

/// What a device is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    ConnAck(u8),
    SubAck(u8),
    PubAck(u16),
    PingResp,
    Answer(Answer),
    /// The connection is closed.
    Closed,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub topic: String,
    pub body: Value,
}

impl Answer {
    pub fn status(&self) -> u16 {
        self.topic.split('/').nth(3).unwrap().parse().unwrap()
    }

    /// The word for how far the operation is.
    pub fn word(&self) -> &str {
        self.body["status"].as_str().unwrap_or_default()
    }

    pub fn operation(&self) -> &str {
        self.body["operationId"].as_str().unwrap()
    }

    pub fn hub(&self) -> Option<&str> {
        self.body["registrationState"]["assignedHub"].as_str()
    }

    pub fn code(&self) -> u64 {
        self.body["errorCode"].as_u64().unwrap()
    }
}

/// A connection that is open.
pub struct Line {
    pub io: DuplexStream,
    pub served: JoinHandle<()>,
}

impl Line {
    pub fn open(mqtt: &Mqtt, peer: Peer, tasks: &Tasks) -> Self {
        Self::with_room(mqtt, peer, tasks, 64 * 1024)
    }

    pub fn new(io: DuplexStream, served: JoinHandle<()>) -> Self {
        Self { io, served }
    }

    /// At most `room` bytes are on their way in each direction.
    pub fn with_room(mqtt: &Mqtt, peer: Peer, tasks: &Tasks, room: usize) -> Self {
        let (io, theirs) = tokio::io::duplex(room);
        let (mqtt, tasks) = (mqtt.clone(), tasks.clone());
        let served = tokio::spawn(async move { mqtt.serve(Box::new(theirs), peer, tasks).await });
        Self::new(io, served)
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        self.io.write_all(bytes).await.unwrap();
    }

    pub async fn receive(&mut self) -> Told {
        let Ok(first) = self.io.read_u8().await else {
            return Told::Closed;
        };
        let (mut length, mut shift) = (0, 0);
        loop {
            let byte = usize::from(self.io.read_u8().await.unwrap());
            length |= (byte & 127) << shift;
            shift += 7;
            if byte < 128 {
                break;
            }
        }
        let mut fields = vec![0; length];
        self.io.read_exact(&mut fields).await.unwrap();
        match (first, fields.as_slice()) {
            (0x20, [0, code]) => Told::ConnAck(*code),
            (0x90, [0, 1, code]) => Told::SubAck(*code),
            (0x40, [high, low]) => Told::PubAck(u16::from_be_bytes([*high, *low])),
            (0xd0, []) => Told::PingResp,
            (0x30 | 0x32, [high, low, rest @ ..]) => {
                let length = usize::from(u16::from_be_bytes([*high, *low]));
                let (topic, rest) = rest.split_at(length);
                let rest = if first == 0x32 { &rest[2..] } else { rest };
                Told::Answer(Answer {
                    topic: String::from_utf8(topic.to_vec()).unwrap(),
                    body: serde_json::from_slice(rest).unwrap(),
                })
            }
            _ => panic!("no packet for a device: {first:x} {fields:x?}"),
        }
    }

    /// Connects and subscribes.
    pub async fn greet(&mut self, connect: &[u8]) {
        self.send(connect).await;
        assert_eq!(self.receive().await, Told::ConnAck(0));
        self.send(&subscribe(RESPONSES, 1)).await;
        assert_eq!(self.receive().await, Told::SubAck(1));
    }

    pub async fn answer(&mut self) -> Answer {
        match self.receive().await {
            Told::Answer(answer) => answer,
            other => panic!("no answer: {other:?}"),
        }
    }

    pub async fn ask(&mut self, topic: &str, payload: &[u8]) -> Answer {
        self.send(&publish(topic, payload)).await;
        assert_eq!(self.receive().await, Told::PubAck(7));
        self.answer().await
    }

    pub async fn register(&mut self) -> Answer {
        self.ask(&format!("{REGISTER}r1"), b"{}").await
    }

    pub async fn poll(&mut self, operation: &str) -> Answer {
        let topic = format!("{POLL}p1&operationId={operation}");
        self.ask(&topic, b" ").await
    }

    /// That nothing comes any more, and that the server is done.
    pub async fn closes(mut self) {
        assert_eq!(self.receive().await, Told::Closed);
        drop(self.io);
        self.served.await.unwrap();
    }
}
