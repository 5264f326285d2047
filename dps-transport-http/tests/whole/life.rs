//! Devices over time: repeated, interrupted, and interfered with.

use std::time::Duration;

use dps_core::time::Clock;

use crate::device::{Device, Line, poll, register};
use crate::site::*;

fn press() -> Device {
    Device::with_key("press-1", &key(1))
}

async fn site(choices: Choices) -> Site {
    let site = Site::with(choices).await;
    site.put(&individual("press-1", keys(1, 2))).await;
    site
}

#[tokio::test]
async fn one_exchange_is_202_with_everything_and_the_operation_stays_readable() {
    let site = site(Choices::default()).await;
    let told = register(&site, &press()).await;
    assert_eq!((told.status, told.word()), (202, "assigned"));
    let state = told.state();
    assert_eq!(state["registrationId"], "press-1");
    assert_eq!(state["deviceId"], "press-1");
    assert_eq!(state["assignedHub"], A);
    assert_eq!(state["status"], "assigned");
    assert_eq!(state["substatus"], "initialAssignment");
    for member in ["createdDateTimeUtc", "lastUpdatedDateTimeUtc", "etag"] {
        assert!(state[member].is_string(), "{member}");
    }
    assert_eq!(
        told.headers["retry-after"], "1",
        "for clients that poll all the same"
    );
    for _ in 0..3 {
        let polled = poll(&site, &press(), &told.operation()).await;
        assert_eq!(polled.status, 200);
        assert_eq!(polled.body, told.body);
        site.clock.advance(HOUR);
    }
}

#[tokio::test]
async fn without_grace_a_device_polls() {
    let grace = Some(Duration::ZERO);
    let site = site(Choices {
        grace,
        ..Choices::default()
    })
    .await;
    let told = register(&site, &press()).await;
    assert_eq!((told.status, told.word()), (202, "assigning"));
    assert_eq!(told.headers["retry-after"], "3");
    let polled = poll(&site, &press(), &told.operation()).await;
    assert_eq!((polled.status, polled.word()), (200, "assigned"));
    assert_eq!(polled.hub(), Some(A));
}

#[tokio::test]
async fn an_id_in_another_case_is_the_same_device() {
    let site = site(Choices::default()).await;
    site.put(&group("keyed", keys(3, 3))).await;
    let first = register(&site, &Device::derived("Member-1", &key(3))).await;
    let second = register(&site, &Device::derived("MEMBER-1", &key(3))).await;
    assert_eq!(first.state()["deviceId"], "Member-1");
    assert_eq!(second.state()["deviceId"], "Member-1");
    assert_eq!(second.state()["registrationId"], "MEMBER-1");
    assert_eq!(
        site.hubs
            .devices(&dps_core::id::HubName::parse(A).unwrap())
            .len(),
        1
    );
    let polled = poll(
        &site,
        &Device::derived("member-1", &key(3)),
        &second.operation(),
    )
    .await;
    assert_eq!(polled.status, 200);
}

#[tokio::test]
async fn another_credential_takes_over_a_register_in_flight() {
    let grace = Some(Duration::from_millis(20));
    let site = site(Choices {
        grace,
        ..Choices::default()
    })
    .await;
    site.put(&group("keyed", keys(3, 3))).await;
    let member = Device::derived("member-1", &key(3));
    let hold = site.hubs.hold();
    let first = register(&site, &member).await;
    let joined = register(&site, &member).await;
    assert_eq!(first.operation(), joined.operation());
    site.put(&individual("member-1", keys(5, 6))).await;
    let alone = Device::with_key("member-1", &key(5));
    let second = register(&site, &alone).await;
    assert_ne!(first.operation(), second.operation());
    assert_eq!(
        poll(&site, &alone, &first.operation()).await.code(),
        404_203
    );
    assert_eq!(poll(&site, &member, &first.operation()).await.status, 401);
    drop(hold);
    site.settled().await;
    site.clock.advance(dps_core::api::Work::LEASE);
    let polled = poll(&site, &alone, &second.operation()).await;
    assert_eq!((polled.status, polled.hub()), (200, Some(A)));
    let id = dps_core::id::DeviceId::parse("member-1").unwrap();
    let device = site
        .hubs
        .device(&dps_core::id::HubName::parse(A).unwrap(), &id)
        .unwrap();
    let (primary, secondary) = (key(5), key(6));
    assert_eq!(
        device.auth,
        dps_core::hub::DeviceAuth::Keys { primary, secondary }
    );
}

#[tokio::test]
async fn a_device_whose_group_is_disabled_between_two_requests_of_one_connection_is_not_let_in() {
    let site = site(Choices::default()).await;
    site.put(&group("certified", signing(&site.root))).await;
    let device = Device::with_identity("press-7", &site.root.device("press-7"));
    let mut line = Line::open(&site, &device).await;
    assert_eq!(line.register(&site, &device).await.word(), "assigned");
    site.put(&disabled(group("certified", signing(&site.root))))
        .await;
    let told = line.register(&site, &device).await;
    assert_eq!((told.status, told.word()), (202, "disabled"));
    site.put(&group("certified", signing(&site.root))).await;
    assert_eq!(line.register(&site, &device).await.word(), "assigned");
}

#[tokio::test]
async fn a_device_that_gets_a_blocking_entry_between_two_requests_of_one_connection_is_refused() {
    let site = site(Choices::default()).await;
    site.put(&group("certified", signing(&site.root))).await;
    let device = Device::with_identity("press-7", &site.root.device("press-7"));
    let mut line = Line::open(&site, &device).await;
    let operation = line.register(&site, &device).await.operation();
    site.put(&disabled(individual("press-7", keys(9, 9)))).await;
    let commits = site.commits();
    assert_eq!(line.register(&site, &device).await.code(), 401_002);
    assert_eq!(line.poll(&site, &device, &operation).await.code(), 401_002);
    assert_eq!(site.commits(), commits);
    let id = dps_core::id::RegistrationId::parse("press-7").unwrap();
    site.admin.delete_enrollment(&id).await.unwrap();
    assert_eq!(line.register(&site, &device).await.word(), "assigned");
}

#[tokio::test]
async fn a_client_that_vanishes_before_the_answer_is_assigned_all_the_same() {
    let site = site(Choices::default()).await;
    let hold = site.hubs.hold();
    let mut line = Line::open(&site, &press()).await;
    line.send(&press().registering(site.clock.now())).await;
    site.until(|site| site.hubs.waiting() == 1).await;
    drop(line);
    site.until(|site| site.tasks.connections() == 0).await;
    drop(hold);
    site.settled().await;
    assert_eq!(site.hubs_of("press-1"), [A]);
    // Its next attempt finds it there.
    let told = register(&site, &press()).await;
    assert_eq!(told.hub(), Some(A));
    let substatus = &told.state()["substatus"];
    assert_eq!(substatus, "reprovisionedToInitialAssignment");
}
