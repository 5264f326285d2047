//! Sessions over time: repeated, interrupted, and interfered with.

use dps_core::enrollment::Subject;
use dps_testkit::certs::Identity;

use crate::common::{Line, Told, connect, peer};
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
    for line in [&mut by_key, &mut by_chain, &mut other] {
        assert_eq!(line.register().await.code(), 401_002);
    }
    assert!(site.hubs_of("press-1").is_empty());
}

/// What an operator does between CONNECT and register; the device must not be let in any more.
#[derive(Clone, Copy, Debug)]
enum Since {
    Disabled,
    Deleted,
    Blocked,
}

#[tokio::test]
async fn a_register_is_refused_if_its_entry_was_disabled_or_deleted_since_connect() {
    use Since::*;
    for since in [Disabled, Deleted, Blocked] {
        let site = Site::open().await;
        let factory = site.root.intermediate("Factory");
        let own = Identity::self_signed("own-1");
        let entries = [
            individual("key-1", keys(1)),
            individual("own-1", leaf(&own)),
            group("keyed", keys(3)),
            group("root", signing(&site.root)),
        ];
        for entry in &entries {
            site.put(entry).await;
        }
        let devices = ["key-1", "own-1", "member-1", "press-1"];
        let mut lines = [
            site.with_key("key-1", &key(1)).await,
            site.with_identity("own-1", &own).await,
            site.derived("member-1", &key(3)).await,
            site.with_identity("press-1", &factory.device("press-1"))
                .await,
        ];
        for entry in entries {
            match (since, &entry.subject) {
                (Disabled, _) => site.put(&disabled(entry)).await,
                (Deleted, Subject::Individual { registration, .. }) => {
                    site.admin.delete_enrollment(registration).await.unwrap();
                }
                (Deleted, Subject::Group { id }) => site.admin.delete_group(id).await.unwrap(),
                (Blocked, _) => {}
            }
        }
        if matches!(since, Blocked) {
            // A group nearer to the leaf, and entries of the devices' own.
            let nearer = group("factory", signing(&factory));
            site.put(&disabled(nearer)).await;
            for id in &devices[..3] {
                site.put(&disabled(individual(id, keys(9)))).await;
            }
        }
        for (line, device) in lines.iter_mut().zip(devices) {
            let told = line.register().await;
            assert_eq!(told.code(), 401_002, "{device} {since:?}");
            assert!(site.hubs_of(device).is_empty());
        }
    }
}

#[tokio::test]
async fn missing_and_unknown_api_versions_are_no_reason_to_refuse() {
    let site = Site::open().await;
    site.put(&individual("press-1", keys(1))).await;
    let token = site.token("press-1", &key(1));
    for rest in ["", "/", "/api-version=2099-12-31", "/ClientVersion=x"] {
        let user = format!("{SCOPE}/registrations/press-1{rest}");
        let mut line = Line::open(&site.mqtt, peer(), &site.tasks);
        line.greet(&connect("press-1", &user, Some(&token), 0))
            .await;
        assert_eq!(line.register().await.word(), "assigned", "{rest}");
    }
}

#[tokio::test]
async fn another_client_identifier_than_the_registration_id_is_connack_5_and_no_attempt() {
    let site = Site::open().await;
    site.put(&individual("press-1", keys(1))).await;
    let token = site.token("press-1", &key(1));
    let user = format!("{SCOPE}/registrations/press-1/api-version=2019-03-31");
    for _ in 0..100 {
        let mut line = Line::open(&site.mqtt, peer(), &site.tasks);
        line.send(&connect("press-2", &user, Some(&token), 0)).await;
        assert_eq!(line.receive().await, Told::ConnAck(5));
        line.closes().await;
    }
    let mut line = site.with_key("press-1", &key(1)).await;
    assert_eq!(line.register().await.word(), "assigned");
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
