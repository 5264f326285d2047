//! The key that a device with a TPM signs in to its hub with.

use dps_core::allocate::Policy;
use dps_core::api::Work;
use dps_core::hub::DeviceAuth;
use dps_core::registration::Status;
use dps_testkit::hubs::Fault;

use super::*;

/// What the hub lets the device in with.
fn at_hub(world: &World, name: &str, id: &str) -> (SecretBytes, SecretBytes) {
    match world.on(name, id).unwrap().auth {
        DeviceAuth::Keys { primary, secondary } => (primary, secondary),
        other => panic!("{other:?}"),
    }
}

fn opened(press: &Press, told: &Told) -> SecretBytes {
    press.tpm.open(&blob(told)).unwrap().key
}

#[test]
fn the_hub_has_the_key_that_the_tpm_is_told() {
    let world = World::new();
    let press = enrolled(&world);
    let told = world.register(&press.signed(&world));
    let (primary, secondary) = at_hub(&world, A, "press-1");
    assert_eq!(opened(&press, &told), primary);
    assert_ne!(primary, secondary);
}

#[test]
fn each_poll_of_an_operation_tells_the_same_key_and_a_lookup_none() {
    let world = World::new();
    let press = enrolled(&world);
    let device = press.signed(&world);
    let told = world.register(&device);
    for _ in 0..3 {
        assert_eq!(polled(&world, &device, &told.operation()), blob(&told));
    }
    let without_keys = press.only_signed(&world);
    assert_eq!(
        polled(&world, &without_keys, &told.operation()),
        blob(&told)
    );
    assert!(world.lookup(&device).state().extras.tpm.is_none());
}

#[test]
fn registering_again_rolls_the_key() {
    let world = World::new();
    let press = enrolled(&world);
    let first = opened(&press, &world.register(&press.signed(&world)));
    let told = world.register(&press.signed(&world));
    let second = opened(&press, &told);
    assert_ne!(first, second);
    assert_eq!(at_hub(&world, A, "press-1").0, second);
    assert_eq!(world.hubs_of("press-1"), [A]);
}

#[test]
fn the_key_is_nobodys_else() {
    let world = World::new();
    let press = enrolled(&world);
    let told = world.register(&press.signed(&world));
    assert!(Press::new("press-1").tpm.open(&blob(&told)).is_err());
}

#[test]
fn a_tpm_that_is_cleared_takes_its_operation_over() {
    let world = World::new();
    let mut press = enrolled(&world);
    world.hubs.fail_at(&hub(A), Fault::Retry { after: None });
    let before = press.signed(&world);
    let in_flight = world.register(&before);
    assert_eq!(in_flight.status(), Status::Assigning);
    press.tpm.clear(Kind::Ecc);
    world.hubs.mend(&hub(A));
    let after = press.signed(&world);
    let over = world.register(&after);
    assert_ne!(over.operation(), in_flight.operation());
    let old = world.poll(&before, &in_flight.operation());
    assert_eq!(old.error().reason(), Reason::OperationNotFound);
    world.clock.advance(2 * Work::LEASE);
    let told = world.poll(&after, &over.operation());
    assert_eq!(told.status(), Status::Assigned);
    assert_eq!(opened(&press, &told), at_hub(&world, A, "press-1").0);
}

#[test]
fn a_custom_policy_keeps_the_key_of_the_operation() {
    use dps_core::allocate::BuiltIn;
    let world =
        World::with(|builder| builder.hook(std::sync::Arc::new(BuiltIn::new(Policy::Hashed))));
    let press = Press::new("press-1");
    let entry = individual("press-1", tpm(&press.keys()));
    world.put(&entry.among(&[B]).by(Policy::Custom));
    let told = world.register(&press.signed(&world));
    assert_eq!(opened(&press, &told), at_hub(&world, B, "press-1").0);
}

#[test]
fn a_device_that_moves_has_one_key_at_its_new_hub() {
    let world = World::new();
    let press = enrolled(&world);
    world.register(&press.signed(&world));
    world.put(&individual("press-1", tpm(&press.keys())).to(&[B]));
    let told = world.register(&press.signed(&world));
    assert_eq!(opened(&press, &told), at_hub(&world, B, "press-1").0);
    assert_eq!(world.hubs_of("press-1"), [B]);
}

#[test]
fn an_operation_that_is_taken_up_elsewhere_goes_on_with_its_key() {
    let world = World::new();
    let press = enrolled(&world);
    let device = press.signed(&world);
    // Whoever has begun it is gone.
    let reply = world.only_register(&device);
    let operation = operation_of(&reply.response);
    drop(reply);
    world.clock.advance(2 * Work::LEASE);
    let told = world.poll(&device, &operation);
    assert_eq!(opened(&press, &told), at_hub(&world, A, "press-1").0);
}
