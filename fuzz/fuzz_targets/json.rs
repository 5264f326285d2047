//! Bodies from strangers.
#![no_main]

use dps_core::json;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(value) = json::parse(bytes) {
        let written = json::to_ascii(&value);
        assert!(written.is_ascii());
        let again = json::parse(&written).expect("what was written is taken");
        assert_eq!(again, value);
    }
});
