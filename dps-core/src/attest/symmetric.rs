//! Devices that prove themselves with a key: their own, or one derived from a group's.

use super::sas::{SasToken, hmac};
use super::{AttestError, AttestRequest};
use crate::hub::DeviceAuth;
use crate::id::SecretBytes;

/// The key of one device of a group: HMAC-SHA256 with the group's key over the registration id.
///
/// * `group_key`: the enrolled key, decoded.
/// * `id`: the registration id as it was when the device was given its key. Spelling matters.
///
/// Returns 32 bytes; devices are given them in base64.
///
/// # Source
/// "Group enrollments" in *Symmetric key attestation*, and `compute_device_key` of the Azure CLI
/// extension, which hashes the id as typed.
#[must_use]
pub fn derive_device_key(group_key: &SecretBytes, id: &str) -> SecretBytes {
    SecretBytes::from(hmac(group_key.expose(), &[id]))
}

/// Judges a token. That it has expired is said of genuine tokens only.
pub(super) fn verify(
    request: &AttestRequest<'_>,
    token: &str,
    primary: &SecretBytes,
    secondary: &SecretBytes,
) -> Result<DeviceAuth, AttestError> {
    let token = request.token(token)?;
    let signed = if request.group {
        signed_by_derived(&token, request, primary, secondary)
    } else {
        signed_by_one(&token, primary.clone(), secondary.clone())
    };
    let auth = signed.ok_or_else(|| {
        AttestError::mismatch("the token is not signed with a key of the enrollment")
    })?;
    request.check_expiry(&token)?;
    Ok(auth)
}

fn signed_by_one(
    token: &SasToken<'_>,
    primary: SecretBytes,
    secondary: SecretBytes,
) -> Option<DeviceAuth> {
    let signed = token.is_signed_with(primary.expose()) || token.is_signed_with(secondary.expose());
    signed.then_some(DeviceAuth::Keys { primary, secondary })
}

/// Helpers that derive keys take the id as typed, while the service's own text calls it lower-case:
/// a device that spells its id in capitals may hold either key.
fn signed_by_derived(
    token: &SasToken<'_>,
    request: &AttestRequest<'_>,
    primary: &SecretBytes,
    secondary: &SecretBytes,
) -> Option<DeviceAuth> {
    let (spelled, folded) = (
        request.registration.as_str(),
        &**request.registration.folded(),
    );
    let derived = |id| {
        let (primary, secondary) = (
            derive_device_key(primary, id),
            derive_device_key(secondary, id),
        );
        signed_by_one(token, primary, secondary)
    };
    derived(spelled).or_else(|| (spelled != folded).then(|| derived(folded)).flatten())
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    use super::super::{AttestationVerifier as _, Evidence, Mechanisms, SKEW, SignIn, Verdict};
    use super::*;
    use crate::enrollment::Attestation;
    use crate::id::{IdScope, RegistrationId};
    use crate::time::Timestamp;

    const SCOPE: &str = "0ne00111111";
    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    fn key(byte: u8) -> SecretBytes {
        SecretBytes::new(vec![byte; 64])
    }

    fn token(key: &SecretBytes, id: &str, expires: u64) -> String {
        let resource = format!("{SCOPE}%2fregistrations%2f{id}");
        let signature =
            STANDARD.encode(hmac(key.expose(), &[&resource, "\n", &expires.to_string()]));
        format!("SharedAccessSignature sr={resource}&sig={signature}&se={expires}")
    }

    fn judge(
        id: &str,
        group: bool,
        token: String,
        now: Timestamp,
    ) -> Result<DeviceAuth, AttestError> {
        let (scope, registration) = (
            IdScope::parse(SCOPE).unwrap(),
            RegistrationId::parse(id).unwrap(),
        );
        let attestation = Attestation::SymmetricKey {
            primary: key(1),
            secondary: key(2),
        };
        let (evidence, crypto) = (Evidence::Sas { token }, super::super::no_crypto());
        let mut request =
            AttestRequest::new(&scope, &registration, &evidence, &attestation, &crypto, now);
        request.group = group;
        match Mechanisms::default().verify(&request)? {
            Verdict::Attested(proof) => {
                let SignIn::Known(auth) = proof.sign_in() else {
                    panic!("a key that is known signs in with it");
                };
                Ok(auth.clone())
            }
            other => panic!("{other:?}"),
        }
    }

    fn fresh(key: &SecretBytes, id: &str) -> String {
        token(key, id, NOW.seconds() + 60)
    }

    #[test]
    fn an_individual_device_may_use_either_key_and_signs_in_with_both() {
        for used in [key(1), key(2)] {
            let auth = judge("dev-1", false, fresh(&used, "dev-1"), NOW).unwrap();
            let (primary, secondary) = (key(1), key(2));
            assert_eq!(auth, DeviceAuth::Keys { primary, secondary });
        }
    }

    #[test]
    fn a_wrong_key_is_a_mismatch_even_if_the_token_has_expired() {
        for expires in [0, NOW.seconds() + 60] {
            let answer = judge("dev-1", false, token(&key(3), "dev-1", expires), NOW);
            assert!(matches!(answer, Err(AttestError::Mismatch { .. })));
        }
    }

    #[test]
    fn a_token_of_another_device_is_a_mismatch() {
        let answer = judge("dev-2", false, fresh(&key(1), "dev-1"), NOW);
        assert!(matches!(answer, Err(AttestError::Mismatch { .. })));
    }

    #[test]
    fn what_is_not_a_token_is_malformed() {
        let answer = judge("dev-1", false, "SharedAccessSignature sr=a".to_owned(), NOW);
        assert!(matches!(answer, Err(AttestError::Malformed(_))));
    }

    #[test]
    fn a_clock_may_be_five_minutes_behind_and_no_more() {
        let expires = NOW.seconds();
        let text = || token(&key(1), "dev-1", expires);
        assert!(judge("dev-1", false, text(), NOW.plus(SKEW)).is_ok());
        let late = Timestamp(NOW.plus(SKEW).0 + 1);
        let answer = judge("dev-1", false, text(), late);
        assert!(matches!(answer, Err(AttestError::Expired { .. })));
    }

    #[test]
    fn an_expiry_beyond_all_counting_is_good() {
        let resource = format!("{SCOPE}/registrations/dev-1");
        let expires = "9".repeat(40);
        let signature = STANDARD.encode(hmac(key(1).expose(), &[&resource, "\n", &expires]));
        let text = format!("SharedAccessSignature sr={resource}&sig={signature}&se={expires}");
        assert!(judge("dev-1", false, text, NOW).is_ok());
    }

    #[test]
    fn a_device_of_a_group_uses_a_key_derived_for_its_id_in_either_spelling() {
        for (spelling, group_key) in [("Dev-1", 1), ("Dev-1", 2), ("dev-1", 1), ("dev-1", 2)] {
            let own = derive_device_key(&key(group_key), spelling);
            let auth = judge("Dev-1", true, fresh(&own, "Dev-1"), NOW).unwrap();
            let primary = derive_device_key(&key(1), spelling);
            let secondary = derive_device_key(&key(2), spelling);
            assert_eq!(auth, DeviceAuth::Keys { primary, secondary });
        }
    }

    #[test]
    fn a_key_derived_for_another_device_is_a_mismatch() {
        let other = derive_device_key(&key(1), "dev-2");
        let answer = judge("dev-1", true, fresh(&other, "dev-1"), NOW);
        assert!(matches!(answer, Err(AttestError::Mismatch { .. })));
    }

    #[test]
    fn the_key_of_a_group_is_nobodys_own_key() {
        let answer = judge("dev-1", true, fresh(&key(1), "dev-1"), NOW);
        assert!(matches!(answer, Err(AttestError::Mismatch { .. })));
    }

    #[test]
    fn a_key_derived_from_an_individual_key_is_a_mismatch() {
        let derived = derive_device_key(&key(1), "dev-1");
        let answer = judge("dev-1", false, fresh(&derived, "dev-1"), NOW);
        assert!(matches!(answer, Err(AttestError::Mismatch { .. })));
    }

    #[test]
    fn device_keys_are_derived_as_the_service_documents_it() {
        let group_key = STANDARD
            .decode("8isrFI1sGsIlvvFSSFRiMfCNzv21fjbE/+ah/lSh3lF8e2YG1Te7w1KpZhJFFXJrqYKi9yegxkqIChbqOS9Egw==")
            .unwrap();
        let own = derive_device_key(
            &SecretBytes::new(group_key),
            "sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6",
        );
        assert_eq!(
            STANDARD.encode(own.expose()),
            "Jsm0lyGpjaVYVP2g3FnmnmG9dI/9qU24wNoykUmermc="
        );
    }

    proptest! {
        #[test]
        fn one_changed_character_of_a_token_makes_it_worthless(at in 0..1000_usize, to in "[0-9a-zA-Z%&=+/]") {
            let text = fresh(&key(1), "dev-1");
            let at = at % text.len();
            let changed = format!("{}{to}{}", &text[..at], &text[at + 1..]);
            prop_assume!(!changed.eq_ignore_ascii_case(&text));
            prop_assert!(judge("dev-1", false, changed, NOW).is_err());
        }
    }
}
