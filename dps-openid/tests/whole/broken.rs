//! Providers that are none, and those that may not be called.

use dps_core::egress::Egress;
use dps_openid::{MAX_DOCUMENT_BYTES, MAX_KEYS, OpenId, RETRY_INTERVAL};
use dps_testkit::certs::Ca;
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use crate::provider::{Mood, Provider, trusting};
use crate::signer::{Signer, published};
use crate::site::{Site, nearby};

const LATER: &str = "cannot be verified now";

#[tokio::test]
async fn answers_that_are_not_taken_give_no_keys() {
    let site = Site::open().await;
    let elsewhere = Provider::open(published(&[&site.signer])).await;
    let there = format!("{}/keys", elsewhere.url);
    for mood in [
        Mood::Status(500),
        Mood::Status(404),
        Mood::Status(204),
        Mood::Redirect(there.clone()),
        Mood::Says(Vec::new()),
        Mood::Says(b"<html>".to_vec()),
        Mood::Says(vec![b' '; MAX_DOCUMENT_BYTES + 1]),
        Mood::Says(vec![b'['; MAX_DOCUMENT_BYTES]),
    ] {
        site.provider.set(mood.clone());
        assert_eq!(site.ask(&site.token()).await, LATER, "{mood:?}");
        site.clock.advance(RETRY_INTERVAL);
    }
    assert_eq!(elsewhere.look(|state| state.connections), 0);
    site.provider.set(Mood::Well);
    assert_eq!(site.ask(&site.token()).await, "let in");
}

#[tokio::test]
async fn descriptions_and_keys_that_are_not_taken_give_no_keys() {
    let site = Site::open().await;
    let good = site
        .provider
        .look(|state| (state.description.clone(), state.keys.clone()));
    let url = site.provider.url.clone();
    let plain = format!("{}/keys", url.replace("https", "http"));
    let many = vec![site.signer.jwk(); MAX_KEYS + 1];
    let describe = |issuer: &str, at: Value| json!({"issuer": issuer, "jwks_uri": at});
    let mut large = good.0.clone();
    large["more"] = "x".repeat(MAX_DOCUMENT_BYTES).into();
    for (description, keys) in [
        (
            describe("https://login.example", json!(format!("{url}/keys"))),
            None,
        ),
        (
            describe(&format!("{url}/"), json!(format!("{url}/keys"))),
            None,
        ),
        (large, None),
        (describe(&url, json!(plain)), None),
        (describe(&url, json!("/tenant/keys")), None),
        (describe(&url, json!("file:///etc/passwd")), None),
        (describe(&url, json!("https://127.0.0.2:9/keys")), None),
        (describe(&url, json!("https://localhost/keys")), None),
        (describe(&url, json!("https://169.254.169.254/keys")), None),
        (describe(&url, json!("https://[::1]/keys")), None),
        (describe(&url, json!([url])), None),
        (good.0.clone(), Some(json!({"keys": []}))),
        (good.0.clone(), Some(json!({"keys": many}))),
        (good.0.clone(), Some(json!([]))),
        (
            good.0.clone(),
            Some(json!({"keys": [{"kty": "oct", "k": "c2VjcmV0"}]})),
        ),
    ] {
        site.provider.change(|state| {
            state.description = description.clone();
            state.keys = keys.unwrap_or_else(|| good.1.clone());
        });
        assert_eq!(site.ask(&site.token()).await, LATER, "{description}");
        site.clock.advance(RETRY_INTERVAL);
    }
}

#[tokio::test]
async fn a_provider_s_certificate_has_to_be_trusted_for_its_host() {
    let signer = Signer::new(Algorithm::ES256, "first");
    let provider = Provider::open(published(&[&signer])).await;
    let other = trusting(&Ca::root("Another root"));
    let openid = OpenId::new(other).with_egress(nearby());
    let site = Site::of(provider.clone(), signer, openid).await;
    assert_eq!(site.ask(&site.token()).await, LATER);
    assert_eq!(
        provider.look(|state| (state.connections, state.asked.len())),
        (1, 0)
    );
}

#[tokio::test]
async fn an_address_that_is_not_public_is_not_called_unless_permitted() {
    let site = Site::with(|openid| openid.with_egress(Egress::default())).await;
    assert_eq!(site.ask(&site.token()).await, LATER);
    assert_eq!(site.provider.look(|state| state.connections), 0);
}
