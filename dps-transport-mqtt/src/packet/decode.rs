//! From bytes to packets.

use dps_transport::device_json::MAX_BODY_BYTES;

use super::connect::Connect;
use super::error::DecodeError;
use super::filters::{Filters, Requested};
use super::reader::Reader;
use super::{Delivery, MAX_PACKET_BYTES, MAX_TOPIC_BYTES, Packet, Publish, QoS};

/// Length of a topic, packet identifier.
const PUBLISH_FIELDS: usize = 4;

/// Which packets are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// CONNECT, and nothing else.
    First,
    /// Any; a second CONNECT is for the session to refuse.
    Later,
}

/// Reads the packet at the beginning of `bytes`.
///
/// Returns it with its length, or `None` if there is more to come. Nothing is kept or made ready for
/// what a length announces, and a packet that will not be taken is refused by its first bytes.
pub(crate) fn decode(
    bytes: &[u8],
    stage: Stage,
) -> Result<Option<(Packet<'_>, usize)>, DecodeError> {
    let Some((&first, rest)) = bytes.split_first() else {
        return Ok(None);
    };
    let (kind, flags) = (first >> 4, first & 0xf);
    check_first(kind, flags, stage)?;
    let Some((length, length_bytes)) = length(rest)? else {
        return Ok(None);
    };
    let most = match kind {
        3 => MAX_BODY_BYTES + MAX_TOPIC_BYTES + PUBLISH_FIELDS,
        _ => MAX_PACKET_BYTES,
    };
    if length > most {
        return Err(DecodeError::TooLarge);
    }
    let Some(fields) = rest[length_bytes..].get(..length) else {
        return Ok(None);
    };
    let packet = read(kind, flags, Reader(fields))?;
    Ok(Some((packet, 1 + length_bytes + length)))
}

fn check_first(kind: u8, flags: u8, stage: Stage) -> Result<(), DecodeError> {
    if stage == Stage::First && kind != 1 {
        return Err(DecodeError::NotConnect);
    }
    match kind {
        3 => Ok(()),
        // [MQTT-3.8.1-1, 3.10.1-1]
        8 | 10 if flags == 0b10 => Ok(()),
        1 | 2 | 4 | 9 | 11..=14 if flags == 0 => Ok(()),
        1 | 2 | 4 | 8..=14 => Err(DecodeError::Reserved),
        // Nobody may send QoS 2, so nobody has to say PUBREC, PUBREL or PUBCOMP.
        _ => Err(DecodeError::Kind),
    }
}

/// What the length says, and in how many bytes; `None` if there is more to come.
fn length(bytes: &[u8]) -> Result<Option<(usize, usize)>, DecodeError> {
    let mut length = 0;
    for (n, &byte) in bytes.iter().take(4).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * n);
        if byte & 0x80 == 0 {
            return Ok(Some((length, n + 1)));
        }
    }
    if bytes.len() < 4 {
        Ok(None)
    } else {
        Err(DecodeError::Length)
    }
}

fn read<'a>(kind: u8, flags: u8, mut reader: Reader<'a>) -> Result<Packet<'a>, DecodeError> {
    let packet = match kind {
        1 => Packet::Connect(Connect::read(&mut reader)?),
        2 => conn_ack(&mut reader)?,
        3 => Packet::Publish(publish(flags, &mut reader)?),
        // C# acknowledges with 0 what has no number (`ProvisioningChannelHandlerAdapter.cs`).
        4 => Packet::PubAck {
            id: reader.number()?,
        },
        8 => Packet::Subscribe {
            id: reader.id()?,
            filters: Requested::read(reader.rest())?,
        },
        9 => Packet::SubAck {
            id: reader.id()?,
            codes: codes(reader.rest())?,
        },
        10 => Packet::Unsubscribe {
            id: reader.id()?,
            filters: Filters::read(reader.rest())?,
        },
        11 => Packet::UnsubAck { id: reader.id()? },
        12 => Packet::PingReq,
        13 => Packet::PingResp,
        14 => Packet::Disconnect,
        _ => return Err(DecodeError::Kind),
    };
    if reader.is_empty() {
        Ok(packet)
    } else {
        Err(DecodeError::Long)
    }
}

fn conn_ack<'a>(reader: &mut Reader<'a>) -> Result<Packet<'a>, DecodeError> {
    let session_present = match reader.byte()? {
        0 => false,
        1 => true,
        _ => return Err(DecodeError::Reserved),
    };
    let code = reader.byte()?;
    if code > 5 {
        return Err(DecodeError::Reserved);
    }
    Ok(Packet::ConnAck {
        session_present,
        code,
    })
}

fn publish<'a>(flags: u8, reader: &mut Reader<'a>) -> Result<Publish<'a>, DecodeError> {
    // [MQTT-3.3.1-4]
    let qos = QoS::from_bits((flags >> 1) & 0b11).ok_or(DecodeError::QoS)?;
    let dup = flags & 0b1000 != 0;
    if dup && qos == QoS::AtMostOnce {
        // [MQTT-3.3.1-2]
        return Err(DecodeError::Flags);
    }
    let topic = reader.text()?;
    // [MQTT-3.3.2-2, 4.7.3-1]
    if topic.is_empty() || topic.contains(['#', '+']) {
        return Err(DecodeError::Topic);
    }
    if topic.len() > MAX_TOPIC_BYTES {
        return Err(DecodeError::TooLarge);
    }
    let delivery = match qos {
        QoS::AtMostOnce => Delivery::AtMostOnce,
        QoS::AtLeastOnce => Delivery::AtLeastOnce(reader.id()?),
        QoS::ExactlyOnce => Delivery::ExactlyOnce(reader.id()?),
    };
    let payload = reader.rest();
    if payload.len() > MAX_BODY_BYTES {
        return Err(DecodeError::TooLarge);
    }
    Ok(Publish {
        dup,
        retain: flags & 1 != 0,
        topic,
        delivery,
        payload,
    })
}

/// [MQTT-3.9.3-2]
fn codes(codes: &[u8]) -> Result<&[u8], DecodeError> {
    if codes.is_empty() {
        return Err(DecodeError::Filters);
    }
    if codes.iter().all(|code| matches!(code, 0..=2 | 0x80)) {
        Ok(codes)
    } else {
        Err(DecodeError::QoS)
    }
}
