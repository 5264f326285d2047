//! Two operators at one record: exactly one of them wins.

use std::sync::Barrier;
use std::thread;

use dps_core::admin::Precondition::{Any, Present, Version};

use super::*;

/// Writes the entry between what `write` reads and what it commits.
fn meanwhile(world: &World, id: &EntryId) {
    let (admin, id) = (world.admin.clone(), id.clone());
    world.store.before_next_commit(move || {
        write(&admin, &unsaid(&id), Any, 50).unwrap();
    });
}

#[test]
fn whoever_expects_a_version_is_told_that_another_was_quicker() {
    for id in [device("press-1"), group_id("presses")] {
        let world = World::new();
        meanwhile(&world, &id);
        assert_eq!(word(&create(&world.admin, &unsaid(&id))), "exists");
        let seen = Version(read(&world.admin, &id).unwrap().version);
        meanwhile(&world, &id);
        assert_eq!(
            word(&write(&world.admin, &unsaid(&id), seen, 60)),
            "changed"
        );
        let there = read(&world.admin, &id).unwrap();
        assert_eq!(there.value.updated, Timestamp(50));
        meanwhile(&world, &id);
        assert_eq!(
            word(&remove(&world.admin, &id, Version(there.version))),
            "changed"
        );
        assert!(read(&world.admin, &id).is_some());
    }
}

#[test]
fn whoever_expects_nothing_of_it_is_not_told_that_another_was_quicker() {
    for id in [device("press-1"), group_id("presses")] {
        for precondition in [Any, Present] {
            let world = World::new();
            let first = create(&world.admin, &unsaid(&id)).unwrap();
            meanwhile(&world, &id);
            let written = write(&world.admin, &unsaid(&id), precondition, 60).unwrap();
            assert_eq!(written.value.created, Timestamp(1));
            assert_eq!(keys_of(&written.value), keys_of(&first.value));
            meanwhile(&world, &id);
            remove(&world.admin, &id, precondition).unwrap();
            assert!(read(&world.admin, &id).is_none());
        }
    }
}

#[test]
fn what_is_to_be_replaced_and_goes_meanwhile_is_not_made_again() {
    for id in [device("press-1"), group_id("presses")] {
        let world = World::new();
        create(&world.admin, &unsaid(&id)).unwrap();
        let (admin, gone) = (world.admin.clone(), id.clone());
        world
            .store
            .before_next_commit(move || remove(&admin, &gone, Any).unwrap());
        assert_eq!(
            word(&write(&world.admin, &unsaid(&id), Present, 2)),
            "changed"
        );
        assert!(read(&world.admin, &id).is_none());
    }
}

#[test]
fn a_neighbour_in_the_same_slot_is_nobodys_concern() {
    let world = World::new();
    let admin = world.admin.clone();
    let neighbours: Vec<_> = (0..200).map(|nth| device(&format!("n-{nth}"))).collect();
    world.store.before_next_commit(move || {
        for id in &neighbours {
            create(&admin, &unsaid(id)).unwrap();
        }
    });
    create(&world.admin, &unsaid(&device("press-1"))).unwrap();
}

/// Lets four threads do `what`, and counts by word what became of it.
fn crowd(what: impl Fn(usize) -> &'static str + Sync) -> [&'static str; 4] {
    let barrier = Barrier::new(4);
    let (barrier, what) = (&barrier, &what);
    let mut words = thread::scope(|scope| {
        let all = [0, 1, 2, 3].map(|nth| {
            scope.spawn(move || {
                barrier.wait();
                what(nth)
            })
        });
        all.map(|one| one.join().unwrap())
    });
    words.sort_unstable();
    words
}

#[test]
fn of_many_who_write_at_once_exactly_one_wins() {
    for id in [device("press-1"), group_id("presses")] {
        let world = World::new();
        for round in 0..50 {
            let made = crowd(|_| word(&create(&world.admin, &unsaid(&id))));
            assert_eq!(made, ["done", "exists", "exists", "exists"], "{round}");
            let seen = Version(read(&world.admin, &id).unwrap().version);
            let changed = crowd(|_| word(&write(&world.admin, &unsaid(&id), seen, 2)));
            assert_eq!(
                changed,
                ["changed", "changed", "changed", "done"],
                "{round}"
            );
            let all = crowd(|_| word(&write(&world.admin, &unsaid(&id), Any, 3)));
            assert_eq!(all, ["done"; 4]);
            let seen = Version(read(&world.admin, &id).unwrap().version);
            let removed = crowd(|_| word(&remove(&world.admin, &id, seen)));
            assert_eq!(removed, ["done", "not found", "not found", "not found"]);
        }
    }
}

#[test]
fn of_many_who_take_one_key_for_their_groups_exactly_one_wins() {
    let world = World::new();
    for round in 0..20 {
        let byte = round + 1;
        let made = crowd(|nth| {
            let id = group_id(&format!("group-{round}-{nth}"));
            word(&create(&world.admin, &keyed(&id, Some(byte), Some(byte))))
        });
        assert_eq!(made, ["done", "duplicate", "duplicate", "duplicate"]);
    }
}

#[test]
fn what_many_add_at_once_is_counted() {
    let world = World::new();
    let quotas = dps_core::instance::Quotas {
        enrollments: 400,
        ..Default::default()
    };
    world.put_instance(&dps_core::instance::Instance {
        quotas,
        ..instance(&[A])
    });
    let id = |thread: usize, nth: usize| device(&format!("press-{thread}-{nth}"));
    crowd(|thread| {
        for nth in 0..100 {
            create(&world.admin, &unsaid(&id(thread, nth))).unwrap();
        }
        "done"
    });
    let more = device("one-more");
    assert_eq!(word(&create(&world.admin, &unsaid(&more))), "full");
    crowd(|thread| {
        for nth in 0..50 {
            remove(&world.admin, &id(thread, nth), Any).unwrap();
        }
        "done"
    });
    for nth in 0..200 {
        create(&world.admin, &unsaid(&device(&format!("again-{nth}")))).unwrap();
    }
    assert_eq!(word(&create(&world.admin, &unsaid(&more))), "full");
}
