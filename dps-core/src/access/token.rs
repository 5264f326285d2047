//! Shared access signatures as operators' clients send them.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::id::SecretBytes;
use crate::time::Timestamp;

/// The longest token that is looked at, in bytes. Our choice; usual ones have 150 to 300.
pub const MAX_POLICY_TOKEN_BYTES: usize = 2048;

const SCHEME: &str = "SharedAccessSignature ";

/// A token of a shared access policy, taken apart. Nothing of it is verified yet.
///
/// The signature covers `sr` and `se` exactly as they stand in the text, because clients encode the same
/// host differently. Parts that are not known are ignored.
///
/// # Source
/// *Control access to DPS with shared access signatures*; the token builders of the service SDKs.
#[derive(Debug)]
pub struct PolicyToken<'a> {
    resource: &'a str,
    expiry: &'a str,
    expires: Timestamp,
    signature: Vec<u8>,
    policy: Cow<'a, str>,
}

impl<'a> PolicyToken<'a> {
    /// Reads `SharedAccessSignature sr=..&sig=..&se=..&skn=..`, the parts in any order, the scheme in
    /// any case of letters. `None` if it is none.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        if text.len() > MAX_POLICY_TOKEN_BYTES {
            return None;
        }
        let (scheme, parts) = text.split_at_checked(SCHEME.len())?;
        if !scheme.eq_ignore_ascii_case(SCHEME) {
            return None;
        }
        let (mut sr, mut sig, mut se, mut skn) = (None, None, None, None);
        for part in parts.split('&') {
            let (name, value) = part.split_once('=')?;
            let slot = match name {
                "sr" => &mut sr,
                "sig" => &mut sig,
                "se" => &mut se,
                "skn" => &mut skn,
                _ => continue,
            };
            if slot.replace(value).is_some() {
                return None;
            }
        }
        let (resource, expiry) = (sr?, se?);
        Some(Self {
            resource,
            expiry,
            expires: seconds(expiry)?,
            signature: STANDARD.decode(&*unescape(sig?)?).ok()?,
            policy: unescape(skn?)?,
        })
    }

    /// The policy that it says it is signed with.
    #[must_use]
    pub fn policy(&self) -> &str {
        &self.policy
    }

    /// From when on the token is not good any more.
    #[must_use]
    pub const fn expires(&self) -> Timestamp {
        self.expires
    }

    /// Whether it is for `host`, or for the beginning of `path` there, segment by segment.
    ///
    /// * `path`: with its leading slash. A port in the token does not count, nor the case of letters.
    #[must_use]
    pub fn covers(&self, host: &str, path: &str) -> bool {
        let Some(resource) = unescape(self.resource) else {
            return false;
        };
        let (authority, prefix) = resource.split_once('/').unwrap_or((&resource, ""));
        let name = match authority.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => authority,
        };
        let mut segments = path.trim_start_matches('/').split('/');
        let mut prefix = prefix.split('/').filter(|segment| !segment.is_empty());
        name.eq_ignore_ascii_case(host)
            && prefix.all(|segment| {
                segments
                    .next()
                    .is_some_and(|other| other.eq_ignore_ascii_case(segment))
            })
    }

    /// Whether the signature was made with `key`. Takes the same time for every wrong one.
    #[must_use]
    pub fn is_signed_with(&self, key: &SecretBytes) -> bool {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(key.expose()).expect("HMAC takes keys of any length");
        mac.update(self.resource.as_bytes());
        mac.update(b"\n");
        mac.update(self.expiry.as_bytes());
        let made = mac.finalize().into_bytes();
        made.ct_eq(&self.signature).into()
    }
}

/// A number too large to count is the far future.
fn seconds(text: &str) -> Option<Timestamp> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| Timestamp(text.parse().unwrap_or(u64::MAX).saturating_mul(1000)))
}

/// What is behind a percent-encoding, if it is text.
fn unescape(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        out.push(match byte {
            b'%' => {
                let (digits, after) = rest.split_first_chunk::<2>()?;
                rest = after;
                let [high, low] = digits.map(|digit| char::from(digit).to_digit(16));
                u8::try_from(high? * 16 + low?).ok()?
            }
            byte => *byte,
        });
    }
    String::from_utf8(out).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Signatures of each client's way to write a host, with the key 00 to 1f.
    const KNOWN: [(&str, &str); 4] = [
        (
            "mydps.azure-devices-provisioning.net",
            "JYl2DNik4aF3tvKnf7hOkBEZnMazsZSlsdRpGkzk5t8=",
        ),
        (
            "localhost:8443",
            "h5dtJTNCBbdIMrTccfDd53k0dmVNAek/52B0WL9fs6U=",
        ),
        (
            "localhost%3A8443",
            "S82VeJ/uWysBysKErSrOWOc6EliEdc5yeDssWsNAbec=",
        ),
        (
            "localhost%3a8443",
            "wvw2zM7b3yjHyMf+fm/U73xoF+8+1chXVq0bgowzc3E=",
        ),
    ];

    fn key() -> SecretBytes {
        SecretBytes::new((0..32).collect())
    }

    fn token(sr: &str, sig: &str) -> String {
        let sig = sig
            .replace('/', "%2f")
            .replace('+', "%2B")
            .replace('=', "%3d");
        format!(
            "SharedAccessSignature sr={sr}&sig={sig}&se=1893456000&skn=provisioningserviceowner"
        )
    }

    #[test]
    fn every_clients_way_to_write_a_host_verifies() {
        for (sr, sig) in KNOWN {
            let text = token(sr, sig);
            let read = PolicyToken::parse(&text).unwrap();
            assert!(read.is_signed_with(&key()), "{sr}");
            assert!(!read.is_signed_with(&SecretBytes::from([7; 32])));
            let host = if sr.starts_with("local") {
                "LOCALHOST"
            } else {
                sr
            };
            assert!(read.covers(host, "/enrollments/a"), "{sr}");
            assert!(!read.covers("other", "/enrollments/a"));
            assert_eq!(read.policy(), "provisioningserviceowner");
            assert_eq!(read.expires(), Timestamp(1_893_456_000_000));
        }
    }

    #[test]
    fn a_token_may_be_for_a_part_of_the_host() {
        let covers = |sr: &str, path: &str| {
            PolicyToken::parse(&token(sr, "AAAA"))
                .unwrap()
                .covers("h.example", path)
        };
        assert!(covers("h.example%2fEnrollments", "/enrollments/a"));
        assert!(covers("h.example/enrollments/a/", "/enrollments/A"));
        assert!(!covers("h.example/enrollments/a", "/enrollments/ab"));
        assert!(!covers("h.example/enrollments/a", "/enrollments"));
        assert!(!covers("h.example/enrollmentGroups", "/enrollments/a"));
    }

    #[test]
    fn what_is_no_token_is_none() {
        let good = token("h", "AAAA");
        assert!(PolicyToken::parse(&good.replace("SharedAccess", "sharedaccess")).is_some());
        assert!(PolicyToken::parse(&format!("{good}&x=1")).is_some());
        for (from, to) in [
            ("SharedAccessSignature ", "Bearer "),
            ("sr=h&", ""),
            ("&sig=AAAA", ""),
            ("&se=1893456000", ""),
            ("&skn=provisioningserviceowner", ""),
            ("se=1893456000", "se=soon"),
            ("se=1893456000", "se="),
            ("sig=AAAA", "sig=A%2"),
            ("sig=AAAA", "sig=!"),
            ("sr=h", "sr=h&sr=h"),
        ] {
            assert!(
                PolicyToken::parse(&good.replace(from, to)).is_none(),
                "{from} {to}"
            );
        }
        let long = format!("{good}&x={}", "x".repeat(MAX_POLICY_TOKEN_BYTES));
        assert!(PolicyToken::parse(&long).is_none());
    }
}
