//! MQTT 3.1.1 packets that a device and this service exchange, borrowed from the bytes they came in.
//!
//! # Source
//! *MQTT Version 3.1.1*, OASIS Standard, 29 October 2014. Numbers in brackets are its statements.

mod connect;
mod decode;
mod encode;
mod error;
mod filters;
mod reader;
#[cfg(test)]
mod tests;

pub(crate) use self::connect::Connect;
#[cfg(test)]
pub(crate) use self::connect::Will;
pub(crate) use self::decode::{Stage, decode};
pub(crate) use self::encode::encode;
pub(crate) use self::error::DecodeError;
pub(crate) use self::filters::{Filters, Requested};

/// The largest packet, without its fixed header, that is not a PUBLISH; in bytes. Our choice: a CONNECT
/// with a name, a user name and a token takes about 600.
pub(crate) const MAX_PACKET_BYTES: usize = 4096;

/// The longest topic that is published to, in bytes. Our choice: a poll takes about 250.
pub(crate) const MAX_TOPIC_BYTES: usize = 1024;

/// How surely a message arrives.
#[allow(
    clippy::enum_variant_names,
    reason = "these are the words of the standard"
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum QoS {
    AtMostOnce,
    AtLeastOnce,
    ExactlyOnce,
}

impl QoS {
    pub(crate) const fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            0 => Some(Self::AtMostOnce),
            1 => Some(Self::AtLeastOnce),
            2 => Some(Self::ExactlyOnce),
            _ => None,
        }
    }
}

/// One packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Packet<'a> {
    Connect(Connect<'a>),
    ConnAck { session_present: bool, code: u8 },
    Publish(Publish<'a>),
    PubAck { id: u16 },
    Subscribe { id: u16, filters: Requested<'a> },
    SubAck { id: u16, codes: &'a [u8] },
    Unsubscribe { id: u16, filters: Filters<'a> },
    UnsubAck { id: u16 },
    PingReq,
    PingResp,
    Disconnect,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Publish<'a> {
    pub(crate) dup: bool,
    pub(crate) retain: bool,
    pub(crate) topic: &'a str,
    pub(crate) delivery: Delivery,
    pub(crate) payload: &'a [u8],
}

/// How surely a message arrives, and its number where it has one [MQTT-2.3.1-1, 2.3.1-5].
#[allow(
    clippy::enum_variant_names,
    reason = "these are the words of the standard"
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    AtMostOnce,
    AtLeastOnce(u16),
    ExactlyOnce(u16),
}
