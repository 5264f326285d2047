//! What peers must not do, and how they are told.

use super::*;
use crate::codec::{Detach, End};

/// The connection is closed for one reason.
fn closes(bytes: &[u8], condition: &str) {
    let mut wire = Wire::linked();
    assert_eq!(wire.send(bytes), [], "{bytes:x?}");
    let told = ["end", "close"].map(|word| format!("{word} amqp:{condition}"));
    assert_eq!(wire.told(), told, "{bytes:x?}");
    assert!(wire.engine.is_closing());
    assert!(wire.engine.fault().is_some());
}

/// The session is ended for one reason, and the connection goes on.
fn ends(bytes: &[u8], condition: &str) {
    let mut wire = Wire::linked();
    assert_eq!(wire.send(bytes), [], "{bytes:x?}");
    assert_eq!(wire.told(), [format!("end amqp:{condition}")]);
    // What was on its way is passed over.
    assert_eq!(wire.send(&transfer(0, 0, b"late")), []);
    assert_eq!(wire.send(bytes), []);
    assert!(wire.told().is_empty());
    wire.send(&[frame(0, &End::default()), begin(0)].concat());
    assert_eq!(wire.told(), ["begin for 0"]);
    wire.link(0, Role::Sender);
}

#[test]
fn other_protocols_and_versions_are_told_what_is_spoken() {
    for bytes in [
        &b"GET / HTTP/1.1\r\n"[..],
        b"\x16\x03\x01\x02\0",
        b"AMQP\x00\x01\x00\x01",
        b"AMQP\x00\x00\x09\x01",
        b"AMQP\x01\x01\x00\x00",
        b"AMQP\x02\x01\x00\x00",
        b"AMQQ",
        b"\0",
    ] {
        let mut wire = Wire::new();
        assert_eq!(wire.send(bytes), []);
        assert_eq!(wire.told(), ["AMQP 0"], "{bytes:x?}");
        assert!(wire.engine.is_over());
    }
}

#[test]
fn a_header_may_come_byte_by_byte() {
    let mut wire = Wire::new();
    for byte in &AMQP[..7] {
        wire.send(&[*byte]);
        assert!(wire.told().is_empty());
    }
    wire.send(&AMQP[7..]);
    assert_eq!(wire.told(), ["AMQP 0"]);
}

#[test]
fn frames_over_what_was_announced_are_refused_by_their_first_bytes() {
    closes(&65_537_u32.to_be_bytes(), "connection:framing-error");
    closes(&u32::MAX.to_be_bytes(), "connection:framing-error");
    closes(&7_u32.to_be_bytes(), "connection:framing-error");
}

#[test]
fn strangers_send_small_frames() {
    let mut wire = Wire::new();
    wire.send(&[AMQP, &open()].concat());
    wire.told();
    wire.send(&4097_u32.to_be_bytes());
    assert_eq!(wire.told(), ["close amqp:connection:framing-error"]);
}

#[test]
fn frames_of_sasl_have_1024_bytes_at_the_most() {
    let frame = |length: usize| {
        let mut frame = init("PLAIN", Some(&vec![0; length]));
        assert!(frame.len() > 500);
        frame.insert(0, 0);
        frame.remove(0);
        frame
    };
    let around = frame(900).len() - 900;
    for (length, heard) in [(1024, true), (1025, false)] {
        let mut wire = Wire::new();
        wire.send(SASL);
        wire.told();
        let frame = frame(length - around);
        assert_eq!(frame.len(), length);
        assert_eq!(!wire.send(&frame).is_empty(), heard);
        assert_eq!(wire.engine.is_over(), !heard);
        assert!(wire.told().is_empty());
    }
}

#[test]
fn sasl_out_of_turn_ends_the_connection() {
    let init = init("PLAIN", None);
    let response = sasl(&SaslFrame::Response(b""));
    for frames in [
        &response[..],
        &open(),
        ALIVE,
        AMQP,
        SASL,
        &sasl(&SaslFrame::Outcome(0)),
        &sasl(&SaslFrame::Challenge(b"")),
        &sasl(&SaslFrame::Mechanisms(Symbols::Ours(&["PLAIN"]))),
        b"\0\0\0\x08\x02\x01\0\0",
        b"\0\0\0\x0a\x02\x01\0\0\x40\x40",
    ] {
        let mut wire = Wire::new();
        wire.send(SASL);
        wire.told();
        assert_eq!(wire.send(frames), [], "{frames:x?}");
        assert!(wire.engine.is_over(), "{frames:x?}");
        assert!(wire.told().is_empty());
    }
    // While a challenge is out.
    for frames in [&init, &sasl(&SaslFrame::Outcome(0))] {
        let mut wire = Wire::new();
        wire.send(&[SASL, &init].concat());
        wire.engine.challenge(b"?");
        wire.told();
        assert_eq!(wire.send(frames), []);
        assert!(wire.engine.is_over());
    }
}

#[test]
fn a_second_proof_is_refused() {
    let mut wire = Wire::new();
    wire.send(&[SASL, &init("PLAIN", None)].concat());
    wire.engine.outcome(SaslCode::Ok);
    wire.told();
    wire.send(SASL);
    assert_eq!(wire.told(), ["AMQP 0"]);
    assert!(wire.engine.is_over());
    // So is one in the middle of a connection.
    closes(SASL, "connection:framing-error");
    closes(&init("PLAIN", None), "connection:framing-error");
}

#[test]
fn a_connection_begins_with_open_and_once() {
    for bytes in [begin(0), detach(0), transfer(0, 0, b""), credit(0, 1)] {
        let mut wire = Wire::new();
        wire.send(&[AMQP, &bytes].concat());
        assert_eq!(
            wire.told(),
            ["AMQP 0", "open", "close amqp:connection:framing-error"]
        );
    }
    closes(&open(), "connection:framing-error");
}

#[test]
fn channels_must_have_begun_and_only_once() {
    for bytes in [
        &begin(0)[..],
        &begin(4),
        &begin(u16::MAX),
        &transfer_with(1, b"", |_| {}),
        &attach_with(1, "here", |_| {}),
        &frame(1, &flow(None, None)),
        &frame(1, &End::default()),
        &frame(1, &Detach::default()),
    ] {
        closes(bytes, "connection:framing-error");
    }
}

#[test]
fn handles_must_be_attached_and_only_once() {
    ends(&transfer(2, 0, b""), "session:unattached-handle");
    ends(&credit(2, 1), "session:unattached-handle");
    ends(&detach(2), "session:unattached-handle");
    ends(&attach(1, Role::Sender, "here"), "session:handle-in-use");
    closes(&attach(4, Role::Sender, "here"), "connection:framing-error");
}

#[test]
fn a_transfer_before_any_attach_ends_the_session() {
    let mut wire = Wire::begun();
    assert_eq!(
        wire.refused(&transfer(0, 0, b"")),
        ["end amqp:session:unattached-handle"]
    );
}

#[test]
fn a_transfer_on_a_link_of_ours_to_send_ends_it() {
    let mut wire = Wire::linked();
    assert_eq!(
        wire.refused(&transfer(1, 0, b"")),
        ["detach 1 amqp:not-allowed"]
    );
}

#[test]
fn a_message_needs_a_number_and_keeps_it() {
    let mut wire = Wire::linked();
    let told = wire.refused(&transfer_with(0, b"", |_| {}));
    assert_eq!(told, ["detach 0 amqp:invalid-field"]);
    let mut wire = Wire::linked();
    let more = transfer_with(0, b"", |transfer| {
        transfer.delivery_id = Some(0);
        transfer.more = true;
    });
    let told = wire.refused(&[more, transfer(0, 1, b"")].concat());
    assert_eq!(told, ["detach 0 amqp:not-allowed"]);
}

#[test]
fn more_than_the_window_ends_the_session() {
    let mut wire = Wire::linked();
    wire.engine.sessions[0].spend_window();
    assert_eq!(
        wire.refused(&transfer(0, 0, b"")),
        ["end amqp:session:window-violation"]
    );
}

#[test]
fn what_is_no_performative_closes_the_connection() {
    let frame = |body: &[u8]| {
        let mut out = Vec::new();
        encode_frame(FrameKind::Amqp { channel: 0 }, &mut out, |writer| {
            writer.0.extend(body);
        });
        out
    };
    closes(&frame(b"\xff"), "decode-error");
    // A begin without its windows.
    closes(&frame(b"\0\x53\x11\x45"), "invalid-field");
    // Something after the end.
    closes(&frame(b"\0\x53\x17\x45\x40"), "decode-error");
    // Something that is not known.
    closes(&frame(b"\0\x53\x1f\x45"), "decode-error");
    // Nobody can say how deep.
    let mut deep = [0xd0, 0, 0, 0xea, 0x60, 0, 0, 0, 1].repeat(6_000);
    deep.push(0x45);
    closes(&frame(&deep), "decode-error");
}

#[test]
fn a_frame_that_is_wrong_after_our_close_ends_the_waiting() {
    let mut wire = Wire::linked();
    wire.engine.close(None);
    wire.told();
    wire.send(b"\0\0\0\x01");
    assert!(wire.engine.is_over());
    assert!(wire.told().is_empty());
}
