//! A device that speaks AMQP over a pipe, written apart from the code it tests.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    reason = "shared by tests that each use a part of it"
)]

mod value;

use dps_transport::{Peer, Protocol, Tasks};
use dps_transport_amqp::Amqp;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;

pub use self::value::{V, composite, symbol, text};

/// Over WebSockets.
pub const SUBPROTOCOL: &str = "AMQPWSB10";
pub const AMQP: &[u8] = b"AMQP\x00\x01\x00\x00";
pub const SASL: &[u8] = b"AMQP\x03\x01\x00\x00";
pub const ALIVE: &[u8] = b"\0\0\0\x08\x02\0\0\0";

pub fn peer() -> Peer {
    Peer::anonymous([192, 0, 2, 7].into())
}

fn framed(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(8 + body.len()).unwrap();
    [&length.to_be_bytes()[..], &[2, kind, 0, 0], body].concat()
}

pub fn frame(code: u64, fields: Vec<V>) -> Vec<u8> {
    framed(0, &composite(code, fields).bytes())
}

pub fn sasl(code: u64, fields: Vec<V>) -> Vec<u8> {
    framed(1, &composite(code, fields).bytes())
}

pub fn plain(name: &str, token: &str) -> Vec<u8> {
    let response = format!("\0{name}\0{token}").into_bytes();
    sasl(0x41, vec![symbol("PLAIN"), V::Binary(response)])
}

/// The choice of `TPM`, with what it begins with. C# and Node.js name a host too.
pub fn by_tpm(scope: &str, id: &str, endorsement_key: &[u8]) -> Vec<u8> {
    let response = [format!("\0{scope}\0{id}\0").as_bytes(), endorsement_key].concat();
    sasl(
        0x41,
        vec![symbol("TPM"), V::Binary(response), text("dps.example")],
    )
}

pub fn response(bytes: &[u8]) -> Vec<u8> {
    sasl(0x43, vec![V::Binary([b"\0", bytes].concat())])
}

pub fn open() -> Vec<u8> {
    open_with(V::Null, V::Null)
}

pub fn open_with(max_frame_size: V, idle_time_out: V) -> Vec<u8> {
    let fields = [text("device"), text("host"), max_frame_size, V::Null];
    frame(0x10, [&fields[..], &[idle_time_out]].concat())
}

pub fn begin() -> Vec<u8> {
    frame(
        0x11,
        vec![V::Null, V::UInt(0), V::UInt(2048), V::UInt(2048)],
    )
}

/// Where the device sends: handle 0; and where it is answered: handle 1.
pub fn attach(handle: u32, address: &str) -> Vec<u8> {
    let end = |code| composite(code, vec![text(address)]);
    let mut fields = vec![
        text("link"),
        V::UInt(handle),
        V::Bool(handle == 1),
        V::Null,
        V::Null,
        end(0x28),
        end(0x29),
        V::Null,
        V::Null,
        V::UInt(0),
    ];
    fields.extend([V::Null, V::Null, V::Null]);
    fields.push(V::Map(vec![(
        symbol("com.microsoft:api-version"),
        text("2019-03-31"),
    )]));
    frame(0x12, fields)
}

pub fn credit(credit: u32) -> Vec<u8> {
    let fields = [0, 2048, 0, 2048, 1, 0, credit].map(V::UInt);
    frame(0x13, fields.to_vec())
}

/// A message on handle 0.
pub fn transfer(id: u32, message: &[u8]) -> Vec<u8> {
    transfer_part(id, message, false)
}

pub fn transfer_part(id: u32, part: &[u8], more: bool) -> Vec<u8> {
    let transfer = composite(
        0x14,
        vec![
            V::UInt(0),
            V::UInt(id),
            V::Binary(b"tag".to_vec()),
            V::UInt(0),
            V::Bool(false),
            V::Bool(more),
        ],
    );
    framed(0, &[&transfer.bytes()[..], part].concat())
}

pub fn close() -> Vec<u8> {
    frame(0x18, Vec::new())
}

pub fn message(properties: &[(&str, &str)], data: &[u8]) -> Vec<u8> {
    let pair = |(key, value): &(&str, &str)| (text(key), text(value));
    let properties = V::Map(properties.iter().map(pair).collect());
    let mut out = V::Described(0x74, Box::new(properties)).bytes();
    out.extend(V::Described(0x75, Box::new(V::Binary(data.to_vec()))).bytes());
    out
}

pub fn register(body: &[u8]) -> Vec<u8> {
    message(&[("iotdps-operation-type", "iotdps-register")], body)
}

pub fn poll(operation: &str) -> Vec<u8> {
    let properties = [
        ("iotdps-operation-type", "iotdps-get-operationstatus"),
        ("iotdps-operation-id", operation),
    ];
    message(&properties, b"")
}

/// All that a device with a key says until it asks.
pub fn greeting(name: &str, token: &str) -> Vec<u8> {
    [SASL, &plain(name, token), &linking(name)].concat()
}

/// All that comes after a proof, or without one.
pub fn linking(address: &str) -> Vec<u8> {
    [
        AMQP,
        &open(),
        &begin(),
        &attach(0, address),
        &attach(1, address),
        &credit(1000),
    ]
    .concat()
}

/// What a device is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// 0: AMQP, 3: SASL.
    Header(u8),
    Mechanisms(Vec<V>),
    Challenge(Vec<u8>),
    Outcome(u8),
    Open(V),
    Begin,
    /// Whether there is something at our end.
    Attach(bool),
    Flow,
    Transfer(Vec<u8>),
    Accepted(V),
    Rejected(V, Problem),
    Detach(Option<Problem>),
    End(Option<Problem>),
    Close(Option<Problem>),
    Alive,
    /// The connection is closed.
    Closed,
}

/// An error.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    pub condition: String,
    pub text: String,
    /// `retry-after` and `Retry-After`.
    pub delays: [V; 2],
}

impl Problem {
    fn of(error: &V) -> Option<Self> {
        let V::Described(0x1d, fields) = error else {
            assert_eq!(*error, V::Null);
            return None;
        };
        let V::Symbol(condition) = fields.at(0) else {
            panic!("no condition");
        };
        let text = match fields.at(1) {
            V::Text(text) => text.clone(),
            _ => String::new(),
        };
        Some(Self {
            condition: condition.clone(),
            text,
            delays: ["retry-after", "Retry-After"]
                .map(|key| fields.at(2).under(key).cloned().unwrap_or(V::Null)),
        })
    }

    pub fn code(&self) -> u64 {
        let body: Value = serde_json::from_str(&self.text).unwrap();
        body["errorCode"].as_u64().unwrap()
    }
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub body: Value,
    pub delay: Option<i32>,
}

impl Answer {
    fn read(mut bytes: &[u8]) -> Self {
        let (mut delay, mut body) = (None, None);
        while !bytes.is_empty() {
            let V::Described(section, value) = V::take(&mut bytes) else {
                panic!("no section");
            };
            match (section, *value) {
                (0x73, V::List(_)) => {}
                (0x74, properties) => {
                    let delays = ["retry-after", "Retry-After"].map(|key| properties.under(key));
                    let [Some(V::Int(one)), Some(V::Int(other))] = delays else {
                        panic!("no delays: {properties:?}");
                    };
                    assert_eq!(one, other);
                    delay = Some(*one);
                }
                (0x75, V::Binary(bytes)) => {
                    assert!(body.is_none(), "a second data section");
                    body = Some(serde_json::from_slice(&bytes).unwrap());
                }
                other => panic!("no section of an answer: {other:?}"),
            }
        }
        Self {
            body: body.unwrap(),
            delay,
        }
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
}

/// A connection that is open.
pub struct Line {
    pub io: DuplexStream,
    pub served: JoinHandle<()>,
    requests: u32,
}

impl Line {
    pub fn new(io: DuplexStream, served: JoinHandle<()>) -> Self {
        Self {
            io,
            served,
            requests: 0,
        }
    }

    pub fn open(amqp: &Amqp, peer: Peer, tasks: &Tasks) -> Self {
        Self::with_room(amqp, peer, tasks, 64 * 1024)
    }

    /// At most `room` bytes are on their way in each direction.
    pub fn with_room(amqp: &Amqp, peer: Peer, tasks: &Tasks, room: usize) -> Self {
        let (io, theirs) = tokio::io::duplex(room);
        let (amqp, tasks) = (amqp.clone(), tasks.clone());
        let served = tokio::spawn(async move { amqp.serve(Box::new(theirs), peer, tasks).await });
        Self::new(io, served)
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        self.io.write_all(bytes).await.unwrap();
    }

    pub async fn receive(&mut self) -> Told {
        let mut head = [0; 8];
        if self.io.read_exact(&mut head).await.is_err() {
            return Told::Closed;
        }
        if head.starts_with(b"AMQP") {
            assert_eq!(head[5..], [1, 0, 0]);
            return Told::Header(head[4]);
        }
        let length = u32::from_be_bytes(head[..4].try_into().unwrap()) as usize;
        let mut body = vec![0; length - 8];
        self.io.read_exact(&mut body).await.unwrap();
        if body.is_empty() {
            return Told::Alive;
        }
        let mut rest = &body[..];
        let V::Described(code, fields) = V::take(&mut rest) else {
            panic!("no performative: {body:x?}");
        };
        if head[5] == 1 {
            assert!(length <= 512 && rest.is_empty());
            return match (code, fields.at(0)) {
                (0x40, V::Array(names)) => Told::Mechanisms(names.clone()),
                (0x42, V::Binary(bytes)) => Told::Challenge(bytes.clone()),
                (0x44, V::UByte(code)) => Told::Outcome(*code),
                other => panic!("no SASL for a device: {other:?}"),
            };
        }
        match code {
            0x10 => Told::Open(*fields),
            0x11 => Told::Begin,
            0x12 => Told::Attach(*fields.at(5) != V::Null),
            0x13 => Told::Flow,
            0x14 => Told::Transfer(rest.to_vec()),
            0x15 => match fields.at(4) {
                V::Described(0x24, _) => Told::Accepted(fields.at(1).clone()),
                V::Described(0x25, rejected) => Told::Rejected(
                    fields.at(1).clone(),
                    Problem::of(rejected.at(0)).expect("it has a reason"),
                ),
                other => panic!("no outcome: {other:?}"),
            },
            0x16 => Told::Detach(Problem::of(fields.at(2))),
            0x17 => Told::End(Problem::of(fields.at(0))),
            0x18 => Told::Close(Problem::of(fields.at(0))),
            _ => panic!("nothing for a device: {code:x}"),
        }
    }

    /// Everything up to the end of the connection.
    pub async fn rest(&mut self) -> Vec<Told> {
        let mut all = Vec::new();
        loop {
            match self.receive().await {
                Told::Closed => return all,
                told => all.push(told),
            }
        }
    }

    /// Says all that is said before the first request, and hears that all is well.
    pub async fn greet(&mut self, greeting: &[u8]) {
        self.send(greeting).await;
        let mut links = 0;
        while links < 2 {
            match self.receive().await {
                Told::Attach(true) => links += 1,
                Told::Header(_)
                | Told::Mechanisms(_)
                | Told::Outcome(0)
                | Told::Open(_)
                | Told::Begin
                | Told::Flow => {}
                other => panic!("not well: {other:?}"),
            }
        }
    }

    pub async fn ask(&mut self, message: &[u8]) -> Result<Answer, Problem> {
        let id = self.requests;
        self.requests += 1;
        self.send(&transfer(id, message)).await;
        self.answer(id).await
    }

    pub async fn answer(&mut self, id: u32) -> Result<Answer, Problem> {
        loop {
            match self.receive().await {
                Told::Accepted(accepted) => assert_eq!(accepted, V::UInt(id)),
                Told::Flow | Told::Alive => {}
                Told::Transfer(message) => return Ok(Answer::read(&message)),
                Told::Rejected(rejected, problem) => {
                    assert_eq!(rejected, V::UInt(id));
                    return Err(problem);
                }
                other => panic!("no answer: {other:?}"),
            }
        }
    }

    pub async fn register(&mut self) -> Answer {
        self.ask(&register(b"{}")).await.unwrap()
    }

    /// The code of what goes wrong.
    pub async fn register_fails(&mut self) -> u64 {
        self.ask(&register(b"{}")).await.unwrap_err().code()
    }

    pub async fn poll(&mut self, operation: &str) -> Answer {
        self.ask(&poll(operation)).await.unwrap()
    }

    /// That nothing comes any more, and that the server is done.
    pub async fn closes(mut self) {
        assert_eq!(self.receive().await, Told::Closed);
        drop(self.io);
        self.served.await.unwrap();
    }
}
