//! Shared access signatures as devices send them, read without copying.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::id::{IdScope, RegistrationId};
use crate::time::Timestamp;

/// The longest token that is looked at, in bytes. Our choice; usual ones have 150 to 400.
pub const MAX_TOKEN_BYTES: usize = 2048;

const PREFIX: &str = "SharedAccessSignature ";
const KEY_NAME: &str = "registration";
const SIGNATURE_BYTES: usize = 32;
const SIGNATURE_CHARACTERS: usize = 44;

/// Why a text is not a token. Says nothing of what the token contained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SasError {
    /// More than [`MAX_TOKEN_BYTES`].
    #[error("the token is longer than {MAX_TOKEN_BYTES} bytes")]
    TooLong,
    /// It does not begin with `SharedAccessSignature` and a space.
    #[error("the token does not begin with \"SharedAccessSignature \"")]
    Prefix,
    /// A part is not one of `sr=`, `sig=`, `se=`, `skn=`.
    #[error("the token has a part that is not known")]
    Unknown,
    /// A part is there twice.
    #[error("the token has {0} twice")]
    Twice(&'static str),
    /// A part that is needed is absent or empty.
    #[error("the token has no {0}")]
    Missing(&'static str),
    /// `%` is not followed by two hexadecimal digits.
    #[error("the token has a broken percent-encoding in {0}")]
    Escape(&'static str),
    /// `sig` is not 32 bytes in base64.
    #[error("the token's sig is not 32 bytes in base64")]
    Signature,
    /// `se` is not a number of seconds.
    #[error("the token's se is not a number")]
    Expiry,
    /// `skn` names a key that does not belong to a registration.
    #[error("the token's skn is not \"registration\"")]
    KeyName,
}

/// A shared access signature, taken apart. Nothing of it is verified yet.
///
/// The signature covers `sr` and `se` exactly as they stand in the text, because clients encode the
/// same resource differently; what the resource is, is judged on the decoded text.
///
/// # Source
/// The token builders of the device SDKs: `sastoken.c` (C), `shared_access_signature.ts` (Node.js,
/// which sends `sr` unencoded and `se` last), `sastoken.py` (Python, which sends no `skn`),
/// `RegisterTask.java` (Java, which sends an empty one), `ProvisioningSasBuilder.cs` (C#).
#[derive(Clone, Copy)]
pub struct SasToken<'a> {
    resource: &'a str,
    expiry: &'a str,
    expires: Timestamp,
    signature: [u8; SIGNATURE_BYTES],
}

impl<'a> SasToken<'a> {
    /// Reads `SharedAccessSignature sr=..&sig=..&se=..[&skn=..]`, the parts in any order.
    ///
    /// # Errors
    /// [`SasError`] says which rule the text breaks.
    pub fn parse(text: &'a str) -> Result<Self, SasError> {
        if text.len() > MAX_TOKEN_BYTES {
            return Err(SasError::TooLong);
        }
        let parts = text.strip_prefix(PREFIX).ok_or(SasError::Prefix)?;
        let (mut sr, mut sig, mut se, mut skn) = (None, None, None, None);
        for part in parts.split('&') {
            let (name, value) = part.split_once('=').ok_or(SasError::Unknown)?;
            let (slot, name) = match name {
                "sr" => (&mut sr, "sr"),
                "sig" => (&mut sig, "sig"),
                "se" => (&mut se, "se"),
                "skn" => (&mut skn, "skn"),
                _ => return Err(SasError::Unknown),
            };
            if slot.replace(value).is_some() {
                return Err(SasError::Twice(name));
            }
        }
        if !matches!(skn, None | Some("" | KEY_NAME)) {
            return Err(SasError::KeyName);
        }
        let needed = |value: Option<&'a str>, name| {
            value
                .filter(|text| !text.is_empty())
                .ok_or(SasError::Missing(name))
        };
        let (resource, expiry) = (needed(sr, "sr")?, needed(se, "se")?);
        if Decoded::of(resource).any(|byte| byte.is_none()) {
            return Err(SasError::Escape("sr"));
        }
        Ok(Self {
            resource,
            expiry,
            expires: parse_expiry(expiry)?,
            signature: parse_signature(needed(sig, "sig")?)?,
        })
    }

    /// `sr` as it stands in the text, still encoded.
    #[must_use]
    pub const fn resource(&self) -> &'a str {
        self.resource
    }

    /// From when on the token is not good any more. A number too large to count is the far future.
    #[must_use]
    pub const fn expires(&self) -> Timestamp {
        self.expires
    }

    /// Whether the token is for `{scope}/registrations/{registration}`, without regard to case.
    #[must_use]
    pub fn names(&self, scope: &IdScope, registration: &RegistrationId) -> bool {
        let parts = [&**scope.folded(), "/registrations/", registration.folded()];
        let wanted = parts.into_iter().flat_map(str::bytes);
        Decoded::of(self.resource)
            .map(|byte| byte.map(|b| b.to_ascii_lowercase()))
            .eq(wanted.map(Some))
    }

    /// Whether the signature was made with `key`. Takes the same time for every wrong signature.
    #[must_use]
    pub fn is_signed_with(&self, key: &[u8]) -> bool {
        let made = hmac(key, &[self.resource, "\n", self.expiry]);
        made.ct_eq(&self.signature).into()
    }
}

impl fmt::Debug for SasToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SasToken")
            .field("resource", &self.resource)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

/// HMAC-SHA256 over the parts in a row.
pub(super) fn hmac(key: &[u8], parts: &[&str]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part.as_bytes());
    }
    mac.finalize().into_bytes().into()
}

fn parse_expiry(text: &str) -> Result<Timestamp, SasError> {
    let seconds = text.bytes().try_fold(0_u64, |sum, byte| {
        byte.is_ascii_digit().then(|| {
            sum.saturating_mul(10)
                .saturating_add(u64::from(byte - b'0'))
        })
    });
    let seconds = seconds.ok_or(SasError::Expiry)?;
    Ok(Timestamp(seconds.saturating_mul(1000)))
}

fn parse_signature(text: &str) -> Result<[u8; SIGNATURE_BYTES], SasError> {
    let mut encoded = [0; SIGNATURE_CHARACTERS];
    let mut length = 0;
    for byte in Decoded::of(text) {
        let byte = byte.ok_or(SasError::Escape("sig"))?;
        *encoded.get_mut(length).ok_or(SasError::Signature)? = byte;
        length += 1;
    }
    let mut signature = [0; SIGNATURE_BYTES + 1];
    let decoded = STANDARD.decode_slice(&encoded[..length], &mut signature);
    match (decoded, signature.first_chunk()) {
        (Ok(SIGNATURE_BYTES), Some(signature)) => Ok(*signature),
        _ => Err(SasError::Signature),
    }
}

/// The bytes behind a percent-encoding; `None` once, as the last, where it is broken. `+` is a plus.
struct Decoded<'a> {
    rest: &'a [u8],
}

impl<'a> Decoded<'a> {
    const fn of(text: &'a str) -> Self {
        Self {
            rest: text.as_bytes(),
        }
    }
}

impl Iterator for Decoded<'_> {
    type Item = Option<u8>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.rest {
            [] => None,
            [b'%', high, low, rest @ ..]
                if let (Some(high), Some(low)) = (nibble(*high), nibble(*low)) =>
            {
                self.rest = rest;
                Some(Some(high << 4 | low))
            }
            [b'%', ..] => {
                self.rest = &[];
                Some(None)
            }
            [byte, rest @ ..] => {
                self.rest = rest;
                Some(Some(*byte))
            }
        }
    }
}

const fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
