//! Devices that prove themselves with a TPM: they sign with a key that only their TPM can unwrap.
//!
//! The key of a challenge is derived, not stored: from a secret of the instance, the device, its two
//! keys, and the time. Any node can check the answer, and nothing secret waits in the store. What is
//! signed with it is good for as long as the key is, so a token sent twice does the same twice.

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{AttestError, AttestRequest, Evidence, SasToken};
use crate::crypto::{Crypto, CryptoError};
use crate::id::{IdScope, RegistrationId, SecretBytes};
use crate::time::Timestamp;
use crate::tpm::{PublicKey, TpmKeys};

/// For how long a challenge is made with the same key; the one before counts too. Our choice; the
/// service names no number.
const WINDOW: Duration = Duration::from_secs(10 * 60);

/// Says in the derivation what it is for. Part of what nodes of one service must agree on.
const PURPOSE: &[u8] = b"tpm challenge 1";

/// What a TPM has to unwrap and sign with: the bytes for the device.
///
/// * `nonce_key`: the secret of the instance.
///
/// The same for every caller, enrolled or not. Whoever does not hold both keys cannot open it.
pub(crate) fn challenge(
    crypto: &Crypto,
    nonce_key: &SecretBytes,
    scope: &IdScope,
    registration: &RegistrationId,
    keys: &TpmKeys,
    now: Timestamp,
) -> Result<Vec<u8>, CryptoError> {
    let nonce = nonce(nonce_key, registration, keys, window(now));
    keys.wrap(crypto, scope, registration, &nonce)
}

/// Judges what a device has signed with its TPM, and names the keys it did it with.
pub(super) fn verify(
    request: &AttestRequest<'_>,
    enrolled: &PublicKey,
    evidence: &Evidence,
) -> Result<TpmKeys, AttestError> {
    let with = |storage_root_key: &PublicKey| TpmKeys {
        endorsement_key: enrolled.clone(),
        storage_root_key: storage_root_key.clone(),
    };
    match evidence {
        Evidence::Tpm {
            keys,
            token: Some(token),
        } => {
            if keys.endorsement_key != *enrolled {
                return Err(AttestError::mismatch(
                    "the endorsement key is not the one of the enrollment",
                ));
            }
            signed_by(request, token, std::iter::once(keys.clone()))
        }
        // One client shows its keys with the first request only (`register_once` of
        // Azure/iot-identity-service).
        Evidence::Sas { token } => signed_by(request, token, request.remembered.iter().map(with)),
        _ => Err(AttestError::mismatch(
            "the enrollment asks for a signature by its TPM",
        )),
    }
}

/// The keys, out of some, whose challenge was answered. That a token has expired is said of genuine
/// ones only.
fn signed_by(
    request: &AttestRequest<'_>,
    token: &str,
    candidates: impl Iterator<Item = TpmKeys>,
) -> Result<TpmKeys, AttestError> {
    let token = request.token(token)?;
    let nonce_key = request.nonce_key.ok_or_else(|| {
        AttestError::mismatch("the instance has no secret to make challenges from: write it again")
    })?;
    let signed = |keys: &TpmKeys| answers(&token, nonce_key, request, keys);
    let keys = candidates.into_iter().find(signed).ok_or_else(|| {
        AttestError::mismatch("the token does not answer a challenge of the last minutes")
    })?;
    request.check_expiry(&token)?;
    Ok(keys)
}

fn answers(
    token: &SasToken<'_>,
    nonce_key: &SecretBytes,
    request: &AttestRequest<'_>,
    keys: &TpmKeys,
) -> bool {
    let now = window(request.now);
    // The node that asked may be ahead of us.
    [now, now.wrapping_sub(1), now.wrapping_add(1)]
        .into_iter()
        .any(|window| {
            let nonce = nonce(nonce_key, request.registration, keys, window);
            token.is_signed_with(nonce.expose())
        })
}

/// Which period of [`WINDOW`] a moment is in.
fn window(moment: Timestamp) -> u64 {
    moment.seconds() / WINDOW.as_secs()
}

/// The key of a challenge.
fn nonce(
    nonce_key: &SecretBytes,
    registration: &RegistrationId,
    keys: &TpmKeys,
    window: u64,
) -> SecretBytes {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(nonce_key.expose()).expect("HMAC takes keys of any length");
    // Everything but the id is of fixed length, so none can be read as part of another.
    mac.update(PURPOSE);
    mac.update(&window.to_be_bytes());
    mac.update(keys.endorsement_key.name());
    mac.update(keys.storage_root_key.name());
    mac.update(registration.folded().as_bytes());
    SecretBytes::new(mac.finalize().into_bytes().to_vec())
}
