//! Slots, their locks, and pages over all of them.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use dps_core::id::IdScope;
use dps_core::store::{
    Change, Expect, Key, Page, Scan, Shard, Store, StoreError, Table, Version, Versioned, Write,
};
use hashbrown::HashMap;
use parking_lot::RwLock;

use crate::records::Records;

/// Slots 0 to 64 get a lock each; a slot beyond shares one.
const LOCKS: usize = 65;

/// A store in memory. Nothing survives it.
///
/// See the crate's page for what it is and what it costs.
#[derive(Default)]
pub struct MemoryStore {
    tenants: RwLock<HashMap<Arc<str>, Tenant>>,
    /// Of all tenants together, so that no version can repeat.
    last: AtomicU64,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn tenant<T>(&self, scope: &IdScope, with: impl FnOnce(&Tenant) -> T) -> T {
        if let Some(tenant) = self.tenants.read().get(&**scope.folded()) {
            return with(tenant);
        }
        let mut tenants = self.tenants.write();
        let tenant = tenants.entry(Arc::clone(scope.folded())).or_default();
        with(tenant)
    }
}

impl fmt::Debug for MemoryStore {
    /// Counts only: values hold keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenants = self.tenants.read().len();
        write!(f, "MemoryStore({tenants} tenants)")
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Versioned>>, StoreError> {
        let mut found = Vec::with_capacity(keys.len());
        let tenants = self.tenants.read();
        // Neighbours in one shard, which is the rule, are read under one lock.
        for run in keys.chunk_by(|a, b| a.shard == b.shard) {
            let Some(tenant) = tenants.get(&**run[0].shard.scope.folded()) else {
                found.extend(run.iter().map(|_| None));
                continue;
            };
            let slot = tenant.slot(run[0].shard.slot).read();
            found.extend(run.iter().map(|key| slot.get(key.table, &key.id).cloned()));
        }
        Ok(found)
    }

    async fn commit(&self, shard: &Shard, writes: &[Write]) -> Result<Version, StoreError> {
        self.tenant(&shard.scope, |tenant| {
            let mut slot = tenant.slot(shard.slot).write();
            for write in writes {
                let there = slot.get(write.table, &write.id).map(|found| found.version);
                let holds = match write.expect {
                    Expect::Any => true,
                    Expect::Absent => there.is_none(),
                    Expect::Exactly(version) => there == Some(version),
                };
                if !holds {
                    return Err(StoreError::Conflict {
                        table: write.table,
                        id: Arc::clone(&write.id),
                    });
                }
            }
            // Unique is enough, so the order in which slots draw does not matter.
            let version = Version(self.last.fetch_add(1, Ordering::Relaxed) + 1);
            for write in writes {
                match &write.change {
                    Change::Put(value) => {
                        let value = value.clone();
                        slot.table(write.table)
                            .put(&write.id, Versioned { version, value });
                    }
                    Change::Delete => slot.table(write.table).remove(&write.id),
                    Change::Keep => {}
                }
            }
            Ok(version)
        })
    }

    async fn scan(&self, scan: &Scan) -> Result<Page, StoreError> {
        let limit = usize::try_from(scan.limit).unwrap_or(usize::MAX);
        let tenants = self.tenants.read();
        let Some(tenant) = tenants.get(&**scan.scope.folded()) else {
            let records = Vec::new();
            return Ok(Page {
                records,
                more: false,
            });
        };
        // Ids are spread evenly over the slots: a few more than an even share are rarely asked for again.
        let share = limit.div_ceil(LOCKS) + 4;
        let mut runs: Vec<Run<'_>> = tenant.slots.iter().map(Run::new).collect();
        let mut heads = BinaryHeap::with_capacity(LOCKS);
        for (at, run) in runs.iter_mut().enumerate() {
            heads.extend(run.head(scan, share).map(|id| Reverse((id, at))));
        }
        let mut records = Vec::with_capacity(limit.min(1000));
        while records.len() < limit
            && let Some(Reverse((_, at))) = heads.pop()
        {
            let run = &mut runs[at];
            records.extend(run.take(scan.table));
            heads.extend(run.head(scan, share).map(|id| Reverse((id, at))));
        }
        Ok(Page {
            records,
            more: !heads.is_empty(),
        })
    }
}

/// One tenant's slots, each with its own lock.
struct Tenant {
    slots: Box<[RwLock<Slot>]>,
}

impl Default for Tenant {
    fn default() -> Self {
        let slots = (0..LOCKS).map(|_| RwLock::default()).collect();
        Self { slots }
    }
}

impl Tenant {
    fn slot(&self, slot: u16) -> &RwLock<Slot> {
        &self.slots[usize::from(slot) % LOCKS]
    }
}

/// The few tables of a slot that have records, in no order.
#[derive(Default)]
struct Slot {
    tables: Vec<(Table, Records)>,
}

impl Slot {
    fn get(&self, table: Table, id: &str) -> Option<&Versioned> {
        let (_, records) = self.tables.iter().find(|(kind, _)| *kind == table)?;
        records.get(id)
    }

    fn table(&mut self, table: Table) -> &mut Records {
        let at = match self.tables.iter().position(|(kind, _)| *kind == table) {
            Some(at) => at,
            None => {
                self.tables.push((table, Records::default()));
                self.tables.len() - 1
            }
        };
        &mut self.tables[at].1
    }
}

/// What a scan has taken from one slot and not yet used.
struct Run<'a> {
    slot: &'a RwLock<Slot>,
    ahead: VecDeque<Arc<str>>,
    last: Option<Arc<str>>,
    more: bool,
}

impl<'a> Run<'a> {
    fn new(slot: &'a RwLock<Slot>) -> Self {
        Self {
            slot,
            ahead: VecDeque::new(),
            last: None,
            more: true,
        }
    }

    /// The next id of this slot; takes `share` more records when it has none left.
    fn head(&mut self, scan: &Scan, share: usize) -> Option<Arc<str>> {
        if self.ahead.is_empty() && self.more {
            let after = self.last.as_ref().or(scan.after.as_ref());
            let mut slot = self.slot.write();
            let records = slot.tables.iter_mut().find(|(kind, _)| *kind == scan.table);
            self.more = records.is_some_and(|(_, records)| {
                let after = after.map(|id| &**id);
                records.page(&scan.prefix, after, share, &mut self.ahead)
            });
            self.last = self.ahead.back().map(Arc::clone);
        }
        self.ahead.front().map(Arc::clone)
    }

    /// The record of the head; `None` if it has gone meanwhile. Only what is asked for is looked up: of
    /// many records each is somewhere else in memory.
    fn take(&mut self, table: Table) -> Option<(Arc<str>, Versioned)> {
        let id = self.ahead.pop_front()?;
        let found = self.slot.read().get(table, &id)?.clone();
        Some((id, found))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn debug_shows_no_values() {
        let mut slot = Slot::default();
        let record = Versioned {
            version: Version(1),
            value: Bytes::from_static(b"hunter2"),
        };
        slot.table(Table::Enrollment).put(&"press-1".into(), record);
        let tenant = Tenant::default();
        *tenant.slot(7).write() = slot;
        let store = MemoryStore::new();
        store.tenants.write().insert("0ne".into(), tenant);
        assert_eq!(format!("{store:?}"), "MemoryStore(1 tenants)");
    }
}
