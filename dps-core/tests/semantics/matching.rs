//! Which entry answers for a device.

use dps_core::error::Reason;
use dps_core::registration::Status;
use dps_core::time::Timestamp;
use dps_testkit::certs::{Ca, Identity, Profile};

use crate::common::*;

/// A root that the tenant has proven to hold, a factory below it, and a line below that.
fn ladder() -> (Ca, Ca, Ca) {
    let root = Ca::root("Root");
    let factory = root.intermediate("Factory");
    let line = factory.intermediate("Line");
    (root, factory, line)
}

#[test]
fn an_individual_enrollment_is_asked_before_any_group() {
    let world = World::new();
    world.put(&group("presses", keys(1, 2)).to(&[A]));
    world.put(&individual("press-1", keys(3, 4)).to(&[B]));
    let told = world.register(&Device::with_key("press-1", &key(3)));
    assert_eq!(told.hub(), B);
    assert!(told.state().owner.group.is_none());
    let of_group = world.denied(&Device::derived("press-1", &key(1)));
    assert_eq!(of_group.reason(), Reason::Unauthorized);
    assert_eq!(
        world.register(&Device::derived("press-2", &key(1))).hub(),
        A
    );
}

#[test]
fn a_disabled_individual_of_another_kind_blocks_a_member_and_deleting_it_lets_it_in_again() {
    let world = World::new();
    let root = Ca::root("Root");
    world.verify(&[&root]);
    world.put(&group("presses", signing(&[&root])));
    let press = Device::with_identity("press-1", &root.device("press-1"));
    assert_eq!(world.register(&press).status(), Status::Assigned);

    let blocking = individual("press-1", keys(1, 2)).disabled();
    world.put(&blocking);
    assert_eq!(world.denied(&press).reason(), Reason::Unauthorized);

    let id = dps_core::id::RegistrationId::parse("press-1").unwrap();
    dps_testkit::run::block_on(world.admin.delete_enrollment(&id)).unwrap();
    assert_eq!(world.register(&press).status(), Status::Assigned);
}

#[test]
fn a_device_of_a_disabled_entry_is_told_that_it_is_disabled_and_touches_no_hub() {
    let world = World::new();
    world.put(&individual("press-1", keys(1, 2)).disabled());
    let told = world.register(&Device::with_key("press-1", &key(1)));
    assert_eq!(told.status(), Status::Disabled);
    assert!(world.hubs.calls().is_empty());
}

#[test]
fn the_group_nearest_to_the_leaf_decides() {
    let world = World::new();
    let (root, factory, line) = ladder();
    world.verify(&[&root]);
    world.put(&group("all", signing(&[&root])).to(&[A]));
    world.put(&group("factory", signing(&[&factory])).to(&[B]));
    world.put(&group("line", signing(&[&line])).to(&[C]));
    let of = |ca: &Ca, id: &str| {
        let told = world.register(&Device::with_identity(id, &ca.device(id)));
        told.hub()
    };
    assert_eq!(of(&root, "press-1"), A);
    assert_eq!(of(&factory, "press-2"), B);
    assert_eq!(of(&line, "press-3"), C);
}

#[test]
fn a_disabled_group_of_an_intermediate_blocks_its_branch_although_the_roots_group_is_enabled() {
    let world = World::new();
    let (root, factory, line) = ladder();
    world.verify(&[&root]);
    world.put(&group("all", signing(&[&root])));
    world.put(&group("factory", signing(&[&factory])).disabled());
    let below = Device::with_identity("press-1", &line.device("press-1"));
    assert_eq!(world.register(&below).status(), Status::Disabled);
    assert!(world.everything().is_empty());
    let beside = Device::with_identity("press-2", &root.device("press-2"));
    assert_eq!(world.register(&beside).status(), Status::Assigned);
}

#[test]
fn a_disabled_group_higher_up_is_not_asked() {
    let world = World::new();
    let (root, factory, _) = ladder();
    world.verify(&[&root]);
    world.put(&group("all", signing(&[&root])).disabled());
    world.put(&group("factory", signing(&[&factory])));
    let press = Device::with_identity("press-1", &factory.device("press-1"));
    assert_eq!(world.register(&press).status(), Status::Assigned);
}

#[test]
fn a_certificate_that_a_disabled_group_names_too_is_refused() {
    for disabled in ["a-group", "z-group"] {
        let world = World::new();
        let root = Ca::root("Root");
        world.verify(&[&root]);
        for name in ["a-group", "z-group"] {
            let entry = group(name, signing(&[&root]));
            world.put_alike(&if name == disabled {
                entry.disabled()
            } else {
                entry
            });
        }
        let press = Device::with_identity("press-1", &root.device("press-1"));
        assert_eq!(
            world.register(&press).status(),
            Status::Disabled,
            "{disabled}"
        );
    }
}

#[test]
fn a_key_that_a_disabled_group_has_too_is_refused() {
    for disabled in ["a-group", "z-group"] {
        let world = World::new();
        for name in ["a-group", "z-group"] {
            let entry = group(name, keys(1, 2));
            world.put_alike(&if name == disabled {
                entry.disabled()
            } else {
                entry
            });
        }
        let press = Device::derived("press-1", &key(1));
        assert_eq!(
            world.register(&press).status(),
            Status::Disabled,
            "{disabled}"
        );
    }
}

#[test]
fn a_group_may_name_its_certificates_by_reference() {
    let world = World::new();
    let (root, other) = (Ca::root("Root"), Ca::root("Other"));
    world.verify(&[&other, &root]);
    world.put(&group("presses", references(&["nowhere", "CA-1"])));
    let press = Device::with_identity("press-1", &root.device("press-1"));
    assert_eq!(world.register(&press).status(), Status::Assigned);
    let of_other = Device::with_identity("press-2", &other.device("press-2"));
    assert_eq!(world.denied(&of_other).reason(), Reason::Unauthorized);

    world.put(&group("presses", references(&["nowhere", "nobody"])));
    assert_eq!(world.denied(&press).reason(), Reason::Unauthorized);
}

#[test]
fn an_unverified_signing_certificate_counts_if_it_rolls_up_to_a_verified_one_in_the_chain() {
    let world = World::new();
    let (root, factory, line) = ladder();
    world.put(&group("line", signing(&[&line])));
    let press = line.device("press-1");
    let whole = Device::with_chain("press-1", press.full_chain_der());
    let without_root = Device::with_chain("press-1", press.chain_der());

    assert_eq!(world.denied(&whole).reason(), Reason::Unauthorized);
    world.put_instance(&instance_of(&[A, B, C], &[&root], false));
    assert_eq!(world.denied(&whole).reason(), Reason::Unauthorized);
    world.verify(&[&root]);
    assert_eq!(world.register(&whole).status(), Status::Assigned);
    assert_eq!(world.register(&without_root).status(), Status::Assigned);
    // A verified intermediate ends a chain too.
    world.verify(&[&factory]);
    assert_eq!(world.register(&without_root).status(), Status::Assigned);
    // The root does not help where the certificate below it is missing.
    world.verify(&[&root]);
    let gap = [press.chain_der()[0].clone(), press.chain_der()[1].clone()];
    let gap = Device::with_chain("press-1", &gap);
    assert_eq!(world.denied(&gap).reason(), Reason::Unauthorized);
}

#[test]
fn the_last_issuer_may_be_left_out_of_the_chain() {
    let world = World::new();
    let (root, factory, _) = ladder();
    world.verify(&[&root, &factory]);
    world.put(&group("factory", signing(&[&factory])));
    let press = factory.device("press-1");
    let alone = Device::with_chain("press-1", &press.chain_der()[..1]);
    assert_eq!(world.register(&alone).status(), Status::Assigned);
    // A namesake with a key of its own has not issued it.
    let forged = root.intermediate("Factory").device("press-2");
    let forged = Device::with_chain("press-2", &forged.chain_der()[..1]);
    assert_eq!(world.denied(&forged).reason(), Reason::Unauthorized);
}

#[test]
fn what_is_wrong_with_a_certificate_refuses_it() {
    let world = World::new();
    let (root, stranger) = (Ca::root("Root"), Ca::root("Root"));
    world.verify(&[&root]);
    world.put(&group("presses", signing(&[&root])));
    let now = world.clock.now_is();
    let valid = |from, to| Profile::device("press-1").with_validity(from, to);
    let expired = root.issue(&valid(Profile::NOT_BEFORE, Timestamp(now.0 - 1000)));
    let early = root.issue(&valid(Timestamp(now.0 + 1000), Profile::NOT_AFTER));
    let authority = root.issue(&Profile::device("press-1").with_ca(true));
    let foreign = stranger.device("press-1");
    let other_name = root.device("press-2");
    for (what, identity) in [
        ("expired", &expired),
        ("not yet valid", &early),
        ("a CA's", &authority),
        ("of another CA", &foreign),
        ("of another device", &other_name),
        ("its own", &Identity::self_signed("press-1")),
    ] {
        let error = world.denied(&Device::with_identity("press-1", identity));
        assert_eq!(error.reason(), Reason::Unauthorized, "{what}");
        let whole = Device::with_chain("press-1", identity.full_chain_der());
        assert_eq!(
            world.denied(&whole).reason(),
            Reason::Unauthorized,
            "{what}"
        );
    }
    let good = Device::with_identity("press-1", &root.device("press-1"));
    assert_eq!(world.register(&good).status(), Status::Assigned);
}

#[test]
fn a_signing_certificate_that_has_expired_refuses() {
    let world = World::new();
    let now = world.clock.now_is();
    let profile = Profile::ca("Root").with_validity(Profile::NOT_BEFORE, Timestamp(now.0 + 5000));
    let root = Ca::root_with(&profile);
    world.verify(&[&root]);
    world.put(&group("presses", signing(&[&root])));
    let press = Device::with_identity("press-1", &root.device("press-1"));
    assert_eq!(world.register(&press).status(), Status::Assigned);
    world.clock.advance(HOUR);
    assert_eq!(world.denied(&press).reason(), Reason::Unauthorized);
}

/// What a clock says.
trait Now {
    fn now_is(&self) -> Timestamp;
}

impl Now for dps_testkit::clock::ManualClock {
    fn now_is(&self) -> Timestamp {
        dps_core::time::Clock::now(self)
    }
}
