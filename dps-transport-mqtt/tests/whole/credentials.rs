//! Each way to prove oneself, in both modes of answering; and what is told to those who cannot.

use dps_core::id::SecretBytes;
use dps_core::time::Clock;
use dps_testkit::certs::{Ca, Identity};
use dps_testkit::sas;

use crate::common::{Line, peer};
use crate::site::*;

/// Both modes: to the end in the first answer, and by polling.
async fn both() -> [(bool, Site); 2] {
    [
        (true, Site::open().await),
        (false, Site::open().await.without_grace()),
    ]
}

async fn is_assigned(site: &Site, at_once: bool, mut line: Line, device: &str) {
    let first = line.register().await;
    let topic = "$dps/registrations/res";
    if at_once {
        assert_eq!(first.topic, format!("{topic}/200/?$rid=r1"));
        assert_eq!((first.word(), first.hub()), ("assigned", Some(A)));
    } else {
        assert_eq!(first.topic, format!("{topic}/202/?$rid=r1&retry-after=3"));
        assert_eq!((first.word(), first.hub()), ("assigning", None));
    }
    let polled = line.poll(first.operation()).await;
    assert_eq!(polled.topic, format!("{topic}/200/?$rid=p1"));
    assert_eq!((polled.word(), polled.hub()), ("assigned", Some(A)));
    assert_eq!(polled.body["registrationState"]["registrationId"], device);
    assert_eq!(site.hubs_of(device), [A]);
}

#[tokio::test]
async fn an_individual_key_is_assigned() {
    for (at_once, site) in both().await {
        site.put(&individual("press-1", keys(1))).await;
        let line = site.with_key("press-1", &key(1)).await;
        is_assigned(&site, at_once, line, "press-1").await;
    }
}

#[tokio::test]
async fn a_key_of_a_group_is_assigned() {
    for (at_once, site) in both().await {
        site.put(&group("keyed", keys(3))).await;
        let line = site.derived("member-1", &key(3)).await;
        is_assigned(&site, at_once, line, "member-1").await;
    }
}

#[tokio::test]
async fn an_individual_certificate_is_assigned() {
    for (at_once, site) in both().await {
        let identity = Identity::self_signed("press-1");
        site.put(&individual("press-1", leaf(&identity))).await;
        let line = site.with_identity("press-1", &identity).await;
        is_assigned(&site, at_once, line, "press-1").await;
    }
}

#[tokio::test]
async fn a_chain_of_a_group_is_assigned() {
    for (at_once, site) in both().await {
        let factory = site.root.intermediate("Factory");
        site.put(&group("factory", signing(&factory))).await;
        let line = site
            .with_identity("press-1", &factory.device("press-1"))
            .await;
        is_assigned(&site, at_once, line, "press-1").await;
    }
}

async fn refusal(mut line: Line) -> (String, u64, String) {
    let answer = line.register().await;
    let message = answer.body["message"].to_string();
    (answer.topic.clone(), answer.code(), message)
}

#[tokio::test]
async fn whoever_cannot_prove_it_is_connected_and_then_told_the_same_401() {
    let site = Site::open().await;
    let other = Ca::root("Other");
    site.put(&individual("press-1", keys(1))).await;
    site.put(&group("factory", signing(&site.root))).await;
    let token = |key: &SecretBytes, scope: &str, id: &str| {
        sas::token(key, scope, id, site.clock.now().plus(HOUR))
    };
    let foreign = token(&key(1), "0neOther", "press-1");
    let wanted = (
        "$dps/registrations/res/401/?$rid=r1".to_owned(),
        401_002,
        "\"Unauthorized\"".to_owned(),
    );
    let good = site.root.device("press-3");
    let mut line = site.with_identity("press-3", &good).await;
    assert_eq!(line.register().await.word(), "assigned");
    for (why, line) in [
        ("a wrong key", site.with_key("press-1", &key(9)).await),
        ("an unknown device", site.with_key("press-2", &key(1)).await),
        (
            "an unknown scope",
            site.line("press-1", "0neOther", Some(&foreign), peer())
                .await,
        ),
        (
            "neither password nor certificate",
            site.line("press-1", SCOPE, None, peer()).await,
        ),
        (
            "a password that is no token",
            site.line("press-1", SCOPE, Some("secret"), peer()).await,
        ),
        (
            "a chain that no entry accepts",
            site.with_identity("press-3", &other.device("press-3"))
                .await,
        ),
        (
            "a certificate with another name",
            site.with_identity("press-4", &good).await,
        ),
    ] {
        assert_eq!(refusal(line).await, wanted, "{why}");
    }
}
