//! A policy seen through the whole service: registering again, and a hub that is away for a while.
#![allow(clippy::unwrap_used, reason = "a test that fails says so")]

use std::sync::Arc;

use dps_core::allocate::{Allocation, HookError};
use dps_core::api::DeviceRequest;
use dps_core::crypto::AWS_LC;
use dps_core::enrollment::ReprovisionPolicy;
use dps_core::id::RegistrationId;
use dps_core::registration::{Status, Substatus};
use dps_store_memory::MemoryStore;
use dps_testkit::hubs::Fault;
use dps_testkit::run::block_on;
use dps_testkit::sim::{HookFn, Service, hubs};

fn first_hub() -> Service {
    let policy = HookFn::new(|request| match request.hubs.first() {
        Some(hub) => Ok(Allocation::from(hub.name.clone())),
        None => Err(HookError::NoHub),
    });
    Service::new(Arc::new(MemoryStore::new()), Arc::new(policy), AWS_LC).unwrap()
}

fn press() -> RegistrationId {
    RegistrationId::parse("press-1").unwrap()
}

#[test]
fn a_device_follows_the_policy_when_hubs_change_and_leaves_nothing_behind() {
    block_on(async {
        let service = first_hub();
        let before = hubs([("eu", 1), ("us", 1)]);
        let after = hubs([("us", 1), ("eu", 1)]);
        service
            .set_up(&before, ReprovisionPolicy::default())
            .await
            .unwrap();
        let told = service.register(&press(), None).await.unwrap();
        assert_eq!((told.state.status, told.exchanges), (Status::Assigned, 1));
        assert_eq!(service.hubs.count(&before[0].name), 1);

        service
            .set_up(&after, ReprovisionPolicy::default())
            .await
            .unwrap();
        let told = service.register(&press(), None).await.unwrap();
        let assignment = told.state.assignment.unwrap();
        assert_eq!(assignment.substatus, Substatus::DeviceDataMigrated);
        assert_eq!(assignment.place.hub, after[0].name);
        assert_eq!(service.hubs.count(&before[0].name), 0);
    });
}

#[test]
fn a_device_waits_for_a_hub_that_is_away_and_survives_a_lost_reply() {
    block_on(async {
        let service = first_hub();
        let linked = hubs([("eu", 1)]);
        service
            .set_up(&linked, ReprovisionPolicy::default())
            .await
            .unwrap();
        drop(
            service
                .ask(&press(), DeviceRequest::Register { payload: None })
                .await,
        );
        service.hubs.fail_next(3, &Fault::Retry { after: None });
        let told = service.register(&press(), None).await.unwrap();
        assert_eq!(told.state.status, Status::Assigned);
        assert!(told.exchanges > 3, "{} exchanges", told.exchanges);
        assert_eq!(service.hubs.count(&linked[0].name), 1);
    });
}
