//! No two groups have the same certificate or the same key.

use dps_core::admin::Precondition::{Any, Present};

use super::*;

fn named(id: &EntryId, primary: Option<&str>, secondary: Option<&str>) -> Draft {
    let (primary, secondary) = (primary.map(Into::into), secondary.map(Into::into));
    draft(
        id,
        AttestationDraft::CaReferences(Slots { primary, secondary }),
    )
}

#[test]
fn a_key_of_another_group_is_refused_in_either_slot() {
    let world = World::new();
    let admin = &world.admin;
    let (presses, others) = (group_id("presses"), group_id("others"));
    create(admin, &keyed(&presses, Some(1), Some(2))).unwrap();
    for (primary, secondary) in [(1, 3), (2, 3), (3, 1), (3, 2), (2, 1)] {
        let taken = create(admin, &keyed(&others, Some(primary), Some(secondary)));
        assert_eq!(word(&taken), "duplicate", "{primary} {secondary}");
        let entry = group("others", keys(primary, secondary));
        assert_eq!(word(&block_on(admin.put_group(&entry))), "duplicate");
    }
    assert!(read(admin, &others).is_none());
    create(admin, &keyed(&others, Some(3), Some(3))).unwrap();
    let taken = write(admin, &keyed(&others, Some(1), Some(3)), Present, 2);
    assert_eq!(word(&taken), "duplicate");
    // Its own are no duplicates, and those of individual entries are theirs.
    write(admin, &keyed(&presses, Some(2), Some(1)), Present, 2).unwrap();
    create(admin, &keyed(&device("press-1"), Some(1), Some(2))).unwrap();
}

#[test]
fn a_certificate_of_another_group_is_refused_in_either_slot_and_by_any_name() {
    let world = World::new();
    let admin = &world.admin;
    let (one, two, three) = (Ca::root("One"), Ca::root("Two"), Ca::root("Three"));
    world.verify(&[&one, &two, &three]);
    let (presses, others) = (group_id("presses"), group_id("others"));
    create(admin, &signed(&presses, Some(&one), Some(&two))).unwrap();
    for taken in [
        signed(&others, Some(&one), None),
        signed(&others, Some(&three), Some(&two)),
        signed(&others, None, Some(&one)),
        named(&others, Some("ca-0"), None),
        named(&others, Some("ca-2"), Some("CA-1")),
    ] {
        assert_eq!(word(&create(admin, &taken)), "duplicate", "{taken:?}");
    }
    create(admin, &named(&others, Some("ca-2"), Some("soon"))).unwrap();
    let third = group_id("third");
    for taken in [
        signed(&third, Some(&three), None),
        named(&third, Some("CA-2"), None),
        named(&third, None, Some("Soon")),
    ] {
        assert_eq!(word(&create(admin, &taken)), "duplicate", "{taken:?}");
    }
    // The same in both slots is one entry's own, as it is while one of them is rolled.
    write(admin, &signed(&presses, Some(&one), Some(&one)), Present, 2).unwrap();
    create(admin, &signed(&third, Some(&two), None)).unwrap();
}

#[test]
fn what_a_group_gives_up_another_may_have() {
    let admin = World::new().admin;
    let (presses, others) = (group_id("presses"), group_id("others"));
    create(&admin, &keyed(&presses, Some(1), Some(2))).unwrap();
    write(&admin, &keyed(&presses, Some(1), Some(3)), Present, 2).unwrap();
    create(&admin, &keyed(&others, Some(2), Some(4))).unwrap();
    remove(&admin, &presses, Any).unwrap();
    write(&admin, &keyed(&others, Some(1), Some(3)), Present, 2).unwrap();
}

#[test]
fn tenants_may_have_the_same_keys() {
    let world = World::new();
    let second = Admin::new(
        std::sync::Arc::clone(&world.store) as _,
        scope("0ne00FEDCBA"),
    );
    for admin in [&world.admin, &second] {
        create(admin, &keyed(&group_id("presses"), Some(1), Some(2))).unwrap();
    }
}

#[test]
fn a_key_that_another_group_gets_while_one_is_written_is_noticed() {
    let world = World::new();
    let admin = world.admin.clone();
    world.store.before_next_commit(move || {
        create(&admin, &keyed(&group_id("quicker"), Some(1), Some(2))).unwrap();
    });
    let slower = create(&world.admin, &keyed(&group_id("slower"), Some(2), Some(3)));
    assert_eq!(word(&slower), "duplicate");
    let admin = world.admin.clone();
    world.store.before_next_commit(move || {
        create(&admin, &keyed(&group_id("third"), Some(5), Some(6))).unwrap();
    });
    create(&world.admin, &keyed(&group_id("slower"), Some(3), Some(4))).unwrap();
}
