//! Where a provider's keys are, and what they are.

use dps_core::json;
use serde_json::Value;

use crate::fetch::{Client, FetchError};
use crate::keys::{self, KeysError, PublicKey};

/// Finds out where the provider has its keys, and fetches them.
///
/// # Source
/// *OpenID Connect Discovery 1.0* section 4: where the document is, and that its `issuer` has to be the one that was
/// asked for.
pub(crate) async fn discover(client: &Client, issuer: &str) -> Result<Vec<PublicKey>, FetchError> {
    let address = format!(
        "{}/.well-known/openid-configuration",
        issuer.trim_end_matches('/')
    );
    let document = client.get(&address).await?;
    let keys = client.get(&keys_address(&document, issuer)?).await?;
    keys::parse(&keys).map_err(|error| {
        FetchError::Document(match error {
            KeysError::Malformed => "is no JSON web key set",
            KeysError::TooMany => "has too many keys",
            KeysError::NoneFits => "has no key that tokens could be verified with",
        })
    })
}

/// `jwks_uri` of a provider's description.
pub(crate) fn keys_address(document: &[u8], issuer: &str) -> Result<String, FetchError> {
    let document =
        json::parse(document).map_err(|_| FetchError::Document("is no JSON that is taken"))?;
    let text = |name: &str| document.get(name).and_then(Value::as_str);
    if text("issuer") != Some(issuer) {
        return Err(FetchError::Document("describes another issuer"));
    }
    let address = text("jwks_uri").ok_or(FetchError::Document("does not say where keys are"))?;
    Ok(address.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ISSUER: &str = "https://login.example/tenant/";

    #[test]
    fn a_description_is_of_the_issuer_to_the_letter() {
        let of = |issuer: &str| {
            let text = format!(r#"{{"issuer":"{issuer}","jwks_uri":"https://keys.example"}}"#);
            keys_address(text.as_bytes(), ISSUER).ok()
        };
        assert_eq!(of(ISSUER).as_deref(), Some("https://keys.example"));
        for other in [
            "https://login.example/tenant",
            "https://login.example/Tenant/",
            "https://login.example/{tenantid}/",
            "",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn what_is_no_description_is_refused() {
        for text in [
            "",
            "[]",
            "<html>",
            r#"{"issuer":"https://login.example/tenant/"}"#,
            r#"{"issuer":"https://login.example/tenant/","jwks_uri":7}"#,
        ] {
            assert!(keys_address(text.as_bytes(), ISSUER).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_document_is_a_description_or_an_error(text in "\\PC{0,100}") {
            prop_assert!(keys_address(text.as_bytes(), ISSUER).is_err());
        }
    }
}
