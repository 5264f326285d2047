//! Ids in another case are the same device.

use dps_core::id::RegistrationId;
use dps_core::registration::Status;
use dps_testkit::certs::Ca;
use dps_testkit::hubs::Fault;
use dps_testkit::run::block_on;

use crate::common::*;

#[test]
fn a_device_of_a_group_that_spells_itself_anew_is_one_device_on_one_hub() {
    let world = World::new();
    let root = Ca::root("Root");
    world.verify(&[&root]);
    world.put(&group("presses", signing(&[&root])));
    let first = Device::with_identity("Press-1", &root.device("Press-1"));
    let second = Device::with_identity("PRESS-1", &root.device("press-1"));
    let hub = world.register(&first).hub();
    let told = world.register(&second);
    assert_eq!(told.status(), Status::Assigned);
    assert_eq!(told.device(), "Press-1");
    assert_eq!(
        told.state().registration.as_str(),
        "PRESS-1",
        "echoed as spelled"
    );
    assert_eq!(world.everything(), [format!("{hub}/Press-1")]);
}

#[test]
fn a_device_with_a_derived_key_may_spell_itself_anew() {
    let world = World::new();
    world.put(&group("presses", keys(1, 1)));
    let first = world.register(&Device::derived("Press-1", &key(1)));
    let second = world.register(&Device::derived("press-1", &key(1)));
    assert_eq!(first.hub(), second.hub());
    assert_eq!(world.everything().len(), 1);
}

#[test]
fn an_individual_enrollment_decides_how_its_device_is_spelled() {
    let world = World::new();
    world.put(&individual("Press-1", keys(1, 1)).to(&[A]));
    let told = world.register(&Device::with_key("PRESS-1", &key(1)));
    assert_eq!(told.device(), "Press-1");
    let told = world.register(&Device::with_key("press-1", &key(1)));
    assert_eq!(told.device(), "Press-1");
    assert_eq!(world.everything(), [format!("{A}/Press-1")]);
}

#[test]
fn a_move_keeps_the_spelling_of_the_first_registration() {
    let world = World::new();
    world.put(&group("presses", keys(1, 1)).to(&[A]));
    world.register(&Device::derived("Press-1", &key(1)));
    world.put(&group("presses", keys(1, 1)).to(&[B]));
    world.register(&Device::derived("press-1", &key(1)));
    assert_eq!(world.everything(), [format!("{B}/Press-1")]);
}

#[test]
fn a_first_attempt_that_failed_decides_how_a_device_of_a_group_is_spelled() {
    let world = World::new();
    world.put(&group("presses", keys(1, 1)).to(&[A]));
    world.hubs.fail_next(1, &Fault::Lost);
    let told = world.register(&Device::derived("Press-1", &key(1)));
    assert_eq!(told.status(), Status::Assigning);
    // It asks for another hub now, and spells itself anew: what hub a has is cleaned away.
    world.put(&individual("press-1", keys(5, 5)).disabled());
    world.clock.advance(HOUR);
    world.register(&Device::with_key("press-1", &key(5)));
    let id = RegistrationId::parse("press-1").unwrap();
    block_on(world.admin.delete_enrollment(&id)).unwrap();
    let told = world.register(&Device::derived("PRESS-1", &key(1)));
    world.clock.advance(HOUR);
    let told = world.poll(&Device::derived("PRESS-1", &key(1)), &told.operation());
    assert_eq!(told.device(), "Press-1");
    world.sweep();
    assert_eq!(world.everything(), [format!("{A}/Press-1")]);
}

#[test]
fn the_scope_and_the_operation_belong_to_either_spelling() {
    let world = World::new();
    world.put(&group("presses", keys(1, 1)).to(&[A]));
    let first = world.register(&Device::derived("Press-1", &key(1)));
    let other = Device::derived("press-1", &key(1)).of_scope("0NE00abcdef");
    let told = world.poll(&other, &first.operation());
    assert_eq!(told.status(), Status::Assigned);
}
