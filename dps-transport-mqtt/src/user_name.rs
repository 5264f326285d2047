//! Who a device says it is, and which version of the API it speaks.

use dps_core::id::{ApiVersion, IdScope, RegistrationId};
use dps_transport::percent_decode;

use crate::query::pairs;

/// A user name, taken apart:
/// `{scope}/registrations/{registration}/api-version={version}[&ClientVersion={text}]`.
///
/// # Source
/// `prov_transport_mqtt_common.c` (C), `mqtt.ts` (Node.js), `pipeline_stages_provisioning_mqtt.py`
/// (Python), `ProvisioningTransportHandlerMqtt.cs` (C#), `ContractAPIMqtt.java` (Java).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UserName<'a> {
    scope: &'a str,
    /// As it stands there; judged only after it was compared with the client identifier.
    pub(crate) registration: &'a str,
    query: &'a str,
}

/// What a well-formed user name says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) scope: IdScope,
    pub(crate) registration: RegistrationId,
    pub(crate) version: ApiVersion,
}

impl<'a> UserName<'a> {
    /// Takes a user name apart; `None` if it has not the parts.
    ///
    /// The text of `ClientVersion` may hold anything, escaped or not: old SDKs send it raw.
    pub(crate) fn read(text: &'a str) -> Option<Self> {
        let mut parts = text.splitn(4, '/');
        let (scope, fixed, registration) = (parts.next()?, parts.next()?, parts.next()?);
        if !fixed.eq_ignore_ascii_case("registrations") {
            return None;
        }
        let query = parts.next().unwrap_or_default();
        Some(Self {
            scope,
            registration,
            query: query.trim_start_matches(['/', '?']),
        })
    }

    /// Judges the names; `None` if one of them cannot be one. No version, or one that cannot be one,
    /// means the usual version: nothing that matters depends on it.
    pub(crate) fn claim(self) -> Option<Claim> {
        let version = pairs(self.query)
            .find(|(name, _)| *name == "api-version")
            .and_then(|(_, value)| ApiVersion::parse(&percent_decode(value)?).ok());
        Some(Claim {
            scope: IdScope::parse(self.scope).ok()?,
            registration: RegistrationId::parse(self.registration).ok()?,
            version: version.unwrap_or_else(ApiVersion::usual),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn version(rest: &str) -> String {
        let text = format!("0neS/registrations/Press-1{rest}");
        let claim = UserName::read(&text).and_then(UserName::claim);
        let claim = claim.unwrap_or_else(|| panic!("{text} is a user name"));
        assert_eq!(claim.scope.as_str(), "0neS");
        assert_eq!(claim.registration.as_str(), "Press-1");
        claim.version.to_string()
    }

    #[test]
    fn every_sdk_is_understood() {
        for (rest, said) in [
            // C
            ("/api-version=2021-06-01&ClientVersion=1.15.0", "2021-06-01"),
            // Node.js
            (
                "/api-version=2019-03-31&ClientVersion=azure-iot-provisioning-device%2F1.9.4%20(node%20v18)",
                "2019-03-31",
            ),
            // Python
            (
                "/api-version=2019-03-31&ClientVersion=azure-iot-device-provisioning-py%2F2.13.0%28Linux%3B%20%29",
                "2019-03-31",
            ),
            // Java
            (
                "/api-version=2019-03-31&ClientVersion=2019-03-31",
                "2019-03-31",
            ),
            // Embedded C
            ("/api-version=2019-03-31", "2019-03-31"),
            // Old ones, raw
            (
                "/api-version=2017-11-15&ClientVersion=com.microsoft.azure.sdk.iot/1.2 (a=b&c; d)",
                "2017-11-15",
            ),
        ] {
            assert_eq!(version(rest), said, "{rest}");
        }
    }

    #[test]
    fn pairs_come_in_any_order_beside_unknown_ones() {
        assert_eq!(
            version("/x=y&ClientVersion=a&api-version=2018-11-01&z"),
            "2018-11-01"
        );
        assert_eq!(version("/api-version=2018%2d11-01"), "2018-11-01");
    }

    #[test]
    fn slashes_before_the_query_are_passed_over() {
        assert_eq!(version("//api-version=2018-11-01"), "2018-11-01");
        assert_eq!(version("/?api-version=2018-11-01"), "2018-11-01");
    }

    #[test]
    fn a_version_that_is_missing_or_unknown_or_none_is_accepted() {
        for rest in ["", "/", "/api-version", "/api-version=", "/ClientVersion=1"] {
            assert_eq!(version(rest), "2019-03-31", "{rest}");
        }
        assert_eq!(
            version("/api-version=2099-12-31-preview"),
            "2099-12-31-preview"
        );
        assert_eq!(version("/api-version=%zz"), "2019-03-31");
        assert_eq!(
            version(&format!("/api-version={}", "9".repeat(33))),
            "2019-03-31"
        );
    }

    #[test]
    fn other_texts_are_no_user_names() {
        for text in [
            "",
            "a",
            "a/b",
            "a/registrations",
            "a/devices/b/api-version=1",
        ] {
            assert_eq!(UserName::read(text), None, "{text}");
        }
    }

    #[test]
    fn names_are_judged_apart_from_the_form() {
        for text in [
            "a b/registrations/c/",
            "/registrations/c/",
            "a/registrations/c./",
            "a/registrations//x",
        ] {
            assert_eq!(UserName::read(text).unwrap().claim(), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_user_name_or_none(text in ".{0,80}", rest in ".{0,80}") {
            let _ = UserName::read(&text).and_then(UserName::claim);
            version(&format!("/{rest}"));
        }
    }
}
