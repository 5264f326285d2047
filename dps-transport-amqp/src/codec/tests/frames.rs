//! Frames, and the eight bytes before them.

use super::*;

const MOST: usize = 600;

#[test]
fn both_layers_have_their_header() {
    for (layer, bytes) in [
        (Layer::Amqp, b"AMQP\x00\x01\x00\x00"),
        (Layer::Sasl, b"AMQP\x03\x01\x00\x00"),
    ] {
        assert_eq!(Header(layer).encode(), *bytes);
        for length in 0..Header::LENGTH {
            assert_eq!(Header::decode(&bytes[..length]), Ok(None));
        }
        let wanted = Ok(Some(Header(layer)));
        assert_eq!(Header::decode(bytes), wanted);
        assert_eq!(Header::decode(&[&bytes[..], b"more"].concat()), wanted);
    }
}

#[test]
fn a_wrong_header_is_refused_by_its_first_wrong_byte() {
    for right in [Layer::Amqp, Layer::Sasl].map(|layer| Header(layer).encode()) {
        for at in 0..Header::LENGTH {
            for byte in 0..=u8::MAX {
                // The fifth byte says which layer it is.
                if byte == right[at] || at == 4 && matches!(byte, 0 | 3) {
                    continue;
                }
                let mut wrong = right;
                wrong[at] = byte;
                for length in 1..=Header::LENGTH {
                    let found = Header::decode(&wrong[..length]);
                    if length <= at {
                        assert_eq!(found, Ok(None));
                    } else {
                        assert_eq!(found, Err(DecodeError::Protocol));
                    }
                }
            }
        }
    }
    // TLS within AMQP, an older AMQP, HTTP, MQTT, and TLS.
    for other in [
        "AMQP\x02\x01\x00\x00",
        "AMQP\x01\x01\x00\x09",
        "GET /",
        "\x10\x0e",
        "\x16\x03",
    ] {
        assert_eq!(Header::decode(other.as_bytes()), Err(DecodeError::Protocol));
    }
}

#[test]
fn frames_are_read_one_after_the_other() {
    let bytes = hex("0000000a 02 00 0102 abcd  0000000c 03 01 ffff 00000000  00000008 02 00 0000");
    let amqp = FrameKind::Amqp { channel: 0x0102 };
    let first = Frame {
        kind: amqp,
        body: b"\xab\xcd",
    };
    assert_eq!(decode_frame(&bytes, MOST), Ok(Some((first, 10))));
    // A longer header has no meaning, nor have two bytes of SASL's.
    let second = Frame {
        kind: FrameKind::Sasl,
        body: b"",
    };
    assert_eq!(decode_frame(&bytes[10..], MOST), Ok(Some((second, 12))));
    let empty = Frame {
        kind: FrameKind::Amqp { channel: 0 },
        body: b"",
    };
    assert_eq!(decode_frame(&bytes[22..], MOST), Ok(Some((empty, 8))));
    for length in 0..10 {
        assert_eq!(decode_frame(&bytes[..length], MOST), Ok(None));
    }
}

#[test]
fn frames_are_written_as_they_are_read() {
    let mut out = b"before".to_vec();
    for kind in [FrameKind::Amqp { channel: 0x0102 }, FrameKind::Sasl] {
        out.truncate(6);
        encode_frame(kind, &mut out, |writer| writer.string("body"));
        let body = b"\xa1\x04body";
        assert_eq!(
            decode_frame(&out[6..], MOST),
            Ok(Some((Frame { kind, body }, 14)))
        );
    }
    out.clear();
    encode_empty(&mut out);
    assert_eq!(out, hex("00000008 02 00 0000"));
}

#[test]
fn a_frame_of_the_wrong_size_is_refused_by_four_bytes() {
    for (size, wanted) in [
        (0, Err(DecodeError::FrameHeader)),
        (7, Err(DecodeError::FrameHeader)),
        (8, Ok(None)),
        (600, Ok(None)),
        (601, Err(DecodeError::FrameTooLarge)),
        (u32::MAX, Err(DecodeError::FrameTooLarge)),
    ] {
        let bytes = size.to_be_bytes();
        assert_eq!(decode_frame(&bytes[..3], MOST), Ok(None));
        assert_eq!(decode_frame(&bytes, MOST), wanted, "{size}");
    }
}

#[test]
fn a_frame_that_contradicts_itself_is_refused() {
    for (bytes, wanted) in [
        ("00000008 00 00 0000", DecodeError::FrameHeader),
        ("00000008 01 00 0000", DecodeError::FrameHeader),
        ("00000008 03 00 0000", DecodeError::FrameHeader),
        ("0000000b 03 00 0000 000000", DecodeError::FrameHeader),
        ("00000008 ff 00 0000", DecodeError::FrameHeader),
        ("00000008 02 02 0000", DecodeError::FrameKind),
        ("00000008 02 ff 0000", DecodeError::FrameKind),
    ] {
        assert_eq!(decode_frame(&hex(bytes), MOST), Err(wanted), "{bytes}");
    }
}

#[test]
fn each_error_has_the_condition_of_the_standard() {
    for (error, wanted) in [
        (DecodeError::Protocol, "amqp:connection:framing-error"),
        (DecodeError::FrameHeader, "amqp:connection:framing-error"),
        (DecodeError::FrameTooLarge, "amqp:connection:framing-error"),
        (DecodeError::FrameKind, "amqp:connection:framing-error"),
        (DecodeError::Short, "amqp:decode-error"),
        (DecodeError::Long, "amqp:decode-error"),
        (DecodeError::Code, "amqp:decode-error"),
        (DecodeError::Descriptor, "amqp:decode-error"),
        (DecodeError::Depth, "amqp:decode-error"),
        (DecodeError::Count, "amqp:decode-error"),
        (DecodeError::Map, "amqp:decode-error"),
        (DecodeError::Text, "amqp:decode-error"),
        (DecodeError::Unknown, "amqp:decode-error"),
        (DecodeError::Section, "amqp:decode-error"),
        (DecodeError::Value, "amqp:invalid-field"),
        (DecodeError::Type, "amqp:invalid-field"),
        (DecodeError::Missing, "amqp:invalid-field"),
    ] {
        assert_eq!(error.condition(), wanted);
    }
}
