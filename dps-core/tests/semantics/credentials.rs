//! Both slots of an entry work at any time.

use dps_core::error::Reason;
use dps_core::hub::DeviceAuth;
use dps_core::registration::Status;
use dps_testkit::certs::{Ca, Identity};

use crate::common::*;

#[test]
fn both_keys_of_an_individual_work_in_any_order_and_the_hub_gets_both() {
    let world = World::new();
    world.put(&individual("press-1", keys(1, 2)).to(&[A]));
    for byte in [1, 2, 2, 1] {
        let told = world.register(&Device::with_key("press-1", &key(byte)));
        assert_eq!(told.status(), Status::Assigned);
        world.clock.advance(HOUR);
    }
    let (primary, secondary) = (key(1), key(2));
    let auth = DeviceAuth::Keys { primary, secondary };
    assert_eq!(world.on(A, "press-1").unwrap().auth, auth);
}

#[test]
fn both_keys_of_a_group_work_and_the_hub_gets_what_is_derived_from_them() {
    let world = World::new();
    world.put(&group("presses", keys(1, 2)).to(&[A]));
    for byte in [2, 1] {
        let told = world.register(&Device::derived("press-1", &key(byte)));
        assert_eq!(told.status(), Status::Assigned);
    }
    let derived = |byte| dps_core::attest::derive_device_key(&key(byte), "press-1");
    let (primary, secondary) = (derived(1), derived(2));
    let auth = DeviceAuth::Keys { primary, secondary };
    assert_eq!(world.on(A, "press-1").unwrap().auth, auth);
    // The group's own key is no device's.
    let outright = Device::with_key("press-1", &key(1));
    assert_eq!(world.denied(&outright).reason(), Reason::Unauthorized);
}

#[test]
fn both_certificates_of_an_individual_work() {
    let world = World::new();
    let ids = [
        Identity::self_signed("press-1"),
        Identity::self_signed("press-1"),
    ];
    world.put(&individual("press-1", leaves(&[&ids[0], &ids[1]])));
    for identity in [&ids[1], &ids[0]] {
        let device = Device::with_identity("press-1", identity);
        assert_eq!(world.register(&device).status(), Status::Assigned);
    }
    let third = Device::with_identity("press-1", &Identity::self_signed("press-1"));
    assert_eq!(world.denied(&third).reason(), Reason::Unauthorized);
}

#[test]
fn both_certificates_of_a_group_work() {
    let world = World::new();
    let cas = [Ca::root("One"), Ca::root("Two")];
    world.verify(&[&cas[0], &cas[1]]);
    world.put(&group("presses", signing(&[&cas[0], &cas[1]])));
    for (id, ca) in [("press-1", &cas[0]), ("press-2", &cas[1])] {
        let device = Device::with_identity(id, &ca.device(id));
        assert_eq!(world.register(&device).status(), Status::Assigned);
    }
}

#[test]
fn a_rolled_certificate_reaches_the_hub_with_the_next_registration() {
    let world = World::new();
    let root = Ca::root("Root");
    world.verify(&[&root]);
    world.put(&group("presses", signing(&[&root])).to(&[A]));
    let auths: Vec<_> = (0..2)
        .map(|_| {
            let device = Device::with_identity("press-1", &root.device("press-1"));
            assert_eq!(world.register(&device).status(), Status::Assigned);
            world.on(A, "press-1").unwrap().auth
        })
        .collect();
    assert_ne!(auths[0], auths[1]);
}
