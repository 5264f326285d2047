//! What is said before a connection begins.

use super::*;

fn assert_bytes(frame: &SaslFrame<'_>, bytes: &str) {
    assert_eq!(encoded(|writer| frame.put(writer)), hex(bytes), "{frame:?}");
    assert_eq!(SaslFrame::read(&hex(bytes)).as_ref(), Ok(frame));
}

#[test]
fn the_five_frames_are_read_and_written() {
    let one = SaslFrame::Mechanisms(Symbols::One("PLAIN"));
    assert_bytes(&one, "00 53 40 c0 08 01 a3 05 504c41494e");
    let init = SaslFrame::Init {
        mechanism: "X",
        initial_response: Some(b"\x00r"),
    };
    assert_bytes(&init, "00 53 41 c0 08 02 a3 01 58 a0 02 0072");
    let init = SaslFrame::Init {
        mechanism: "X",
        initial_response: None,
    };
    assert_bytes(&init, "00 53 41 c0 04 01 a3 01 58");
    let init = SaslFrame::Init {
        mechanism: "X",
        initial_response: Some(b""),
    };
    assert_bytes(&init, "00 53 41 c0 06 02 a3 01 58 a0 00");
    assert_bytes(&SaslFrame::Challenge(b"c"), "00 53 42 c0 04 01 a0 01 63");
    assert_bytes(&SaslFrame::Response(b""), "00 53 43 c0 03 01 a0 00");
    assert_bytes(
        &SaslFrame::Outcome(SaslCode::SysTemp as u8),
        "00 53 44 c0 03 01 50 04",
    );
}

#[test]
fn mechanisms_are_offered_as_an_array_however_many_there_are() {
    for (names, bytes) in [
        (
            &["EXTERNAL", "PLAIN"][..],
            "00 53 40 c0 14 01 e0 11 02 a3 08 45585445524e414c 05 504c41494e",
        ),
        (&["PLAIN"], "00 53 40 c0 0b 01 e0 08 01 a3 05 504c41494e"),
        (&[], "00 53 40 c0 05 01 e0 02 00 a3"),
    ] {
        let frame = SaslFrame::Mechanisms(Symbols::Ours(names));
        let bytes = hex(bytes);
        assert_eq!(encoded(|writer| frame.put(writer)), bytes);
        let theirs = SaslFrame::read(&bytes).unwrap();
        assert!(matches!(theirs, SaslFrame::Mechanisms(Symbols::Theirs(_))));
        assert_eq!(encoded(|writer| theirs.put(writer)), bytes);
    }
}

#[test]
fn descriptors_are_numbers_or_symbols() {
    for (code, symbol, fields) in [
        (0x40, "amqp:sasl-mechanisms:list", "c0 03 01 a300"),
        (0x41, "amqp:sasl-init:list", "c0 03 01 a300"),
        (0x42, "amqp:sasl-challenge:list", "c0 03 01 a000"),
        (0x43, "amqp:sasl-response:list", "c0 03 01 a000"),
        (0x44, "amqp:sasl-outcome:list", "c0 03 01 5000"),
    ] {
        let fields = hex(fields);
        let number = [&[0x00, 0x53, code], &fields[..]].concat();
        let mut named = encoded(|writer| writer.descriptor(Descriptor::Symbol(symbol)));
        named.extend(&fields);
        assert!(SaslFrame::read(&number).is_ok());
        assert_eq!(SaslFrame::read(&named), SaslFrame::read(&number));
    }
}

#[test]
fn what_else_a_client_says_is_passed_over() {
    // hostname of init; additional-data of outcome; and what no standard knows.
    for (bytes, wanted) in [
        (
            "00 53 41 c0 0a 04 a3 01 58 a0 00 a1 01 68 43",
            SaslFrame::Init {
                mechanism: "X",
                initial_response: Some(b""),
            },
        ),
        ("00 53 44 c0 05 02 50 01 a0 00", SaslFrame::Outcome(1)),
    ] {
        assert_eq!(SaslFrame::read(&hex(bytes)), Ok(wanted));
    }
}

#[test]
fn a_frame_holds_one_value_and_the_right_one() {
    for (bytes, wanted) in [
        ("", DecodeError::Short),
        ("40", DecodeError::Unknown),
        ("00 53 45 45", DecodeError::Unknown),
        ("00 53 10 c0 03 01 a100", DecodeError::Unknown),
        ("00 53 43 c0 03 01 a000 40", DecodeError::Long),
        ("00 53 40 45", DecodeError::Missing),
        ("00 53 41 45", DecodeError::Missing),
        ("00 53 42 c0 02 01 40", DecodeError::Missing),
        ("00 53 43 45", DecodeError::Missing),
        ("00 53 44 45", DecodeError::Missing),
        ("00 53 40 c0 03 01 a100", DecodeError::Type),
        ("00 53 41 c0 03 01 a100", DecodeError::Type),
        ("00 53 41 c0 05 02 a300 a100", DecodeError::Type),
        ("00 53 42 c0 03 01 a100", DecodeError::Type),
        ("00 53 43 a0 00", DecodeError::Type),
        ("00 53 44 c0 02 01 43", DecodeError::Type),
    ] {
        assert_eq!(SaslFrame::read(&hex(bytes)), Err(wanted), "{bytes}");
    }
}
