//! Topics that devices publish to: a request with a `$rid` that stands in the topic, or none.
#![no_main]

use dps_transport_mqtt::fuzzing::rid;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|topic: &str| {
    for topic in [
        topic.to_owned(),
        format!("$dps/registrations/PUT/iotdps-register/?{topic}"),
        format!("$dps/registrations/GET/iotdps-get-operationstatus/?{topic}"),
    ] {
        if let Some(rid) = rid(&topic) {
            assert!(!rid.is_empty() && rid.len() <= 256);
            assert!(topic.contains(&format!("$rid={rid}")));
        }
    }
});
