//! A simulated device that speaks AMQP 1.0, over TLS or in WebSockets; as small as it can honestly be.
//!
//! It builds the frames it needs, and of those it is sent it looks at what it has to know.

mod encoding;

use std::net::SocketAddr;
use std::time::Duration;

use dps_core::store::BoxError;
use dps_core::time::{Clock, SystemClock};
use dps_testkit::sas;
use serde_json::{Value, json};

use self::encoding::{
    binary, boolean, data, delay, described, description, field, frame, list, map, null, number,
    symbol, text,
};
use crate::device::{API_VERSION, Answer, Device, MOST_POLLS, Proof, Service};
use crate::link::Link;

const AMQP: &[u8; 8] = b"AMQP\x00\x01\x00\x00";
const SASL: &[u8; 8] = b"AMQP\x03\x01\x00\x00";

const OPEN: u8 = 0x10;
const BEGIN: u8 = 0x11;
const ATTACH: u8 = 0x12;
const FLOW: u8 = 0x13;
const TRANSFER: u8 = 0x14;
const DISPOSITION: u8 = 0x15;
const DETACH: u8 = 0x16;
const CLOSE: u8 = 0x18;
const SASL_INIT: u8 = 0x41;
const SASL_OUTCOME: u8 = 0x44;
const SOURCE: u8 = 0x28;
const TARGET: u8 = 0x29;
const APPLICATION_PROPERTIES: u8 = 0x74;
const DATA: u8 = 0x75;

/// The link that it sends on, and the one that it is answered on.
const SENDER: u32 = 0;
const RECEIVER: u32 = 1;

impl Service {
    /// Registers `device` over AMQP at `amqps`, or in a WebSocket of the HTTPS port if that is `None`,
    /// and waits for the outcome.
    ///
    /// # Errors
    /// No complete answer came. A refusal is an [`Answer`]; one by SASL has no body.
    pub(crate) async fn register_by_amqp(
        &self,
        amqps: Option<SocketAddr>,
        device: &Device,
        payload: Option<&Value>,
    ) -> Result<Answer, BoxError> {
        let link = Link::open(self, amqps, "AMQPWSB10", &device.proof).await?;
        let mut connection = Connection { link, sent: 0 };
        if let Proof::Key(key) = &device.proof {
            let expires = SystemClock.now().plus(Duration::from_secs(3600));
            let token = sas::token(key, &self.scope, &device.registration, expires);
            if !connection.prove(&self.address(device), &token).await? {
                return Ok(answer(Value::Null, 1));
            }
        }
        if let Some(refusal) = connection.begin(&self.address(device)).await? {
            return Ok(answer(refusal, 1));
        }
        let mut body = json!({"registrationId": device.registration});
        if let Some(payload) = payload {
            body["payload"] = payload.clone();
        }
        let register = [("iotdps-operation-type", "iotdps-register")];
        let (mut told, mut delay) = connection.ask(&register, &body.to_string()).await?;
        let mut exchanges = 1;
        while told["status"] == "assigning" && exchanges <= MOST_POLLS {
            tokio::time::sleep(delay).await;
            let operation = told["operationId"].as_str().unwrap_or_default().to_owned();
            let poll = [
                ("iotdps-operation-type", "iotdps-get-operationstatus"),
                ("iotdps-operation-id", &operation),
            ];
            (told, delay) = connection.ask(&poll, "").await?;
            exchanges += 1;
        }
        connection.end().await?;
        Ok(answer(told, exchanges))
    }

    fn address(&self, device: &Device) -> String {
        format!("{}/registrations/{}", self.scope, device.registration)
    }
}

/// AMQP has no status: it is what HTTP would have said.
fn answer(body: Value, exchanges: u32) -> Answer {
    let status = match (&body, body["errorCode"].as_u64()) {
        (Value::Null, _) => 401,
        (_, Some(code)) => u16::try_from(code / 1000).unwrap_or(500),
        _ => 200,
    };
    Answer {
        status,
        body,
        exchanges,
    }
}

struct Connection {
    link: Link,
    /// How many messages it has sent.
    sent: u32,
}

impl Connection {
    /// Says by SASL PLAIN who it is, and whether that is believed.
    async fn prove(&mut self, name: &str, token: &str) -> Result<bool, BoxError> {
        let response = format!("\0{name}\0{token}");
        let init = list(SASL_INIT, &[symbol("PLAIN"), binary(response.as_bytes())]);
        self.link
            .send([SASL.as_slice(), &frame(1, &init)].concat())
            .await?;
        self.header(SASL).await?;
        let outcome = self.next(&[SASL_OUTCOME]).await?.1;
        Ok(field(&outcome, 0) == Some(&[0x50, 0]))
    }

    /// Opens all that it needs. Whoever is not believed is told why.
    async fn begin(&mut self, address: &str) -> Result<Option<Value>, BoxError> {
        let attach = |handle: u32, is_receiver: bool, source: &[Vec<u8>], target: &[Vec<u8>]| {
            let version = [symbol("com.microsoft:api-version"), text(API_VERSION)];
            let mut fields = vec![text("link"), number(handle), boolean(is_receiver)];
            fields.extend([null(), null(), list(SOURCE, source), list(TARGET, target)]);
            fields.extend([null(), null()]);
            // How many messages it has sent on it so far.
            fields.push(if is_receiver { null() } else { number(0) });
            fields.extend([null(), null(), null(), map(&[version])]);
            list(ATTACH, &fields)
        };
        let ours = [text(address)];
        let windows = [number(0), number(2048), number(0), number(2048)];
        let credit = [number(RECEIVER), number(0), number(8)];
        let parts = [
            list(OPEN, &[text("device")]),
            list(BEGIN, &[null(), number(0), number(2048), number(2048)]),
            attach(RECEIVER, true, &ours, &[]),
            list(FLOW, &[&windows[..], &credit].concat()),
            attach(SENDER, false, &[], &ours),
        ];
        let frames = parts.iter().map(|part| frame(0, part));
        let all = frames.fold(AMQP.to_vec(), |all, frame| [all, frame].concat());
        self.link.send(all).await?;
        self.header(AMQP).await?;
        // It may send when it is told how much.
        match self.next(&[FLOW, DETACH, CLOSE]).await? {
            (FLOW, _) => Ok(None),
            (_, refused) => Ok(Some(error(&refused)?)),
        }
    }

    /// Sends a question; returns the answer, and how long to wait before another.
    async fn ask(
        &mut self,
        properties: &[(&str, &str)],
        body: &str,
    ) -> Result<(Value, Duration), BoxError> {
        let id = self.sent;
        self.sent += 1;
        let transfer = [number(SENDER), number(id), binary(&id.to_be_bytes())];
        let properties: Vec<_> = properties
            .iter()
            .map(|(name, value)| [text(name), text(value)])
            .collect();
        let message = [
            list(TRANSFER, &transfer),
            described(APPLICATION_PROPERTIES, &map(&properties)),
            described(DATA, &binary(body.as_bytes())),
        ];
        self.link.send(frame(0, &message.concat())).await?;
        loop {
            let (kind, said) = self.next(&[TRANSFER, DISPOSITION, DETACH, CLOSE]).await?;
            if kind == TRANSFER {
                let body = data(&said).ok_or("an answer without data")?;
                let delay = Duration::from_secs(delay(&said).unwrap_or(2));
                return Ok((serde_json::from_slice(body)?, delay));
            }
            // A question that is accepted is answered by a message.
            if kind != DISPOSITION || description(&said).is_some() {
                return Ok((error(&said)?, Duration::ZERO));
            }
        }
    }

    async fn end(&mut self) -> Result<(), BoxError> {
        self.link.send(frame(0, &list(CLOSE, &[]))).await?;
        self.next(&[CLOSE]).await?;
        Ok(())
    }

    async fn header(&mut self, expected: &[u8; 8]) -> Result<(), BoxError> {
        while self.link.come.len() < expected.len() {
            self.link.more().await?;
        }
        let come: Vec<u8> = self.link.come.drain(..expected.len()).collect();
        if come != expected {
            return Err("the service does not speak AMQP 1.0".into());
        }
        Ok(())
    }

    /// The next frame that is one of `kinds`: which, and what is in it.
    async fn next(&mut self, kinds: &[u8]) -> Result<(u8, Vec<u8>), BoxError> {
        loop {
            let come = &mut self.link.come;
            let size = come.first_chunk().copied().map(u32::from_be_bytes);
            let Some(size) = size.filter(|size| come.len() >= *size as usize) else {
                self.link.more().await?;
                continue;
            };
            let frame: Vec<u8> = come.drain(..size as usize).collect();
            // Eight bytes of the frame, then two before the code; an empty frame says that the service lives.
            if let Some(&kind) = frame.get(10)
                && kinds.contains(&kind)
            {
                return Ok((kind, frame[8..].to_vec()));
            }
        }
    }
}

/// What an error says, which is what HTTP would have said.
fn error(said: &[u8]) -> Result<Value, BoxError> {
    let text = description(said).ok_or("an end without an error")?;
    Ok(serde_json::from_slice(text)?)
}
