//! What devices send.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use dps_core::error::{Reason, ServiceError};
use dps_core::id::RegistrationId;
use dps_core::json;
use dps_core::tpm::{MAX_PUBLIC_KEY_BYTES, PublicKey, PublicKeyError, TpmKeys};
use serde_json::{Map, Value};

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
    /// What its TPM is known by: `tpm`, as `endorsementKey` and `storageRootKey`, each a `TPM2B_PUBLIC`
    /// in base64. HTTP alone goes by them; elsewhere who the device is has been settled before.
    pub tpm: Option<TpmKeys>,
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
        let tpm = tpm(members.get("tpm"))?;
        Ok(Self { payload, tpm })
    }
}

/// `TpmAttestation` of the device API: both keys, or no such member at all.
fn tpm(member: Option<&Value>) -> Result<Option<TpmKeys>, ServiceError> {
    let members = match member {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(members)) => members,
        Some(_) => return Err(malformed("tpm has to be an object")),
    };
    Ok(Some(TpmKeys {
        endorsement_key: public_key(members, "endorsementKey")?,
        storage_root_key: public_key(members, "storageRootKey")?,
    }))
}

fn public_key(tpm: &Map<String, Value>, name: &str) -> Result<PublicKey, ServiceError> {
    let text = match tpm.get(name) {
        None | Some(Value::Null) => return Err(malformed(format!("tpm.{name} is missing"))),
        Some(Value::String(text)) => text,
        Some(_) => return Err(malformed(format!("tpm.{name} has to be a string"))),
    };
    let wrong = |error: PublicKeyError| malformed(format!("tpm.{name}: {error}"));
    if text.len() > MAX_PUBLIC_KEY_BYTES.div_ceil(3) * 4 {
        return Err(wrong(PublicKeyError::TooLong));
    }
    let bytes = STANDARD.decode(text);
    let bytes = bytes.map_err(|_| malformed(format!("tpm.{name} is not base64")))?;
    PublicKey::parse(&bytes).map_err(wrong)
}

fn malformed(message: impl Into<std::borrow::Cow<'static, str>>) -> ServiceError {
    ServiceError::new(Reason::Malformed).with_message(message)
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;
    use dps_testkit::tpm::{Kind, SoftTpm};
    use proptest::prelude::*;
    use serde_json::json;

    static TPM: LazyLock<SoftTpm> = LazyLock::new(|| SoftTpm::new(Kind::Ecc));

    /// A body with a `tpm` that has these members.
    fn shown(tpm: &Value) -> Result<Option<TpmKeys>, String> {
        let id = RegistrationId::parse("Press-1").unwrap();
        let body = json!({"registrationId": "press-1", "tpm": tpm}).to_string();
        let sent = DeviceRegistration::parse(body.as_bytes(), &id);
        sent.map(|sent| sent.tpm).map_err(|error| {
            assert_eq!(error.reason(), Reason::Malformed);
            error.message().to_owned()
        })
    }

    /// Both keys; `bytes` take the place of the one called `name`.
    fn with(name: &str, bytes: &[u8]) -> Value {
        let keys = TPM.keys();
        let mut tpm = json!({
            "endorsementKey": STANDARD.encode(keys.endorsement_key.bytes()),
            "storageRootKey": STANDARD.encode(keys.storage_root_key.bytes()),
            "newer": {},
        });
        tpm[name] = STANDARD.encode(bytes).into();
        tpm
    }

    const NAMES: [&str; 2] = ["endorsementKey", "storageRootKey"];

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

    #[test]
    fn both_keys_of_a_tpm_are_read() {
        for tpm in [SoftTpm::new(Kind::Ecc), SoftTpm::new(Kind::Rsa)] {
            let keys = tpm.keys();
            let members = json!({
                "endorsementKey": STANDARD.encode(keys.endorsement_key.bytes()),
                "storageRootKey": STANDARD.encode(keys.storage_root_key.bytes()),
            });
            assert_eq!(shown(&members), Ok(Some(keys)));
        }
    }

    #[test]
    fn without_a_tpm_no_keys_are_shown() {
        assert_eq!(shown(&Value::Null), Ok(None));
        assert_eq!(shown(&json!([])), Err("tpm has to be an object".into()));
    }

    #[test]
    fn a_tpm_shows_both_its_keys_or_which_one_is_missing_is_said() {
        for name in NAMES {
            let mut tpm = with(name, &[]);
            tpm[name] = Value::Null;
            assert_eq!(shown(&tpm), Err(format!("tpm.{name} is missing")));
            tpm.as_object_mut().unwrap().remove(name);
            assert_eq!(shown(&tpm), Err(format!("tpm.{name} is missing")));
            tpm[name] = json!(7);
            assert_eq!(shown(&tpm), Err(format!("tpm.{name} has to be a string")));
        }
        assert_eq!(
            shown(&json!({})),
            Err("tpm.endorsementKey is missing".into())
        );
    }

    #[test]
    fn a_key_that_is_not_base64_is_refused_by_name() {
        for name in NAMES {
            for text in [
                "!", "AAA", "AA=A", "AAAA\n", "AB==", "__8=", "\u{e4}", "AAAA====",
            ] {
                let mut tpm = with(name, &[]);
                tpm[name] = text.into();
                assert_eq!(shown(&tpm), Err(format!("tpm.{name} is not base64")));
            }
        }
    }

    #[test]
    fn a_key_is_not_decoded_if_it_is_too_long_to_be_one() {
        for name in NAMES {
            let mut tpm = with(name, &[]);
            tpm[name] = "!".repeat(80_000).into();
            let said = format!("tpm.{name}: the key is longer than 348 bytes");
            assert_eq!(shown(&tpm), Err(said.clone()));
            assert_eq!(shown(&with(name, &[0; 349])), Err(said));
            let longest = shown(&with(name, &[0; 348])).unwrap_err();
            assert!(
                longest.contains("the size in front of the key"),
                "{longest}"
            );
        }
    }

    #[test]
    fn a_key_that_is_cut_anywhere_or_goes_on_is_refused_and_why_is_said() {
        let keys = TPM.keys();
        for (name, key) in NAMES
            .into_iter()
            .zip([keys.endorsement_key.bytes(), keys.storage_root_key.bytes()])
        {
            for end in 0..key.len() {
                let said = shown(&with(name, &key[..end])).unwrap_err();
                assert!(said.starts_with(&format!("tpm.{name}: the ")), "{said}");
            }
            let said = shown(&with(name, &[key, &[0]].concat())).unwrap_err();
            let size = key.len() - 2;
            assert_eq!(
                said,
                format!(
                    "tpm.{name}: the size in front of the key says {size} bytes, and {} follow",
                    size + 1
                )
            );
        }
    }

    #[test]
    fn a_key_that_may_sign_is_refused() {
        let mut key = TPM.keys().endorsement_key.bytes().to_vec();
        // The attribute `sign` is the third bit of the third byte of four.
        key[7] |= 0x04;
        let said = shown(&with("endorsementKey", &key)).unwrap_err();
        assert!(said.contains("sign must not"), "{said}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_registration_or_an_error(
            bytes in proptest::collection::vec(any::<u8>(), 0..200)
        ) {
            let _ = parse_bytes(&bytes);
        }

        #[test]
        fn text_that_is_no_key_is_an_error_that_names_it(
            text in prop_oneof![".{0,40}", "[A-Za-z0-9+/]{0,480}={0,2}"],
            nth in 0_usize..2,
        ) {
            let mut tpm = with(NAMES[nth], &[]);
            tpm[NAMES[nth]] = text.into();
            let said = shown(&tpm).unwrap_err();
            let named = said.starts_with(&format!("tpm.{}", NAMES[nth]));
            prop_assert!(named, "{said}");
        }

        #[test]
        fn a_key_with_other_bytes_in_it_is_that_key_or_an_error(
            at in 0_usize..100, byte: u8, nth in 0_usize..2,
        ) {
            let keys = TPM.keys();
            let mut key = [&keys.endorsement_key, &keys.storage_root_key][nth].bytes().to_vec();
            let at = at % key.len();
            key[at] = byte;
            if let Ok(shown) = shown(&with(NAMES[nth], &key)) {
                let shown = shown.unwrap();
                let shown = [shown.endorsement_key, shown.storage_root_key];
                prop_assert_eq!(shown[nth].bytes(), key);
            }
        }
    }
}
