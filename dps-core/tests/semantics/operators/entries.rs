//! Creating, replacing and removing, as many operators do it.

use dps_core::admin::Precondition::{Absent, Any, Present, Version};
use dps_testkit::tpm::{Kind, SoftTpm};

use super::*;

#[test]
fn an_entry_lives_as_in_the_worked_example() {
    let admin = World::new().admin;
    let id = device("dev-001");
    let first = create(&admin, &unsaid(&id)).unwrap();
    let made = keys_of(&first.value);
    assert!(made.iter().all(|key| key.expose().len() == 64) && made[0] != made[1]);

    assert_eq!(word(&create(&admin, &unsaid(&id))), "exists");
    let stale = Version(dps_core::store::Version(first.version.0 + 1_000));
    assert_eq!(word(&write(&admin, &unsaid(&id), stale, 2)), "changed");
    let second = write(&admin, &unsaid(&id), Version(first.version), 3).unwrap();
    assert_ne!(second.version, first.version);
    assert_eq!(keys_of(&second.value), made, "keys that are not said stay");
    let third = write(&admin, &unsaid(&id), Present, 4).unwrap();
    let there = read(&admin, &id).unwrap();
    assert_eq!(there.version, third.version);
    assert_eq!(keys_of(&there.value), made);

    let first = Version(first.version);
    assert_eq!(word(&remove(&admin, &id, first)), "changed");
    assert_eq!(word(&remove(&admin, &id, Present)), "done");
    assert!(read(&admin, &id).is_none());
    assert_eq!(word(&remove(&admin, &id, Present)), "not found");
    assert_eq!(word(&remove(&admin, &id, Any)), "not found");
    assert_eq!(word(&remove(&admin, &id, first)), "not found");
}

#[test]
fn what_is_to_be_replaced_must_be_there() {
    let admin = World::new().admin;
    for id in [device("press-1"), group_id("presses")] {
        let nowhere = Version(dps_core::store::Version(1));
        assert_eq!(word(&write(&admin, &unsaid(&id), Present, 1)), "changed");
        assert_eq!(word(&write(&admin, &unsaid(&id), nowhere, 1)), "changed");
        assert!(read(&admin, &id).is_none());
        assert_eq!(word(&write(&admin, &unsaid(&id), Any, 1)), "done");
        assert_eq!(word(&write(&admin, &unsaid(&id), Any, 1)), "done");
    }
}

#[test]
fn the_version_of_an_entry_that_was_removed_and_made_again_is_another() {
    let admin = World::new().admin;
    for id in [device("press-1"), group_id("presses")] {
        let first = create(&admin, &unsaid(&id)).unwrap().version;
        remove(&admin, &id, Version(first)).unwrap();
        let second = create(&admin, &unsaid(&id)).unwrap();
        assert_ne!(second.version, first);
        let again = write(&admin, &unsaid(&id), Version(first), 2);
        assert_eq!(word(&again), "changed");
        assert_eq!(word(&remove(&admin, &id, Version(first))), "changed");
    }
}

#[test]
fn ids_are_the_same_in_any_case_of_letters() {
    let admin = World::new().admin;
    for (id, same) in [
        (device("Press-1"), device("PRESS-1")),
        (group_id("Presses"), group_id("presses")),
    ] {
        create(&admin, &unsaid(&id)).unwrap();
        assert_eq!(word(&create(&admin, &unsaid(&same))), "exists");
        assert!(read(&admin, &same).is_some());
        assert_eq!(word(&remove(&admin, &same, Any)), "done");
    }
}

#[test]
fn a_replacement_is_whole_but_for_when_the_entry_was_made() {
    let admin = World::new().admin;
    for id in [device("press-1"), group_id("presses")] {
        let mut rich = unsaid(&id);
        (rich.enabled, rich.edge) = (false, true);
        rich.hubs = vec![hub(A)];
        rich.policy = Some(dps_core::allocate::Policy::Static);
        rich.reprovision = Some(RESET);
        rich.initial_twin.tags = object(&[("line", 4)]);
        rich.created = Timestamp(77);
        let written = write(&admin, &rich, Absent, 10).unwrap().value;
        assert_eq!(
            (written.created, written.updated),
            (Timestamp(10), Timestamp(10))
        );
        assert!(written.edge && !written.enabled);

        let plain = write(&admin, &unsaid(&id), Present, 20).unwrap().value;
        assert_eq!(
            (plain.created, plain.updated),
            (Timestamp(10), Timestamp(20))
        );
        assert!(plain.enabled && !plain.edge && plain.hubs.is_empty());
        assert!(plain.policy.is_none() && plain.reprovision.is_none());
        assert!(plain.initial_twin.tags.is_empty());
        let there = read(&admin, &id).unwrap().value;
        assert_eq!(format!("{there:?}"), format!("{plain:?}"));
    }
}

#[test]
fn an_entry_may_change_how_its_device_proves_itself() {
    let world = World::new();
    let admin = &world.admin;
    let id = group_id("presses");
    let root = Ca::root("Root");
    world.verify(&[&root]);
    let first = create(admin, &unsaid(&id)).unwrap();
    write(
        admin,
        &signed(&id, Some(&root), None),
        Version(first.version),
        2,
    )
    .unwrap();
    let press = Device::with_identity("press-1", &root.device("press-1"));
    world.register(&press).hub();
    // Keys that are not said are new ones: the entry had none.
    let third = write(admin, &unsaid(&id), Present, 3).unwrap();
    assert!(!keys_of(&third.value).contains(&keys_of(&first.value)[0]));
}

#[test]
fn hubs_that_are_not_linked_are_taken_and_judged_when_a_device_registers() {
    let world = World::new();
    let id = device("press-1");
    let mut nowhere = keyed(&id, Some(1), Some(2));
    nowhere.hubs = vec![hub("nowhere.hub.example")];
    create(&world.admin, &nowhere).unwrap();
    let told = world.register(&Device::with_key("press-1", &key(1)));
    assert_eq!(told.failure(), dps_core::error::Failure::NO_CANDIDATE);
}

#[test]
fn a_change_counts_at_the_next_request() {
    let world = World::new();
    let (id, press) = (group_id("presses"), Device::derived("press-1", &key(1)));
    create(&world.admin, &keyed(&id, Some(1), Some(2))).unwrap();
    world.register(&press).hub();
    write(&world.admin, &keyed(&id, Some(3), Some(4)), Present, 2).unwrap();
    world.denied(&press);
    remove(&world.admin, &id, Any).unwrap();
    world.denied(&Device::derived("press-1", &key(3)));
}

#[test]
fn what_makes_no_sense_is_refused_and_nothing_is_written() {
    let world = World::new();
    let commits = world.store.commits();
    let (press, presses) = (device("press-1"), group_id("presses"));
    let root = Ca::root("Root");
    let bytes = |count: usize| Some(SecretBytes::new(vec![1; count]));
    let sized = |count| AttestationDraft::SymmetricKey {
        primary: bytes(32),
        secondary: bytes(count),
    };
    let leaf = |slots| AttestationDraft::Leaf(slots);
    let named = |name: &str| Slots {
        primary: Some(name.into()),
        secondary: None,
    };
    let in_tpm = AttestationDraft::Tpm {
        endorsement_key: SoftTpm::new(Kind::Ecc).keys().endorsement_key,
        storage_root_key: None,
    };
    for (nth, draft) in [
        signed(&press, Some(&root), None),
        signed(&presses, None, None),
        draft(
            &press,
            leaf(Slots {
                primary: None,
                secondary: None,
            }),
        ),
        draft(&presses, AttestationDraft::CaReferences(Slots::default())),
        draft(&press, AttestationDraft::CaReferences(named("ca-0"))),
        draft(&presses, in_tpm),
        draft(&press, sized(15)),
        draft(&press, sized(65)),
        draft(&presses, sized(0)),
    ]
    .iter()
    .enumerate()
    {
        assert_eq!(word(&create(&world.admin, draft)), "invalid", "{nth}");
    }
    assert_eq!(world.store.commits(), commits);
    for size in [16, 64] {
        write(&world.admin, &draft(&press, sized(size)), Any, 1).unwrap();
    }
}
