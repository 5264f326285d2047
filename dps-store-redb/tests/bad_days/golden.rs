//! What earlier versions of this crate wrote can be read, and stays what it was.
//!
//! A file is kept as one page after the other, each with its number before it; pages of zeros are left out. To
//! make one for a new version: `DPS_GOLDEN=tests/bad_days/golden/layout-N.pages cargo test -p dps-store-redb golden`.

use std::sync::Arc;

use bytes::Bytes;
use dps_core::store::{Change, Expect, Shard, Store, Table, Version, Write};
use dps_store_redb::RedbStore;
use dps_testkit::run::block_on;

use crate::disk::{Disk, scope};

const PAGE: usize = 4096;

/// Of each version that wrote another form than the one before.
const FILES: [&[u8]; 1] = [include_bytes!("golden/layout-1.pages")];

fn unpack(pages: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for page in pages.chunks(4 + PAGE) {
        let (number, page) = page.split_first_chunk().unwrap();
        let at = usize::try_from(u32::from_le_bytes(*number)).unwrap() * PAGE;
        bytes.resize(bytes.len().max(at + PAGE), 0);
        bytes[at..at + page.len()].copy_from_slice(page);
    }
    bytes
}

fn pack(bytes: &[u8]) -> Vec<u8> {
    let last = bytes.len().div_ceil(PAGE) - 1;
    let pages = bytes.chunks(PAGE).enumerate();
    let kept = pages.filter(|(at, page)| *at == last || page.iter().any(|byte| *byte != 0));
    kept.flat_map(|(at, page)| {
        let number = u32::try_from(at).unwrap().to_le_bytes();
        number.into_iter().chain(page.to_vec())
    })
    .collect()
}

/// Every record of the file: its table, id and value, in the order in which they were put.
fn records() -> Vec<(Table, String, Vec<u8>)> {
    let mut records = Vec::new();
    for table in Table::ALL {
        for (n, length) in [0, 1, 96, 97, 500].into_iter().enumerate() {
            let id = format!("{}-{n}", table as u8);
            let value = id.bytes().cycle().take(length).collect();
            records.push((table, id, value));
        }
    }
    records.push((Table::Registration, "long".to_owned(), vec![7; 9000]));
    records.push((Table::Member, "grüße/a:b.c_d-e".to_owned(), Vec::new()));
    records
}

fn commit(store: &RedbStore, changes: Vec<(Table, String, Change)>) -> Version {
    let shard = Shard {
        scope: scope(),
        slot: 7,
    };
    let write = |(table, id, change): (Table, String, Change)| Write {
        table,
        id: id.into(),
        expect: Expect::Any,
        change,
    };
    let writes: Vec<_> = changes.into_iter().map(write).collect();
    block_on(store.commit(&shard, &writes)).unwrap()
}

fn make() -> Vec<u8> {
    let disk = Disk::default();
    let store = RedbStore::builder().open_backend(disk.clone()).unwrap();
    let (mut first, mut then) = (Vec::new(), Vec::new());
    for (table, id, value) in records() {
        let gone = format!("{id}-gone");
        let before = Change::Put(Bytes::from_static(&[1; 200]));
        first.extend([
            (table, gone.clone(), before.clone()),
            (table, id.clone(), before),
        ]);
        then.extend([
            (table, gone, Change::Delete),
            (table, id, Change::Put(value.into())),
        ]);
    }
    commit(&store, first);
    commit(&store, then);
    drop(store);
    disk.bytes()
}

#[test]
fn files_of_all_versions_are_read_and_written_on() {
    if let Ok(path) = std::env::var("DPS_GOLDEN") {
        std::fs::write(path, pack(&make())).unwrap();
    }
    for pages in FILES {
        let disk = Disk::of(unpack(pages));
        let store = RedbStore::builder().open_backend(disk.clone()).unwrap();
        check(&store);
        // Larger than any that the file can hold.
        let same = Change::Put(Bytes::new());
        let version = commit(&store, vec![(Table::Tally, "8-0".to_owned(), same)]);
        assert!(version.0 > 4 * records().len() as u64);
        drop(store);
        let store = RedbStore::builder().with_check(true).open_backend(disk);
        check(&store.unwrap());
    }
}

fn check(store: &RedbStore) {
    for table in Table::ALL {
        let scan = dps_core::store::Scan {
            scope: scope(),
            table,
            prefix: "".into(),
            after: None,
            limit: 1000,
        };
        let page = block_on(store.scan(&scan)).unwrap();
        let found = page
            .records
            .iter()
            .map(|(id, found)| (Arc::clone(id), found.value.to_vec()));
        let found: Vec<_> = found.collect();
        let mut right: Vec<_> = records()
            .into_iter()
            .filter(|(of, _, _)| *of == table)
            .map(|(_, id, value)| (Arc::from(id), value))
            .collect();
        right.sort();
        assert_eq!(found, right);
    }
}
