//! The store in memory, with few records and with many.
//!
//! `cargo bench --bench store`

#![allow(clippy::future_not_send, reason = "one thread")]

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::{Arc, RwLock};

use bytes::Bytes;
use dps_benches::inside::{Inside, alternate};
use dps_benches::visits::device_id;
use dps_benches::{bench_main, table, world};
use dps_core::store::{Change, Expect, Key, Scan, Shard, Store, Table, Write};
use dps_store_memory::MemoryStore;
use dps_testkit::run::block_on;

/// Bytes in each record.
const RECORD: usize = 600;

fn main() {
    bench_main(&[], async |bench, _| {
        let (times, rounds, many) = if bench.quick() {
            (500, 1, 2_000)
        } else {
            (50_000, 7, 1_000_000)
        };
        let value = Bytes::from(vec![b'x'; RECORD]);
        let filled: Vec<_> = [1_000, many]
            .into_iter()
            .map(|count| Filled::new(count, &value))
            .collect();
        let value = &value;
        let mut all = Vec::new();
        for one in &filled {
            let count = one.keys.len();
            all.push(Inside::repeat(
                &format!("a map under a lock: read, {count}"),
                times,
                |n| {
                    let map = one
                        .map
                        .read()
                        .unwrap_or_else(std::sync::PoisonError::into_inner);
                    black_box(map.get(&*one.key(n).id).cloned());
                },
            ));
            all.push(Inside::repeat(
                &format!("get_many of three, {count}"),
                times,
                move |n| {
                    let key = one.key(n);
                    let other = |table| Key {
                        table,
                        ..key.clone()
                    };
                    let keys = [other(Table::Enrollment), key.clone(), other(Table::Member)];
                    black_box(block_on(one.store.get_many(&keys)).is_ok());
                },
            ));
            all.push(Inside::repeat(
                &format!("commit of two, {count}"),
                times,
                move |n| {
                    let key = one.key(n);
                    let write = |table, change| Write {
                        table,
                        id: Arc::clone(&key.id),
                        expect: Expect::Any,
                        change,
                    };
                    let writes = [
                        write(Table::Registration, Change::Put(value.clone())),
                        write(Table::Enrollment, Change::Keep),
                    ];
                    black_box(block_on(one.store.commit(&key.shard, &writes)).is_ok());
                },
            ));
            all.push(Inside::repeat(
                &format!("scan of 100, {count}"),
                times / 50,
                |n| {
                    let scan = Scan {
                        scope: world::scope(),
                        table: Table::Registration,
                        prefix: "".into(),
                        after: Some(Arc::clone(&one.key(n).id)),
                        limit: 100,
                    };
                    black_box(block_on(one.store.scan(&scan)).is_ok());
                },
            ));
        }
        let found = alternate(&mut all, rounds);
        table::title(
            "The store in memory",
            "Fixed: records of 600 bytes, asked for in no visible order; the last number says how many there\n\
             are. Commits replace records; the first scan, which sorts what was written, is not counted.",
        );
        table::costs("call", &found);
        Ok(())
    })
}

/// A store with so many registrations, and the bare map that it cannot be cheaper than.
struct Filled {
    keys: Vec<Key>,
    store: MemoryStore,
    map: RwLock<HashMap<Arc<str>, Bytes>>,
}

impl Filled {
    fn new(count: u64, value: &Bytes) -> Self {
        let store = MemoryStore::new();
        let mut map = HashMap::new();
        let mut keys = Vec::new();
        for n in 0..count {
            let key = Key {
                shard: Shard {
                    scope: world::scope(),
                    slot: 1 + u16::try_from(n % 64).unwrap_or(0),
                },
                table: Table::Registration,
                id: device_id(n).into(),
            };
            let write = Write {
                table: key.table,
                id: Arc::clone(&key.id),
                expect: Expect::Absent,
                // A copy of its own, as records have it.
                change: Change::Put(Bytes::copy_from_slice(value)),
            };
            block_on(store.commit(&key.shard, &[write])).expect("a new record");
            map.insert(Arc::clone(&key.id), Bytes::copy_from_slice(value));
            keys.push(key);
        }
        Self {
            keys,
            store,
            map: RwLock::new(map),
        }
    }

    fn key(&self, n: u64) -> &Key {
        let at = usize::try_from(n * 7919).unwrap_or(0) % self.keys.len();
        &self.keys[at]
    }
}
