//! Another implementation of the standard, asked about the same bytes.

use mqtt_protocol_core::mqtt::Arc;
use mqtt_protocol_core::mqtt::packet::v3_1_1::{
    Connack, Connect, Disconnect, Pingreq, Pingresp, Puback, Publish, Suback, Subscribe, Unsuback,
    Unsubscribe,
};

use super::*;

/// What the oracle reads of a packet, written again by it; `None` if it reads nothing.
fn oracle(bytes: &[u8], fields: usize) -> Option<Vec<u8>> {
    let data = &bytes[fields..];
    macro_rules! whole {
        ($read:expr) => {{
            let (packet, length) = $read.ok()?;
            (length == data.len()).then(|| packet.to_continuous_buffer())
        }};
    }
    match bytes[0] >> 4 {
        1 => whole!(Connect::parse(data)),
        2 => whole!(Connack::parse(data)),
        3 => whole!(Publish::parse(bytes[0] & 0xf, Arc::from(data))),
        4 => whole!(Puback::parse(data)),
        8 => whole!(Subscribe::parse(data)),
        9 => whole!(Suback::parse(data)),
        10 => whole!(Unsubscribe::parse(data)),
        11 => whole!(Unsuback::parse(data)),
        12 => whole!(Pingreq::parse(data)),
        13 => whole!(Pingresp::parse(data)),
        14 => whole!(Disconnect::parse(data)),
        _ => None,
    }
}

fn compare(bytes: &[u8]) -> Result<(), TestCaseError> {
    let header = 1
        + bytes[1..]
            .iter()
            .take_while(|byte| **byte & 0x80 != 0)
            .count()
        + 1;
    let theirs = oracle(bytes, header);
    match decode(bytes, Stage::Later) {
        // C# sends it, and the standard does not have it.
        Ok(Some((Packet::PubAck { id: 0 }, _))) => {}
        Ok(Some((packet, length))) => {
            prop_assert_eq!(length, bytes.len());
            prop_assert_eq!(theirs, Some(encoded(&packet)));
        }
        Ok(None) => prop_assert!(false, "whole bytes were waited for"),
        // The oracle passes over null characters, patterns as topics, bits without a meaning, and
        // flags that contradict each other.
        Err(
            DecodeError::Text
            | DecodeError::Topic
            | DecodeError::Reserved
            | DecodeError::Flags
            | DecodeError::QoS,
        ) => {}
        Err(error) => prop_assert_eq!(theirs, None, "{}", error),
    }
    Ok(())
}

proptest! {
    #[test]
    fn another_implementation_reads_the_same(Owned(bytes) in any_packet()) {
        compare(&bytes)?;
    }

    #[test]
    fn what_another_implementation_refuses_is_refused(
        Owned(mut bytes) in any_packet(),
        changes in vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let header = 1 + bytes[1..].iter().take_while(|byte| **byte & 0x80 != 0).count() + 1;
        if bytes.len() == header {
            return Ok(());
        }
        for (place, byte) in changes {
            let place = header + place.index(bytes.len() - header);
            bytes[place] = byte;
        }
        compare(&bytes)?;
    }
}
