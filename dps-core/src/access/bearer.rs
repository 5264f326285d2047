//! Tokens of OpenID providers, and who tells whether they are.

use std::fmt;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::Issuer;
use crate::json;
use crate::store::BoxError;
use crate::time::Timestamp;

/// The longest token of an OpenID provider that is looked at, in bytes. Our choice; usual ones have 1,000 to
/// 3,000. What carries it may take less: HTTP has a limit to heads.
pub const MAX_BEARER_TOKEN_BYTES: usize = 16 * 1024;

const SCHEME: &str = "Bearer ";

/// A token of an OpenID provider as an operator shows it. Nothing of it is verified.
///
/// # Source
/// RFC 6750 for the header, RFC 7515 for the three parts, RFC 7519 for what stands in them.
pub struct BearerToken<'a> {
    text: &'a str,
    signed: &'a str,
    header: &'a str,
    signature: Vec<u8>,
    claims: Claims,
}

impl<'a> BearerToken<'a> {
    /// Reads `Bearer header.claims.signature`, the scheme in any case of letters. `None` if it is none, or too
    /// long, or if its claims are no JSON that [`json::parse`] takes.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let (scheme, text) = text.split_at_checked(SCHEME.len())?;
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if !scheme.eq_ignore_ascii_case(SCHEME)
            || text.len() > MAX_BEARER_TOKEN_BYTES
            || !text.bytes().all(known)
        {
            return None;
        }
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let claims = object(claims)?;
        Some(Self {
            text,
            signed,
            header,
            signature: URL_SAFE_NO_PAD.decode(signature).ok()?,
            claims: Claims(claims),
        })
    }

    /// Who made it, as it says itself: its `iss`.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.claims.text("iss")
    }

    /// The token without its scheme. Whoever has it may do what it is good for.
    #[must_use]
    pub const fn expose(&self) -> &'a str {
        self.text
    }

    /// What its header says; `None` if that is no JSON object.
    #[must_use]
    pub fn header(&self) -> Option<Map<String, Value>> {
        object(self.header)
    }

    /// The text that the signature covers.
    #[must_use]
    pub const fn signed(&self) -> &'a str {
        self.signed
    }

    /// Its signature.
    #[must_use]
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// What it says, which anybody could have written.
    #[must_use]
    pub const fn unverified(&self) -> &Claims {
        &self.claims
    }
}

impl fmt::Debug for BearerToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BearerToken(..)")
    }
}

/// A part of a token, which holds a JSON object.
fn object(part: &str) -> Option<Map<String, Value>> {
    let bytes = URL_SAFE_NO_PAD.decode(part).ok()?;
    match json::parse(&bytes).ok()? {
        Value::Object(members) => Some(members),
        _ => None,
    }
}

/// What a token says of whoever shows it. Shown to nobody: there may be names in it.
#[derive(Clone, PartialEq)]
pub struct Claims(Map<String, Value>);

impl Claims {
    /// Takes a token's claims.
    #[must_use]
    pub const fn new(claims: Map<String, Value>) -> Self {
        Self(claims)
    }

    /// The claim of this name.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// The claim of this name, if it is a text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.value(name).and_then(Value::as_str)
    }

    /// A claim that is one text or an array of them; empty if it is anything else.
    #[must_use]
    pub fn texts(&self, name: &str) -> Vec<&str> {
        match self.value(name) {
            Some(Value::String(text)) => vec![text],
            Some(Value::Array(texts)) => {
                let texts: Option<_> = texts.iter().map(Value::as_str).collect();
                texts.unwrap_or_default()
            }
            _ => Vec::new(),
        }
    }
}

impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Claims({})", self.0.len())
    }
}

/// Tells whether a token is of the provider that it names, and good now.
///
/// Asked only about providers that the instance names to which the token is shown: a stranger cannot make it
/// call anybody else. Asked before the caller is known, at any rate that the caller likes, so an
/// implementation bounds what it does for tokens that turn out to be none.
#[async_trait]
pub trait TokenVerifier: fmt::Debug + Send + Sync + 'static {
    /// Verifies that `token` was signed by `issuer`, for its audience, and is good at `now`. Roles are not
    /// looked at.
    ///
    /// * `token`: its `iss` is `issuer`'s.
    ///
    /// Returns what the token says.
    ///
    /// # Errors
    /// [`TokenError::Refused`] if it is not good, whatever the reason; [`TokenError::Unavailable`] if that
    /// cannot be told now.
    async fn verify(
        &self,
        token: &BearerToken<'_>,
        issuer: &Issuer,
        now: Timestamp,
    ) -> Result<Claims, TokenError>;
}

/// A token lets nobody in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// It is not good. Holds why, as in "has expired", for whoever runs the node; the caller is not told, and
    /// nothing of the token stands in it.
    #[error("the token {0}")]
    Refused(&'static str),
    /// Its provider's keys are not known, and cannot be had now.
    #[error("the token cannot be verified right now")]
    Unavailable(#[source] BoxError),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encode(part: &str) -> String {
        URL_SAFE_NO_PAD.encode(part)
    }

    fn token(claims: &str) -> String {
        format!(
            "Bearer {}.{}.c2ln",
            encode(r#"{"alg":"RS256"}"#),
            encode(claims)
        )
    }

    #[test]
    fn a_token_is_taken_apart() {
        let text = token(r#"{"iss":"https://login.example","aud":["a","b"]}"#);
        for text in [text.clone(), text.replace("Bearer", "bEARER")] {
            let token = BearerToken::parse(&text).unwrap();
            assert_eq!(token.issuer(), Some("https://login.example"));
            assert_eq!(token.header().unwrap()["alg"], "RS256");
            assert_eq!(token.signature(), b"sig");
            assert_eq!(token.expose(), &text["Bearer ".len()..]);
            assert_eq!(format!("{}.c2ln", token.signed()), token.expose());
            assert_eq!(token.unverified().texts("aud"), ["a", "b"]);
        }
    }

    #[test]
    fn what_is_no_token_is_none() {
        let good = token(r#"{"iss":"https://login.example"}"#);
        assert!(BearerToken::parse(&good).is_some());
        let claims = encode(r#"{"iss":"https://login.example"}"#);
        for text in [
            String::new(),
            "Bearer".to_owned(),
            "Bearer ".to_owned(),
            "Bearer a.b".to_owned(),
            "Bearer opaque".to_owned(),
            good.replace("Bearer ", "Bearer  "),
            good.replace("Bearer ", "SharedAccessSignature "),
            format!("{good}.more"),
            format!("{good} "),
            format!("Bearer e30.{claims}="),
            format!("Bearer e30.{claims}"),
            token("[]"),
            token(r#"{"iss":"a","iss":"b"}"#),
            token(&format!("{}{}", "[".repeat(100), "]".repeat(100))),
            token(&format!(
                r#"{{"x":"{}"}}"#,
                "x".repeat(MAX_BEARER_TOKEN_BYTES)
            )),
        ] {
            assert!(BearerToken::parse(&text).is_none(), "{text}");
        }
    }

    #[test]
    fn nothing_of_a_token_is_shown() {
        let text = token(r#"{"iss":"https://login.example"}"#);
        let token = BearerToken::parse(&text).unwrap();
        assert_eq!(format!("{token:?}"), "BearerToken(..)");
        assert_eq!(format!("{:?}", token.unverified()), "Claims(1)");
    }

    proptest! {
        #[test]
        fn any_text_is_a_token_or_none(
            text in "Bearer [a-zA-Z0-9_.=-]{0,80}|\\PC{0,60}", claims in "\\PC{0,80}"
        ) {
            for text in [text, token(&claims)] {
                if let Some(token) = BearerToken::parse(&text) {
                    prop_assert_eq!(token.expose().matches('.').count(), 2);
                    let _ = token.header();
                }
            }
        }
    }
}
