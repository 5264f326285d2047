//! What OpenID providers publish: where their keys are, and keys.
#![no_main]

use dps_openid::MAX_KEYS;
use dps_openid::fuzzing::{keys, keys_address};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|document: &[u8]| {
    assert!(keys(document) <= MAX_KEYS);
    const ISSUER: &str = "https://login.example";
    if keys_address(document, ISSUER).is_some() {
        // It is of this issuer and of no other.
        assert_eq!(keys_address(document, "https://login.example/"), None);
    }
});
