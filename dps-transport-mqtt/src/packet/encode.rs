//! From packets to bytes.

use super::connect::{CLEAN_SESSION, LEVEL, PASSWORD, PROTOCOL, USER_NAME, WILL, WILL_RETAIN};
use super::{Connect, Delivery, Packet, Publish};

/// A text, or a whole packet, is longer than can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the packet is longer than can be written")]
pub(crate) struct TooLong;

/// The longest packet that can be written, without its fixed header.
const MOST: usize = 268_435_455;

/// Writes `packet` behind what is in `out`, or nothing.
pub(crate) fn encode(packet: &Packet<'_>, out: &mut Vec<u8>) -> Result<(), TooLong> {
    let before = out.len();
    let written = write(packet, out);
    if written.is_err() {
        out.truncate(before);
    }
    written
}

fn write(packet: &Packet<'_>, out: &mut Vec<u8>) -> Result<(), TooLong> {
    match packet {
        Packet::Connect(connect) => write_connect(connect, out),
        Packet::ConnAck {
            session_present,
            code,
        } => {
            out.extend([0x20, 2, u8::from(*session_present), *code]);
            Ok(())
        }
        Packet::Publish(publish) => write_publish(publish, out),
        Packet::PubAck { id } => write_numbered(0x40, *id, &[], out),
        Packet::Subscribe { id, filters } => write_numbered(0x82, *id, filters.as_bytes(), out),
        Packet::SubAck { id, codes } => write_numbered(0x90, *id, codes, out),
        Packet::Unsubscribe { id, filters } => write_numbered(0xa2, *id, filters.as_bytes(), out),
        Packet::UnsubAck { id } => write_numbered(0xb0, *id, &[], out),
        Packet::PingReq => write_header(0xc0, 0, out),
        Packet::PingResp => write_header(0xd0, 0, out),
        Packet::Disconnect => write_header(0xe0, 0, out),
    }
}

fn write_connect(connect: &Connect<'_>, out: &mut Vec<u8>) -> Result<(), TooLong> {
    let will = connect.will.as_ref();
    let texts = [
        Some(connect.client_id.len()),
        will.map(|will| will.topic.len()),
        will.map(|will| will.payload.len()),
        connect.user_name.map(str::len),
        connect.password.map(<[u8]>::len),
    ];
    let texts: usize = texts.into_iter().flatten().map(|length| 2 + length).sum();
    write_header(0x10, 10 + texts, out)?;
    write_binary(PROTOCOL.as_bytes(), out)?;
    let flag = |set: bool, bits: u8| if set { bits } else { 0 };
    let mut flags = flag(connect.clean_session, CLEAN_SESSION)
        | flag(connect.user_name.is_some(), USER_NAME)
        | flag(connect.password.is_some(), PASSWORD);
    if let Some(will) = will {
        flags |= WILL | (will.qos as u8) << 3 | flag(will.retain, WILL_RETAIN);
    }
    out.extend([LEVEL, flags]);
    out.extend(connect.keep_alive.to_be_bytes());
    write_binary(connect.client_id.as_bytes(), out)?;
    if let Some(will) = will {
        write_binary(will.topic.as_bytes(), out)?;
        write_binary(will.payload, out)?;
    }
    if let Some(name) = connect.user_name {
        write_binary(name.as_bytes(), out)?;
    }
    connect
        .password
        .map_or(Ok(()), |password| write_binary(password, out))
}

fn write_publish(publish: &Publish<'_>, out: &mut Vec<u8>) -> Result<(), TooLong> {
    let (qos, id) = match publish.delivery {
        Delivery::AtMostOnce => (0, None),
        Delivery::AtLeastOnce(id) => (1, Some(id)),
        Delivery::ExactlyOnce(id) => (2, Some(id)),
    };
    let first = 0x30 | u8::from(publish.dup) << 3 | qos << 1 | u8::from(publish.retain);
    let number = if id.is_some() { 2 } else { 0 };
    let length = 2 + publish.topic.len() + number + publish.payload.len();
    write_header(first, length, out)?;
    write_binary(publish.topic.as_bytes(), out)?;
    if let Some(id) = id {
        out.extend(id.to_be_bytes());
    }
    out.extend(publish.payload);
    Ok(())
}

fn write_numbered(first: u8, id: u16, rest: &[u8], out: &mut Vec<u8>) -> Result<(), TooLong> {
    write_header(first, 2 + rest.len(), out)?;
    out.extend(id.to_be_bytes());
    out.extend(rest);
    Ok(())
}

fn write_header(first: u8, length: usize, out: &mut Vec<u8>) -> Result<(), TooLong> {
    if length > MOST {
        return Err(TooLong);
    }
    out.reserve(5 + length);
    out.push(first);
    let mut left = length;
    while left > 0x7f {
        out.push((left & 0x7f) as u8 | 0x80);
        left >>= 7;
    }
    out.push(left as u8);
    Ok(())
}

fn write_binary(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), TooLong> {
    let length = u16::try_from(bytes.len()).map_err(|_| TooLong)?;
    out.extend(length.to_be_bytes());
    out.extend(bytes);
    Ok(())
}
