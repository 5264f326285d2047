//! Tokens that are none.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dps_core::time::Clock;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use crate::signer::{Signer, published};
use crate::site::Site;

const TAKEN: &str = "is signed in a way that is not taken";
const SIGNATURE: &str = "has a wrong signature";

/// A token with any header and any signature.
fn made(header: &Value, claims: &Value, signature: &[u8]) -> String {
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let (header, claims) = (header.to_string(), claims.to_string());
    let (header, claims) = (encode(header.as_bytes()), encode(claims.as_bytes()));
    format!("Bearer {header}.{claims}.{}", encode(signature))
}

#[tokio::test]
async fn a_token_without_signature_is_refused() {
    let site = Site::open().await;
    let claims = site.claims();
    for name in ["none", "None", "NONE", ""] {
        for signature in [&b""[..], b"signature"] {
            let token = made(&json!({"alg": name, "kid": "first"}), &claims, signature);
            assert_eq!(site.ask(&token).await, TAKEN, "{name}");
        }
    }
    let empty = made(&json!({"alg": "ES256", "kid": "first"}), &claims, b"");
    assert_eq!(site.ask(&empty).await, SIGNATURE);
}

#[tokio::test]
async fn a_public_key_is_no_secret_to_sign_with() {
    let site = Site::open().await;
    let rsa = Signer::new(Algorithm::RS256, "rsa");
    site.provider
        .change(|state| state.keys = published(&[&rsa]));
    assert_eq!(site.ask(&rsa.sign(&site.claims())).await, "let in");
    let jwk = rsa.jwk();
    let modulus = jwk["n"].as_str().unwrap();
    let secrets = [
        modulus.as_bytes().to_vec(),
        URL_SAFE_NO_PAD.decode(modulus).unwrap(),
        jwk.to_string().into_bytes(),
        Vec::new(),
    ];
    for secret in secrets {
        for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
            let mut header = Header::new(algorithm);
            header.kid = Some("rsa".to_owned());
            let key = EncodingKey::from_secret(&secret);
            let token = encode(&header, &site.claims(), &key).unwrap();
            assert_eq!(site.ask(&format!("Bearer {token}")).await, TAKEN);
        }
    }
}

#[tokio::test]
async fn a_provider_that_publishes_a_secret_makes_it_none_the_better() {
    let site = Site::open().await;
    let secret = json!({"kty": "oct", "k": URL_SAFE_NO_PAD.encode("secret"), "kid": "secret", "alg": "HS256"});
    let keys = json!({"keys": [secret, site.signer.jwk()]});
    site.provider.change(|state| state.keys = keys);
    let mut header = Header::new(Algorithm::HS256);
    header.kid = Some("secret".to_owned());
    let token = encode(
        &header,
        &site.claims(),
        &EncodingKey::from_secret(b"secret"),
    )
    .unwrap();
    assert_eq!(site.ask(&format!("Bearer {token}")).await, TAKEN);
    assert_eq!(site.ask(&site.token()).await, "let in");
}

#[tokio::test]
async fn a_token_of_another_key_or_changed_on_the_way_is_refused() {
    let site = Site::open().await;
    let forger = Signer::new(Algorithm::ES256, "first");
    assert_eq!(site.ask(&forger.sign(&site.claims())).await, SIGNATURE);
    let token = site.token();
    let parts: Vec<_> = token.split('.').collect();
    let mut claims = site.claims();
    claims["sub"] = "somebody else".into();
    let other = site.signer.sign(&claims);
    let others: Vec<_> = other.split('.').collect();
    for forged in [
        format!("{}.{}.{}", parts[0], others[1], parts[2]),
        format!("{}.{}.{}", parts[0], parts[1], others[2]),
    ] {
        assert_eq!(site.ask(&forged).await, SIGNATURE);
    }
    let fitting = made(
        &json!({"alg": "ES256", "kid": "first"}),
        &site.claims(),
        &[0; 64],
    );
    assert_eq!(site.ask(&fitting).await, SIGNATURE);
    assert_eq!(site.ask(&token).await, "let in");
}

#[tokio::test]
async fn the_algorithm_has_to_fit_the_key() {
    let site = Site::open().await;
    let rsa = Signer::new(Algorithm::RS256, "rsa");
    let mut only = rsa.jwk();
    only["alg"] = "PS256".into();
    site.provider
        .change(|state| state.keys = json!({"keys": [only, site.signer.jwk()]}));
    let unknown = "is signed with a key that is not known";
    assert_eq!(site.ask(&rsa.sign(&site.claims())).await, unknown);
    let pss = rsa.with(Algorithm::PS256);
    assert_eq!(site.ask(&pss.sign(&site.claims())).await, "let in");
    let curve = made(
        &json!({"alg": "ES256", "kid": "rsa"}),
        &site.claims(),
        &[1; 64],
    );
    assert_eq!(site.ask(&curve).await, unknown);
    let other = made(
        &json!({"alg": "ES384", "kid": "first"}),
        &site.claims(),
        &[1; 96],
    );
    assert_eq!(site.ask(&other).await, unknown);
}

#[tokio::test]
async fn claims_that_do_not_hold_let_nobody_in_and_fetch_nothing() {
    let site = Site::open().await;
    let now = site.clock.now().seconds();
    for (name, value, answer) in [
        (
            "aud",
            json!("https://azure-devices-provisioning.net/"),
            "is for another audience",
        ),
        (
            "aud",
            json!(["https://management.azure.com"]),
            "is for another audience",
        ),
        ("aud", json!(null), "is for another audience"),
        ("exp", json!(now - 300), "has expired"),
        ("exp", json!(null), "does not say until when it is good"),
        ("nbf", json!(now + 301), "is not good yet"),
    ] {
        let mut claims = site.claims();
        claims[name] = value;
        assert_eq!(site.ask(&site.signer.sign(&claims)).await, answer, "{name}");
        claims.as_object_mut().unwrap().remove(name);
        let without = site.ask(&site.signer.sign(&claims)).await;
        assert_eq!(without == "let in", name == "nbf", "{name}: {without}");
    }
    // Only the token without `nbf` was looked at any further.
    assert_eq!(site.provider.fetches(), 1);
    let mut claims = site.claims();
    for issuer in [
        json!("https://login.example"),
        json!(null),
        json!([site.provider.url]),
    ] {
        claims["iss"] = issuer;
        assert_eq!(
            site.ask(&site.signer.sign(&claims)).await,
            "the token is of no OpenID provider of the instance"
        );
    }
}

#[tokio::test]
async fn what_is_no_token_at_all_is_refused() {
    let site = Site::open().await;
    let long = format!("{}.{}", site.token(), "x".repeat(17 * 1024));
    for text in [
        "Bearer",
        "Bearer ",
        "Bearer a.b.c",
        "Bearer ..",
        "Basic YTpi",
        &long,
    ] {
        assert_eq!(site.ask(text).await, "the caller shows no token");
    }
    let head = made(&json!([]), &site.claims(), b"x");
    assert_eq!(site.ask(&head).await, "has no header");
    assert_eq!(site.provider.look(|state| state.connections), 0);
}
