//! The OpenAPI document of what devices ask: that it says what there is, and nothing else.

use std::collections::BTreeSet;

use dps_transport::device_json::MAX_BODY_BYTES;

use crate::described::DEVICE;

#[test]
fn the_three_requests_of_devices_are_described_and_nothing_else_is() {
    let mut described = BTreeSet::new();
    for (path, method, operation) in DEVICE.operations() {
        described.insert((method, path));
        assert_eq!(operation["x-dps-body-bytes"], MAX_BODY_BYTES, "{path}");
        for status in ["400", "401", "405", "408", "413", "500", "503"] {
            let answer = &operation["responses"][status];
            assert!(!answer.is_null(), "{method} {path}: {status}");
        }
    }
    let registration = "/{idScope}/registrations/{registrationId}";
    let register = format!("{registration}/register");
    let poll = format!("{registration}/operations/{{operationId}}");
    let expected = [("put", &*register), ("get", &*poll), ("post", registration)];
    assert_eq!(described, expected.into());
}
