//! Bodies of register and lookup: read, or refused with a text.
#![no_main]

use std::sync::LazyLock;

use dps_core::error::Reason;
use dps_core::id::RegistrationId;
use dps_transport::device_json::DeviceRegistration;
use libfuzzer_sys::fuzz_target;

static ID: LazyLock<RegistrationId> =
    LazyLock::new(|| RegistrationId::parse("press-1").expect("a valid id"));

fuzz_target!(|body: &[u8]| {
    match DeviceRegistration::parse(body, &ID) {
        Ok(sent) => {
            let Some(payload) = sent.payload else { return };
            assert!(!payload.is_null());
            let again = serde_json::json!({ "payload": payload }).to_string();
            assert!(DeviceRegistration::parse(again.as_bytes(), &ID).is_ok());
        }
        Err(error) => {
            assert_eq!(error.reason(), Reason::Malformed);
            assert!(!error.message().is_empty());
        }
    }
});
