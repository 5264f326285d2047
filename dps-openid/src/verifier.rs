//! Whether a token is good.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dps_core::access::{BearerToken, Claims, Issuer, TokenError, TokenVerifier};
use dps_core::attest::SKEW;
use dps_core::crypto::Crypto;
use dps_core::egress::Egress;
use dps_core::time::Timestamp;
use lru::LruCache;
use parking_lot::Mutex;
use rustls::ClientConfig;
use serde_json::{Map, Value};

use crate::algorithm::Algorithm;
use crate::fetch::Client;
use crate::keys::MAX_KID_BYTES;
use crate::provider::{Fetcher, Provider};

/// Of how many providers keys are kept. Our choice: about 10 MB at the worst of usual ones.
pub const MAX_PROVIDERS: NonZeroUsize = NonZeroUsize::new(1000).unwrap();

/// How long fetching a provider's keys may take, two documents in all, unless set.
pub const FETCH_TIME: Duration = Duration::from_secs(5);

/// Verifies tokens with the keys that their providers publish.
///
/// Needs tokio's runtime. Keys are kept for all instances of the process together, because they are the
/// provider's; what a token is good for is each instance's.
#[derive(Debug)]
pub struct OpenId {
    fetcher: Fetcher,
    crypto: Option<Crypto>,
    providers: Mutex<LruCache<Arc<str>, Arc<Provider>>>,
}

impl OpenId {
    /// Trusts providers' servers as `tls` does. Calls public addresses only.
    #[must_use]
    pub fn new(tls: Arc<ClientConfig>) -> Self {
        Self {
            fetcher: Fetcher {
                client: Client::new(tls),
                time: FETCH_TIME,
            },
            crypto: Crypto::built_in(),
            providers: Mutex::new(LruCache::new(MAX_PROVIDERS)),
        }
    }

    /// Calls whom `egress` permits. Default: [`Egress::default`], because a provider is what a tenant's operator
    /// writes.
    #[must_use]
    pub fn with_egress(mut self, egress: Egress) -> Self {
        self.fetcher.client = self.fetcher.client.with_egress(egress);
        self
    }

    /// Sets how long fetching keys may take. Default: [`FETCH_TIME`]. Operators wait that long for a provider that
    /// does not answer, so it has to be less than their transport takes for an answer.
    #[must_use]
    pub const fn with_fetch_time(mut self, time: Duration) -> Self {
        self.fetcher.time = time;
        self
    }

    /// Verifies signatures with these primitives. Default: [`Crypto::built_in`]; without any, every token is
    /// refused.
    #[must_use]
    pub const fn with_crypto(mut self, crypto: Crypto) -> Self {
        self.crypto = Some(crypto);
        self
    }

    fn provider(&self, issuer: &Arc<str>) -> Arc<Provider> {
        let mut providers = self.providers.lock();
        let made = || Arc::new(Provider::new(issuer));
        Arc::clone(providers.get_or_insert(Arc::clone(issuer), made))
    }

    async fn judge(
        &self,
        token: &BearerToken<'_>,
        issuer: &Issuer,
        now: Timestamp,
    ) -> Result<(), TokenError> {
        let crypto = self
            .crypto
            .ok_or(TokenError::Refused("meets no primitives"))?;
        // What costs nothing comes first: keys are fetched for no token that is not good anyway.
        let header = token.header().ok_or(TokenError::Refused("has no header"))?;
        let (algorithm, kid) = read_header(&header).map_err(TokenError::Refused)?;
        check_claims(token.unverified(), issuer, now).map_err(TokenError::Refused)?;
        let provider = self.provider(&issuer.url);
        let key = provider.key(&self.fetcher, (algorithm, kid), now).await?;
        if algorithm.verifies(&crypto, &key.bytes, token.signed(), token.signature()) {
            return Ok(());
        }
        Err(TokenError::Refused("has a wrong signature"))
    }
}

#[async_trait]
impl TokenVerifier for OpenId {
    async fn verify(
        &self,
        token: &BearerToken<'_>,
        issuer: &Issuer,
        now: Timestamp,
    ) -> Result<Claims, TokenError> {
        let judged = self.judge(token, issuer, now).await;
        if let Err(error) = &judged {
            tracing::debug!(issuer = %issuer.url, %error, "a token lets nobody in");
        }
        judged.map(|()| token.unverified().clone())
    }
}

/// Which algorithm, and the name of which key.
///
/// # Source
/// RFC 7515 section 4.1.11, for `crit`: we understand no extension. RFC 8725 section 3.11 and RFC 9068, for
/// `typ`.
fn read_header(header: &Map<String, Value>) -> Result<(Algorithm, Option<&str>), &'static str> {
    let text = |name: &str| match header.get(name) {
        Some(value) => value.as_str().map(Some),
        None => Some(None),
    };
    if header.contains_key("crit") {
        return Err("asks for an extension");
    }
    let typ = text("typ").ok_or("is of no type")?.unwrap_or("JWT");
    let known = ["JWT", "at+jwt", "application/jwt", "application/at+jwt"];
    if !known.iter().any(|known| known.eq_ignore_ascii_case(typ)) {
        return Err("is of another type");
    }
    let algorithm = text("alg").flatten().and_then(Algorithm::parse);
    let algorithm = algorithm.ok_or("is signed in a way that is not taken")?;
    let kid = text("kid").ok_or("has no name of a key")?;
    if kid.is_some_and(|kid| kid.len() > MAX_KID_BYTES) {
        return Err("has too long a name of a key");
    }
    Ok((algorithm, kid))
}

/// That the claims are good now, here.
///
/// # Source
/// RFC 7519 section 4.1; that `exp` has to be there is ours.
fn check_claims(claims: &Claims, issuer: &Issuer, now: Timestamp) -> Result<(), &'static str> {
    if claims.text("iss") != Some(&*issuer.url) {
        return Err("is of another issuer");
    }
    if !claims.texts("aud").contains(&&*issuer.audience) {
        return Err("is for another audience");
    }
    let moment = |name: &str| match claims.value(name) {
        Some(value) => value.as_f64().map(|seconds| Some(seconds * 1000.0)),
        None => Some(None),
    };
    let (now, skew) = (millis(now.0), SKEW.as_secs_f64() * 1000.0);
    let expires = moment("exp")
        .flatten()
        .ok_or("does not say until when it is good")?;
    if expires + skew <= now {
        return Err("has expired");
    }
    let begins = moment("nbf").ok_or("does not say from when on it is good")?;
    if begins.is_some_and(|begins| begins > now + skew) {
        return Err("is not good yet");
    }
    Ok(())
}

/// Exact for some hundred thousand years.
#[expect(clippy::cast_precision_loss, reason = "what is lost is far away")]
const fn millis(moment: u64) -> f64 {
    moment as f64
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp(1_700_000_000_500);

    fn header(value: &Value) -> Result<(), &'static str> {
        read_header(value.as_object().unwrap()).map(drop)
    }

    fn claims(change: impl FnOnce(&mut Value)) -> Result<(), &'static str> {
        let issuer = Issuer {
            audience: "us".into(),
            ..Issuer::new("https://login.example")
        };
        let mut value = json!({"iss": "https://login.example", "aud": "us", "exp": 1_700_003_600, "nbf": 1_699_999_999});
        change(&mut value);
        check_claims(
            &Claims::new(value.as_object().unwrap().clone()),
            &issuer,
            NOW,
        )
    }

    #[test]
    fn a_header_names_an_algorithm_that_is_taken_and_asks_for_nothing_more() {
        for good in [
            json!({"alg": "RS256"}),
            json!({"alg": "ES384", "typ": "jwt", "kid": "k", "x5t": "x"}),
            json!({"alg": "EdDSA", "typ": "at+JWT"}),
        ] {
            header(&good).unwrap();
        }
        for bad in [
            json!({}),
            json!({"alg": "none"}),
            json!({"alg": "HS256"}),
            json!({"alg": ["RS256"]}),
            json!({"alg": "RS256", "crit": ["exp"]}),
            json!({"alg": "RS256", "crit": null}),
            json!({"alg": "RS256", "kid": 7}),
            json!({"alg": "RS256", "kid": "k".repeat(257)}),
            json!({"alg": "RS256", "typ": "logout+jwt"}),
            json!({"alg": "RS256", "typ": 7}),
        ] {
            assert!(header(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn claims_are_of_the_issuer_for_the_audience_and_now() {
        claims(|_| {}).unwrap();
        claims(|value| value["aud"] = json!(["others", "us"])).unwrap();
        claims(|value| value["exp"] = json!(1_700_003_600.25)).unwrap();
        claims(|value| value["exp"] = json!(1e300)).unwrap();
        claims(|value| drop(value.as_object_mut().unwrap().remove("nbf"))).unwrap();
        for (name, value) in [
            ("iss", json!("https://login.example/")),
            ("iss", json!(["https://login.example"])),
            ("aud", json!("US")),
            ("aud", json!("us/")),
            ("aud", json!([])),
            ("aud", json!(["us", 7])),
            ("aud", json!({"us": true})),
            ("exp", json!("1700003600")),
            ("exp", json!(null)),
            ("exp", json!(0)),
            ("exp", json!(-1)),
            ("nbf", json!("1699999999")),
            ("nbf", json!(null)),
            ("nbf", json!(1e300)),
        ] {
            assert!(
                claims(|claims| claims[name] = value.clone()).is_err(),
                "{name} {value}"
            );
        }
        for name in ["iss", "aud", "exp"] {
            assert!(claims(|claims| drop(claims.as_object_mut().unwrap().remove(name))).is_err());
        }
    }

    #[test]
    fn clocks_may_be_five_minutes_apart() {
        claims(|value| value["exp"] = json!(1_700_000_000 - 299)).unwrap();
        assert_eq!(
            claims(|value| value["exp"] = json!(1_700_000_000 - 300)),
            Err("has expired")
        );
        claims(|value| value["nbf"] = json!(1_700_000_000 + 300)).unwrap();
        assert_eq!(
            claims(|value| value["nbf"] = json!(1_700_000_000 + 301)),
            Err("is not good yet")
        );
    }
}
