//! What becomes of a device that registers again: the whole table.

use dps_core::enrollment::ReprovisionPolicy;
use dps_core::error::Failure;
use dps_core::registration::{Status, Substatus};
use dps_testkit::hubs::Fault;

use crate::common::*;

fn press() -> Device {
    Device::with_key("press-1", &key(1))
}

fn at(hub: &str, policy: ReprovisionPolicy) -> dps_core::enrollment::Enrollment {
    individual("press-1", keys(1, 1))
        .to(&[hub])
        .reprovision(policy)
}

/// A device on hub a that has said something of itself; its entry has another twin by now.
fn settled(then: &dps_core::enrollment::Enrollment) -> World {
    let world = World::new();
    world.put(&at(A, MIGRATE));
    let told = world.register(&press());
    assert_eq!(
        (told.hub().as_str(), told.substatus()),
        (A, Substatus::InitialAssignment)
    );
    world.report(A, "press-1");
    let mut then = then.clone();
    then.initial_twin.desired = object(&[("interval", 5)]);
    world.put(&then);
    world.clock.advance(HOUR);
    world
}

#[test]
fn a_first_registration_brings_the_initial_twin() {
    let world = World::new();
    world.put(&at(A, MIGRATE));
    let told = world.register(&press());
    assert_eq!(told.substatus(), Substatus::InitialAssignment);
    let device = world.on(A, "press-1").unwrap();
    assert_eq!(device.twin.tags, object(&[("line", 4)]));
    assert_eq!(device.twin.desired, object(&[("interval", 60)]));
    assert!(device.enabled && !device.edge);
}

#[test]
fn with_migrate_a_device_that_stays_keeps_its_twin() {
    let world = settled(&at(A, MIGRATE));
    let told = world.register(&press());
    assert_eq!(
        told.substatus(),
        Substatus::ReprovisionedToInitialAssignment
    );
    let twin = world.on(A, "press-1").unwrap().twin;
    assert_eq!(twin.desired, object(&[("interval", 60)]));
    assert_eq!(twin.reported, object(&[("temperature", 81)]));
}

#[test]
fn with_reset_a_device_that_stays_begins_anew() {
    let world = settled(&at(A, RESET));
    let told = world.register(&press());
    assert_eq!(
        (told.hub().as_str(), told.substatus()),
        (A, Substatus::DeviceDataReset)
    );
    let twin = world.on(A, "press-1").unwrap().twin;
    assert_eq!(twin.desired, object(&[("interval", 5)]));
    assert!(twin.reported.is_empty());
}

#[test]
fn with_migrate_a_device_that_moves_takes_its_twin_along() {
    let world = settled(&at(B, MIGRATE));
    let told = world.register(&press());
    assert_eq!(
        (told.hub().as_str(), told.substatus()),
        (B, Substatus::DeviceDataMigrated)
    );
    let twin = world.on(B, "press-1").unwrap().twin;
    assert_eq!(twin.tags, object(&[("line", 4)]));
    assert_eq!(twin.desired, object(&[("interval", 60)]));
    assert_eq!(twin.reported, object(&[("temperature", 81)]));
    assert_eq!(world.hubs_of("press-1"), [B]);
}

#[test]
fn with_reset_a_device_that_moves_begins_anew() {
    let world = settled(&at(B, RESET));
    let told = world.register(&press());
    assert_eq!(
        (told.hub().as_str(), told.substatus()),
        (B, Substatus::DeviceDataReset)
    );
    let twin = world.on(B, "press-1").unwrap().twin;
    assert_eq!(twin.desired, object(&[("interval", 5)]));
    assert!(twin.reported.is_empty());
    assert_eq!(world.hubs_of("press-1"), [B]);
}

#[test]
fn with_never_a_device_stays_and_keeps_its_twin() {
    let odd = ReprovisionPolicy {
        update_hub: false,
        migrate_data: true,
    };
    for policy in [NEVER, odd] {
        let world = settled(&at(B, policy));
        let told = world.register(&press());
        assert_eq!(told.hub(), A);
        assert_eq!(
            told.substatus(),
            Substatus::ReprovisionedToInitialAssignment
        );
        let twin = world.on(A, "press-1").unwrap().twin;
        assert_eq!(twin.reported, object(&[("temperature", 81)]));
        assert_eq!(world.hubs_of("press-1"), [A]);
    }
}

#[test]
fn an_entry_without_a_policy_moves_and_takes_the_twin_along() {
    let mut then = at(B, NEVER);
    then.reprovision = None;
    let world = settled(&then);
    let told = world.register(&press());
    assert_eq!(
        (told.hub().as_str(), told.substatus()),
        (B, Substatus::DeviceDataMigrated)
    );
}

#[test]
fn an_entry_without_a_policy_keeps_a_device_that_speaks_2018_04_01_where_it_is() {
    let mut then = at(B, NEVER);
    then.reprovision = None;
    for (version, hub) in [
        ("2017-11-15", A),
        ("2018-04-01", A),
        ("2018-09-01-preview", B),
    ] {
        let world = settled(&then);
        let told = world.register(&press().speaking(version));
        assert_eq!(told.hub(), hub, "{version}");
    }
    let world = settled(&at(B, RESET));
    let told = world.register(&press().speaking("2018-04-01"));
    assert_eq!(told.hub(), B, "a policy counts whatever the device speaks");
}

#[test]
fn a_changed_device_id_is_a_move_also_on_the_same_hub() {
    let world = settled(&at(A, MIGRATE).device("machine-9"));
    let told = world.register(&press());
    assert_eq!(told.device(), "machine-9");
    assert_eq!(told.substatus(), Substatus::DeviceDataMigrated);
    assert_eq!(world.everything(), [format!("{A}/machine-9")]);
    let twin = world.on(A, "machine-9").unwrap().twin;
    assert_eq!(twin.reported, object(&[("temperature", 81)]));
}

#[test]
fn with_never_a_changed_device_id_changes_nothing() {
    let world = settled(&at(A, NEVER).device("machine-9"));
    assert_eq!(world.register(&press()).device(), "press-1");
    assert_eq!(world.everything(), [format!("{A}/press-1")]);
}

#[test]
fn a_device_whose_hub_is_unlinked_begins_anew_elsewhere_if_it_may_move() {
    for policy in [MIGRATE, RESET] {
        let world = settled(&individual("press-1", keys(1, 1)).reprovision(policy));
        world.put_instance(&instance(&[B]));
        world.hubs.clear_calls();
        let told = world.register(&press());
        assert_eq!(
            (told.hub().as_str(), told.substatus()),
            (B, Substatus::DeviceDataReset)
        );
        let twin = world.on(B, "press-1").unwrap().twin;
        assert_eq!(twin.desired, object(&[("interval", 5)]));
        assert!(world.hubs.calls().iter().all(|call| call.hub == hub(B)));
        assert!(world.why(&press()).contains(A));
    }
}

#[test]
fn a_device_whose_hub_is_unlinked_fails_if_it_must_stay() {
    let world = settled(&individual("press-1", keys(1, 1)).reprovision(NEVER));
    world.put_instance(&instance(&[B]));
    let told = world.register(&press());
    assert_eq!(told.failure(), Failure::NO_CANDIDATE);
    let failure = told.state().failure.clone().unwrap();
    assert!(failure.message.contains(A), "{failure}");
    world.put_instance(&instance(&[A, B]));
    assert_eq!(world.register(&press()).hub(), A);
}

#[test]
fn a_device_that_was_deleted_on_its_hub_is_made_again() {
    for policy in [MIGRATE, RESET, NEVER] {
        let world = settled(&at(A, policy));
        assert!(world.hubs.delete(&hub(A), &"press-1".parsed()));
        assert_eq!(world.register(&press()).hub(), A);
        let twin = world.on(A, "press-1").unwrap().twin;
        assert_eq!(twin.desired, object(&[("interval", 5)]));
    }
}

#[test]
fn a_device_that_was_deleted_on_its_old_hub_begins_anew_on_the_new_one() {
    let world = settled(&at(B, MIGRATE));
    assert!(world.hubs.delete(&hub(A), &"press-1".parsed()));
    assert_eq!(world.register(&press()).hub(), B);
    let twin = world.on(B, "press-1").unwrap().twin;
    assert_eq!(twin.desired, object(&[("interval", 5)]));
}

#[test]
fn a_device_that_its_old_hub_shut_out_is_made_shut_out() {
    for policy in [MIGRATE, RESET] {
        let world = settled(&at(B, policy));
        assert!(world.hubs.disable(&hub(A), &"press-1".parsed()));
        assert_eq!(world.register(&press()).hub(), B);
        assert!(!world.on(B, "press-1").unwrap().enabled);
    }
}

#[test]
fn no_registration_lets_a_device_in_that_its_hub_shuts_out() {
    for policy in [MIGRATE, RESET, NEVER] {
        let world = settled(&at(A, policy));
        assert!(world.hubs.disable(&hub(A), &"press-1".parsed()));
        assert_eq!(world.register(&press()).status(), Status::Assigned);
        assert!(!world.on(A, "press-1").unwrap().enabled);
    }
}

#[test]
fn an_edge_device_is_made_one_and_stays_one_with_its_data() {
    let world = World::new();
    let mut entry = at(A, MIGRATE);
    entry.edge = true;
    world.put(&entry);
    world.register(&press());
    assert!(world.on(A, "press-1").unwrap().edge);
    // The entry says otherwise by now, but what the device is goes along.
    world.put(&at(B, MIGRATE));
    world.register(&press());
    assert!(world.on(B, "press-1").unwrap().edge);
    world.put(&at(C, RESET));
    world.register(&press());
    assert!(!world.on(C, "press-1").unwrap().edge);
}

#[test]
fn a_first_assignment_to_a_hub_that_knew_the_device_is_told_by_version() {
    for (version, substatus) in [
        ("2019-03-31", Substatus::InitialAssignment),
        ("2019-04-15", Substatus::ReprovisionedToInitialAssignment),
        ("2021-06-01", Substatus::ReprovisionedToInitialAssignment),
    ] {
        let world = settled(&at(A, MIGRATE));
        world.forget("press-1");
        let told = world.register(&press().speaking(version));
        assert_eq!(told.substatus(), substatus, "{version}");
        let twin = world.on(A, "press-1").unwrap().twin;
        assert_eq!(twin.reported, object(&[("temperature", 81)]), "untouched");
    }
}

#[test]
fn a_move_that_the_new_hub_refuses_leaves_the_device_where_it_was() {
    let world = settled(&at(B, MIGRATE));
    let reason = "the hub is full".to_owned();
    world.hubs.fail_at(
        &hub(B),
        Fault::Refused {
            code: 413_002,
            reason,
        },
    );
    let told = world.register(&press());
    assert_eq!(told.failure(), 413_002);
    assert_eq!(
        &*told.state().failure.clone().unwrap().message,
        "the hub is full"
    );
    assert_eq!(world.hubs_of("press-1"), [A]);
    world.hubs.mend(&hub(B));
    // Nobody knows whether a call to b is still on its way.
    world.clock.advance(dps_core::CALL_DEADLINE);
    assert_eq!(world.register(&press()).hub(), B);
    assert_eq!(world.hubs_of("press-1"), [B]);
}

#[test]
fn an_old_hub_that_does_not_answer_is_cleaned_by_a_sweep() {
    let world = settled(&at(B, RESET));
    let reply = world.only_register(&press());
    world.hubs.fail_next(2, &Fault::Retry { after: None });
    // Reading at the old hub fails, then, when the device asks again, unlinking does.
    let told = finish(reply);
    assert_eq!(told.status(), Status::Assigning);
    world.clock.advance(std::time::Duration::from_secs(2));
    world.hubs.fail_at(&hub(A), Fault::Lost);
    let told = world.poll(&press(), &told.operation());
    assert_eq!(told.status(), Status::Assigning);
    world.hubs.mend(&hub(A));
    world.clock.advance(std::time::Duration::from_secs(40));
    let reply = world.ask(
        &press(),
        dps_core::api::DeviceRequest::OperationStatus {
            operation: told.operation(),
        },
    );
    let first = dps_testkit::run::block_on(reply.work.unwrap());
    assert_eq!(status_of(&first.response), Status::Assigned);
    // Whoever was to clean has gone.
    drop(first);
    assert_eq!(world.hubs_of("press-1"), [A, B]);
    assert_eq!(world.sweep().cleaned, 0, "somebody may still be at it");
    world.clock.advance(HOUR);
    assert_eq!(world.sweep().cleaned, 1);
    assert_eq!(world.hubs_of("press-1"), [B]);
    assert_eq!(world.sweep().cleaned + world.sweep().waiting, 0);
}

/// A text as a device id.
pub trait Parsed {
    fn parsed(&self) -> dps_core::id::DeviceId;
}

impl Parsed for str {
    fn parsed(&self) -> dps_core::id::DeviceId {
        dps_core::id::DeviceId::parse(self).unwrap()
    }
}
