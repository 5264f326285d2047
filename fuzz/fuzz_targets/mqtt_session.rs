//! Whole MQTT conversations: in one piece, and byte by byte. The first byte of the input says whether
//! the device is believed, and whether it begins well.
#![no_main]

use dps_transport_mqtt::fuzzing::{converse, reencode};
use libfuzzer_sys::fuzz_target;

const BEGINNING: &[u8] = b"\x10\x32\0\x04MQTT\x04\xc2\0\x3c\0\x07press-1\
    \0\x1a0neS/registrations/press-1\0\x01k\
    \x82\x1d\0\x01\0\x18$dps/registrations/res/#\x01";

fuzz_target!(|input: &[u8]| {
    let Some((choice, rest)) = input.split_first() else {
        return;
    };
    let stream = if choice & 1 == 0 {
        rest.to_vec()
    } else {
        [BEGINNING, rest].concat()
    };
    let believed = choice & 2 == 0;
    let told = converse([&stream[..]], believed);
    assert_eq!(told, converse(stream.chunks(1), believed));
    let mut left = &told[..];
    while !left.is_empty() {
        let (_, length) = reencode(left).expect("what devices are told are packets");
        left = &left[length..];
    }
    if choice & 1 == 1 {
        assert!(told.starts_with(b"\x20\x02\0\0\x90\x03\0\x01\x01"));
    }
});
