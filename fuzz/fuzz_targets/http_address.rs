//! First lines of HTTP requests: an address of the device API, or a refusal. Input is method, path and
//! query, one a line.
#![no_main]

use dps_transport_http::fuzzing::is_address;
use http::Method;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let mut lines = text.splitn(3, '\n');
    let method = lines.next().unwrap_or_default();
    let Ok(method) = Method::from_bytes(method.as_bytes()) else {
        return;
    };
    let path = lines.next().unwrap_or_default();
    let query = lines.next();
    if is_address(&method, path, query) {
        assert!(path.split('/').count() >= 3);
        assert!(query.is_some_and(|query| query.contains('=')));
    }
});
