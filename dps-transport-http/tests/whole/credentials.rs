//! Callers who are not who they say, and devices that are not let in.

use dps_core::time::Timestamp;
use dps_testkit::certs::{Ca, Identity, Profile};
use dps_testkit::clock::ManualClock;
use dps_testkit::sas;

use crate::device::{Answer, Device, Line, poll, register};
use crate::site::*;

/// A site with a press that has a key, and a group with keys and one with certificates.
async fn site() -> Site {
    let site = Site::open().await;
    site.put(&individual("press-1", keys(1, 2))).await;
    site.put(&group("keyed", keys(3, 4))).await;
    site.put(&group("certified", signing(&site.root))).await;
    site
}

/// Asserts that `device` is told exactly what one with a wrong key is told, and that nothing is
/// written and no hub called.
async fn is_refused(site: &Site, device: &Device) {
    let commits = site.commits();
    let wrong_key = register(site, &Device::with_key("press-1", &key(9))).await;
    assert_eq!((wrong_key.status, wrong_key.code()), (401, 401_002));
    let mut line = Line::open(site, device).await;
    for refused in [
        line.register(site, device).await,
        line.poll(site, device, "5.0.a").await,
    ] {
        assert_eq!(refused.anonymous(), wrong_key.anonymous());
    }
    assert_eq!(site.commits(), commits);
    assert!(site.hubs.calls().is_empty());
}

fn is_assigned(answer: &Answer) {
    assert_eq!(
        (answer.status, answer.word()),
        (202, "assigned"),
        "{answer:?}"
    );
    assert_eq!(answer.hub(), Some(A));
}

fn in_an_hour() -> Timestamp {
    ManualClock::START.plus(HOUR)
}

#[tokio::test]
async fn an_unknown_scope_is_refused_as_a_wrong_key_is() {
    let site = site().await;
    let device = Device::with_key("press-1", &key(1)).of_scope("0ne00000000");
    is_refused(&site, &device).await;
}

#[tokio::test]
async fn an_unknown_id_is_not_told_from_a_wrong_key() {
    let site = site().await;
    is_refused(&site, &Device::with_key("nobody-1", &key(1))).await;
    is_refused(&site, &Device::empty_handed("press-1")).await;
}

#[tokio::test]
async fn a_wrong_key_of_a_disabled_entry_is_not_told_from_any_other() {
    let site = site().await;
    site.put(&disabled(individual("off-1", keys(1, 2)))).await;
    is_refused(&site, &Device::with_key("off-1", &key(9))).await;
    let told = register(&site, &Device::with_key("off-1", &key(1))).await;
    assert_eq!((told.status, told.word()), (202, "disabled"));
    assert!(told.hub().is_none());
}

#[tokio::test]
async fn an_expired_token_is_refused() {
    let site = site().await;
    let ago = Timestamp(ManualClock::START.0 - 3_600_000);
    let token = sas::token(&key(1), SCOPE, "press-1", ago);
    is_refused(&site, &Device::with_token("press-1", &token)).await;
}

#[tokio::test]
async fn a_truncated_token_is_refused_wherever_it_is_cut() {
    let site = site().await;
    let token = sas::token(&key(1), SCOPE, "press-1", in_an_hour());
    for length in [0, 10, 22, 40, token.len() / 2, token.len() - 30] {
        is_refused(&site, &Device::with_token("press-1", &token[..length])).await;
    }
}

#[tokio::test]
async fn a_token_for_somebody_or_somewhere_else_is_refused() {
    let site = site().await;
    let of_another = sas::token(&key(1), SCOPE, "press-2", in_an_hour());
    is_refused(&site, &Device::with_token("press-1", &of_another)).await;
    let elsewhere = sas::token(&key(1), "0ne00000000", "press-1", in_an_hour());
    is_refused(&site, &Device::with_token("press-1", &elsewhere)).await;
    let members = Device::with_key(
        "member-1",
        &dps_core::attest::derive_device_key(&key(3), "member-2"),
    );
    is_refused(&site, &members).await;
}

#[tokio::test]
async fn good_credentials_of_every_kind_are_assigned_in_one_exchange() {
    let site = site().await;
    let alone = Identity::self_signed("alone-1");
    site.put(&individual("alone-1", leaf(&alone))).await;
    let factory = site.root.intermediate("Factory");
    for device in [
        Device::with_key("press-1", &key(2)),
        Device::derived("member-1", &key(3)),
        Device::with_identity("alone-1", &alone),
        Device::with_identity("press-7", &factory.device("press-7")),
    ] {
        is_assigned(&register(&site, &device).await);
    }
}

#[tokio::test]
async fn a_certificate_outside_its_time_is_refused() {
    let site = site().await;
    let now = ManualClock::START;
    let valid = |from, to| Profile::device("press-7").with_validity(from, to);
    let expired = site
        .root
        .issue(&valid(Profile::NOT_BEFORE, Timestamp(now.0 - 1000)));
    is_refused(&site, &Device::with_identity("press-7", &expired)).await;
    let early = site
        .root
        .issue(&valid(Timestamp(now.0 + 1000), Profile::NOT_AFTER));
    let device = Device::with_identity("press-7", &early);
    is_refused(&site, &device).await;
    site.clock.advance(HOUR);
    is_assigned(&register(&site, &device).await);
}

#[tokio::test]
async fn a_certificate_of_another_ca_is_refused_also_if_that_has_the_same_name() {
    let site = site().await;
    for other in [Ca::root("Other"), Ca::root("Root")] {
        let device = other.device("press-7");
        is_refused(&site, &Device::with_identity("press-7", &device)).await;
        let whole = Device::with_chain("press-7", &device, device.full_chain_der());
        is_refused(&site, &whole).await;
    }
}

#[tokio::test]
async fn a_certificate_of_a_disabled_entry_is_not_let_in() {
    let site = site().await;
    let factory = site.root.intermediate("Factory");
    site.put(&disabled(group("factory", signing(&factory))))
        .await;
    let told = register(
        &site,
        &Device::with_identity("press-7", &factory.device("press-7")),
    )
    .await;
    assert_eq!((told.status, told.word()), (202, "disabled"));
    assert!(site.hubs.calls().is_empty());
}

#[tokio::test]
async fn a_certificate_whose_common_name_is_another_is_refused() {
    let site = site().await;
    let other = site.root.device("press-8");
    is_refused(&site, &Device::with_identity("press-7", &other)).await;
}

#[tokio::test]
async fn a_cas_certificate_is_no_devices_in_a_group() {
    let site = site().await;
    let authority = site.root.issue(&Profile::device("press-7").with_ca(true));
    is_refused(&site, &Device::with_identity("press-7", &authority)).await;
}

#[tokio::test]
async fn a_body_for_another_device_than_the_path_is_refused() {
    let site = site().await;
    let device = Device::with_key("press-1", &key(1));
    let mut line = Line::open(&site, &device).await;
    let body = r#"{"registrationId":"press-2"}"#;
    let request = device.request(ManualClock::START, "PUT", "/register", body);
    let commits = site.commits();
    let told = line.ask(&request).await;
    assert_eq!((told.status, told.code()), (400, 400_004));
    assert_eq!(site.commits(), commits);
    is_assigned(&line.register(&site, &device).await);
}

#[tokio::test]
async fn an_operation_of_another_device_is_not_found() {
    let site = site().await;
    let press = Device::with_key("press-1", &key(1));
    let member = Device::derived("member-1", &key(3));
    let operation = register(&site, &press).await.operation();
    for _ in 0..2 {
        let told = poll(&site, &member, &operation).await;
        assert_eq!((told.status, told.code()), (404, 404_203));
        is_assigned(&register(&site, &member).await);
    }
    assert_eq!(poll(&site, &press, &operation).await.status, 200);
}
