//! Entry points for fuzzing; not part of the API.

mod conversation;

use crate::codec::{
    Body, Frame, FrameKind, Message, MessageId, Performative, Reader, SaslFrame, Value, Writer,
    decode_frame, encode_empty, encode_frame,
};

pub use self::conversation::converse;

/// Reads the value at the beginning of `bytes`, and writes it again; `None` if there is none. With it,
/// how many bytes were read.
#[must_use]
pub fn value(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut reader = Reader(bytes);
    let value = Value::read(&mut reader).ok()?;
    Some((encoded(&value), bytes.len() - reader.0.len()))
}

/// Reads the frame at the beginning of `bytes`, and what is said in it, and writes it again; `None` if
/// there is none. With it, how many bytes were read.
#[must_use]
pub fn frame(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (Frame { kind, body }, length) = decode_frame(bytes, 65_536).ok()??;
    let mut out = Vec::new();
    match kind {
        FrameKind::Amqp { .. } if body.is_empty() => encode_empty(&mut out),
        FrameKind::Amqp { .. } => {
            let performative = Performative::read(body).ok()?;
            encode_frame(kind, &mut out, |writer| performative.put(writer));
        }
        FrameKind::Sasl => {
            let body = sasl(body)?;
            encode_frame(kind, &mut out, |writer| writer.encoded(&body));
        }
    }
    Some((out, length))
}

/// Reads what is said in a SASL frame, and writes it again; `None` if nothing is.
#[must_use]
pub fn sasl(body: &[u8]) -> Option<Vec<u8>> {
    let frame = SaslFrame::read(body).ok()?;
    let mut out = Vec::new();
    frame.put(&mut Writer(&mut out));
    Some(out)
}

/// What is read of a message; values are encoded.
#[derive(Debug)]
pub struct Parts {
    /// Its name.
    pub message_id: Option<Vec<u8>>,
    /// The name of the exchange.
    pub correlation_id: Option<Vec<u8>>,
    /// A map.
    pub application_properties: Vec<u8>,
    /// The bytes of its data sections.
    pub data: Option<Vec<u8>>,
    /// Its value, or its first sequence.
    pub value: Option<Vec<u8>>,
}

/// Reads a message; `None` if it is none.
#[must_use]
pub fn message(bytes: &[u8]) -> Option<Parts> {
    let message = Message::read(bytes).ok()?;
    let id = |id: Option<MessageId<'_>>| id.map(|id| encoded(id.value()));
    let (data, value) = match &message.body {
        Body::Absent => (None, None),
        Body::Data(bytes) => (Some(bytes.to_vec()), None),
        Body::Value(value) => (None, Some(encoded(value))),
    };
    Some(Parts {
        message_id: id(message.message_id),
        correlation_id: id(message.correlation_id),
        application_properties: encoded(&Value::Map(message.application_properties)),
        data,
        value,
    })
}

fn encoded(value: &Value<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    Writer(&mut out).value(value);
    out
}
