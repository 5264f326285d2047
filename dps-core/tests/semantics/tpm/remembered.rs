//! What is remembered of storage root keys, for devices that show them once.

use dps_core::id::RegistrationId;
use dps_core::store::{Scan, Store as _, Table};
use dps_testkit::run::block_on;

use super::*;

fn records(world: &World) -> usize {
    let scan = Scan {
        scope: scope(SCOPE),
        table: Table::Challenge,
        prefix: "".into(),
        after: None,
        limit: 100,
    };
    block_on(world.store.scan(&scan)).unwrap().records.len()
}

#[test]
fn a_device_may_sign_without_showing_its_keys_again_and_to_any_node() {
    let world = World::new();
    let press = enrolled(&world);
    let device = press.only_signed(&world);
    assert_eq!(records(&world), 1);
    let node = world.another();
    let hello = device.hello(dps_core::time::Clock::now(&world.clock), None);
    assert!(matches!(
        block_on(dps_core::api::DeviceApi::authenticate(&node, hello)),
        Authentication::Accepted(_)
    ));
    let told = world.register(&device);
    assert_eq!(told.hub(), A);
    assert!(press.tpm.open(&blob(&told)).is_ok());
    assert_eq!(records(&world), 0, "its own record has it now");
    let commits = world.store.commits();
    let again = press.only_signed(&world);
    assert_eq!(
        world.store.commits(),
        commits,
        "what is known is not written"
    );
    assert_eq!(world.register(&again).hub(), A);
}

#[test]
fn over_a_connection_nothing_is_remembered() {
    let world = World::new();
    let press = enrolled(&world).over_amqp();
    let commits = world.store.commits();
    assert_eq!(world.register(&press.signed(&world)).hub(), A);
    assert_eq!(records(&world), 0);
    // The registration itself.
    assert_eq!(world.store.commits(), commits + 2);
}

#[test]
fn over_a_connection_a_signature_without_its_keys_is_refused() {
    let world = World::new();
    let press = enrolled(&world);
    let device = press.only_signed(&world);
    assert!(is_refused(&world, &device.clone().over_mqtt()));
    assert!(is_refused(&world, &device.clone().over(Transport::Amqp)));
    assert_eq!(world.register(&device).hub(), A);
}

#[test]
fn a_key_that_is_shown_again_is_written_once() {
    let world = World::new();
    let press = enrolled(&world);
    let commits = world.store.commits();
    for _ in 0..5 {
        challenge(&world, &press.unsigned());
    }
    assert_eq!(world.store.commits(), commits + 1);
}

#[test]
fn the_newest_eight_are_remembered() {
    let world = World::new();
    let press = enrolled(&world);
    let first = press.token(&world);
    let show = |count| {
        for _ in 0..count {
            let stranger = TpmKeys {
                endorsement_key: press.keys().endorsement_key,
                ..Press::new("x").keys()
            };
            challenge(&world, &Device::with_tpm("press-1", stranger, None));
        }
    };
    show(7);
    let device = Device::with_token("press-1", first);
    world.session(&device);
    show(1);
    assert!(is_refused(&world, &device));
    assert_eq!(records(&world), 1);
}

#[test]
fn who_knows_the_endorsement_key_cannot_disturb_a_device_that_has_registered() {
    let world = World::new();
    let press = enrolled(&world);
    world.register(&press.signed(&world));
    let token = press.token(&world);
    for _ in 0..20 {
        let stranger = TpmKeys {
            endorsement_key: press.keys().endorsement_key,
            ..Press::new("x").keys()
        };
        challenge(&world, &Device::with_tpm("press-1", stranger, None));
    }
    assert_eq!(
        world.register(&Device::with_token("press-1", token)).hub(),
        A
    );
    // Nor one that shows its keys, at any time.
    let other = Press::new("press-2");
    world.put(&individual("press-2", tpm(&other.keys())).to(&[B]));
    assert_eq!(world.register(&other.signed(&world)).hub(), B);
}

#[test]
fn what_is_remembered_goes_with_the_enrollment() {
    let world = World::new();
    let press = enrolled(&world);
    challenge(&world, &press.unsigned());
    assert_eq!(records(&world), 1);
    let id = RegistrationId::parse("press-1").unwrap();
    block_on(world.admin.delete_enrollment(&id)).unwrap();
    assert_eq!(records(&world), 0);
}

#[test]
fn nothing_is_remembered_of_an_entry_that_changes_meanwhile() {
    let world = World::new();
    let press = enrolled(&world);
    let admin = world.admin.clone();
    world.store.before_next_commit(move || {
        let id = RegistrationId::parse("press-1").unwrap();
        block_on(admin.delete_enrollment(&id)).unwrap();
    });
    challenge(&world, &press.unsigned());
    assert_eq!(records(&world), 0);
}

#[test]
fn two_that_are_shown_at_once_are_both_remembered() {
    let world = World::new();
    let press = enrolled(&world);
    let mut cleared = Press::new("press-1");
    cleared.tpm = SoftTpm::new(Kind::Ecc);
    let (service, now) = (world.another(), dps_core::time::Clock::now(&world.clock));
    let other = TpmKeys {
        endorsement_key: press.keys().endorsement_key,
        ..cleared.keys()
    };
    let hello = Device::with_tpm("press-1", other, None).hello(now, None);
    world.store.before_next_commit(move || {
        block_on(dps_core::api::DeviceApi::authenticate(&service, hello));
    });
    let device = press.only_signed(&world);
    assert_eq!(world.register(&device).hub(), A);
}
