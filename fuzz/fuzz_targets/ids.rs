//! Names from strangers.
#![no_main]

use dps_core::id::{ApiVersion, DeviceId, GroupId, HubName, IdScope, OperationId, RegistrationId};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = (ApiVersion::parse(text), OperationId::parse(text));
    let _ = (GroupId::parse(text), HubName::parse(text));
    if let Ok(scope) = IdScope::parse(text) {
        assert!((1..=20).contains(&text.len()) && text.is_ascii());
        assert_eq!(**scope.folded(), text.to_ascii_lowercase());
    }
    if let Ok(id) = RegistrationId::parse(text) {
        assert!((1..=128).contains(&text.len()) && text.is_ascii());
        assert_eq!(id.as_str(), text);
        assert_eq!(RegistrationId::parse(id.folded()), Ok(id.clone()));
        assert_eq!(DeviceId::parse(text), Ok(DeviceId::from(&id)));
    }
});
