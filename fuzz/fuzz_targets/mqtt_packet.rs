//! MQTT packets: read, and written again. What is taken is what mqtt-protocol-core makes of the bytes.
#![no_main]

use dps_transport_mqtt::fuzzing::reencode;
use libfuzzer_sys::fuzz_target;
use mqtt_protocol_core::mqtt::Arc;
use mqtt_protocol_core::mqtt::packet::v3_1_1::{
    Connack, Connect, Disconnect, Pingreq, Pingresp, Puback, Publish, Suback, Subscribe, Unsuback,
    Unsubscribe,
};

fn oracle(first: u8, fields: &[u8]) -> Option<Vec<u8>> {
    macro_rules! whole {
        ($read:expr) => {{
            let (packet, length) = $read.ok()?;
            (length == fields.len()).then(|| packet.to_continuous_buffer())
        }};
    }
    match first >> 4 {
        1 => whole!(Connect::parse(fields)),
        2 => whole!(Connack::parse(fields)),
        3 => whole!(Publish::parse(first & 0xf, Arc::from(fields))),
        4 => whole!(Puback::parse(fields)),
        8 => whole!(Subscribe::parse(fields)),
        9 => whole!(Suback::parse(fields)),
        10 => whole!(Unsubscribe::parse(fields)),
        11 => whole!(Unsuback::parse(fields)),
        12 => whole!(Pingreq::parse(fields)),
        13 => whole!(Pingresp::parse(fields)),
        14 => whole!(Disconnect::parse(fields)),
        _ => None,
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some((again, length)) = reencode(bytes) else {
        return;
    };
    assert!(length <= bytes.len());
    assert_eq!(reencode(&again), Some((again.clone(), again.len())));
    if again == [0x40, 2, 0, 0] {
        // C# acknowledges with 0 what has no number; the standard has no such thing.
        return;
    }
    let header = 2 + again[1..]
        .iter()
        .take_while(|byte| **byte & 0x80 != 0)
        .count();
    assert_eq!(oracle(again[0], &again[header..]), Some(again));
});
