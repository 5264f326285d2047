//! Sessions over time: repeated, interrupted, and interfered with.

use dps_core::enrollment::Subject;
use dps_testkit::certs::Identity;

use crate::common::*;
use crate::site::*;

#[tokio::test]
async fn a_session_ends_when_its_group_is_disabled_after_its_proof() {
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
        let problem = line.ask(&register(b"{}")).await.unwrap_err();
        assert_eq!(problem.condition, "amqp:unauthorized-access");
        assert_eq!(problem.code(), 401_002);
    }
    assert!(site.hubs_of("press-1").is_empty());
}

#[tokio::test]
async fn a_register_is_refused_if_its_entry_was_deleted_since_its_proof() {
    let site = Site::open().await;
    let own = Identity::self_signed("own-1");
    let entries = [
        individual("key-1", keys(1)),
        individual("own-1", leaf(&own)),
        group("keyed", keys(3)),
    ];
    for entry in &entries {
        site.put(entry).await;
    }
    let mut lines = [
        site.with_key("key-1", &key(1)).await,
        site.with_identity("own-1", &own).await,
        site.derived("member-1", &key(3)).await,
    ];
    for entry in entries {
        match &entry.subject {
            Subject::Individual { registration, .. } => {
                site.admin.delete_enrollment(registration).await.unwrap();
            }
            Subject::Group { id } => site.admin.delete_group(id).await.unwrap(),
        }
    }
    for line in &mut lines {
        assert_eq!(line.register_fails().await, 401_002);
    }
    for device in ["key-1", "own-1", "member-1"] {
        assert!(site.hubs_of(device).is_empty());
    }
}

#[tokio::test]
async fn a_device_may_register_again_and_again_on_one_connection() {
    let site = Site::open().await;
    site.put(&individual("press-1", keys(1))).await;
    let mut line = site.with_key("press-1", &key(1)).await;
    let first = line.register().await;
    let mut second = line.register().await;
    for _ in 0..30 {
        second = line.register().await;
    }
    assert_eq!((first.hub(), second.hub()), (Some(A), Some(A)));
    assert_ne!(first.operation(), second.operation());
    let gone = line.ask(&poll(first.operation())).await.unwrap_err();
    assert_eq!(gone.condition, "amqp:not-found");
    assert_eq!(gone.code(), 404_203);
    assert_eq!(line.poll(second.operation()).await.word(), "assigned");
}

#[tokio::test]
async fn a_device_may_have_two_connections() {
    let site = Site::open().await.without_grace();
    site.put(&individual("press-1", keys(1))).await;
    let mut first = site.with_key("press-1", &key(1)).await;
    let mut second = site.with_key("press-1", &key(1)).await;
    let told = first.register().await;
    assert_eq!(second.poll(told.operation()).await.hub(), Some(A));
    assert_eq!(first.poll(told.operation()).await.hub(), Some(A));
    first.send(&close()).await;
    first.rest().await;
    first.closes().await;
    assert_eq!(second.poll(told.operation()).await.hub(), Some(A));
    assert_eq!(site.hubs_of("press-1"), [A]);
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
    let mut told = Vec::new();
    for byte in [9; 60].into_iter().chain([1]) {
        let mut line = site.line(peer());
        let token = site.token("press-1", &key(byte));
        line.send(&[SASL, &plain(&name("press-1"), &token)].concat())
            .await;
        told.push(line.rest().await);
    }
    assert!(told.iter().all(|one| *one == told[0]), "{:?}", told.last());
    assert_eq!(told[0].last(), Some(&Told::Outcome(1)));
}

#[tokio::test]
async fn an_id_in_another_case_is_the_same_device() {
    let site = Site::open().await;
    site.put(&individual("press-1", keys(1))).await;
    let mut line = site.with_key("PRESS-1", &key(1)).await;
    let told = line.register().await;
    assert_eq!(told.body["registrationState"]["registrationId"], "PRESS-1");
}

#[tokio::test]
async fn a_payload_of_96_kib_is_taken_in_frames_of_any_size() {
    let site = Site::open().await;
    site.put(&individual("press-1", keys(1))).await;
    let mut body = br#"{"payload":""#.to_vec();
    body.resize(96 * 1024 - 2, b'a');
    body.extend(br#""}"#);
    for most in [400, 60_000] {
        let mut line = site.with_key("press-1", &key(1)).await;
        let message = register(&body);
        let mut parts = message.chunks(most).peekable();
        while let Some(part) = parts.next() {
            let frame = transfer_part(0, part, parts.peek().is_some());
            line.send(&frame).await;
        }
        assert_eq!(line.answer(0).await.unwrap().hub(), Some(A));
        // One byte more is too much.
        body.insert(12, b'a');
        for part in [&register(&body)[..50_000], &register(&body)[50_000..]] {
            let more = part.len() == 50_000;
            line.send(&transfer_part(1, part, more)).await;
        }
        let problem = line.answer(1).await.unwrap_err();
        assert_eq!(problem.code(), 413_000);
        body.remove(12);
    }
}
