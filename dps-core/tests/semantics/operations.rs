//! Joining, asking, waiting, taking up.

use std::time::Duration;

use dps_core::api::{Authentication, DeviceApi, DeviceRequest, DeviceResponse};
use dps_core::error::Reason;
use dps_core::id::OperationId;
use dps_core::registration::Status;
use dps_testkit::hubs::Fault;
use dps_testkit::run::block_on;
use dps_testkit::sas;

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
fn the_first_answer_is_assigning_and_asks_for_three_seconds() {
    let world = world();
    let reply = world.only_register(&press());
    assert_eq!(status_of(&reply.response), Status::Assigning);
    assert_eq!(retry_of(&reply.response), Some(3));
    assert!(
        world.hubs.calls().is_empty(),
        "no hub is called before the answer is there"
    );
    let told = finish(reply);
    assert_eq!(told.status(), Status::Assigned);
    assert_eq!(retry_of(&told.last), None);
    assert_eq!(operation_of(&told.first), told.operation());
}

#[test]
fn a_repeated_register_joins_the_operation_in_flight() {
    let world = world();
    let first = world.only_register(&press());
    let second = world.only_register(&Device::with_key("press-1", &key(2)));
    assert_eq!(
        operation_of(&first.response),
        operation_of(&second.response)
    );
    assert!(second.work.is_none(), "somebody is at it already");
    let told = finish(first);
    assert_eq!(told.status(), Status::Assigned);
    let later = world.only_register(&press());
    assert_ne!(
        operation_of(&later.response),
        told.operation(),
        "that one is over"
    );
}

#[test]
fn two_registers_at_the_same_moment_share_one_operation() {
    let world = world();
    for _ in 0..2 {
        let (service, now) = (world.another(), dps_core::time::Clock::now(&world.clock));
        let (heard, hears) = std::sync::mpsc::channel();
        world.store.before_next_commit(move || {
            let hello = press().hello(now, None);
            let Authentication::Accepted(session) = block_on(service.authenticate(hello)) else {
                panic!("it is let in");
            };
            let request = DeviceRequest::Register { payload: None };
            heard
                .send(block_on(service.call(&session, &press().version, request)))
                .unwrap();
        });
        let second = world.only_register(&press());
        let first = hears.recv().unwrap();
        assert_eq!(
            operation_of(&first.response),
            operation_of(&second.response)
        );
        assert!(second.work.is_none(), "the first one has it");
        assert_eq!(finish(first).hub(), A);
    }
}

#[test]
fn an_operation_whose_work_was_dropped_is_taken_up_by_the_next_poll_or_register() {
    for by_polling in [true, false] {
        let world = world();
        let reply = world.only_register(&press());
        let operation = operation_of(&reply.response);
        drop(reply);
        let early = world.poll(&press(), &operation);
        assert_eq!(early.status(), Status::Assigning);
        assert_eq!(retry_of(&early.last), Some(5));
        world.clock.advance(LEASE);
        let told = match by_polling {
            true => world.poll(&press(), &operation),
            false => world.register(&press()),
        };
        assert_eq!(told.status(), Status::Assigned);
        assert_eq!(told.operation(), operation);
    }
}

#[test]
fn another_credential_takes_an_operation_over_and_the_old_one_is_not_found() {
    let world = World::new();
    world.put(&group("presses", keys(1, 2)).to(&[A]));
    let of_group = Device::derived("press-1", &key(1));
    let first = world.only_register(&of_group);
    world.put(&individual("press-1", keys(3, 3)).to(&[A]));
    let alone = Device::with_key("press-1", &key(3));
    let second = world.only_register(&alone);
    assert_ne!(
        operation_of(&first.response),
        operation_of(&second.response)
    );
    let gone = world.poll(&alone, &operation_of(&first.response));
    assert_eq!(gone.error().reason(), Reason::OperationNotFound);
    // The first one's worker has lost: what it says is what is stored.
    finish(first);
    world.clock.advance(LEASE);
    let told = world.poll(&alone, &operation_of(&second.response));
    assert_eq!(told.status(), Status::Assigned);
    let keys = dps_core::hub::DeviceAuth::Keys {
        primary: key(3),
        secondary: key(3),
    };
    assert_eq!(world.on(A, "press-1").unwrap().auth, keys);
    assert_eq!(world.hubs_of("press-1"), [A]);
}

#[test]
fn a_take_over_that_leads_to_another_hub_cleans_the_one_that_may_have_been_touched() {
    let world = World::new();
    world.put(&group("presses", keys(1, 2)).to(&[A]));
    let first = world.only_register(&Device::derived("press-1", &key(1)));
    world.hubs.fail_next(1, &Fault::Lost);
    assert_eq!(finish(first).status(), Status::Assigning);
    assert_eq!(world.hubs_of("press-1"), [A]);
    world.put(&individual("press-1", keys(3, 3)).to(&[B]));
    let alone = Device::with_key("press-1", &key(3));
    let second = world.register(&alone);
    world.clock.advance(LEASE);
    assert_eq!(world.poll(&alone, &second.operation()).hub(), B);
    world.clock.advance(HOUR);
    assert_eq!(world.sweep().cleaned, 1);
    assert_eq!(world.hubs_of("press-1"), [B]);
}

#[test]
fn an_operation_is_not_finished_for_keys_that_were_rolled_since() {
    let world = world();
    world.hubs.fail_next(1, &Fault::Retry { after: None });
    let first = world.register(&press());
    assert_eq!(first.status(), Status::Assigning);
    world.put(&individual("press-1", keys(7, 8)).to(&[A]));
    let rolled = Device::with_key("press-1", &key(7));
    world.clock.advance(after(5));
    let polled = world.poll(&rolled, &first.operation());
    assert_eq!(polled.error().reason(), Reason::OperationNotFound);
    assert!(world.everything().is_empty());
    let told = world.register(&rolled);
    assert_eq!(told.status(), Status::Assigned);
    let (primary, secondary) = (key(7), key(8));
    let auth = dps_core::hub::DeviceAuth::Keys { primary, secondary };
    assert_eq!(world.on(A, "press-1").unwrap().auth, auth);
    let polled = world.poll(&rolled, &told.operation());
    assert_eq!(polled.status(), Status::Assigned);
}

#[test]
fn an_operation_belongs_to_its_device_alone() {
    let world = world();
    world.put(&individual("press-2", keys(5, 5)));
    let mine = world.register(&press());
    let other = Device::with_key("press-2", &key(5));
    let stranger = world.poll(&other, &mine.operation());
    assert_eq!(stranger.error().reason(), Reason::OperationNotFound);
    world.register(&other);
    let stranger = world.poll(&other, &mine.operation());
    assert_eq!(stranger.error().reason(), Reason::OperationNotFound);
    assert_eq!(stranger.error().reason().code(), 404_203);
    let made_up = OperationId::parse("5.0.made-up").unwrap();
    let nothing = world.poll(&press(), &made_up);
    assert_eq!(nothing.error().reason(), Reason::OperationNotFound);
}

#[test]
fn a_replaced_operation_is_not_found_and_the_newest_stays_readable() {
    let world = world();
    let first = world.register(&press());
    let second = world.register(&press());
    let gone = world.poll(&press(), &first.operation());
    assert_eq!(gone.error().reason(), Reason::OperationNotFound);
    for _ in 0..3 {
        world.clock.advance(HOUR);
        assert_eq!(
            world.poll(&press(), &second.operation()).status(),
            Status::Assigned
        );
    }
}

#[test]
fn a_lookup_tells_where_the_device_is() {
    let world = world();
    let never = world.lookup(&press());
    assert_eq!(never.error().reason(), Reason::RegistrationNotFound);
    assert_eq!(never.error().reason().code(), 404_202);
    world.register(&press());
    let told = world.lookup(&press());
    assert_eq!((told.status(), told.hub().as_str()), (Status::Assigned, A));
    assert!(matches!(told.last, DeviceResponse::Registration(_)));
}

#[test]
fn an_expired_token_stays_good_for_its_own_operation_and_for_nothing_else() {
    let world = world();
    let token = sas::token(
        &key(1),
        SCOPE,
        "press-1",
        dps_core::time::Clock::now(&world.clock).plus(after(60)),
    );
    let device = Device::with_token("press-1", token);
    let first = world.register(&device);
    world.clock.advance(HOUR);
    assert_eq!(
        world.poll(&device, &first.operation()).status(),
        Status::Assigned
    );

    let hello = device.hello(
        dps_core::time::Clock::now(&world.clock),
        Some(&first.operation()),
    );
    let Authentication::Accepted(session) = block_on(world.service.authenticate(hello)) else {
        panic!("its operation began with this token");
    };
    for request in [
        DeviceRequest::Register { payload: None },
        DeviceRequest::RegistrationStatus,
        DeviceRequest::OperationStatus {
            operation: OperationId::parse("5.0.other").unwrap(),
        },
    ] {
        let reply = world.call(&session, &device, request);
        assert_eq!(error_of(&reply.response).reason(), Reason::Unauthorized);
    }
    assert_eq!(world.denied(&device).reason(), Reason::Unauthorized);

    // Another token that has expired too is not the one it began with.
    let other = sas::token(
        &key(2),
        SCOPE,
        "press-1",
        dps_testkit::clock::ManualClock::START.plus(after(60)),
    );
    let refused = world.poll(&Device::with_token("press-1", other), &first.operation());
    assert_eq!(refused.error().reason(), Reason::Unauthorized);

    // When the operation is replaced, the token is good for nothing.
    world.register(&press());
    let refused = world.poll(&device, &first.operation());
    assert_eq!(refused.error().reason(), Reason::Unauthorized);
}

#[test]
fn an_expired_token_is_worth_nothing_when_its_key_was_rolled() {
    let world = world();
    let token = sas::token(
        &key(1),
        SCOPE,
        "press-1",
        dps_testkit::clock::ManualClock::START.plus(after(60)),
    );
    let device = Device::with_token("press-1", token);
    let told = world.register(&device);
    world.clock.advance(HOUR);
    world.put(&individual("press-1", keys(7, 8)).to(&[A]));
    let refused = world.poll(&device, &told.operation());
    assert_eq!(refused.error().reason(), Reason::Unauthorized);
}

#[test]
fn one_session_registers_and_asks_after_its_operation() {
    let world = world();
    let session = world.session(&press());
    let told = finish(world.call(
        &session,
        &press(),
        DeviceRequest::Register { payload: None },
    ));
    let operation = told.operation();
    let polled = finish(world.call(
        &session,
        &press(),
        DeviceRequest::OperationStatus { operation },
    ));
    assert_eq!(polled.status(), Status::Assigned);
    let looked = finish(world.call(&session, &press(), DeviceRequest::RegistrationStatus));
    assert_eq!(looked.status(), Status::Assigned);
    let again = finish(world.call(
        &session,
        &press(),
        DeviceRequest::Register { payload: None },
    ));
    assert_eq!(again.substatus().word(), "reprovisionedToInitialAssignment");
}
