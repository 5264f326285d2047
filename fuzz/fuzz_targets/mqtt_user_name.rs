//! MQTT user names: a device, or none.
#![no_main]

use dps_transport_mqtt::fuzzing::is_user_name;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if is_user_name(text) {
        assert!(text.split('/').count() >= 3);
    }
    assert!(is_user_name(&format!("0neS/registrations/press-1/{text}")));
});
