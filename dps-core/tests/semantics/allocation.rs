//! Which hubs a device may be given.

use dps_core::allocate::Policy;
use dps_core::error::Failure;
use dps_core::registration::Status;

use crate::common::*;

fn press() -> Device {
    Device::with_key("press-1", &key(1))
}

#[test]
fn only_hubs_that_are_named_and_linked_and_in_policy_are_given() {
    let world = World::new();
    let mut out = instance(&[A, B]);
    out.hubs[0].in_policy = false;
    world.put_instance(&out);
    world.put(&group("presses", keys(1, 1)).among(&[A, B, C]));
    for nth in 0..20 {
        let told = world.register(&Device::derived(&format!("press-{nth}"), &key(1)));
        assert_eq!(told.hub(), B);
    }
}

#[test]
fn a_hub_out_of_policy_gets_nothing_though_the_entry_names_it_alone() {
    for policy in [Policy::Static, Policy::Hashed, Policy::GeoLatency] {
        let world = World::new();
        let mut out = instance(&[A, B]);
        out.hubs[0].in_policy = false;
        world.put_instance(&out);
        world.put(&individual("press-1", keys(1, 1)).among(&[A]).by(policy));
        let told = world.register(&press());
        assert_eq!(told.failure(), Failure::NO_CANDIDATE, "{policy}");
        assert!(world.hubs.calls().is_empty());
        assert!(world.why(&press()).contains("excluded"), "it is said why");
    }
}

#[test]
fn an_entry_that_names_no_linked_hub_fails() {
    let world = World::new();
    world.put(&individual("press-1", keys(1, 1)).among(&["gone.hub.example"]));
    let told = world.register(&press());
    assert_eq!(told.status(), Status::Failed);
    assert_eq!(told.failure(), Failure::NO_CANDIDATE);
    assert!(world.why(&press()).contains("gone.hub.example"));
}

#[test]
fn static_without_a_hub_fails_also_as_the_instances_policy() {
    let world = World::new();
    let mut fixed = instance(&[A, B]);
    fixed.policy = Policy::Static;
    world.put_instance(&fixed);
    world.put(&individual("press-1", keys(1, 1)));
    let told = world.register(&press());
    assert_eq!(told.failure(), Failure::NO_CANDIDATE);
    assert!(told.state().failure.as_ref().unwrap().message.len() > 10);
    world.put(&individual("press-1", keys(1, 1)).among(&[B]));
    assert_eq!(world.register(&press()).hub(), B);
}

#[test]
fn static_with_several_hubs_takes_the_first_that_is_a_candidate() {
    let world = World::new();
    world.put(&individual("press-1", keys(1, 1)).to(&["gone.hub.example", C, A]));
    assert_eq!(world.register(&press()).hub(), C);
}

#[test]
fn an_entry_with_a_pinned_hub_and_nothing_newer_is_static() {
    let world = World::new();
    let mut entry = individual("press-1", keys(1, 1));
    entry.pinned_hub = Some(hub(B));
    world.put(&entry);
    assert_eq!(world.register(&press()).hub(), B);
    // What is newer counts instead.
    world.put(&entry.to(&[C]));
    assert_eq!(world.register(&press()).hub(), C);
}

#[test]
fn the_entrys_policy_counts_before_the_instances() {
    let world = World::new();
    let mut custom = instance(&[A, B]);
    custom.policy = Policy::Custom;
    world.put_instance(&custom);
    world.put(&individual("press-1", keys(1, 1)).to(&[B]));
    assert_eq!(world.register(&press()).hub(), B);
}

#[test]
fn hashing_follows_weights_and_a_hub_without_weight_gets_nothing() {
    let world = World::new();
    let mut weighted = instance(&[A, B, C]);
    for (hub, weight) in weighted.hubs.iter_mut().zip([3, 1, 0]) {
        hub.weight = weight;
    }
    world.put_instance(&weighted);
    world.put(&group("presses", keys(1, 1)));
    for nth in 0..400 {
        world.register(&Device::derived(&format!("press-{nth}"), &key(1)));
    }
    let [a, b, c] = [A, B, C].map(|name| world.hubs.count(&hub(name)));
    assert!((260..340).contains(&a), "{a}");
    assert_eq!((a + b, c), (400, 0));
}

#[test]
fn a_device_stays_with_hashing_when_another_hub_is_unlinked() {
    let world = World::new();
    world.put(&group("presses", keys(1, 1)));
    let devices: Vec<_> = (0..60)
        .map(|nth| Device::derived(&format!("press-{nth}"), &key(1)))
        .collect();
    let before: Vec<_> = devices.iter().map(|d| world.register(d).hub()).collect();
    world.put_instance(&instance(&[A, B]));
    for (device, before) in devices.iter().zip(before) {
        let now = world.register(device).hub();
        assert!(now == before || before == C);
        assert_ne!(now, C);
    }
}

#[test]
fn the_failed_attempt_does_not_erase_where_the_device_is() {
    let world = World::new();
    world.put(&individual("press-1", keys(1, 1)).to(&[A]));
    world.register(&press());
    world.put(&individual("press-1", keys(1, 1)).to(&["gone.hub.example"]));
    assert_eq!(world.register(&press()).status(), Status::Failed);
    assert_eq!(world.hubs_of("press-1"), [A]);
    world.put(&individual("press-1", keys(1, 1)).to(&[A]));
    let told = world.register(&press());
    assert_eq!(told.substatus().word(), "reprovisionedToInitialAssignment");
}
