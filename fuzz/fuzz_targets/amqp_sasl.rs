//! What is said in SASL frames: read, and written again. What is taken is what fe2o3-amqp-types makes of
//! the bytes.
#![no_main]

use dps_transport_amqp::fuzzing::sasl;
use fe2o3_amqp_types::sasl::{SaslChallenge, SaslInit, SaslMechanisms, SaslOutcome, SaslResponse};
use libfuzzer_sys::fuzz_target;
use serde_amqp::{from_slice, to_vec};

/// What the oracle reads, in words, and written again.
fn oracle(body: &[u8]) -> Option<(String, Vec<u8>)> {
    macro_rules! first_of {
        ($($code:literal $name:ident)*) => {
            match body[2] {
                $($code => {
                    let frame: $name = from_slice(body).ok()?;
                    Some((format!("{frame:?}"), to_vec(&frame).ok()?))
                })*
                _ => None,
            }
        };
    }
    first_of!(0x40 SaslMechanisms 0x41 SaslInit 0x42 SaslChallenge 0x43 SaslResponse 0x44 SaslOutcome)
}

fuzz_target!(|body: &[u8]| {
    let Some(again) = sasl(body) else {
        return;
    };
    assert_eq!(sasl(&again), Some(again.clone()));
    // It takes no empty list of mechanisms, and no outcome that is not in the standard.
    let Some((words, written)) = oracle(&again) else {
        return;
    };
    let back = sasl(&written).expect("fe2o3-amqp-types writes more");
    let (theirs, _) = oracle(&back).expect("other bytes");
    assert_eq!(theirs, words);
});
