//! Many entries at once are as many entries one after the other, however often it is stopped.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use dps_core::admin::Precondition::{Absent, Any};
use dps_core::admin::query::{Listing, Query};
use dps_core::admin::{Existing, Imported};
use dps_core::instance::{Instance, Quotas};
use dps_core::store::{Key, Page, Scan, Shard, Store, StoreError, Version, Versioned, Write};
use dps_store_memory::MemoryStore;
use proptest::prelude::*;

use super::*;

/// A store that fails at one commit, before or after it has taken hold.
#[derive(Debug)]
struct Failing {
    inner: Arc<MemoryStore>,
    /// Commits until then.
    left: AtomicUsize,
    after: bool,
}

#[async_trait]
impl Store for Failing {
    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Versioned>>, StoreError> {
        self.inner.get_many(keys).await
    }

    async fn commit(&self, shard: &Shard, writes: &[Write]) -> Result<Version, StoreError> {
        if self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            if self.after {
                self.inner.commit(shard, writes).await?;
            }
            return Err(StoreError::Unavailable("it is gone".into()));
        }
        self.inner.commit(shard, writes).await
    }

    async fn scan(&self, scan: &Scan) -> Result<Page, StoreError> {
        self.inner.scan(scan).await
    }
}

fn bring(admin: &Admin, existing: Existing, drafts: &[Draft], now: u64) -> Vec<&'static str> {
    let mut import = admin.import(existing, Timestamp(now));
    words(&block_on(import.batch(drafts.to_vec())).unwrap())
}

fn words(outcomes: &[Result<Imported, AdminError>]) -> Vec<&'static str> {
    let word = |outcome: &Result<Imported, AdminError>| match outcome {
        Ok(Imported::Created) => "created",
        Ok(Imported::Replaced) => "replaced",
        Ok(Imported::Same) => "same",
        error => word(error),
    };
    outcomes.iter().map(word).collect()
}

fn devices(count: usize) -> Vec<Draft> {
    let ids = (0..count).map(|nth| device(&format!("press-{nth}")));
    ids.map(|id| unsaid(&id)).collect()
}

fn with(store: &Arc<MemoryStore>, quotas: Quotas) -> Admin {
    let admin = Admin::new(Arc::clone(store) as Arc<dyn Store>, scope(SCOPE));
    let instance = Instance {
        quotas,
        ..instance(&[A])
    };
    block_on(admin.put_instance(&instance)).unwrap();
    admin
}

#[test]
fn entries_of_one_slot_share_a_commit() {
    let world = World::new();
    let before = world.store.commits();
    let done = bring(&world.admin, Existing::Keep, &devices(2000), 1);
    assert_eq!(done, ["created"; 2000]);
    assert_eq!(world.store.commits() - before, 64);
    for draft in devices(2000) {
        let there = read(&world.admin, &EntryId::of(&draft.subject))
            .unwrap()
            .value;
        assert_eq!((there.created, there.updated), (Timestamp(1), Timestamp(1)));
    }
    let before = world.store.commits();
    assert_eq!(
        bring(&world.admin, Existing::Keep, &devices(2000), 2),
        ["same"; 2000]
    );
    assert_eq!(world.store.commits(), before);
}

#[test]
fn more_than_a_commit_takes_is_several() {
    let world = World::new();
    world.put_instance(&Instance {
        quotas: Quotas::UNLIMITED,
        ..instance(&[A])
    });
    let before = world.store.commits();
    let many = 64 * 600;
    assert_eq!(
        bring(&world.admin, Existing::Keep, &devices(many), 1),
        vec!["created"; many]
    );
    let commits = world.store.commits() - before;
    assert!((65..=128).contains(&commits), "{commits}");
    // Each was counted once.
    world.put_instance(&Instance {
        quotas: Quotas {
            enrollments: many as u64 + 1,
            ..Quotas::default()
        },
        ..instance(&[A])
    });
    create(&world.admin, &unsaid(&device("last"))).unwrap();
    assert_eq!(
        word(&create(&world.admin, &unsaid(&device("too-many")))),
        "full"
    );
}

#[test]
fn what_differs_stays_or_is_replaced_as_was_said() {
    for id in [device("press-1"), group_id("presses")] {
        let admin = World::new().admin;
        create(&admin, &keyed(&id, Some(1), Some(2))).unwrap();
        let other = [keyed(&id, Some(3), None)];
        assert_eq!(bring(&admin, Existing::Keep, &other, 7), ["exists"]);
        let there = read(&admin, &id).unwrap().value;
        assert_eq!(keys_of(&there), [key(1), key(2)]);
        assert_eq!(bring(&admin, Existing::Replace, &other, 8), ["replaced"]);
        let there = read(&admin, &id).unwrap().value;
        // What is not said stays.
        assert_eq!(keys_of(&there), [key(3), key(2)]);
        assert_eq!((there.created, there.updated), (Timestamp(1), Timestamp(8)));
        assert_eq!(bring(&admin, Existing::Replace, &other, 9), ["same"]);
        assert_eq!(read(&admin, &id).unwrap().value.updated, Timestamp(8));
    }
}

#[test]
fn keys_that_were_made_stay() {
    for id in [device("press-1"), group_id("presses")] {
        let admin = World::new().admin;
        assert_eq!(
            bring(&admin, Existing::Keep, &[unsaid(&id)], 1),
            ["created"]
        );
        let made = keys_of(&read(&admin, &id).unwrap().value);
        for existing in [Existing::Keep, Existing::Replace] {
            assert_eq!(bring(&admin, existing, &[unsaid(&id)], 2), ["same"]);
        }
        assert_eq!(keys_of(&read(&admin, &id).unwrap().value), made);
    }
}

#[test]
fn the_second_of_one_id_is_refused_in_any_spelling() {
    let admin = World::new().admin;
    let ids = [
        device("press-1"),
        group_id("press-1"),
        device("PRESS-1"),
        group_id("Press-1"),
    ];
    let drafts = ids.each_ref().map(unsaid);
    let done = bring(&admin, Existing::Replace, &drafts, 1);
    assert_eq!(done, ["created", "created", "duplicate", "duplicate"]);
}

#[test]
fn one_that_makes_no_sense_keeps_no_other_back() {
    let admin = World::new().admin;
    let ca = Ca::root("One");
    let drafts = [
        unsaid(&device("a")),
        signed(&device("b"), Some(&ca), None),
        unsaid(&device("c")),
        unsaid(&group_id("g")),
        signed(&group_id("h"), None, None),
        signed(&group_id("i"), Some(&ca), None),
    ];
    let done = bring(&admin, Existing::Keep, &drafts, 1);
    assert_eq!(
        done,
        [
            "created", "invalid", "created", "created", "invalid", "created"
        ]
    );
}

#[test]
fn the_first_ones_are_taken_until_the_quota_is_reached() {
    let store = Arc::new(MemoryStore::new());
    let admin = with(
        &store,
        Quotas {
            enrollments: 10,
            ..Quotas::default()
        },
    );
    create(&admin, &unsaid(&device("press-3"))).unwrap();
    create(&admin, &unsaid(&device("elsewhere"))).unwrap();
    let done = bring(&admin, Existing::Keep, &devices(12), 1);
    // Press 3 is there and takes no place again, and eight of the others fit.
    let mut expected = vec!["created"; 9];
    expected[3] = "same";
    expected.extend(["full"; 3]);
    assert_eq!(done, expected);
    assert_eq!(word(&create(&admin, &unsaid(&device("one-more")))), "full");
    remove(&admin, &device("elsewhere"), Any).unwrap();
    let done = bring(&admin, Existing::Keep, &devices(12), 2);
    assert_eq!(done[9..], ["created", "full", "full"]);
}

#[test]
fn groups_are_compared_with_those_that_came_before_them() {
    let store = Arc::new(MemoryStore::new());
    let admin = with(
        &store,
        Quotas {
            symmetric_key_groups: 3,
            ..Quotas::default()
        },
    );
    create(&admin, &keyed(&group_id("there"), Some(1), Some(1))).unwrap();
    let ca = Ca::root("One");
    let drafts = [
        keyed(&group_id("b"), Some(2), Some(2)),
        keyed(&group_id("as-there"), Some(5), Some(1)),
        keyed(&group_id("c"), Some(2), Some(3)),
        signed(&group_id("x"), Some(&ca), None),
        signed(&group_id("y"), None, Some(&ca)),
        keyed(&group_id("d"), Some(4), Some(4)),
        keyed(&group_id("e"), Some(6), Some(6)),
    ];
    // In the order of their ids: "as-there", "b", "c", "d", "e", "x", "y".
    let done = bring(&admin, Existing::Keep, &drafts, 1);
    let expected = [
        "created",
        "duplicate",
        "duplicate",
        "created",
        "duplicate",
        "created",
        "full",
    ];
    assert_eq!(done, expected);
    // Also after a move of a key within one batch.
    let drafts = [
        keyed(&group_id("b"), Some(9), Some(9)),
        keyed(&group_id("there"), Some(2), Some(2)),
    ];
    assert_eq!(
        bring(&admin, Existing::Replace, &drafts, 2),
        ["replaced"; 2]
    );
}

#[test]
fn whoever_writes_meanwhile_is_seen() {
    let world = World::new();
    for (id, existing, expected, byte) in [
        (device("press-7"), Existing::Keep, "exists", 1),
        (device("press-8"), Existing::Replace, "replaced", 3),
        (group_id("presses"), Existing::Keep, "exists", 5),
        (group_id("drills"), Existing::Replace, "replaced", 7),
    ] {
        let (admin, other) = (world.admin.clone(), keyed(&id, Some(byte), Some(byte)));
        let neighbours: Vec<_> = (0..200)
            .map(|nth| unsaid(&device(&format!("{expected}-{nth}"))))
            .collect();
        world.store.before_next_commit(move || {
            create(&admin, &other).unwrap();
            for draft in &neighbours {
                let _ = write(&admin, draft, Any, 3);
            }
        });
        let mut drafts = devices(7);
        drafts.push(keyed(&id, Some(byte + 1), None));
        let done = bring(&world.admin, existing, &drafts, 1);
        assert_eq!(done[7], expected);
        assert!(
            done[..7]
                .iter()
                .all(|word| ["created", "same"].contains(word)),
            "{done:?}"
        );
    }
}

#[test]
fn many_who_bring_the_same_at_once_bring_it_once() {
    let store = Arc::new(MemoryStore::new());
    let admin = with(
        &store,
        Quotas {
            enrollments: 300,
            ..Quotas::default()
        },
    );
    let all = devices(300);
    let created: usize = std::thread::scope(|scope| {
        let threads = [1, 2, 3, 4].map(|_| {
            scope.spawn(|| {
                let done = bring(&admin, Existing::Keep, &all, 1);
                assert!(
                    done.iter().all(|word| ["created", "same"].contains(word)),
                    "{done:?}"
                );
                done.iter().filter(|word| **word == "created").count()
            })
        });
        threads.into_iter().map(|one| one.join().unwrap()).sum()
    });
    assert_eq!(created, 300);
    assert_eq!(word(&create(&admin, &unsaid(&device("one-more")))), "full");
}

#[test]
fn a_rehearsal_says_what_would_become_of_each_and_writes_nothing() {
    let quotas = Quotas {
        enrollments: 30,
        symmetric_key_groups: 2,
        ..Quotas::default()
    };
    let store = Arc::new(MemoryStore::new());
    let admin = with(&store, quotas);
    create(&admin, &keyed(&device("press-3"), Some(1), Some(1))).unwrap();
    let mut drafts = devices(40);
    drafts.extend((0..4).map(|nth| {
        keyed(
            &group_id(&format!("g-{nth}")),
            Some(nth / 2 + 1),
            Some(nth + 9),
        )
    }));
    let mut rehearsed = admin.import(Existing::Replace, Timestamp(1)).rehearsed();
    let mut import = admin.import(Existing::Replace, Timestamp(1));
    let batches: Vec<_> = drafts.chunks(7).map(<[Draft]>::to_vec).collect();
    let before = entries_of(&admin);
    let would: Vec<_> = batches
        .iter()
        .flat_map(|batch| words(&block_on(rehearsed.batch(batch.clone())).unwrap()))
        .collect();
    assert_eq!(entries_of(&admin), before);
    let done: Vec<_> = batches
        .iter()
        .flat_map(|batch| words(&block_on(import.batch(batch.clone())).unwrap()))
        .collect();
    assert_eq!(would, done);
    for word in ["created", "same", "full", "duplicate"] {
        assert!(done.contains(&word), "{word}: {done:?}");
    }
}

#[test]
fn tenants_do_not_see_each_other() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let [one, two] = [SCOPE, "0ne00FEDCBA"].map(|name| Admin::new(Arc::clone(&store), scope(name)));
    let drafts = [
        keyed(&device("a"), Some(1), Some(1)),
        keyed(&group_id("g"), Some(1), Some(1)),
    ];
    assert_eq!(bring(&one, Existing::Keep, &drafts, 1), ["created"; 2]);
    assert!(read(&two, &device("a")).is_none());
    assert_eq!(bring(&two, Existing::Keep, &drafts, 1), ["created"; 2]);
}

/// All entries of a tenant by their ids, with their primary keys and dates.
type Listed = BTreeMap<String, (SecretBytes, Timestamp, Timestamp)>;

fn entries_of(admin: &Admin) -> Vec<Listed> {
    let list = |listing| {
        let page = block_on(admin.entries(&Query::all(listing), None, 1000)).unwrap();
        assert!(page.next.is_none());
        let entry = |one: Revision<Enrollment>| {
            let entry = one.value;
            let id = format!("{:?}", entry.subject);
            (
                id,
                (keys_of(&entry)[0].clone(), entry.created, entry.updated),
            )
        };
        page.items.into_iter().map(entry).collect()
    };
    vec![list(Listing::Enrollments), list(Listing::Groups)]
}

proptest! {
    /// One after the other, in the order of the list; groups stand in the order of their ids.
    #[test]
    fn any_batches_with_any_failures_are_one_entry_after_the_other(
        list in proptest::collection::vec((0_u8..20, 1_u8..4), 0..40),
        sizes in proptest::collection::vec(1_usize..15, 1..10),
        failures in proptest::collection::vec((1_usize..12, any::<bool>()), 0..8),
        room in 3_u64..20,
    ) {
        let quotas = Quotas { enrollments: room, ..Quotas::UNLIMITED };
        let named = |(nth, byte): &(u8, u8)| {
            // Groups differ in their keys, or the order of batches would show.
            match nth {
                0..15 => keyed(&device(&format!("d-{nth}")), Some(*byte), Some(*byte)),
                _ => keyed(&group_id(&format!("g-{nth}")), Some(nth + 100), Some(nth + byte * 20)),
            }
        };
        let list: Vec<Draft> = list.iter().map(named).collect();
        let plain = Arc::new(MemoryStore::new());
        let one_by_one = with(&plain, quotas);
        for draft in &list {
            let _ = write(&one_by_one, draft, Absent, 5);
        }
        let store = Arc::new(MemoryStore::new());
        let admin = with(&store, quotas);
        let mut rest = list.as_slice();
        let (mut sizes, mut failures) = (sizes.iter().cycle(), failures.iter());
        while !rest.is_empty() {
            let size = rest.len().min(*sizes.next().unwrap());
            let (left, after) = failures.next().copied().unwrap_or((usize::MAX, false));
            let failing = Failing { inner: Arc::clone(&store), left: left.into(), after };
            let failing = Admin::new(Arc::new(failing), admin.scope().clone());
            // Whoever was stopped brings the same again.
            let mut import = failing.import(Existing::Keep, Timestamp(5));
            if block_on(import.batch(rest[..size].to_vec())).is_ok() {
                rest = &rest[size..];
            }
        }
        prop_assert_eq!(entries_of(&admin), entries_of(&one_by_one));
    }
}
