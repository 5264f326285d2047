//! Sessions over time: repeated, interrupted, and interfered with.

use crate::site::*;

#[tokio::test]
async fn a_session_ends_when_its_group_is_disabled_after_connect() {
    let site = Site::open().await;
    let (keyed, factory) = (
        group("keyed", keys(3)),
        group("factory", signing(&site.root)),
    );
    site.put(&keyed).await;
    site.put(&factory).await;
    let mut by_key = site.derived("member-1", &key(3)).await;
    let [first, second] = ["press-1", "press-2"].map(|id| site.root.device(id));
    let mut by_chain = site.with_identity("press-1", &first).await;
    let mut other = site.with_identity("press-2", &second).await;
    assert_eq!(other.register().await.word(), "assigned");
    assert_eq!(by_key.register().await.word(), "assigned");
    site.put(&disabled(keyed)).await;
    site.put(&disabled(factory)).await;
    site.clock.advance(HOUR / 60);
    assert_eq!(by_key.register().await.code(), 401_002);
    assert_eq!(by_chain.register().await.code(), 401_002);
    assert!(site.hubs_of("press-1").is_empty());
}

#[tokio::test]
async fn a_device_may_register_again_and_again_on_one_connection() {
    let site = Site::open().await;
    site.put(&individual("press-1", keys(1))).await;
    let mut line = site.with_key("press-1", &key(1)).await;
    let first = line.register().await;
    let second = line.register().await;
    assert_eq!((first.hub(), second.hub()), (Some(A), Some(A)));
    assert_ne!(first.operation(), second.operation());
    let gone = line.poll(first.operation()).await;
    assert_eq!(gone.topic, "$dps/registrations/res/404/?$rid=p1");
    assert_eq!(gone.code(), 404_203);
    assert_eq!(line.poll(second.operation()).await.word(), "assigned");
}

#[tokio::test]
async fn an_unknown_operation_is_404() {
    let site = Site::open().await;
    site.put(&individual("press-1", keys(1))).await;
    let mut line = site.with_key("press-1", &key(1)).await;
    assert_eq!(line.poll("5.0.a").await.code(), 404_203);
    line.register().await;
    assert_eq!(line.poll("5.0.a").await.code(), 404_203);
}

#[tokio::test]
async fn a_registration_goes_on_when_its_connection_is_gone() {
    let site = Site::open().await.without_grace();
    site.put(&individual("press-1", keys(1))).await;
    let mut line = site.with_key("press-1", &key(1)).await;
    let told = line.register().await;
    drop(line);
    let mut line = site.with_key("press-1", &key(1)).await;
    assert_eq!(line.poll(told.operation()).await.hub(), Some(A));
}

#[tokio::test]
async fn an_address_that_fails_too_often_is_told_the_same_and_nothing_more() {
    let site = Site::open().await;
    site.put(&individual("press-1", keys(1))).await;
    for _ in 0..60 {
        site.with_key("press-1", &key(9)).await;
    }
    let mut line = site.with_key("press-1", &key(1)).await;
    assert_eq!(line.register().await.code(), 401_002);
}

#[tokio::test]
async fn an_id_in_another_case_is_the_same_device() {
    let site = Site::open().await;
    site.put(&individual("press-1", keys(1))).await;
    let mut line = site.with_key("PRESS-1", &key(1)).await;
    let told = line.register().await;
    assert_eq!(told.body["registrationState"]["registrationId"], "PRESS-1");
}
