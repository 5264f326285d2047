//! Any history: commits, restarts, crashes and copies, beside a map in memory.

use std::collections::BTreeMap;

use bytes::Bytes;
use dps_core::store::{Change, Expect, Store, StoreError, Table, Version, Write};
use dps_store_redb::RedbStore;
use dps_testkit::run::block_on;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::disk::{Disk, all, get, shard};

/// One step of a history.
#[derive(Clone, Debug)]
enum Step {
    /// A commit of several records: which, whether as they are or as they are not, and what becomes of them.
    Commit(Vec<(u8, bool, Becomes)>),
    /// The store is closed and opened again.
    Restart,
    /// The power fails, and the store is opened again.
    Crash,
    /// The store is copied, and goes on as the copy.
    Copy,
}

#[derive(Clone, Debug)]
enum Becomes {
    Kept,
    Gone,
    /// So many bytes: some stay in the index, some have pages of their own.
    Bytes(usize),
}

fn becomes() -> impl Strategy<Value = Becomes> {
    prop_oneof![
        1 => Just(Becomes::Kept),
        2 => Just(Becomes::Gone),
        3 => (0..110_usize).prop_map(Becomes::Bytes),
        2 => (90..9000_usize).prop_map(Becomes::Bytes),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => vec((0..12_u8, prop::bool::weighted(0.9), becomes()), 1..5).prop_map(Step::Commit),
        1 => Just(Step::Restart),
        1 => Just(Step::Crash),
        1 => Just(Step::Copy),
    ]
}

type Model = BTreeMap<String, (Version, Vec<u8>)>;

fn commit(store: &RedbStore, model: &mut Model, changes: &[(u8, bool, Becomes)]) {
    let mut writes = BTreeMap::new();
    let mut holds = true;
    for (which, as_it_is, becomes) in changes {
        let id = format!("device-{which}");
        if writes.contains_key(&id) {
            continue;
        }
        let there = model.get(&id).map(|(version, _)| *version);
        let expect = match (there, as_it_is) {
            (Some(version), true) => Expect::Exactly(version),
            (None, true) | (Some(_), false) => Expect::Absent,
            (None, false) => Expect::Exactly(Version(1)),
        };
        holds &= as_it_is;
        let change = match becomes {
            Becomes::Kept => Change::Keep,
            Becomes::Gone => Change::Delete,
            Becomes::Bytes(count) => Change::Put(Bytes::from(vec![*which; *count])),
        };
        let write = Write {
            table: Table::Registration,
            id: (*id).into(),
            expect,
            change,
        };
        writes.insert(id, write);
    }
    let list: Vec<_> = writes.values().cloned().collect();
    match block_on(store.commit(&shard(), &list)) {
        Err(StoreError::Conflict { .. }) => assert!(!holds),
        Err(error) => panic!("{error:?}"),
        Ok(version) => {
            assert!(holds);
            for (id, write) in writes {
                match write.change {
                    Change::Put(value) => drop(model.insert(id, (version, value.to_vec()))),
                    Change::Delete => drop(model.remove(&id)),
                    Change::Keep => {}
                }
            }
        }
    }
}

fn compare(store: &RedbStore, model: &Model) {
    let listed = all(store).unwrap();
    let right = model
        .iter()
        .map(|(id, (_, value))| (id.clone(), value.clone()));
    assert!(listed.into_iter().eq(right), "the scan differs");
    for which in 0..12 {
        let id = format!("device-{which}");
        let found = get(store, &id).unwrap();
        let found = found.map(|found| (found.version, found.value.to_vec()));
        assert_eq!(found.as_ref(), model.get(&id));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_history_with_restarts_agrees_with_a_model(steps in vec(step(), 1..40)) {
        let mut disk = Disk::default();
        let open = |disk: &Disk| {
            RedbStore::builder().open_backend(disk.clone()).unwrap()
        };
        let mut store = open(&disk);
        let mut model = Model::new();
        for step in &steps {
            match step {
                Step::Commit(changes) => {
                    commit(&store, &mut model, changes);
                    continue;
                }
                Step::Restart => {
                    drop(store);
                    store = open(&disk);
                }
                Step::Crash => {
                    disk = disk.after_power_failure();
                    drop(store);
                    store = open(&disk);
                }
                Step::Copy => {
                    let folder = tempfile::tempdir().unwrap();
                    let path = folder.path().join("copy");
                    prop_assert_eq!(store.backup(&path).unwrap(), model.len() as u64);
                    drop(store);
                    disk = Disk::of(std::fs::read(path).unwrap());
                    store = open(&disk);
                }
            }
            compare(&store, &model);
        }
        compare(&store, &model);
    }
}
