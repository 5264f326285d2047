//! One key after another, while devices register.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;

use async_trait::async_trait;
use dps_core::crypto::AWS_LC;
use dps_core::seal::{KeyName, Resealed, SealedStore};
use dps_core::store::{
    Change, Expect, Key, Page, Scan, Shard, Store, StoreError, Table, Version, Versioned, Write,
};
use dps_store_memory::MemoryStore;
use dps_testkit::run::block_on;

use crate::common::*;

fn name(text: &str) -> Option<KeyName> {
    Some(KeyName::parse(text).unwrap())
}

fn reseal(store: &Sealed, of: &dps_core::id::IdScope) -> Resealed {
    block_on(store.reseal(of, &mut |_| {})).unwrap()
}

#[test]
fn a_record_takes_the_new_key_when_it_is_next_written() {
    let world = World::new();
    let here = shard(&scope(), 3);
    let (one, two) = (
        key(&here, Table::Enrollment, "one"),
        key(&here, Table::Enrollment, "two"),
    );
    write(&*world.store, &one, b"1");
    write(&*world.store, &two, b"2");
    world.keys.rotate();
    write(&*world.store, &one, b"1");
    let used = block_on(world.store.keys_in_use(&scope())).unwrap();
    assert_eq!(used[&name("fake-1")], 1);
    assert_eq!(used[&name("fake-2")], 1);
    assert_eq!(read(&*world.store, &one).value, "1");
    assert_eq!(read(&*world.store, &two).value, "2");
}

#[test]
fn resealing_gives_every_record_the_current_key_and_changes_no_other() {
    let world = World::new();
    let service = service(world.store.clone());
    for n in 0..150 {
        register(&service, n);
    }
    let of = service.scope();
    world.keys.rotate();
    register(&service, 0);
    let before = all(&*world.store, &of);
    let old = block_on(world.store.keys_in_use(&of)).unwrap();
    let (old, new) = (old[&name("fake-1")], old[&name("fake-2")]);
    assert!(old > 300 && new > 0);
    let mut pages = 0;
    let done = block_on(world.store.reseal(&of, &mut |_| pages += 1)).unwrap();
    assert_eq!((done.seen, done.resealed), (old + new, old));
    assert_eq!((done.missed, done.unreadable), (0, 0));
    assert!(pages > 5);
    let used = block_on(world.store.keys_in_use(&of)).unwrap();
    assert_eq!(
        used.into_iter().collect::<Vec<_>>(),
        [(name("fake-2"), old + new)]
    );
    // Everything is as it was, without the old key too, and only what was old has new versions.
    drop(world.keys.lose(&KeyName::parse("fake-1").unwrap()));
    let after = all(&*world.store, &of);
    let mut same = 0;
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(
            (before.0, &before.1, &before.2.value),
            (after.0, &after.1, &after.2.value)
        );
        same += u64::from(before.2.version == after.2.version);
    }
    assert_eq!((before.len(), same), (after.len(), new));
    let again = reseal(&world.store, &of);
    assert_eq!((again.seen, again.resealed), (old + new, 0));
    register(&service, 1);
    assert_eq!(all(&*world.store, &of).len(), after.len());
}

#[test]
fn resealing_that_was_dropped_goes_on_where_it_is_run_again() {
    let world = World::new();
    let here = shard(&scope(), 0);
    for n in 0..300 {
        let place = key(&here, Table::Group, &format!("g{n:03}"));
        write(&*world.store, &place, b"x");
    }
    world.keys.rotate();
    let scope = scope();
    let mut pages = 0;
    // The keys go away after two pages.
    let error = block_on(world.store.reseal(&scope, &mut |_| {
        pages += 1;
        world.keys.set_away(pages == 2);
    }));
    assert!(matches!(error, Err(StoreError::Unavailable(_))));
    world.keys.set_away(false);
    let used = block_on(world.store.keys_in_use(&scope)).unwrap();
    assert_eq!((used[&name("fake-1")], used[&name("fake-2")]), (172, 128));
    let done = reseal(&world.store, &scope);
    assert_eq!((done.seen, done.resealed), (300, 172));
}

#[test]
fn what_cannot_be_resealed_is_counted_and_named_and_left_as_it_is() {
    let world = World::new();
    let zero = shard(&scope(), 0);
    for n in 0..40 {
        write(
            &*world.store,
            &key(&zero, Table::Group, &format!("g{n}")),
            b"x",
        );
    }
    // Plain, moved, under a name that no record has, and of another slot than its name says.
    write(&*world.below, &key(&zero, Table::Group, "plain"), b"{}");
    let moved = read(&*world.below, &key(&zero, Table::Group, "g1")).value;
    write(&*world.below, &key(&zero, Table::Group, "moved"), &moved);
    write(
        &*world.store,
        &key(&shard(&scope(), 9), Table::Tally, "strange"),
        b"x",
    );
    write(
        &*world.store,
        &key(&shard(&scope(), 9), Table::Group, "elsewhere"),
        b"x",
    );
    let before = contents(&*world.below, &scope());
    world.keys.rotate();
    let done = reseal(&world.store, &scope());
    assert_eq!((done.seen, done.resealed), (44, 40));
    assert_eq!((done.missed, done.unreadable), (1, 3));
    let named = done.examples.iter().map(|(table, id)| (*table, &**id));
    assert_eq!(
        named.collect::<Vec<_>>(),
        [
            (Table::Group, "moved"),
            (Table::Group, "plain"),
            (Table::Tally, "strange")
        ]
    );
    let after = contents(&*world.below, &scope());
    let kept = before.iter().filter(|record| after.contains(record));
    assert_eq!(kept.count(), 4);
    let used = block_on(world.store.keys_in_use(&scope())).unwrap();
    assert_eq!(used[&None], 1);
}

/// Does something just before the first commit that comes through it.
struct Sneaky {
    below: Arc<MemoryStore>,
    before: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl std::fmt::Debug for Sneaky {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.below.fmt(f)
    }
}

#[async_trait]
impl Store for Sneaky {
    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Versioned>>, StoreError> {
        self.below.get_many(keys).await
    }

    async fn commit(&self, shard: &Shard, writes: &[Write]) -> Result<Version, StoreError> {
        let before = self.before.lock().unwrap().take();
        if let Some(before) = before {
            before();
        }
        self.below.commit(shard, writes).await
    }

    async fn scan(&self, scan: &Scan) -> Result<Page, StoreError> {
        self.below.scan(scan).await
    }
}

#[test]
fn a_record_that_is_written_while_it_is_resealed_keeps_what_was_written() {
    let world = World::new();
    let places = ["one", "two"].map(|id| key(&shard(&scope(), 0), Table::Group, id));
    for place in &places {
        write(&*world.store, place, b"old");
    }
    world.keys.rotate();
    let (store, place) = (Arc::clone(&world.store), places[0].clone());
    let sneaky = Sneaky {
        below: Arc::clone(&world.below),
        before: Mutex::new(Some(Box::new(move || _ = write(&*store, &place, b"new")))),
    };
    let keys = Arc::new(world.keys.clone());
    let slow = SealedStore::new(sneaky, keys, AWS_LC).unwrap();
    let done = block_on(slow.reseal(&scope(), &mut |_| {})).unwrap();
    assert_eq!((done.seen, done.resealed, done.missed), (2, 1, 1));
    assert_eq!(read(&*world.store, &places[0]).value, "new");
    assert_eq!(read(&*world.store, &places[1]).value, "old");
}

/// Four threads add to one number each and to one together for as long as another turns keys and seals anew.
#[test]
fn no_write_is_lost_while_keys_turn() {
    const TURNS: usize = 20;
    let world = World::new();
    let here = shard(&scope(), 0);
    let ids = ["shared", "own-0", "own-1", "own-2", "own-3"];
    for id in ids {
        write(&*world.store, &key(&here, Table::Group, id), b"0");
    }
    let over = AtomicBool::new(false);
    let all_write = Barrier::new(ids.len());
    let added: Vec<u64> = thread::scope(|threads| {
        let writers: Vec<_> = ids[1..]
            .iter()
            .map(|own| {
                let (store, here, over, all_write) = (&world.store, &here, &over, &all_write);
                threads.spawn(move || {
                    let add_to_both = || {
                        add(store, &key(here, Table::Group, "shared"));
                        add(store, &key(here, Table::Group, own));
                    };
                    add_to_both();
                    all_write.wait();
                    let mut added = 1;
                    while !over.load(Ordering::SeqCst) {
                        add_to_both();
                        added += 1;
                    }
                    added
                })
            })
            .collect();
        all_write.wait();
        for _ in 0..TURNS {
            world.keys.rotate();
            let done = reseal(&world.store, &scope());
            assert_eq!(done.seen, done.resealed + done.missed + current(&done));
        }
        over.store(true, Ordering::SeqCst);
        writers
            .into_iter()
            .map(|writer| writer.join().unwrap())
            .collect()
    });
    let number = |id: &str| -> u64 {
        let value = read(&*world.store, &key(&here, Table::Group, id)).value;
        str::from_utf8(&value).unwrap().parse().unwrap()
    };
    assert_eq!(number("shared"), added.iter().sum::<u64>());
    for (id, added) in ids[1..].iter().zip(&added) {
        assert_eq!(number(id), *added);
    }
    world.keys.rotate();
    assert_eq!(reseal(&world.store, &scope()).resealed, 5);
}

/// Those that had the current key already.
fn current(done: &Resealed) -> u64 {
    done.seen - done.resealed - done.missed - done.unreadable
}

fn add(store: &Sealed, place: &Key) {
    loop {
        let found = read(store, place);
        let number: u64 = str::from_utf8(&found.value).unwrap().parse().unwrap();
        let write = Write {
            table: place.table,
            id: place.id.clone(),
            expect: Expect::Exactly(found.version),
            change: Change::Put((number + 1).to_string().into()),
        };
        match block_on(store.commit(&place.shard, &[write])) {
            Ok(_) => return,
            Err(StoreError::Conflict { .. }) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
}

#[test]
fn devices_register_while_keys_turn() {
    let world = World::new();
    let first = service(world.store.clone());
    let of = first.scope();
    for n in 0..100 {
        register(&first, n);
    }
    thread::scope(|threads| {
        let writers: Vec<_> = (0..3)
            .map(|nth| {
                let service = bare_service(world.store.clone());
                threads.spawn(move || {
                    for n in 0..200 {
                        register(&service, 1000 * (nth + 1) + n);
                    }
                })
            })
            .collect();
        for _ in 0..5 {
            world.keys.rotate();
            reseal(&world.store, &of);
        }
        for writer in writers {
            writer.join().unwrap();
        }
    });
    let last = world.keys.rotate();
    let done = reseal(&world.store, &of);
    assert_eq!((done.resealed, done.missed), (done.seen, 0));
    for n in 1..world.keys.rotate().as_str()["fake-".len()..]
        .parse::<usize>()
        .unwrap()
    {
        let old = KeyName::parse(&format!("fake-{n}")).unwrap();
        if old != last {
            drop(world.keys.lose(&old));
        }
    }
    let records = contents(&*world.store, &of);
    let registrations = records
        .iter()
        .filter(|(table, ..)| *table == Table::Registration);
    assert_eq!(registrations.count(), 700);
}
