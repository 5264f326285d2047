//! What is said in frames.

use super::composite::Symbol;
use super::performative::{Source, Target};
use super::*;

fn written(performative: &Performative<'_>) -> Vec<u8> {
    encoded(|writer| performative.put(writer))
}

/// What is written is this, and is read as it was.
fn assert_bytes(performative: &Performative<'_>, bytes: &str) {
    assert_eq!(written(performative), hex(bytes), "{performative:?}");
    assert_eq!(Performative::read(&hex(bytes)).as_ref(), Ok(performative));
}

#[test]
fn open_is_read_and_written() {
    let properties = hex("c1 07 02 a301 70 a101 76");
    let open = Open {
        container_id: "a",
        hostname: Some("h"),
        max_frame_size: Some(512),
        channel_max: Some(3),
        idle_time_out: Some(60_000),
        properties: Some(map(&properties)),
        ..Open::default()
    };
    assert_bytes(
        &Performative::Open(open),
        "00 53 10 c0 21 0a a101 61 a101 68 70 00000200 60 0003 70 0000ea60 40 40 40 40
         c1 07 02 a301 70 a101 76",
    );
    let least = Open {
        container_id: "",
        ..Open::default()
    };
    assert_bytes(&Performative::Open(least), "00 53 10 c0 03 01 a1 00");
}

#[test]
fn begin_is_read_and_written() {
    let begin = Begin {
        remote_channel: Some(1),
        next_outgoing_id: 2,
        incoming_window: 3,
        outgoing_window: 4,
        handle_max: Some(5),
    };
    assert_bytes(
        &Performative::Begin(begin),
        "00 53 11 c0 0c 05 60 0001 52 02 52 03 52 04 52 05",
    );
    let least = Begin {
        next_outgoing_id: 2,
        incoming_window: 3,
        outgoing_window: 4,
        ..Begin::default()
    };
    assert_bytes(
        &Performative::Begin(least),
        "00 53 11 c0 08 04 40 52 02 52 03 52 04",
    );
}

#[test]
fn attach_is_read_and_written() {
    let source = encoded(|to| Source { address: Some("s") }.put(to));
    let attach = Attach {
        name: "n",
        handle: 1,
        role: Role::Receiver,
        snd_settle_mode: Some(1),
        rcv_settle_mode: Some(0),
        source: Some(whole(&source).unwrap()),
        target: None,
        initial_delivery_count: Some(9),
        max_message_size: Some(256),
        properties: Some(map(b"\xc1\x01\x00")),
        ..Attach::default()
    };
    assert_bytes(
        &Performative::Attach(attach),
        "00 53 12 c0 27 0e a101 6e 52 01 41 50 01 50 00 00 53 28 c0 04 01 a101 73 40 40 40 52 09
         80 0000000000000100 40 40 c1 01 00",
    );
    let least = Attach {
        name: "n",
        role: Role::Sender,
        ..Attach::default()
    };
    assert_bytes(
        &Performative::Attach(least),
        "00 53 12 c0 06 03 a101 6e 43 42",
    );
}

#[test]
fn flow_is_read_and_written() {
    let flow = Flow {
        next_incoming_id: Some(1),
        incoming_window: 2,
        next_outgoing_id: 3,
        outgoing_window: 4,
        handle: Some(5),
        delivery_count: Some(6),
        link_credit: Some(7),
        available: Some(8),
        drain: true,
        echo: true,
    };
    assert_bytes(
        &Performative::Flow(flow),
        "00 53 13 c0 13 0a 5201 5202 5203 5204 5205 5206 5207 5208 41 41",
    );
    let least = Flow {
        incoming_window: 2,
        next_outgoing_id: 3,
        outgoing_window: 4,
        ..Flow::default()
    };
    assert_bytes(
        &Performative::Flow(least),
        "00 53 13 c0 08 04 40 5202 5203 5204",
    );
}

#[test]
fn transfer_is_read_and_written_with_what_comes_behind() {
    let transfer = Transfer {
        handle: 1,
        delivery_id: Some(2),
        delivery_tag: Some(b"t"),
        message_format: Some(0),
        settled: Some(false),
        more: true,
        rcv_settle_mode: Some(1),
        resume: true,
        aborted: true,
        ..Transfer::default()
    };
    let payload = b"\x00\x53\x75 and no value";
    assert_bytes(
        &Performative::Transfer(transfer, payload),
        "00 53 14 c0 10 0a 5201 5202 a001 74 43 42 41 5001 40 41 41
         00 53 75 20 61 6e 64 20 6e 6f 20 76 61 6c 75 65",
    );
    let least = Transfer {
        handle: 1,
        ..Transfer::default()
    };
    assert_bytes(
        &Performative::Transfer(least, b""),
        "00 53 14 c0 03 01 5201",
    );
}

#[test]
fn disposition_is_read_and_written() {
    let disposition = |state| Disposition {
        role: Role::Receiver,
        first: 1,
        last: Some(2),
        settled: true,
        state,
    };
    let accepted = disposition(Some(Outcome::Accepted));
    assert_bytes(
        &Performative::Disposition(accepted),
        "00 53 15 c0 0b 05 41 5201 5202 41 00 53 24 45",
    );
    let error = ErrorInfo::new("e", Some("d"));
    let rejected = disposition(Some(Outcome::Rejected(Some(error))));
    assert_bytes(
        &Performative::Disposition(rejected),
        "00 53 15 c0 19 05 41 5201 5202 41 00 53 25 c0 0d 01 00 53 1d c0 07 02 a301 65 a101 64",
    );
    let rejected = disposition(Some(Outcome::Rejected(None)));
    assert_bytes(
        &Performative::Disposition(rejected),
        "00 53 15 c0 0b 05 41 5201 5202 41 00 53 25 45",
    );
    let released = Outcome::Other(whole(b"\x00\x53\x26\x45").unwrap());
    assert_bytes(
        &Performative::Disposition(disposition(Some(released))),
        "00 53 15 c0 0b 05 41 5201 5202 41 00 53 26 45",
    );
    let least = Disposition {
        role: Role::Sender,
        first: 0,
        ..Disposition::default()
    };
    assert_bytes(&Performative::Disposition(least), "00 53 15 c0 03 02 42 43");
}

#[test]
fn detach_end_and_close_are_read_and_written() {
    let bytes = hex("c1 05 02 a301 72 43");
    let error = ErrorInfo {
        info: Some(map(&bytes)),
        ..ErrorInfo::new("e", Some("d"))
    };
    let detach = Detach {
        handle: 1,
        closed: true,
        error: Some(error),
    };
    assert_bytes(
        &Performative::Detach(detach),
        "00 53 16 c0 17 03 5201 41 00 53 1d c0 0e 03 a301 65 a101 64 c1 05 02 a301 72 43",
    );
    assert_bytes(
        &Performative::Detach(Detach::default()),
        "00 53 16 c0 02 01 43",
    );
    assert_bytes(&Performative::End(End::default()), "00 53 17 45");
    assert_bytes(&Performative::Close(Close::default()), "00 53 18 45");
    let close = Close {
        error: Some(ErrorInfo::new("e", None)),
    };
    assert_bytes(
        &Performative::Close(close),
        "00 53 18 c0 0a 01 00 53 1d c0 04 01 a301 65",
    );
    let end = End {
        error: Some(ErrorInfo::new("", None)),
    };
    assert_bytes(
        &Performative::End(end),
        "00 53 17 c0 09 01 00 53 1d c0 03 01 a300",
    );
}

#[test]
fn a_descriptor_is_a_number_of_any_width_or_a_symbol() {
    for (code, symbol, fields) in [
        (0x10_u64, "amqp:open:list", "c0 03 01 a1 00"),
        (0x11, "amqp:begin:list", "c0 05 04 40 43 43 43"),
        (0x12, "amqp:attach:list", "c0 05 03 a1 00 43 42"),
        (0x13, "amqp:flow:list", "c0 05 04 40 43 43 43"),
        (0x14, "amqp:transfer:list", "c0 02 01 43"),
        (0x15, "amqp:disposition:list", "c0 03 02 41 43"),
        (0x16, "amqp:detach:list", "c0 02 01 43"),
        (0x17, "amqp:end:list", "45"),
        (0x18, "amqp:close:list", "45"),
    ] {
        let read = |descriptor: &[u8]| {
            let body = [&[0x00], descriptor, &hex(fields)].concat();
            written(&Performative::read(&body).unwrap())
        };
        let wanted = read(&[0x53, u8::try_from(code).unwrap()]);
        assert_eq!(read(&[&[0x80][..], &code.to_be_bytes()].concat()), wanted);
        assert_eq!(read(&encoded(|to| to.symbol(symbol))), wanted);
        let wide = encoded(|to| to.symbol(symbol))[2..].to_vec();
        let length = u32::try_from(wide.len()).unwrap().to_be_bytes();
        assert_eq!(read(&[&[0xb3], &length[..], &wide].concat()), wanted);
    }
}

#[test]
fn null_and_nothing_mean_the_same() {
    for (code, least, most) in [
        (0x10, 1, 10),
        (0x11, 4, 8),
        (0x12, 3, 14),
        (0x13, 4, 11),
        (0x14, 1, 11),
        (0x15, 2, 6),
        (0x16, 1, 3),
        (0x17, 0, 1),
        (0x18, 0, 1),
    ] {
        let mandatory: &[&[u8]] = match code {
            0x10 => &[b"\xa1\x00"],
            0x11 | 0x13 => &[b"\x40", b"\x43", b"\x43", b"\x43"],
            0x12 => &[b"\xa1\x00", b"\x43", b"\x42"],
            0x14 | 0x16 => &[b"\x43"],
            0x15 => &[b"\x41", b"\x43"],
            _ => &[],
        };
        assert_eq!(mandatory.len(), least);
        let short = described(code, mandatory);
        let wanted = Performative::read(&short).unwrap();
        // What stands behind the last field there is, is passed over.
        for length in least..most + 2 {
            let mut fields = mandatory.to_vec();
            fields.resize(length, b"\x40");
            let bytes = described(code, &fields);
            assert_eq!(
                Performative::read(&bytes).as_ref(),
                Ok(&wanted),
                "{code:x} {length}"
            );
        }
        // What must be there must not be null either.
        for at in 0..least {
            if matches!((code, at), (0x11 | 0x13, 0)) {
                continue;
            }
            let mut fields = mandatory.to_vec();
            fields[at] = b"\x40";
            let null = Performative::read(&described(code, &fields)).err();
            assert_eq!(null, Some(DecodeError::Missing), "{code:x} {at}");
            let missing = Performative::read(&described(code, &mandatory[..at])).err();
            assert_eq!(missing, Some(DecodeError::Missing), "{code:x} {at}");
        }
    }
}

#[test]
fn a_field_of_another_type_is_refused() {
    let zeroes: [&[u8]; 5] = [b"\x43"; 5];
    for (code, most) in [
        (0x10, 10),
        (0x11, 5),
        (0x12, 14),
        (0x13, 10),
        (0x14, 10),
        (0x15, 5),
        (0x16, 3),
    ] {
        let good: &[&[u8]] = match code {
            0x10 => &[b"\xa1\x00"],
            0x12 => &[b"\xa1\x00", b"\x43", b"\x42"],
            0x11 => &[b"\x40", b"\x43", b"\x43", b"\x43", b"\x43"],
            0x13 => &[b"\x40", b"\x43", b"\x43", b"\x43"],
            0x15 => &[b"\x41", b"\x43"],
            _ => &zeroes[..1],
        };
        for at in 0..most {
            let mut fields = good.to_vec();
            fields.resize(most, b"\x40");
            // No field has the type long.
            fields[at] = b"\x55\x01";
            let unread = match code {
                0x10 => (5..=8).contains(&at),
                0x12 => matches!(at, 5..=8 | 11..=12),
                0x14 => at == 7,
                // Anything can become of a message.
                0x15 => at == 4,
                _ => false,
            };
            let found = Performative::read(&described(code, &fields)).err();
            assert_eq!(
                found,
                (!unread).then_some(DecodeError::Type),
                "{code:x} {at}"
            );
        }
    }
    for code in [0x17, 0x18] {
        for wrong in ["00 53 1d 43", "00 53 1c 45", "43", "45"] {
            let body = described(code, &[&hex(wrong)]);
            assert_eq!(Performative::read(&body), Err(DecodeError::Type), "{wrong}");
        }
    }
}

#[test]
fn other_things_are_no_performative() {
    for (bytes, wanted) in [
        ("40", DecodeError::Unknown),
        ("c0 02 01 43", DecodeError::Unknown),
        ("00 53 19 45", DecodeError::Unknown),
        ("00 53 40 45", DecodeError::Unknown),
        (
            "00 80 0000000100000010 c0 03 01 a1 00",
            DecodeError::Unknown,
        ),
        (
            "00 a3 0e 616d71703a6f70656e3a6c697375 45",
            DecodeError::Unknown,
        ),
        ("00 53 18 c1 01 00", DecodeError::Type),
        ("00 53 18 00 53 18 45", DecodeError::Type),
        ("00 53 18 45 40", DecodeError::Long),
        ("", DecodeError::Short),
    ] {
        assert_eq!(Performative::read(&hex(bytes)), Err(wanted), "{bytes}");
    }
}

#[test]
fn the_ends_of_links_have_addresses() {
    for (bytes, wanted) in [
        (
            "00 53 28 c0 04 01 a101 61",
            Some(Terminus::Source(Some("a"))),
        ),
        (
            "00 53 29 c0 04 01 a101 61",
            Some(Terminus::Target(Some("a"))),
        ),
        ("00 53 28 45", Some(Terminus::Source(None))),
        ("00 53 29 c0 02 01 40", Some(Terminus::Target(None))),
        (
            "00 53 29 c0 08 06 40 50 00 40 43 41 40",
            Some(Terminus::Target(None)),
        ),
        // A coordinator of transactions, and no end at all.
        ("00 53 30 45", None),
        ("40", None),
    ] {
        let bytes = hex(bytes);
        assert_eq!(
            Terminus::of(whole(&bytes).unwrap()),
            Ok(wanted),
            "{bytes:02x?}"
        );
    }
    let number = hex("00 53 28 c0 02 01 43");
    assert_eq!(
        Terminus::of(whole(&number).unwrap()),
        Err(DecodeError::Type)
    );
    let map = hex("00 53 28 c1 01 00");
    assert_eq!(Terminus::of(whole(&map).unwrap()), Err(DecodeError::Type));
    for end in [Terminus::Source(Some("a")), Terminus::Target(None)] {
        let bytes = encoded(|writer| end.put(writer));
        assert_eq!(Terminus::of(whole(&bytes).unwrap()), Ok(Some(end)));
    }
    let target = encoded(|writer| Target { address: None }.put(writer));
    assert_eq!(target, hex("00 53 29 45"));
}

#[test]
fn an_error_has_a_condition() {
    let bytes = hex("00 53 18 c0 07 01 00 53 1d c0 01 00");
    let found = Performative::read(&bytes[..]).err();
    assert_eq!(found, Some(DecodeError::Missing));
    let info = ErrorInfo::new("amqp:not-found", None);
    assert_eq!(info.condition, Symbol("amqp:not-found"));
}

fn map(bytes: &[u8]) -> Map<'_> {
    match whole(bytes) {
        Ok(Value::Map(map)) => map,
        other => panic!("{other:?}"),
    }
}
