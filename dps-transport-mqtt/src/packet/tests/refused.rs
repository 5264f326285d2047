//! Bytes that are no packet, or none that is taken.

use super::*;

const CONNECT: &[u8] = b"\x10\x10\0\x04MQTT\x04\x02\0\0\0\x04dev1";

fn error(bytes: &[u8]) -> DecodeError {
    decode(bytes, Stage::Later).unwrap_err()
}

#[test]
fn garbage_is_refused_by_its_first_byte() {
    for bytes in [&b"G"[..], b"\x16", b"\0", b"\xff", b"S", b"\x83"] {
        assert!(decode(bytes, Stage::First).is_err(), "{bytes:?}");
        assert!(decode(bytes, Stage::Later).is_err(), "{bytes:?}");
    }
}

#[test]
fn nothing_but_connect_is_taken_first() {
    for first in [0x30, 0x82, 0xc0, 0xe0] {
        assert_eq!(
            decode(&[first], Stage::First),
            Err(DecodeError::NotConnect),
            "{first:x}"
        );
    }
    assert!(decode(CONNECT, Stage::First).unwrap().is_some());
}

#[test]
fn a_length_of_more_than_four_bytes_is_refused() {
    assert_eq!(error(b"\x30\xff\xff\xff\xff"), DecodeError::Length);
    assert_eq!(error(b"\x30\x80\x80\x80\x80\x01"), DecodeError::Length);
}

#[test]
fn a_large_packet_is_refused_when_its_length_is_known() {
    assert_eq!(error(b"\x30\xff\xff\xff\x7f"), DecodeError::TooLarge);
    assert_eq!(error(b"\x82\x81\x20"), DecodeError::TooLarge);
    assert_eq!(
        decode(b"\x10\x81\x20", Stage::First),
        Err(DecodeError::TooLarge)
    );
    assert_eq!(decode(b"\x10\x80\x20", Stage::First), Ok(None));
}

fn published(topic: usize, payload: usize) -> Vec<u8> {
    encoded(&Packet::Publish(Publish {
        dup: false,
        retain: false,
        topic: &"t".repeat(topic),
        delivery: Delivery::AtLeastOnce(1),
        payload: &vec![0; payload],
    }))
}

#[test]
fn a_payload_of_96_kib_is_taken_and_one_byte_more_is_not() {
    let most = published(50, 98_304);
    let (_, length) = decode(&most, Stage::Later).unwrap().unwrap();
    assert_eq!(length, most.len());
    assert_eq!(error(&published(50, 98_305)), DecodeError::TooLarge);
    assert_eq!(error(&published(1025, 1)), DecodeError::TooLarge);
}

#[test]
fn reserved_bits_are_refused() {
    for bytes in [
        &b"\x11\0"[..],
        b"\x21\0",
        b"\x41\x02\0\x01",
        b"\x80\x06\0\x01\0\x01a\0",
        b"\xa0\x05\0\x01\0\x01a",
        b"\xc1\0",
        b"\xe8\0",
        b"\x10\x10\0\x04MQTT\x04\x03\0\0\0\x04dev1",
        b"\x20\x02\x02\0",
    ] {
        assert_eq!(error(bytes), DecodeError::Reserved, "{bytes:?}");
    }
}

#[test]
fn other_protocols_are_told_apart_from_broken_packets() {
    for bytes in [
        &b"\x10\x10\0\x04MQTT\x05\x02\0\0\0\x04dev1"[..],
        b"\x10\x10\0\x04MQTT\x03\x02\0\0\0\x04dev1",
        b"\x10\x12\0\x06MQIsdp\x03\x02\0\0\0\x04dev1",
    ] {
        assert_eq!(error(bytes), DecodeError::Protocol);
    }
}

#[test]
fn texts_are_utf_8_without_nulls() {
    for id in [b"de\0v", b"de\xffv", b"\xed\xa0\x80v"] {
        let mut bytes = CONNECT.to_vec();
        bytes[14..].copy_from_slice(id);
        assert_eq!(error(&bytes), DecodeError::Text, "{id:?}");
    }
}

#[test]
fn fields_fill_their_packet_exactly() {
    assert_eq!(
        error(b"\x10\x0f\0\x04MQTT\x04\x02\0\0\0\x04dev"),
        DecodeError::Short
    );
    assert_eq!(
        error(b"\x10\x11\0\x04MQTT\x04\x02\0\0\0\x04dev1x"),
        DecodeError::Long
    );
    assert_eq!(error(b"\xc0\x01\0"), DecodeError::Long);
    assert_eq!(error(b"\x40\x01\0"), DecodeError::Short);
    assert_eq!(error(b"\x82\x05\0\x01\0\x01a"), DecodeError::Short);
}

#[test]
fn flags_of_connect_do_not_contradict_each_other() {
    for flags in [0b0100_0010, 0b0000_1010, 0b0010_0010] {
        let mut bytes = CONNECT.to_vec();
        bytes[9] = flags;
        assert_eq!(error(&bytes), DecodeError::Flags, "{flags:b}");
    }
    let will = b"\x10\x16\0\x04MQTT\x04\x1e\0\0\0\x04dev1\0\x01t\0\x01p";
    assert_eq!(error(will), DecodeError::QoS);
}

#[test]
fn what_is_numbered_has_a_number() {
    assert_eq!(error(b"\x82\x06\0\0\0\x01a\0"), DecodeError::Id);
    assert_eq!(error(b"\xa2\x05\0\0\0\x01a"), DecodeError::Id);
    assert_eq!(error(b"\x32\x05\0\x01a\0\0"), DecodeError::Id);
}

#[test]
fn an_acknowledgement_may_name_nothing() {
    let (packet, _) = decode(b"\x40\x02\0\0", Stage::Later).unwrap().unwrap();
    assert_eq!(packet, Packet::PubAck { id: 0 });
}

#[test]
fn a_topic_is_neither_empty_nor_a_pattern() {
    for bytes in [
        &b"\x30\x02\0\0"[..],
        b"\x30\x03\0\x01#",
        b"\x30\x05\0\x03a/+",
    ] {
        assert_eq!(error(bytes), DecodeError::Topic, "{bytes:?}");
    }
}

#[test]
fn a_subscription_asks_for_something_in_a_quality_that_exists() {
    assert_eq!(error(b"\x82\x02\0\x01"), DecodeError::Filters);
    assert_eq!(error(b"\xa2\x02\0\x01"), DecodeError::Filters);
    assert_eq!(error(b"\x82\x06\0\x01\0\x01a\x03"), DecodeError::QoS);
    assert_eq!(error(b"\x82\x06\0\x01\0\x01a\x04"), DecodeError::QoS);
    assert_eq!(error(b"\x82\x05\0\x01\0\0\0"), DecodeError::Topic);
}

#[test]
fn a_message_has_a_quality_that_exists_and_repeats_only_what_is_numbered() {
    assert_eq!(error(b"\x36\x05\0\x01a\0\x01"), DecodeError::QoS);
    assert_eq!(error(b"\x38\x03\0\x01a"), DecodeError::Flags);
}

#[test]
fn packets_of_quality_2_are_not_taken() {
    for bytes in [b"\x50\x02\0\x01", b"\x62\x02\0\x01", b"\x70\x02\0\x01"] {
        assert_eq!(error(bytes), DecodeError::Kind);
    }
}
