//! redb by itself, with the same keys and values.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use dps_benches::process::own_cpu_time;
use dps_benches::{Bench, world};
use dps_core::store::{Scan, Store, StoreError, Table, Versioned};
use dps_store_redb::RedbStore;
use redb::{Database, TableDefinition};

use crate::CACHE;
use crate::registrations::Commit;

/// redb by itself.
pub(crate) struct Alone {
    pub(crate) label: &'static str,
    database: Database,
    /// One table by key, instead of the tables that our store has.
    plain: bool,
    numbers: HashMap<Vec<u8>, u64>,
    /// Registrations a second, and CPU time of each in microseconds.
    pub(crate) turns: Vec<[f64; 2]>,
}

const PLAIN: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("plain");
const INDEX: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("index");
const VALUES: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("values");

/// What a commit does, down to the bytes of our own file.
struct Step {
    key: Vec<u8>,
    value: Vec<u8>,
    number: Option<u64>,
    new: bool,
}

impl Alone {
    pub(crate) async fn new(bench: &Bench, store: &RedbStore, plain: bool) -> io::Result<Self> {
        let (label, name) = if plain {
            ("redb alone, one table by key", "plain.redb")
        } else {
            ("redb alone, with the tables of our store", "alone.redb")
        };
        let path = bench.folder().join(name);
        let mut builder = Database::builder();
        builder.set_cache_size(CACHE);
        let mut alone = Self {
            label,
            database: builder.create(path).map_err(io::Error::other)?,
            plain,
            numbers: HashMap::new(),
            turns: Vec::new(),
        };
        for table in Table::ALL {
            let mut pages = Pages::of(table);
            while let Some(records) = pages.next(store).await.map_err(io::Error::other)? {
                let steps = records.iter();
                let steps = steps.map(|(id, found)| alone.step(table, id, &found.value));
                let steps = steps.collect();
                alone.write(&[steps]);
            }
        }
        Ok(alone)
    }

    fn step(&mut self, table: Table, id: &str, value: &[u8]) -> Step {
        let scope = world::scope();
        let scope = scope.folded().as_bytes();
        let key = [&[table as u8, 11], scope, id.as_bytes()].concat();
        let value = [&[0; 12], value].concat();
        let next = self.numbers.len() as u64;
        let new = !self.numbers.contains_key(&key);
        let small = value.len() <= 12 + 96;
        let number = (!small).then(|| *self.numbers.entry(key.clone()).or_insert(next));
        Step {
            key,
            value,
            number,
            new: new || small,
        }
    }

    /// One transaction.
    fn write(&self, commits: &[Vec<Step>]) {
        let transaction = self.database.begin_write().expect("a transaction");
        if self.plain {
            let mut plain = transaction.open_table(PLAIN).expect("a table");
            for step in commits.iter().flatten() {
                plain.insert(&*step.key, &*step.value).expect("room");
            }
        } else {
            let mut index = transaction.open_table(INDEX).expect("a table");
            let mut values = transaction.open_table(VALUES).expect("a table");
            for step in commits.iter().flatten() {
                let Some(number) = step.number else {
                    index.insert(&*step.key, &*step.value).expect("room");
                    continue;
                };
                if step.new {
                    let mut entry = [0; 13];
                    entry[..8].copy_from_slice(&number.to_le_bytes());
                    index.insert(&*step.key, &entry[..]).expect("room");
                }
                values.insert(number, &*step.value).expect("room");
            }
        }
        transaction.commit().expect("a commit");
    }

    /// Registrations a second, and CPU time of each in microseconds.
    pub(crate) fn repeat(
        &mut self,
        bench: &Bench,
        commits: &[Commit],
        batch: usize,
        turn: usize,
    ) -> [f64; 2] {
        let commits: Vec<Vec<Step>> = commits
            .iter()
            .map(|writes| {
                writes
                    .iter()
                    .map(|(table, id, value)| self.step(*table, id, value))
                    .collect()
            })
            .collect();
        let write = || {
            bench.move_to_server_cpu();
            let (from, cpu) = (Instant::now(), own_cpu_time());
            commits
                .chunks(batch)
                .for_each(|commits| self.write(commits));
            let turn = turn as f64;
            let cpu = (own_cpu_time() - cpu).as_secs_f64();
            [turn / from.elapsed().as_secs_f64(), cpu * 1e6 / turn]
        };
        thread::scope(|threads| threads.spawn(write).join()).expect("no panic")
    }
}

/// All records of a table, a page at a time.
pub(crate) struct Pages(Option<Scan>);

impl Pages {
    pub(crate) fn of(table: Table) -> Self {
        Self(Some(Scan {
            scope: world::scope(),
            table,
            prefix: "".into(),
            after: None,
            limit: 1000,
        }))
    }

    pub(crate) async fn next(
        &mut self,
        store: &dyn Store,
    ) -> Result<Option<Vec<(Arc<str>, Versioned)>>, StoreError> {
        let Some(mut scan) = self.0.take() else {
            return Ok(None);
        };
        let page = store.scan(&scan).await?;
        if page.more {
            scan.after = page.records.last().map(|(id, _)| Arc::clone(id));
            self.0 = Some(scan);
        }
        Ok(Some(page.records))
    }
}
