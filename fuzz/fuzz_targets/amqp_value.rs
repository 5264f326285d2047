//! Values of AMQP: read, and written again. What is taken is what serde_amqp makes of the bytes.
#![no_main]

use dps_transport_amqp::fuzzing::value;
use libfuzzer_sys::fuzz_target;
use serde_amqp::{Value, from_slice, to_vec};

fuzz_target!(|bytes: &[u8]| {
    let Some((again, length)) = value(bytes) else {
        return;
    };
    assert!(length <= bytes.len());
    assert!(again.len() <= length);
    assert_eq!(value(&again), Some((again.clone(), again.len())));
    let bytes = &bytes[..length];
    if bytes.iter().any(|byte| matches!(byte, 0xe0 | 0xf0)) {
        // serde_amqp reads neither empty arrays nor those of lists, maps, arrays or described values.
        return;
    }
    // It calls itself for each value in a value; what is taken here is not deep.
    let theirs: Value = from_slice(bytes).expect("serde_amqp takes less");
    assert_eq!(from_slice::<Value>(&again).expect("other bytes"), theirs);
    if bytes.contains(&0x83) {
        // It cannot write all that it reads: it fails at bytes that follow a time in a map.
        return;
    }
    let written = to_vec(&theirs).expect("what was read can be written");
    let (back, length) = value(&written).expect("serde_amqp writes more");
    assert_eq!(length, written.len());
    assert_eq!(from_slice::<Value>(&back).expect("other bytes"), theirs);
});
