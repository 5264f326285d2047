//! Frames of AMQP: read, and written again. What is taken is what fe2o3-amqp-types makes of the bytes.
#![no_main]

use dps_transport_amqp::fuzzing::frame;
use fe2o3_amqp_types::performatives::Performative;
use libfuzzer_sys::fuzz_target;
use serde_amqp::{from_slice, to_vec};

fuzz_target!(|bytes: &[u8]| {
    let Some((again, length)) = frame(bytes) else {
        return;
    };
    assert!(length <= bytes.len());
    assert_eq!(frame(&again), Some((again.clone(), again.len())));
    if again.len() == 8 || again[5] != 0 || again.iter().any(|byte| matches!(byte, 0xe0 | 0xf0)) {
        // Empty, or SASL, or with arrays, of which serde_amqp does not read all.
        return;
    }
    if again.contains(&0x83) {
        // It cannot write all that it reads: it fails at bytes that follow a time in a map.
        return;
    }
    // It looks at fields that are passed over here.
    let Ok(theirs) = from_slice::<Performative>(&again[8..]) else {
        return;
    };
    let mut written = again[..8].to_vec();
    written.extend(to_vec(&theirs).expect("what was read can be written"));
    let size = u32::try_from(written.len()).expect("short").to_be_bytes();
    written[..4].copy_from_slice(&size);
    let (back, _) = frame(&written).expect("fe2o3-amqp-types writes more");
    let back: Performative = from_slice(&back[8..]).expect("other bytes");
    assert_eq!(back, theirs);
});
