//! Each way to prove oneself, in both modes of answering; and what is told to those who cannot.

use dps_core::id::SecretBytes;
use dps_core::time::Clock;
use dps_testkit::certs::{Ca, Identity};
use dps_testkit::sas;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::common::*;
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
    if at_once {
        assert_eq!((first.word(), first.hub()), ("assigned", Some(A)));
        assert_eq!(first.delay, None);
    } else {
        assert_eq!((first.word(), first.hub()), ("assigning", None));
        assert_eq!(first.delay, Some(3));
    }
    let polled = line.poll(first.operation()).await;
    assert_eq!((polled.word(), polled.hub()), ("assigned", Some(A)));
    assert_eq!(polled.delay, None);
    assert_eq!(polled.body["registrationState"]["registrationId"], device);
    assert_eq!(site.hubs_of(device), [A]);
    line.send(&close()).await;
    assert_eq!(line.rest().await, [Told::Close(None)]);
    line.closes().await;
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
async fn a_chain_of_a_group_is_assigned_also_after_external() {
    for (at_once, site) in both().await {
        let factory = site.root.intermediate("Factory");
        site.put(&group("factory", signing(&factory))).await;
        let first = factory.device("press-1");
        let line = site.with_identity("press-1", &first).await;
        is_assigned(&site, at_once, line, "press-1").await;
        let mut line = site.line(holder(&factory.device("press-2")));
        let external = sasl(0x41, vec![symbol("EXTERNAL"), V::Binary(Vec::new())]);
        line.greet(&[SASL, &external, &linking(&name("press-2"))].concat())
            .await;
        is_assigned(&site, at_once, line, "press-2").await;
    }
}

#[tokio::test]
async fn any_spelling_of_an_address_will_do() {
    let site = Site::open().await;
    let factory = site.root.intermediate("Factory");
    site.put(&group("factory", signing(&factory))).await;
    for address in [
        format!("amqps://global.example/{SCOPE}/registrations/press-1"),
        format!("/{SCOPE}/registrations/press-1"),
        format!("{SCOPE}%2Fregistrations%2fpress%2d1"),
        format!("{}/REGISTRATIONS/PRESS-1", SCOPE.to_lowercase()),
    ] {
        let mut line = site.line(holder(&factory.device("press-1")));
        line.greet(&linking(&address)).await;
        assert_eq!(line.register().await.hub(), Some(A), "{address}");
    }
}

#[tokio::test]
async fn whoever_has_no_key_is_told_the_same_byte_by_byte() {
    let site = Site::open().await;
    site.put(&individual("press-1", keys(1))).await;
    let token = |key: &SecretBytes, scope: &str, id: &str| {
        sas::token(key, scope, id, site.clock.now().plus(HOUR))
    };
    let good = token(&key(1), SCOPE, "press-1");
    let mut told = Vec::new();
    for (name, token) in [
        (name("press-1"), token(&key(9), SCOPE, "press-1")),
        (name("press-2"), token(&key(1), SCOPE, "press-2")),
        (
            "0neOther/registrations/press-1".into(),
            token(&key(1), "0neOther", "press-1"),
        ),
        (name("press-2"), good),
        (name("press-1"), "secret".into()),
        (name("press-1"), String::new()),
        ("press-1".into(), token(&key(1), SCOPE, "press-1")),
    ] {
        let mut line = site.line(peer());
        line.io
            .write_all(&[SASL, &plain(&name, &token)].concat())
            .await
            .unwrap();
        let mut bytes = Vec::new();
        line.io.read_to_end(&mut bytes).await.unwrap();
        told.push(bytes);
        line.closes().await;
    }
    assert!(told.iter().all(|one| *one == told[0]));
    assert!(told[0].ends_with(b"\0\x53\x44\xc0\x03\x01\x50\x01"));
}

/// What ends the link, which is what ends its session and its connection.
async fn refusal(mut line: Line, greeting: &[u8]) -> Problem {
    line.send(greeting).await;
    let mut problems = Vec::new();
    loop {
        match line.receive().await {
            Told::Header(0) | Told::Open(_) | Told::Begin => {}
            Told::Attach(is_there) => assert!(!is_there),
            Told::Detach(problem) | Told::End(problem) => problems.extend(problem),
            Told::Close(problem) => break problems.extend(problem),
            other => panic!("no refusal: {other:?}"),
        }
    }
    assert_eq!(problems.len(), 3);
    assert!(problems.iter().all(|problem| *problem == problems[0]));
    problems.remove(0)
}

#[tokio::test]
async fn whoever_has_no_certificate_loses_its_link_and_its_connection() {
    let site = Site::open().await;
    let other = Ca::root("Other");
    site.put(&group("factory", signing(&site.root))).await;
    site.put(&individual("press-9", keys(1))).await;
    let good = site.root.device("press-3");
    let mut line = site.with_identity("press-3", &good).await;
    assert_eq!(line.register().await.word(), "assigned");
    for (why, peer, name) in [
        (
            "a chain that no entry accepts",
            holder(&other.device("press-3")),
            name("press-3"),
        ),
        (
            "a certificate with another name",
            holder(&good),
            name("press-4"),
        ),
        (
            "an entry of another kind",
            holder(&site.root.device("press-9")),
            name("press-9"),
        ),
        (
            "an unknown scope",
            holder(&good),
            "0neOther/registrations/press-3".into(),
        ),
        ("an address of nobody", holder(&good), "press-3".into()),
        ("no certificate", peer(), name("press-3")),
    ] {
        let problem = refusal(site.line(peer), &linking(&name)).await;
        assert_eq!(problem.condition, "amqp:unauthorized-access", "{why}");
        assert_eq!(problem.code(), 401_002, "{why}");
        assert!(problem.text.contains(r#""message":"Unauthorized""#));
    }
}
