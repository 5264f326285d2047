//! Values: each form of each type, and what is none.

use proptest::prelude::*;

use super::tree::{array, put, tree, tree_of};
use super::*;

const LONG_MIN: i64 = i64::MIN;

/// Each encoding of the standard [1.6] with what it means, and the shortest form of the same.
fn encodings() -> Vec<(&'static str, Value<'static>, &'static str)> {
    let other = |code, bytes| Value::Other(code, bytes);
    vec![
        ("40", Value::Null, "40"),
        ("41", Value::Bool(true), "41"),
        ("42", Value::Bool(false), "42"),
        ("5601", Value::Bool(true), "41"),
        ("5600", Value::Bool(false), "42"),
        ("50ff", Value::UByte(255), "50ff"),
        ("600100", Value::UShort(256), "600100"),
        ("43", Value::UInt(0), "43"),
        ("5200", Value::UInt(0), "43"),
        ("52ff", Value::UInt(255), "52ff"),
        ("70 00000000", Value::UInt(0), "43"),
        ("70 000000ff", Value::UInt(255), "52ff"),
        ("70 00000100", Value::UInt(256), "70 00000100"),
        ("44", Value::ULong(0), "44"),
        ("5300", Value::ULong(0), "44"),
        ("53ff", Value::ULong(255), "53ff"),
        ("80 00000000000000ff", Value::ULong(255), "53ff"),
        (
            "80 ffffffffffffffff",
            Value::ULong(u64::MAX),
            "80 ffffffffffffffff",
        ),
        ("5180", Value::Byte(-128), "5180"),
        ("618000", Value::Short(-32768), "618000"),
        ("5480", Value::Int(-128), "5480"),
        ("71 ffffff80", Value::Int(-128), "5480"),
        ("71 ffffff7f", Value::Int(-129), "71 ffffff7f"),
        ("557f", Value::Long(127), "557f"),
        ("81 000000000000007f", Value::Long(127), "557f"),
        (
            "81 8000000000000000",
            Value::Long(LONG_MIN),
            "81 8000000000000000",
        ),
        (
            "72 3f800000",
            other(0x72, &[0x3f, 0x80, 0, 0]),
            "72 3f800000",
        ),
        (
            "82 3ff0000000000000",
            other(0x82, &[0x3f, 0xf0, 0, 0, 0, 0, 0, 0]),
            "82 3ff0000000000000",
        ),
        ("74 01020304", other(0x74, &[1, 2, 3, 4]), "74 01020304"),
        (
            "84 0102030405060708",
            other(0x84, &[1, 2, 3, 4, 5, 6, 7, 8]),
            "84 0102030405060708",
        ),
        (
            "94 000102030405060708090a0b0c0d0e0f",
            other(
                0x94,
                &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
            ),
            "94 000102030405060708090a0b0c0d0e0f",
        ),
        ("73 0001f600", other(0x73, &[0, 1, 0xf6, 0]), "73 0001f600"),
        (
            "83 ffffffffffffffff",
            Value::Timestamp(-1),
            "83 ffffffffffffffff",
        ),
        (
            "98 000102030405060708090a0b0c0d0e0f",
            Value::Uuid([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]),
            "98 000102030405060708090a0b0c0d0e0f",
        ),
        ("a0 00", Value::Binary(b""), "a0 00"),
        ("a0 02 00ff", Value::Binary(b"\x00\xff"), "a0 02 00ff"),
        ("b0 00000002 00ff", Value::Binary(b"\x00\xff"), "a0 02 00ff"),
        ("a1 02 c3a9", Value::String("é"), "a1 02 c3a9"),
        ("b1 00000002 c3a9", Value::String("é"), "a1 02 c3a9"),
        ("a3 01 61", Value::Symbol("a"), "a3 01 61"),
        ("b3 00000001 61", Value::Symbol("a"), "a3 01 61"),
        ("45", Value::List(List::default()), "45"),
        ("c0 01 00", Value::List(List::default()), "45"),
        ("d0 00000004 00000000", Value::List(List::default()), "45"),
        ("c1 01 00", Value::Map(Map::default()), "c1 01 00"),
        (
            "d1 00000004 00000000",
            Value::Map(Map::default()),
            "c1 01 00",
        ),
        ("e0 02 00 a3", elements(0, b"\xa3"), "e0 02 00 a3"),
        (
            "e0 04 02 50 0102",
            elements(2, b"\x50\x01\x02"),
            "e0 04 02 50 0102",
        ),
        (
            "f0 00000007 00000002 50 0102",
            elements(2, b"\x50\x01\x02"),
            "e0 04 02 50 0102",
        ),
        (
            "e0 06 01 00 5309 50 01",
            elements(1, b"\x00\x53\x09\x50\x01"),
            "e0 06 01 00 5309 50 01",
        ),
        (
            "00 44 40",
            Value::Described(Descriptor::Code(0), Reader(b"\x40")),
            "00 44 40",
        ),
        (
            "00 80 0000000000000010 40",
            Value::Described(Descriptor::Code(0x10), Reader(b"\x40")),
            "00 53 10 40",
        ),
        (
            "00 b3 00000001 61 00 44 45",
            Value::Described(Descriptor::Symbol("a"), Reader(b"\x00\x44\x45")),
            "00 a3 01 61 00 44 45",
        ),
    ]
}

const fn elements(count: usize, bytes: &[u8]) -> Value<'_> {
    Value::Array(Array { count, bytes })
}

#[test]
fn every_encoding_of_the_standard_is_read() {
    for (bytes, value, _) in encodings() {
        assert_eq!(whole(&hex(bytes)), Ok(value), "{bytes}");
    }
}

#[test]
fn values_are_written_in_the_shortest_form() {
    for (_, value, shortest) in encodings() {
        assert_eq!(
            encoded(|writer| writer.value(&value)),
            hex(shortest),
            "{value:?}"
        );
    }
}

#[test]
fn lists_and_maps_say_what_is_in_them() {
    let bytes = hex("d0 0000000e 00000003 43 c1 05 02 a301 61 41 5405");
    let Ok(Value::List(mut list)) = whole(&bytes) else {
        panic!("not a list");
    };
    assert_eq!(list.take(), Ok(Some(Value::UInt(0))));
    let Ok(Some(Value::Map(map))) = list.take() else {
        panic!("not a map");
    };
    assert_eq!(map.get("a"), Some(Value::Bool(true)));
    assert_eq!(map.get("b"), None);
    assert_eq!(list.take(), Ok(Some(Value::Int(5))));
    assert_eq!(list.take(), Ok(None));
    assert_eq!(list.take(), Ok(None));
}

#[test]
fn nulls_at_the_end_of_a_list_are_left_out() {
    let list = encoded(|writer| {
        writer.list(|list| {
            list.null();
            list.next().uint(1);
            list.null();
            list.next().uint(2);
            list.null();
            list.null();
        });
    });
    assert_eq!(list, hex("c0 07 04 40 5201 40 5202"));
    let nothing = encoded(|writer| {
        writer.list(|list| {
            list.null();
            list.null();
        });
    });
    assert_eq!(nothing, hex("45"));
}

#[test]
fn what_is_over_255_takes_the_wide_form() {
    let text = "a".repeat(256);
    let (short, long) = (&text[..255], &text[..]);
    assert_eq!(encoded(|to| to.string(short))[..3], hex("a1 ff 61"));
    assert_eq!(encoded(|to| to.string(long))[..6], hex("b1 00000100 61"));
    assert_eq!(encoded(|to| to.symbol(long))[..6], hex("b3 00000100 61"));
    assert_eq!(
        encoded(|to| to.binary(long.as_bytes()))[..6],
        hex("b0 00000100 61")
    );

    let list =
        |count: usize| encoded(|to| to.list(|list| (0..count).for_each(|_| list.next().null())));
    assert_eq!(list(254)[..4], hex("c0 ff fe 40"));
    assert_eq!(list(255)[..10], hex("d0 00000103 000000ff 40"));
    assert_eq!(list(256)[..10], hex("d0 00000104 00000100 40"));
    let map = encoded(|to| to.map(|map| (0..300).for_each(|_| map.next().null())));
    assert_eq!(map[..10], hex("d1 00000130 0000012c 40"));
    let array = encoded(|to| to.symbols(&[""; 300]));
    assert_eq!(array[..11], hex("f0 00000131 0000012c a3 00"));
    let array = encoded(|to| to.symbols(&[long, "b"]));
    assert_eq!(array[..15], hex("f0 0000010e 00000002 b3 00000100 61"));
    for bytes in [list(254), list(255), list(256), map, array] {
        let value = whole(&bytes).unwrap();
        assert_eq!(encoded(|to| to.value(&value)), bytes);
    }
}

#[test]
fn types_that_do_not_exist_are_refused() {
    let exist = encodings().into_iter().map(|(bytes, ..)| hex(bytes)[0]);
    let exist: Vec<u8> = exist.collect();
    for code in (0..=u8::MAX).filter(|code| !exist.contains(code)) {
        let mut bytes = vec![code];
        bytes.extend([0; 32]);
        assert_eq!(
            Value::read(&mut Reader(&bytes)),
            Err(DecodeError::Code),
            "{code:02x}"
        );
        let empty_array = [0xe0, 2, 0, code];
        assert_eq!(whole(&empty_array), Err(DecodeError::Code), "{code:02x}");
    }
}

#[test]
fn values_that_their_type_does_not_have_are_refused() {
    for (bytes, wanted) in [
        ("5602", DecodeError::Value),
        ("73 0000d800", DecodeError::Value),
        ("73 00110000", DecodeError::Value),
        ("a1 01 ff", DecodeError::Text),
        ("a1 02 c3", DecodeError::Short),
        ("a3 02 c3a9", DecodeError::Text),
        ("00 a3 02 c3a9 40", DecodeError::Text),
        ("c1 02 01 40", DecodeError::Map),
        ("d1 00000007 00000003 404040", DecodeError::Map),
        // Descriptors that are reserved [1.2].
        ("00 40 40", DecodeError::Descriptor),
        ("00 5201 40", DecodeError::Descriptor),
        ("00 a1 01 61 40", DecodeError::Descriptor),
        ("00 00 44 44 40", DecodeError::Descriptor),
        ("e0 04 00 00 40 40", DecodeError::Descriptor),
    ] {
        assert_eq!(whole(&hex(bytes)), Err(wanted), "{bytes}");
    }
}

#[test]
fn bytes_that_end_before_the_value_are_refused() {
    for (bytes, ..) in encodings() {
        let bytes = hex(bytes);
        for length in 0..bytes.len() {
            assert!(
                Value::read(&mut Reader(&bytes[..length])).is_err(),
                "{bytes:02x?}"
            );
        }
    }
}

#[test]
fn sizes_and_counts_that_lie_are_refused() {
    for (bytes, wanted) in [
        ("b0 ffffffff 00", DecodeError::Short),
        ("c0 00", DecodeError::Short),
        ("d0 00000003 000000", DecodeError::Short),
        ("c0 02 02 40", DecodeError::Count),
        ("c0 03 01 4040", DecodeError::Long),
        ("c0 02 00 40", DecodeError::Long),
        ("c0 03 02 5001", DecodeError::Short),
        ("d0 00000005 ffffffff 40", DecodeError::Count),
        ("d1 00000005 fffffffe 40", DecodeError::Count),
        ("f0 00000006 ffffffff 50 01", DecodeError::Count),
        // A value that goes on behind the list around it.
        ("c0 03 01 a0 02 00", DecodeError::Short),
        ("c0 04 01 c0 05 01 40", DecodeError::Short),
        ("e0 01 00", DecodeError::Short),
        ("e0 03 01 50", DecodeError::Short),
        ("e0 04 01 50 0101", DecodeError::Long),
        ("e0 04 02 60 0101", DecodeError::Short),
        ("e0 05 01 c0 02 02 40", DecodeError::Count),
    ] {
        let bytes = hex(bytes);
        assert_eq!(
            Value::read(&mut Reader(&bytes)),
            Err(wanted),
            "{bytes:02x?}"
        );
    }
}

#[test]
fn an_array_of_four_billion_nothings_is_refused() {
    for nothing in ["40", "41", "42", "43", "44", "45", "00 44 40"] {
        let constructor = hex(nothing);
        for trail in [0_u8, 9] {
            let size = 4 + constructor.len() + usize::from(trail);
            let mut bytes = vec![0xf0, 0, 0, 0, u8::try_from(size).unwrap()];
            bytes.extend([0xff; 4]);
            bytes.extend(&constructor);
            bytes.extend(vec![0x40; trail.into()]);
            assert_eq!(whole(&bytes), Err(DecodeError::Count), "{bytes:02x?}");
        }
    }
    assert!(whole(&hex("e0 02 00 40")).is_ok());
}

/// None of these would end if a byte were looked at once for each that is before it.
#[test]
fn work_grows_with_the_bytes_and_no_faster() {
    const MANY: usize = 1 << 17;
    let repeated = |code: u8, one: &str| {
        let one = hex(one).repeat(MANY);
        let count = u32::try_from(MANY * if code == 0xd1 { 2 } else { 1 }).unwrap();
        let size = u32::try_from(one.len() + 4).unwrap();
        let mut bytes = vec![code];
        bytes.extend(size.to_be_bytes());
        bytes.extend(count.to_be_bytes());
        bytes.extend(one);
        bytes
    };
    for (code, one) in [
        (0xd1, "40 40"),
        (0xd1, "a301 61 00 53 70 00 53 70 45"),
        (0xd1, "c0 04 01 c0 01 00 e0 02 00 40"),
        (0xd0, "40"),
        (0xd0, "00 53 70 00 53 70 c0 02 01 45"),
    ] {
        let bytes = repeated(code, one);
        match whole(&bytes).unwrap() {
            Value::Map(map) => assert_eq!(map.get("none"), None),
            Value::List(mut list) => while list.take().unwrap().is_some() {},
            other => panic!("{other:?}"),
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(tree in prop_oneof![tree(), array()]) {
        let bytes = encoded(|writer| put(&tree, writer));
        let value = whole(&bytes).unwrap();
        prop_assert_eq!(tree_of(value), tree);
        prop_assert_eq!(encoded(|writer| writer.value(&value)), bytes);
    }

    #[test]
    fn any_bytes_are_a_value_or_not(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        let mut reader = Reader(&bytes);
        if let Ok(value) = Value::read(&mut reader) {
            let again = encoded(|writer| writer.value(&value));
            prop_assert_eq!(whole(&again), Ok(value));
            let _ = tree_of(value);
        }
    }

    #[test]
    fn a_value_with_a_byte_changed_is_a_value_or_not(
        tree in tree(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = encoded(|writer| put(&tree, writer));
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(value) = Value::read(&mut Reader(&bytes)) {
            let _ = tree_of(value);
        }
    }
}
