mod connecting;
mod forbidden;
mod golden;
mod patience;
mod pressure;
mod properties;
mod requests;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dps_core::attest::Evidence;
use dps_core::id::TrackingId;
use dps_core::time::Timestamp;
use dps_transport::Stamp;

use super::*;
use crate::packet::{Connect, Delivery, Publish, Requested};
use crate::topic::RESPONSES;

const USER: &str = "0neS/registrations/Press-1/api-version=2019-03-31&ClientVersion=1.15.0";
const TOKEN: &[u8] = b"SharedAccessSignature sr=0neS%2fregistrations%2fPress-1&sig=x&se=1";
const REGISTER: &str = "$dps/registrations/PUT/iotdps-register/?$rid=";
const POLL: &str = "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=";

/// Counts.
#[derive(Debug, Default)]
struct Counted(AtomicU64);

/// A verdict, as a test has it.
fn told(verdict: Result<(), ServiceError>) -> Verdict {
    verdict.map_or_else(Verdict::Denied, |()| Verdict::Believed)
}

impl Stamps for Counted {
    fn stamp(&self) -> Stamp {
        let nth = u8::try_from(self.0.fetch_add(1, Ordering::Relaxed)).unwrap_or(255);
        Stamp {
            id: TrackingId::from_random([nth; 16]),
            now: Timestamp(1_661_622_799_514),
        }
    }
}

/// A session, and the device that talks to it.
struct Talk {
    session: Session<'static>,
    now: Duration,
}

fn bytes(packet: &Packet<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    encode(packet, &mut out).unwrap();
    out
}

fn connect_as(client_id: &str, user_name: Option<&str>, password: Option<&[u8]>) -> Vec<u8> {
    connect_with(client_id, user_name, password, true, 60)
}

fn connect_with(
    client_id: &str,
    user_name: Option<&str>,
    password: Option<&[u8]>,
    clean_session: bool,
    keep_alive: u16,
) -> Vec<u8> {
    bytes(&Packet::Connect(Connect {
        clean_session,
        keep_alive,
        client_id,
        will: None,
        user_name,
        password,
    }))
}

fn connect() -> Vec<u8> {
    connect_as("Press-1", Some(USER), Some(TOKEN))
}

fn subscribe(filters: &[(&str, u8)]) -> Vec<u8> {
    let mut list = Vec::new();
    for (filter, qos) in filters {
        list.extend(u16::try_from(filter.len()).unwrap().to_be_bytes());
        list.extend(filter.bytes());
        list.push(*qos);
    }
    let filters = Requested::read(&list).unwrap();
    bytes(&Packet::Subscribe { id: 10, filters })
}

fn publish(topic: &str, id: Option<u16>, payload: &[u8]) -> Vec<u8> {
    bytes(&Packet::Publish(Publish {
        dup: false,
        retain: false,
        topic,
        delivery: id.map_or(Delivery::AtMostOnce, Delivery::AtLeastOnce),
        payload,
    }))
}

fn register(rid: &str, id: Option<u16>) -> Vec<u8> {
    publish(&format!("{REGISTER}{rid}"), id, b"{}")
}

fn peer() -> Peer {
    Peer::anonymous(IpAddr::from([192, 0, 2, 7]))
}

fn busy() -> DeviceResponse {
    let error = ServiceError::new(Reason::Throttled);
    DeviceResponse::Error(error.with_retry_after(Duration::from_secs(7)))
}

fn wrong_key() -> ServiceError {
    ServiceError::new(Reason::Unauthorized)
}

impl Talk {
    fn new() -> Self {
        Self::by(peer())
    }

    fn by(peer: Peer) -> Self {
        let stamps = Box::leak(Box::<Counted>::default());
        Self {
            session: Session::new(peer, Transport::Mqtt, Timeouts::default(), stamps),
            now: Duration::ZERO,
        }
    }

    /// A device that has connected and is believed.
    fn proven() -> Self {
        let mut talk = Self::new();
        talk.send(&connect());
        talk.judge(Ok(()));
        assert_eq!(talk.told(), ["CONNACK 0"]);
        talk
    }

    /// A device that is believed and has subscribed in quality 1.
    fn subscribed() -> Self {
        let mut talk = Self::proven();
        talk.send(&subscribe(&[(RESPONSES, 1)]));
        assert_eq!(talk.told(), ["SUBACK 10 [1]"]);
        talk
    }

    /// A device that is not believed, and has subscribed in quality 1.
    fn denied(error: ServiceError) -> Self {
        let mut talk = Self::new();
        talk.send(&connect());
        talk.judge(Err(error));
        talk.send(&subscribe(&[(RESPONSES, 1)]));
        assert_eq!(talk.told(), ["CONNACK 0", "SUBACK 10 [1]"]);
        talk
    }

    fn send(&mut self, bytes: &[u8]) {
        self.session.receive(bytes, self.now);
    }

    fn hello(&mut self) -> DeviceHello {
        match self.session.question() {
            Some(Question::Authenticate(hello)) => hello,
            other => panic!("not the question: {other:?}"),
        }
    }

    fn judge(&mut self, verdict: Result<(), ServiceError>) {
        self.hello();
        self.session.judged(told(verdict), self.now);
    }

    fn call(&mut self) -> DeviceRequest {
        match self.session.question() {
            Some(Question::Call(_, request)) => request,
            other => panic!("not the question: {other:?}"),
        }
    }

    /// Answers the one call that is asked for.
    fn answer(&mut self, response: &DeviceResponse) {
        self.call();
        self.session.answered(response, self.now);
    }

    /// What the device is told, in words; nothing is asked for it.
    fn told(&mut self) -> Vec<String> {
        if !self.session.asked {
            assert!(self.session.question().is_none(), "there is a question");
        }
        words(&self.session.take_output())
    }

    fn end(&self) -> Option<End> {
        self.session.end()
    }
}

/// Packets in words.
fn words(mut bytes: &[u8]) -> Vec<String> {
    let mut words = Vec::new();
    while !bytes.is_empty() {
        let (packet, length) = decode(bytes, Stage::Later).unwrap().unwrap();
        bytes = &bytes[length..];
        words.push(match packet {
            Packet::ConnAck {
                session_present: false,
                code,
            } => format!("CONNACK {code}"),
            Packet::SubAck { id, codes } => format!("SUBACK {id} {codes:x?}"),
            Packet::UnsubAck { id } => format!("UNSUBACK {id}"),
            Packet::PubAck { id } => format!("PUBACK {id}"),
            Packet::PingResp => "PINGRESP".to_owned(),
            Packet::Publish(publish) => {
                assert!(!publish.dup && !publish.retain);
                let body = std::str::from_utf8(publish.payload).unwrap();
                let code = body
                    .strip_prefix(r#"{"errorCode":"#)
                    .and_then(|rest| rest.get(..6));
                let topic = publish
                    .topic
                    .strip_prefix("$dps/registrations/res/")
                    .unwrap();
                let quality = match publish.delivery {
                    Delivery::AtMostOnce => "once".to_owned(),
                    Delivery::AtLeastOnce(id) => id.to_string(),
                    Delivery::ExactlyOnce(_) => panic!("never"),
                };
                format!("PUBLISH {quality} {topic} {}", code.unwrap_or(body))
            }
            other => panic!("a server does not send {other:?}"),
        });
    }
    words
}
