//! Values in values: no depth costs more than an error.

use proptest::prelude::*;

use super::check::MAX_DEPTH;
use super::*;

/// Far more than any stack of calls would hold, in a frame that is taken.
const DEEP: usize = 5000;

/// What can stand around a value.
#[derive(Clone, Copy, Debug)]
enum Around {
    List,
    MapKey,
    MapValue,
    Array,
    Description,
    ArrayOfDescribed,
}

use Around::{Array as InArray, ArrayOfDescribed, Description, List as InList, MapKey, MapValue};

impl Around {
    /// How deep a value stands in it.
    const fn levels(self) -> usize {
        match self {
            ArrayOfDescribed => 2,
            _ => 1,
        }
    }

    fn put(self, inside: &[u8]) -> Vec<u8> {
        let compound = |code: u8, count: u32, inside: &[&[u8]]| {
            let inside = inside.concat();
            let size = u32::try_from(inside.len() + 4).unwrap();
            let header: [&[u8]; 3] = [&[code], &size.to_be_bytes(), &count.to_be_bytes()];
            [&header.concat(), &inside[..]].concat()
        };
        match self {
            InList => compound(0xd0, 3, &[&[0x40], inside, &[0x40]]),
            MapKey => compound(0xd1, 2, &[inside, &[0x40]]),
            MapValue => compound(0xd1, 2, &[&[0x40], inside]),
            // An element has its type in the array, and the rest of it behind.
            InArray => compound(0xf0, 1, &[inside]),
            Description => [&[0x00, 0x53, 0x09], inside].concat(),
            ArrayOfDescribed => compound(0xf0, 1, &[&[0x00, 0xa3, 1, b'a'], inside]),
        }
    }
}

const ALL: [Around; 6] = [
    InList,
    MapKey,
    MapValue,
    InArray,
    Description,
    ArrayOfDescribed,
];

fn nested(around: impl IntoIterator<Item = Around>) -> Vec<u8> {
    // An array cannot hold null: it has no bytes.
    let innermost = vec![0x50, 7];
    around
        .into_iter()
        .fold(innermost, |inside, around| around.put(&inside))
}

fn on_a_small_stack<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::Builder::new().stack_size(64 * 1024);
    thread.spawn(run).unwrap().join().unwrap()
}

fn refusal(bytes: Vec<u8>) -> Option<DecodeError> {
    on_a_small_stack(move || Value::read(&mut Reader(&bytes)).err())
}

#[test]
fn values_stand_in_values_up_to_a_depth() {
    for around in ALL {
        let most = MAX_DEPTH / around.levels();
        let good = nested(std::iter::repeat_n(around, most));
        assert_eq!(refusal(good), None, "{around:?}");
        for deep in [most + 1, most + 2, 100, DEEP] {
            let bad = nested(std::iter::repeat_n(around, deep));
            assert_eq!(refusal(bad), Some(DecodeError::Depth), "{around:?} {deep}");
        }
    }
}

#[test]
fn the_constructor_of_an_array_may_have_descriptors_up_to_the_same_depth() {
    let array = |descriptors: usize| {
        let mut inside = hex("00 53 09").repeat(descriptors);
        inside.extend([0x50, 7]);
        InArray.put(&inside)
    };
    assert_eq!(refusal(array(MAX_DEPTH - 1)), None);
    assert_eq!(refusal(array(MAX_DEPTH)), Some(DecodeError::Depth));
    assert_eq!(refusal(array(DEEP)), Some(DecodeError::Depth));
}

#[test]
fn descriptors_have_no_depth_at_all() {
    for one in ["00", "00 44", "c0 ff ff", "e0 ff 01"] {
        let mut bytes = vec![0x00];
        bytes.extend(hex(one).repeat(DEEP));
        let wanted = if one == "00 44" {
            DecodeError::Depth
        } else {
            DecodeError::Descriptor
        };
        // After the first of them, `00 44` describes a value, and so on.
        let bytes = if one == "00 44" {
            bytes.split_off(1)
        } else {
            bytes
        };
        assert_eq!(refusal(bytes), Some(wanted), "{one}");
    }
}

#[test]
fn depth_in_any_field_of_a_frame_is_refused() {
    for around in ALL {
        let deep = nested(std::iter::repeat_n(around, 1000));
        for code in (0x10..=0x18).chain(0x40..=0x44) {
            for at in 0..12 {
                let mut fields = vec![&[0x40][..]; at];
                fields.push(&deep);
                let body = described(code, &fields);
                let found = on_a_small_stack(move || {
                    if code < 0x40 {
                        Performative::read(&body).err()
                    } else {
                        SaslFrame::read(&body).err()
                    }
                });
                assert_eq!(found, Some(DecodeError::Depth), "{around:?} {code:x} {at}");
            }
        }
    }
}

#[test]
fn depth_in_any_section_of_a_message_is_refused() {
    for around in ALL {
        let deep = nested(std::iter::repeat_n(around, 1000));
        for code in 0x70..=0x78 {
            let bytes = [&[0x00, 0x53, code][..], &deep].concat();
            let found = on_a_small_stack(move || Message::read(&bytes).err());
            assert_eq!(found, Some(DecodeError::Depth), "{around:?} {code:x}");
        }
    }
}

/// One frame of 60 kB with descriptors in the place of its properties overflows the stack of whoever
/// reads values by calling itself: fe2o3-amqp 0.18 ends with its whole process.
#[test]
fn the_begin_that_kills_the_ready_made_acceptor_is_refused() {
    for (one, wanted) in [
        ("00", DecodeError::Descriptor),
        ("00 44", DecodeError::Depth),
        ("00 a3 00", DecodeError::Depth),
    ] {
        let one = hex(one);
        let deep = one.repeat(60_000 / one.len());
        let fields: [&[u8]; 8] = [
            b"\x40", b"\x43", b"\x43", b"\x43", b"\x40", b"\x40", b"\x40", &deep,
        ];
        let mut frame = Vec::new();
        encode_frame(FrameKind::Amqp { channel: 0 }, &mut frame, |writer| {
            writer.encoded(&described(0x11, &fields));
        });
        let found = on_a_small_stack(move || {
            let (Frame { body, .. }, length) = decode_frame(&frame, 65_536).unwrap().unwrap();
            assert!(length > 59_000);
            Performative::read(body).err()
        });
        assert_eq!(found, Some(wanted));
    }
}

proptest! {
    #[test]
    fn depth_counts_whatever_stands_around(
        around in proptest::collection::vec(proptest::sample::select(ALL.to_vec()), 0..45)
    ) {
        let depth: usize = around.iter().map(|around| around.levels()).sum();
        let bytes = nested(around);
        let wanted = (depth > MAX_DEPTH).then_some(DecodeError::Depth);
        prop_assert_eq!(Value::read(&mut Reader(&bytes)).err(), wanted);
    }
}
