//! What devices send.

use dps_core::error::{Reason, ServiceError};
use dps_core::id::RegistrationId;
use dps_core::json;
use serde_json::Value;

/// The largest body that is taken, in bytes.
///
/// # Source
/// "Maximum message size: 96 KB" in *IoT Hub Device Provisioning Service: quotas and limits*.
pub const MAX_BODY_BYTES: usize = 96 * 1024;

/// What a device sends with a register or a lookup. Members that are not known are passed over.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeviceRegistration {
    /// For the allocation hook: any JSON but `null`, which says the same as nothing.
    pub payload: Option<Value>,
}

impl DeviceRegistration {
    /// Reads a body.
    ///
    /// * `body`: at most [`MAX_BODY_BYTES`], which is the caller's to see to. None at all means `{}`,
    ///   as the C# SDK sends it.
    /// * `registration`: who the address of the request named; the body may leave it out or name the
    ///   same, in any case of letters.
    ///
    /// # Errors
    /// [`Reason::Malformed`], saying what is wrong with the body.
    ///
    /// # Source
    /// `DeviceRegistration` in `device.json` of the device API, 2021-10-01.
    pub fn parse(body: &[u8], registration: &RegistrationId) -> Result<Self, ServiceError> {
        if body.is_empty() {
            return Ok(Self::default());
        }
        let Value::Object(mut members) =
            json::parse(body).map_err(|wrong| malformed(wrong.to_string()))?
        else {
            return Err(malformed("the body has to be a JSON object"));
        };
        match members.get("registrationId") {
            None | Some(Value::Null) => {}
            Some(Value::String(id)) if id.eq_ignore_ascii_case(registration.as_str()) => {}
            Some(Value::String(_)) => {
                return Err(malformed(
                    "the body names another registrationId than the address",
                ));
            }
            Some(_) => return Err(malformed("registrationId has to be a string")),
        }
        let payload = members.remove("payload").filter(|value| !value.is_null());
        Ok(Self { payload })
    }
}

fn malformed(message: impl Into<std::borrow::Cow<'static, str>>) -> ServiceError {
    ServiceError::new(Reason::Malformed).with_message(message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn parse(body: &str) -> Result<Option<Value>, String> {
        parse_bytes(body.as_bytes())
    }

    fn parse_bytes(body: &[u8]) -> Result<Option<Value>, String> {
        let id = RegistrationId::parse("Press-1").unwrap();
        DeviceRegistration::parse(body, &id)
            .map(|body| body.payload)
            .map_err(|error| {
                assert_eq!(error.reason(), Reason::Malformed);
                error.message().to_owned()
            })
    }

    #[test]
    fn an_empty_body_an_empty_object_and_nulls_all_ask_for_nothing_more() {
        for body in [
            "",
            "{}",
            r#"{"registrationId":null,"tpm":null,"payload":null}"#,
            r#"{"registrationId":"press-1"}"#,
            r#"{"payload":null,"registrationId":"PRESS-1"}"#,
        ] {
            assert_eq!(parse(body), Ok(None), "{body}");
        }
    }

    #[test]
    fn a_payload_may_be_any_json() {
        for payload in [json!({"a": [1, null]}), json!("text"), json!(7), json!([])] {
            let body = json!({"registrationId": "press-1", "payload": payload}).to_string();
            assert_eq!(parse(&body), Ok(Some(payload)));
        }
    }

    #[test]
    fn members_that_are_not_known_are_passed_over() {
        assert_eq!(
            parse(r#"{"new":{"deep":[{}]},"payload":1}"#),
            Ok(Some(json!(1)))
        );
    }

    #[test]
    fn a_body_for_somebody_else_is_refused() {
        let said = parse(r#"{"registrationId":"press-2"}"#).unwrap_err();
        assert_eq!(
            said,
            "the body names another registrationId than the address"
        );
        assert!(parse(r#"{"registrationId":1}"#).is_err());
    }

    #[test]
    fn what_is_wrong_with_a_body_is_said() {
        assert!(parse("[]").unwrap_err().contains("JSON object"));
        assert!(parse("{").unwrap_err().contains("EOF"));
        assert!(
            parse(r#"{"payload":1,"payload":2}"#)
                .unwrap_err()
                .contains("twice")
        );
        let deep = format!(
            "{{\"payload\":{}{}}}",
            "[".repeat(50_000),
            "]".repeat(50_000)
        );
        assert!(parse(&deep).unwrap_err().contains("deeper"));
        assert!(parse_bytes(b"{\"payload\":\"\xff\"}").is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_registration_or_an_error(
            bytes in proptest::collection::vec(any::<u8>(), 0..200)
        ) {
            let _ = parse_bytes(&bytes);
        }
    }
}
