//! The bytes of AMQP 1.0: frames, performatives, messages; borrowed from what they came in.
//!
//! Nothing here calls itself: values inside values are walked with a stack of fixed height. Lengths and
//! counts are compared with what is there before they are believed, and nothing is made ready for them.
//!
//! # Source
//! *OASIS Advanced Message Queuing Protocol (AMQP) Version 1.0*, OASIS Standard, 29 October 2012. Numbers
//! in brackets are its parts and sections.

mod check;
mod composite;
mod error;
mod frame;
mod message;
mod performative;
mod reader;
mod sasl;
#[cfg(test)]
mod tests;
mod value;
mod writer;

pub(crate) use self::composite::{Composite, Role};
pub(crate) use self::error::DecodeError;
pub(crate) use self::frame::{
    Frame, FrameKind, Header, Layer, MIN_MAX_FRAME_BYTES, decode_frame, encode_empty, encode_frame,
};
pub(crate) use self::message::{Body, Message, MessageId, Response, put_retry_after};
pub(crate) use self::performative::{
    Attach, Begin, Close, Detach, Disposition, End, ErrorInfo, Flow, Open, Outcome, Performative,
    Terminus, Transfer,
};
pub(crate) use self::reader::Reader;
pub(crate) use self::sasl::{SaslCode, SaslFrame, Symbols};
pub(crate) use self::value::{Map, Value};
pub(crate) use self::writer::{ListWriter, Writer};
