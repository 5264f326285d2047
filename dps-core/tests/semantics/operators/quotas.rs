//! There are at most as many entries as the instance's quotas say.

use dps_core::admin::Precondition::{Any, Present};
use dps_core::error::Failure;
use dps_core::event::EventKind;
use dps_core::instance::{Instance, Quotas};
use dps_core::registration::Status;
use dps_core::trace::Step;

use super::*;

fn with(quotas: Quotas) -> World {
    let world = World::new();
    world.put_instance(&Instance {
        quotas,
        ..instance(&[A, B, C])
    });
    world
}

#[test]
fn individual_enrollments_are_counted_over_all_slots() {
    let world = with(Quotas {
        enrollments: 20,
        ..Quotas::UNLIMITED
    });
    let admin = &world.admin;
    let ids: Vec<_> = (0..22).map(|nth| device(&format!("press-{nth}"))).collect();
    for id in &ids[..20] {
        create(admin, &unsaid(id)).unwrap();
    }
    for id in &ids[20..] {
        let full = write(admin, &unsaid(id), Any, 2);
        assert!(
            matches!(full, Err(AdminError::Full { limit: 20 })),
            "{full:?}"
        );
    }
    // Those that are there can be replaced, and one that goes makes room for one.
    write(admin, &unsaid(&ids[3]), Present, 2).unwrap();
    write(admin, &unsaid(&ids[3]), Any, 2).unwrap();
    remove(admin, &ids[7], Any).unwrap();
    create(admin, &unsaid(&ids[20])).unwrap();
    assert_eq!(word(&create(admin, &unsaid(&ids[21]))), "full");
    let id = RegistrationId::parse("press-8").unwrap();
    block_on(admin.delete_enrollment(&id)).unwrap();
    block_on(admin.delete_enrollment(&id)).unwrap();
    create(admin, &unsaid(&ids[21])).unwrap();
    assert_eq!(word(&create(admin, &unsaid(&ids[8]))), "full");
}

#[test]
fn groups_are_counted_by_what_attests_them() {
    let world = with(Quotas {
        x509_groups: 1,
        symmetric_key_groups: 2,
        ..Quotas::UNLIMITED
    });
    let admin = &world.admin;
    let (one, two) = (Ca::root("One"), Ca::root("Two"));
    let (a, b, c, d) = (group_id("a"), group_id("b"), group_id("c"), group_id("d"));
    create(admin, &unsaid(&a)).unwrap();
    create(admin, &unsaid(&b)).unwrap();
    assert_eq!(word(&create(admin, &unsaid(&c))), "full");
    create(admin, &signed(&c, Some(&one), None)).unwrap();
    assert_eq!(word(&create(admin, &signed(&d, Some(&two), None))), "full");
    write(admin, &signed(&c, Some(&two), None), Present, 2).unwrap();
    write(admin, &unsaid(&a), Present, 2).unwrap();
    // One that changes its kind is one more of the other.
    assert_eq!(word(&write(admin, &unsaid(&c), Present, 2)), "full");
    remove(admin, &b, Any).unwrap();
    write(admin, &unsaid(&c), Present, 2).unwrap();
    create(admin, &signed(&d, Some(&one), None)).unwrap();
}

#[test]
fn what_is_there_stays_when_a_quota_is_lowered() {
    let world = World::new();
    let admin = &world.admin;
    for nth in 0..3 {
        create(admin, &unsaid(&device(&format!("press-{nth}")))).unwrap();
        create(admin, &unsaid(&group_id(&format!("group-{nth}")))).unwrap();
    }
    let quotas = Quotas {
        enrollments: 1,
        symmetric_key_groups: 1,
        ..Quotas::default()
    };
    world.put_instance(&Instance {
        quotas,
        ..instance(&[A])
    });
    for id in [device("press-1"), group_id("group-1")] {
        write(admin, &unsaid(&id), Present, 2).unwrap();
        remove(admin, &id, Any).unwrap();
        assert_eq!(word(&create(admin, &unsaid(&id))), "full");
    }
    // A program that owns its configuration is counted, and not bound.
    world.put(&individual("press-9", keys(1, 1)));
    world.put(&group("group-9", keys(1, 1)));
}

#[test]
fn two_that_fill_the_last_place_at_once_are_one() {
    let world = with(Quotas {
        symmetric_key_groups: 1,
        ..Quotas::UNLIMITED
    });
    let admin = world.admin.clone();
    world.store.before_next_commit(move || {
        create(&admin, &unsaid(&group_id("quicker"))).unwrap();
    });
    let slower = create(&world.admin, &unsaid(&group_id("slower")));
    assert_eq!(word(&slower), "full");
}

#[test]
fn an_instance_has_at_most_so_many_certificates() {
    let admin = World::new().admin;
    let roots: Vec<_> = (0..3).map(|nth| Ca::root(&format!("Root {nth}"))).collect();
    let cas: Vec<_> = roots.iter().collect();
    let instance = |certificates| Instance {
        quotas: Quotas {
            certificates,
            ..Quotas::default()
        },
        ..instance_of(&[A], &cas, true)
    };
    assert_eq!(word(&block_on(admin.put_instance(&instance(2)))), "full");
    block_on(admin.put_instance(&instance(3))).unwrap();
    block_on(admin.put_instance(&instance(0))).unwrap();
}

/// What a device is told, and how much was written meanwhile.
fn counted(world: &World) -> u64 {
    block_on(world.service.count_registrations(&scope(SCOPE))).unwrap()
}

fn press(nth: u32) -> Device {
    Device::derived(&format!("press-{nth}"), &key(1))
}

#[test]
fn a_device_that_would_be_one_too_many_is_told_that_it_failed_and_nothing_is_written() {
    let world = with(Quotas {
        registrations: 3,
        ..Quotas::UNLIMITED
    });
    world.put(&group("presses", keys(1, 1)));
    assert_eq!(world.register(&press(0)).status(), Status::Assigned);
    assert_eq!(counted(&world), 1);
    // What is added after the count counts at once.
    assert_eq!(world.register(&press(1)).status(), Status::Assigned);
    assert_eq!(world.register(&press(2)).status(), Status::Assigned);
    let told = world.register(&press(3));
    assert_eq!(told.status(), Status::Failed);
    assert_eq!(told.failure(), Failure::TOO_MANY_REGISTRATIONS);
    assert_eq!(counted(&world), 3);
    let id = RegistrationId::parse("press-3").unwrap();
    assert!(block_on(world.admin.registration(&id)).unwrap().is_none());
    let last = world.events.of(&scope(SCOPE), &id).pop().unwrap();
    assert_eq!(last.kind, EventKind::TurnedAway);
    let why = Step::TooManyRegistrations { limit: 3 };
    assert_eq!(last.trace.steps().last(), Some(&why));
    // Devices that are known register again, as often as they like.
    assert_eq!(world.register(&press(0)).status(), Status::Assigned);
    // One that is forgotten makes room, from the next count on.
    let gone = RegistrationId::parse("press-1").unwrap();
    block_on(world.admin.remove_registration(&gone, Any)).unwrap();
    assert_eq!(world.register(&press(3)).status(), Status::Failed);
    assert_eq!(counted(&world), 2);
    assert_eq!(world.register(&press(3)).status(), Status::Assigned);
    assert_eq!(world.register(&press(4)).status(), Status::Failed);
}

#[test]
fn nobody_is_turned_away_before_the_first_count_nor_without_a_quota() {
    let quota = |registrations| Quotas {
        registrations,
        ..Quotas::UNLIMITED
    };
    let world = with(quota(1));
    world.put(&group("presses", keys(1, 1)));
    for nth in 0..3 {
        assert_eq!(world.register(&press(nth)).status(), Status::Assigned);
    }
    assert_eq!(counted(&world), 3);
    assert_eq!(world.register(&press(3)).status(), Status::Failed);
    block_on(world.admin.set_quotas(quota(0), Any)).unwrap();
    assert_eq!(world.register(&press(3)).status(), Status::Assigned);
    assert_eq!(counted(&world), 4);
}

#[test]
fn a_device_of_a_disabled_entry_is_not_written_down_either() {
    let world = with(Quotas {
        registrations: 1,
        ..Quotas::UNLIMITED
    });
    world.put(&group("presses", keys(1, 1)));
    world.register(&press(0));
    assert_eq!(counted(&world), 1);
    let off = Enrollment {
        enabled: false,
        ..group("presses", keys(1, 1))
    };
    world.put(&off);
    assert_eq!(world.register(&press(1)).status(), Status::Failed);
    assert_eq!(counted(&world), 1);
}
