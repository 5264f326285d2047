//! Bits that flip on the disk: an error, or what was written; never anything else.

use std::collections::BTreeMap;

use dps_core::store::StoreError;
use dps_store_redb::RedbStore;

use crate::disk::{Disk, all, get, put, value};

type Model = BTreeMap<String, Vec<u8>>;

/// A store of a few hundred records, some of which stay in the index, closed.
fn filled() -> (Vec<u8>, Model) {
    let disk = Disk::default();
    let store = RedbStore::builder().open_backend(disk.clone()).unwrap();
    let mut model = Model::new();
    for n in 0..300_u32 {
        let id = format!("device-{:03}", n * 7 % 300);
        let mut value = id.repeat(if n % 3 == 0 { 2 } else { 18 }).into_bytes();
        value.push(n.to_le_bytes()[0]);
        put(&store, &id, &value).unwrap();
        model.insert(id, value);
    }
    drop(store);
    (disk.bytes(), model)
}

/// What was asked for, or that it cannot be had.
fn right_or_refused<T: PartialEq>(found: Result<T, StoreError>, right: &T, at: usize) -> bool {
    match found {
        Ok(found) => {
            assert!(found == *right, "wrong data with a flipped bit at {at}");
            true
        }
        Err(StoreError::Corrupt(_) | StoreError::Unavailable(_)) => false,
        Err(error) => panic!("with a flipped bit at {at}: {error:?}"),
    }
}

#[test]
fn a_flipped_bit_is_an_error_or_nothing_and_never_wrong_data() {
    let (bytes, model) = filled();
    let listed: Vec<_> = model.clone().into_iter().collect();
    let mut used: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
    // Pages that lead to others are few, and what is wrong there is the hardest to notice.
    let leads = |at: &usize| bytes[at / PAGE * PAGE] == BRANCH;
    let leading: Vec<usize> = used.iter().copied().filter(leads).collect();
    used.extend(leading.repeat(used.len() / leading.len() / 2));
    let mut random = 1_u64;
    let mut noticed = 0;
    for _ in 0..FLIPS {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let at = used[usize::try_from(random >> 33).unwrap() % used.len()];
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (random >> 20 & 7);
        let Ok(store) = RedbStore::builder().open_backend(Disk::of(damaged)) else {
            noticed += 1;
            continue;
        };
        let mut sound = true;
        for (id, value) in model.iter().step_by(7) {
            let found = get(&store, id).map(|found| found.map(|found| found.value.to_vec()));
            sound &= right_or_refused(found, &Some(value.clone()), at);
            let absent = get(&store, &format!("{id}x")).map(|found| found.is_some());
            sound &= right_or_refused(absent, &false, at);
        }
        sound &= right_or_refused(all(&store), &listed, at);
        noticed += usize::from(!sound);
    }
    // Bits of pages that are not used any more harm nobody.
    assert!(noticed > FLIPS / 20, "{noticed}");
}

const PAGE: usize = 4096;

/// What such a page begins with, by redb's design document.
const BRANCH: u8 = 2;

/// How many are tried: each opens a store.
const FLIPS: usize = 300;

#[test]
fn damage_to_one_record_leaves_the_others_usable() {
    let (mut bytes, model) = filled();
    let hurt = model.iter().find(|(_, value)| value.len() > 100).unwrap();
    for at in 0..bytes.len() - hurt.1.len() {
        if bytes[at..].starts_with(hurt.1) {
            bytes[at + 50] ^= 1;
        }
    }
    let store = RedbStore::builder().open_backend(Disk::of(bytes)).unwrap();
    assert!(matches!(get(&store, hurt.0), Err(StoreError::Corrupt(_))));
    assert!(matches!(
        put(&store, hurt.0, b"new"),
        Err(StoreError::Corrupt(_))
    ));
    assert!(matches!(all(&store), Err(StoreError::Corrupt(_))));
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy");
    assert!(store.backup(&copy).is_err());
    assert!(!copy.exists());
    for (id, written) in model.iter().filter(|(id, _)| *id != hurt.0) {
        assert_eq!(value(&store, id), *written);
        put(&store, id, b"new").unwrap();
    }
}
