//! There are at most as many entries as the instance's quotas say.

use dps_core::admin::Precondition::{Any, Present};
use dps_core::instance::{Instance, Quotas};

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
