//! Bodies of register and lookup: read, or refused with a text.
#![no_main]

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use dps_core::error::Reason;
use dps_core::id::RegistrationId;
use dps_core::tpm::PublicKey;
use dps_transport::device_json::DeviceRegistration;
use libfuzzer_sys::fuzz_target;

static ID: LazyLock<RegistrationId> =
    LazyLock::new(|| RegistrationId::parse("press-1").expect("a valid id"));

fuzz_target!(|body: &[u8]| {
    match DeviceRegistration::parse(body, &ID) {
        Ok(sent) => {
            assert!(
                sent.payload
                    .as_ref()
                    .is_none_or(|payload| !payload.is_null())
            );
            let base64 = |key: &PublicKey| STANDARD.encode(key.bytes());
            let tpm = sent.tpm.as_ref().map(|keys| {
                serde_json::json!({
                    "endorsementKey": base64(&keys.endorsement_key),
                    "storageRootKey": base64(&keys.storage_root_key),
                })
            });
            let again = serde_json::json!({ "payload": sent.payload, "tpm": tpm }).to_string();
            let read = DeviceRegistration::parse(again.as_bytes(), &ID);
            assert_eq!(read.ok(), Some(sent));
        }
        Err(error) => {
            assert_eq!(error.reason(), Reason::Malformed);
            assert!(!error.message().is_empty());
        }
    }
});
