//! Waiting for hubs that are down, slow, or silent.

use std::time::Duration;

use dps_core::api::DeviceRequest;
use dps_core::error::Failure;
use dps_core::registration::Status;
use dps_testkit::hubs::Fault;
use dps_testkit::run::block_on;

use crate::common::*;

const LEASE: Duration = dps_core::api::Work::LEASE;

fn press() -> Device {
    Device::with_key("press-1", &key(1))
}

fn world() -> World {
    let world = World::new();
    world.put(&individual("press-1", keys(1, 2)).to(&[A]));
    world
}

fn after(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_hub_that_is_down_keeps_the_device_waiting_until_it_is_up() {
    let world = world();
    world.hubs.fail_at(&hub(A), Fault::Retry { after: None });
    let told = world.register(&press());
    assert_eq!(told.status(), Status::Assigning);
    assert_eq!(retry_of(&told.last), Some(1));
    let operation = told.operation();
    for wait in [1, 2, 4, 5, 5] {
        world.clock.advance(after(wait));
        let told = world.poll(&press(), &operation);
        assert_eq!(told.status(), Status::Assigning);
        assert!((1..=5).contains(&retry_of(&told.last).unwrap()));
    }
    world.hubs.mend(&hub(A));
    world.clock.advance(after(60));
    let told = world.poll(&press(), &operation);
    assert_eq!((told.status(), told.hub().as_str()), (Status::Assigned, A));
}

#[test]
fn a_hub_says_itself_when_it_wants_to_be_called_again() {
    let world = world();
    world.hubs.fail_next(
        1,
        &Fault::Retry {
            after: Some(after(20)),
        },
    );
    let told = world.register(&press());
    let calls = world.hubs.calls().len();
    assert_eq!(
        retry_of(&told.last),
        Some(5),
        "device SDKs understand no more"
    );
    world.clock.advance(after(19));
    assert_eq!(
        world.poll(&press(), &told.operation()).status(),
        Status::Assigning
    );
    assert_eq!(world.hubs.calls().len(), calls, "it is left alone");
    world.clock.advance(after(1));
    assert_eq!(
        world.poll(&press(), &told.operation()).status(),
        Status::Assigned
    );
}

#[test]
fn a_hub_that_stays_down_fails_the_operation_after_five_minutes() {
    let world = world();
    world.hubs.fail_at(&hub(A), Fault::Retry { after: None });
    let operation = world.register(&press()).operation();
    let mut waited = 0;
    let told = loop {
        world.clock.advance(after(5));
        waited += 5;
        let told = world.poll(&press(), &operation);
        if told.status() != Status::Assigning {
            break told;
        }
        assert!(waited < 400, "it has to end");
    };
    assert!((300..=340).contains(&waited), "{waited} s");
    assert_eq!(told.failure(), Failure::HUB_UNAVAILABLE);
    // It may have taken hold, so it is cleaned.
    world.hubs.mend(&hub(A));
    world.clock.advance(HOUR);
    assert_eq!(world.sweep().cleaned, 1);
    assert_eq!(world.register(&press()).status(), Status::Assigned);
}

#[test]
fn a_hub_that_never_answers_fails_the_operation_too() {
    let world = world();
    let _hold = world.hubs.hold();
    let operation = operation_of(&world.only_register(&press()).response);
    let mut waited = Duration::ZERO;
    let told = loop {
        world.clock.advance(LEASE);
        waited += LEASE;
        let request = DeviceRequest::OperationStatus {
            operation: operation.clone(),
        };
        let reply = world.ask(&press(), request);
        match reply.work {
            Some(work) => match once(work) {
                Some(reply) if status_of(&reply.response) != Status::Assigning => {
                    break reply.response;
                }
                _ => {}
            },
            None => break reply.response,
        }
        assert!(waited < HOUR, "it has to end");
    };
    assert_eq!(status_of(&told), Status::Failed);
}

#[test]
fn a_slow_hub_is_waited_for_by_others_than_the_caller() {
    let world = world();
    let hold = world.hubs.hold();
    let reply = world.only_register(&press());
    let operation = operation_of(&reply.response);
    let service = reply.work.unwrap();
    let mut service = Box::pin(service);
    assert!(poll_once(&mut service).is_none());
    let told = world.poll(&press(), &operation);
    assert_eq!(told.status(), Status::Assigning);
    assert_eq!(world.hubs.calls().len(), 1, "one worker at a time");
    drop(hold);
    let done = block_on(service);
    assert_eq!(status_of(&done.response), Status::Assigned);
    assert_eq!(world.poll(&press(), &operation).status(), Status::Assigned);
}

#[test]
fn an_entry_that_is_disabled_meanwhile_ends_the_operation() {
    let world = world();
    world.hubs.fail_next(1, &Fault::Lost);
    let operation = world.register(&press()).operation();
    world.put(&individual("press-1", keys(1, 2)).to(&[A]).disabled());
    world.clock.advance(after(10));
    let told = world.poll(&press(), &operation);
    assert_eq!(told.status(), Status::Disabled);
    // The hub had taken the device; nobody knew.
    world.clock.advance(HOUR);
    assert_eq!(world.sweep().cleaned, 1);
    assert!(world.everything().is_empty());
}

#[test]
fn who_was_frozen_until_its_lease_is_nearly_over_calls_no_hub() {
    let world = world();
    let reply = world.only_register(&press());
    let operation = operation_of(&reply.response);
    world.clock.advance(LEASE - after(1));
    assert_eq!(finish(reply).status(), Status::Assigning);
    assert!(
        world.hubs.calls().is_empty(),
        "a call could land after somebody else's"
    );
    world.clock.advance(after(2));
    assert_eq!(world.poll(&press(), &operation).status(), Status::Assigned);
}
