//! Files of keys: taken, or refused with a place and a text that shows nothing of the file.
#![no_main]

use dps_keys_file::fuzzing::parse;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match parse(bytes) {
        Ok(keys) => assert!(keys > 0),
        Err(shown) => {
            // Texts are short and the same whatever the file is.
            assert!(shown.len() < 300);
            for word in bytes.split(|byte| byte.is_ascii_whitespace()) {
                if word.len() > 30
                    && let Ok(word) = str::from_utf8(word)
                {
                    assert!(!shown.contains(word));
                }
            }
        }
    }
});
