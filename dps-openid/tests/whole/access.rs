//! Who is let in, where, and what for.

use std::time::Duration;

use dps_core::access::{Action, Issuer, Role};
use dps_core::admin::{PolicyDraft, Precondition};
use dps_core::id::SecretBytes;
use dps_core::time::Clock;
use dps_testkit::sas::policy_token;
use jsonwebtoken::Algorithm;
use serde_json::json;

use crate::signer::{Signer, published};
use crate::site::{CONTRIBUTOR, ONE, Site, TWO};

#[tokio::test]
async fn every_algorithm_that_is_taken_lets_in() {
    use Algorithm::*;
    let site = Site::open().await;
    let rsa = Signer::new(RS256, "rsa");
    let others = [(ES256, "p256"), (ES384, "p384"), (EdDSA, "ed")];
    let others = others.map(|(algorithm, kid)| Signer::new(algorithm, kid));
    let [p256, p384, ed] = &others;
    site.provider
        .change(|state| state.keys = published(&[&rsa, p256, p384, ed]));
    let rsa = [RS256, RS384, RS512, PS256, PS384, PS512].map(|algorithm| rsa.with(algorithm));
    for signer in rsa.iter().chain(&others) {
        let answer = site.ask(&signer.sign(&site.claims())).await;
        assert_eq!(answer, "let in", "{:?}", signer.algorithm);
    }
    assert_eq!(site.provider.fetches(), 1);
}

#[tokio::test]
async fn a_key_without_a_name_is_found_if_no_other_fits() {
    let mut site = Site::open().await;
    site.signer.kid = None;
    let mut other = Signer::new(Algorithm::EdDSA, "other");
    other.kid = None;
    let keys = published(&[&site.signer, &other]);
    site.provider.change(|state| state.keys = keys);
    assert_eq!(site.ask(&site.token()).await, "let in");
    assert_eq!(site.ask(&other.sign(&site.claims())).await, "let in");
}

#[tokio::test]
async fn a_role_is_good_for_its_action_and_for_no_other() {
    let site = Site::open().await;
    for action in Action::ALL {
        let role = Role {
            name: "role".into(),
            actions: [action].into_iter().collect(),
        };
        site.roles(vec![role]).await;
        let mut claims = site.claims();
        claims["roles"] = json!(["others", "role"]);
        let token = site.signer.sign(&claims);
        for asked in Action::ALL {
            let answer = site.ask_at(ONE, &token, asked).await;
            let let_in = answer == "let in";
            assert_eq!(let_in, asked == action, "{action:?} {asked:?}");
            assert!(let_in || answer == "do not suffice", "{answer}");
        }
    }
}

#[tokio::test]
async fn roles_are_read_from_the_claim_that_the_instance_names() {
    let site = Site::open().await;
    let issuer = Issuer {
        claim: "groups".into(),
        audience: "plant".into(),
        ..Issuer::new(&site.provider.url)
    };
    site.name(ONE, issuer).await;
    let mut claims = site.claims();
    claims["aud"] = json!(["other", "plant"]);
    assert_eq!(site.ask(&site.signer.sign(&claims)).await, "do not suffice");
    claims["groups"] = json!(CONTRIBUTOR);
    assert_eq!(site.ask(&site.signer.sign(&claims)).await, "let in");
    for groups in [
        json!(null),
        json!(7),
        json!({CONTRIBUTOR: 1}),
        json!([[CONTRIBUTOR]]),
        json!(""),
    ] {
        claims["groups"] = groups.clone();
        let answer = site.ask(&site.signer.sign(&claims)).await;
        assert_eq!(answer, "do not suffice", "{groups}");
    }
}

#[tokio::test]
async fn one_tenant_s_provider_is_nobody_at_another_s_host() {
    let site = Site::open().await;
    let token = site.token();
    let stranger = "the token is of no OpenID provider of the instance";
    let read = Action::ReadEnrollments;
    assert_eq!(site.ask_at(TWO, &token, read).await, stranger);
    assert_eq!(site.provider.look(|state| state.connections), 0);
    assert_eq!(site.ask_at(ONE, &token, read).await, "let in");
    assert_eq!(site.ask_at(TWO, &token, read).await, stranger);
    // Keys are the provider's, what they are good for is each tenant's.
    let reader = Issuer {
        roles: vec![Role::reader()],
        ..Issuer::new(&site.provider.url)
    };
    site.name(TWO, reader).await;
    assert_eq!(site.ask_at(TWO, &token, read).await, "do not suffice");
    assert_eq!(site.provider.fetches(), 1);
}

#[tokio::test]
async fn a_provider_that_is_taken_away_lets_nobody_in_from_the_next_request_on() {
    let site = Site::open().await;
    let token = site.token();
    assert_eq!(site.ask(&token).await, "let in");
    site.name(ONE, Issuer::new("https://login.example")).await;
    assert_eq!(
        site.ask(&token).await,
        "the token is of no OpenID provider of the instance"
    );
}

#[tokio::test]
async fn shared_access_policies_can_be_turned_off() {
    let site = Site::open().await;
    let admin = site.admin(ONE);
    let key = SecretBytes::new(vec![7; 32]);
    let draft = PolicyDraft {
        name: "owner".into(),
        primary: Some(key.clone()),
        secondary: None,
        rights: dps_core::access::Rights::ALL,
    };
    admin.put_policy(draft, Precondition::Any).await.unwrap();
    let expires = site.clock.now().plus(Duration::from_secs(3600));
    let policy = policy_token(&key, "owner", ONE, expires);
    assert_eq!(site.ask(&policy).await, "let in");
    for (disabled, answer) in [
        (
            true,
            "the instance takes no tokens of shared access policies",
        ),
        (false, "let in"),
    ] {
        let set = admin.set_disable_local_auth(disabled, Precondition::Any);
        assert_eq!(set.await.unwrap().value, disabled);
        assert_eq!(site.ask(&policy).await, answer);
        assert_eq!(site.ask(&site.token()).await, "let in");
    }
}
