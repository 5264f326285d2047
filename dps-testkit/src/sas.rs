//! Tokens as the device SDKs make them, and those for operators.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
pub use dps_core::attest::derive_device_key;
use dps_core::id::SecretBytes;
use dps_core::time::Timestamp;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Whose way of writing a token.
///
/// # Source
/// `sastoken.c` and `prov_auth_client.c` (C), `shared_access_signature.ts` (Node.js), `sastoken.py`
/// (Python), `ProvisioningSasBuilder.cs` (C#), `RegisterTask.java` (Java), `connector.rs` of
/// iot-identity-service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Spelling {
    /// Escapes in lower-case hexadecimal.
    C,
    /// The resource is not escaped, and the expiry comes last.
    Node,
    /// No name of a key.
    Python,
    /// Escapes in upper-case hexadecimal.
    CSharp,
    /// The resource is not escaped, and the name of the key is empty.
    Java,
    /// The whole resource in lower case.
    IdentityService,
}

impl Spelling {
    /// Each of them.
    pub const ALL: [Self; 6] = [
        Self::C,
        Self::Node,
        Self::Python,
        Self::CSharp,
        Self::Java,
        Self::IdentityService,
    ];
}

/// A token in the spelling of the C# SDK.
///
/// * `key`: the device's own key, decoded; for a device of a group the derived one
///   ([`derive_device_key`]).
/// * `scope`, `registration`: taken as they are, also if they are no names.
/// * `expires`: cut to whole seconds.
#[must_use]
pub fn token(key: &SecretBytes, scope: &str, registration: &str, expires: Timestamp) -> String {
    token_as(Spelling::CSharp, key, scope, registration, expires)
}

/// A token in anybody's spelling; otherwise as [`token`].
#[must_use]
pub fn token_as(
    spelling: Spelling,
    key: &SecretBytes,
    scope: &str,
    registration: &str,
    expires: Timestamp,
) -> String {
    let resource = format!("{scope}/registrations/{registration}");
    let resource = match spelling {
        Spelling::Node | Spelling::Java => resource,
        Spelling::C => escape(&resource, false),
        Spelling::Python | Spelling::CSharp => escape(&resource, true),
        Spelling::IdentityService => escape(&resource.to_ascii_lowercase(), true),
    };
    let se = expires.seconds();
    let sig = escape(
        &sign(key, &format!("{resource}\n{se}")),
        spelling != Spelling::C,
    );
    let parts = match spelling {
        Spelling::Node => format!("sig={sig}&skn=registration&se={se}"),
        Spelling::Python => format!("sig={sig}&se={se}"),
        Spelling::Java => format!("sig={sig}&se={se}&skn="),
        Spelling::C | Spelling::CSharp | Spelling::IdentityService => {
            format!("sig={sig}&se={se}&skn=registration")
        }
    };
    format!("SharedAccessSignature sr={resource}&{parts}")
}

/// A token of a shared access policy, for whoever operates an instance.
///
/// * `key`: one of the policy's, decoded.
/// * `policy`: its name.
/// * `resource`: the host of the service API, and perhaps the beginning of a path; as it is written,
///   escaped or not.
/// * `expires`: cut to whole seconds.
#[must_use]
pub fn policy_token(key: &SecretBytes, policy: &str, resource: &str, expires: Timestamp) -> String {
    let se = expires.seconds();
    let sig = escape(&sign(key, &format!("{resource}\n{se}")), true);
    let skn = escape(policy, true);
    format!("SharedAccessSignature sr={resource}&sig={sig}&skn={skn}&se={se}")
}

/// HMAC-SHA256 over `text`, in base64.
fn sign(key: &SecretBytes, text: &str) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(key.expose()).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

fn escape(text: &str, upper: bool) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for byte in text.bytes() {
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' => {
                out.push(char::from(byte));
            }
            _ if upper => out.push_str(&format!("%{byte:02X}")),
            _ => out.push_str(&format!("%{byte:02x}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use dps_core::access::PolicyToken;
    use dps_core::attest::SasToken;
    use dps_core::id::{IdScope, RegistrationId};

    const EXPIRES: Timestamp = Timestamp(1_700_000_000_000);

    fn key() -> SecretBytes {
        SecretBytes::new((0..32).collect())
    }

    #[test]
    fn every_spelling_is_understood() {
        let scope = IdScope::parse("0ne00111111").unwrap();
        let registration = RegistrationId::parse("Dev:1").unwrap();
        for spelling in Spelling::ALL {
            let text = token_as(spelling, &key(), "0ne00111111", "Dev:1", EXPIRES);
            let read = SasToken::parse(&text).unwrap();
            assert!(read.names(&scope, &registration), "{text}");
            assert!(read.is_signed_with(key().expose()), "{text}");
            assert_eq!(read.expires(), EXPIRES);
        }
    }

    #[test]
    fn the_token_of_a_policy_is_understood() {
        let text = policy_token(&key(), "my policy", "dps.example.net%3A443", EXPIRES);
        let read = PolicyToken::parse(&text).unwrap();
        assert_eq!(read.policy(), "my policy");
        assert!(read.covers("DPS.example.net", "/enrollments/a"));
        assert!(read.is_signed_with(&key()));
        assert_eq!(read.expires(), EXPIRES);
    }

    #[test]
    fn signatures_are_the_known_ones() {
        for (spelling, signature) in [
            (
                Spelling::CSharp,
                "kgK%2FatO8STnEL4We%2BbUNjPQ6ioD5HAMdJ%2FajhXtC1jk%3D",
            ),
            (
                Spelling::Python,
                "kgK%2FatO8STnEL4We%2BbUNjPQ6ioD5HAMdJ%2FajhXtC1jk%3D",
            ),
        ] {
            let text = token_as(spelling, &key(), "0ne00111111", "Dev-1", EXPIRES);
            assert!(
                text.contains(&format!("&sig={signature}&se=1700000000")),
                "{text}"
            );
        }
        let java = token_as(Spelling::Java, &key(), "0ne00111111", "dev-1", EXPIRES);
        assert_eq!(
            java,
            "SharedAccessSignature sr=0ne00111111/registrations/dev-1\
             &sig=HHU74ofC2MSBHoD9tnU%2BZfN13Y8S66N8NaxX6SbtFng%3D&se=1700000000&skn="
        );
        let c = token_as(Spelling::C, &key(), "0ne00111111", "dev-1", EXPIRES);
        assert_eq!(
            c,
            "SharedAccessSignature sr=0ne00111111%2fregistrations%2fdev-1\
             &sig=il86k1RNHOxjRX6aMoWZQAzJKB77GY6sdc9oRS%2b9JyU%3d&se=1700000000&skn=registration"
        );
    }
}
