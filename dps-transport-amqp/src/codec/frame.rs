//! Frames, and the eight bytes before the first of them [2.2, 2.3].

use super::error::DecodeError;
use super::writer::Writer;

/// How many bytes come before what is in a frame, and how many begin a connection.
pub(crate) const HEADER_BYTES: usize = 8;

/// The largest frame that everybody must take; also the largest with SASL in it [2.8.19, 5.3.1].
pub(crate) const MIN_MAX_FRAME_BYTES: usize = 512;

/// What a peer wants to speak next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layer {
    Amqp,
    Sasl,
}

/// The eight bytes with which each side says what it wants to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header(pub(crate) Layer);

impl Header {
    pub(crate) const LENGTH: usize = HEADER_BYTES;

    /// Takes a header from the beginning of `bytes`; `None` if there is more of it to come. What cannot
    /// become one is refused by the first byte that is wrong.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Option<Self>, DecodeError> {
        let begun = &bytes[..bytes.len().min(HEADER_BYTES)];
        for layer in [Layer::Amqp, Layer::Sasl] {
            let header = Self(layer);
            if header.encode().starts_with(begun) {
                return Ok((begun.len() == HEADER_BYTES).then_some(header));
            }
        }
        Err(DecodeError::Protocol)
    }

    pub(crate) const fn encode(self) -> [u8; HEADER_BYTES] {
        match self.0 {
            Layer::Amqp => *b"AMQP\x00\x01\x00\x00",
            Layer::Sasl => *b"AMQP\x03\x01\x00\x00",
        }
    }
}

/// One frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) kind: FrameKind,
    /// Empty: the peer is alive.
    pub(crate) body: &'a [u8],
}

/// Of which layer a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrameKind {
    Amqp { channel: u16 },
    Sasl,
}

/// Reads the frame at the beginning of `bytes`.
///
/// Returns it with its length, or `None` if there is more to come. A frame of more than `most` bytes is
/// refused by its first four.
pub(crate) fn decode_frame(
    bytes: &[u8],
    most: usize,
) -> Result<Option<(Frame<'_>, usize)>, DecodeError> {
    let Some(size) = bytes.first_chunk() else {
        return Ok(None);
    };
    let size = usize::try_from(u32::from_be_bytes(*size)).unwrap_or(usize::MAX);
    if size < HEADER_BYTES {
        return Err(DecodeError::FrameHeader);
    }
    if size > most {
        return Err(DecodeError::FrameTooLarge);
    }
    let Some(frame) = bytes.get(..size) else {
        return Ok(None);
    };
    let [_, _, _, _, words, kind, high, low] = frame[..HEADER_BYTES] else {
        return Err(DecodeError::FrameHeader);
    };
    // What stands between the header and the body has no meaning yet [2.3.1].
    let header = 4 * usize::from(words);
    if header < HEADER_BYTES {
        return Err(DecodeError::FrameHeader);
    }
    let body = frame.get(header..).ok_or(DecodeError::FrameHeader)?;
    let kind = match kind {
        0 => FrameKind::Amqp {
            channel: u16::from_be_bytes([high, low]),
        },
        1 => FrameKind::Sasl,
        _ => return Err(DecodeError::FrameKind),
    };
    Ok(Some((Frame { kind, body }, size)))
}

/// Writes a frame around what `write` puts into it.
pub(crate) fn encode_frame(
    kind: FrameKind,
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Writer<'_>),
) {
    let start = out.len();
    let (kind, channel) = match kind {
        FrameKind::Amqp { channel } => (0, channel),
        FrameKind::Sasl => (1, 0),
    };
    let [high, low] = channel.to_be_bytes();
    out.extend([0, 0, 0, 0, 2, kind, high, low]);
    write(&mut Writer(out));
    let size = u32::try_from(out.len() - start).unwrap_or(u32::MAX);
    out[start..start + 4].copy_from_slice(&size.to_be_bytes());
}

/// Writes a frame that says nothing but that we are alive [2.4.5].
pub(crate) fn encode_empty(out: &mut Vec<u8>) {
    encode_frame(FrameKind::Amqp { channel: 0 }, out, |_| {});
}
