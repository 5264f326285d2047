//! Tenants, and what is asked of them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use dps_core::id::IdScope;
use dps_core::store::{
    Change, Expect, Key, Page, Scan, Shard, Store, StoreError, Version, Versioned, Write,
};
use hashbrown::HashMap;
use parking_lot::RwLock;

use crate::tenant::Tenant;

/// From so many keys on, reads are prepared for many.
const MANY: usize = 16;

/// A store in memory. Nothing survives it.
///
/// See the crate's page for what it is and what it costs.
#[derive(Default)]
pub struct MemoryStore {
    tenants: RwLock<HashMap<Arc<str>, Arc<Tenant>>>,
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
        if keys.len() >= MANY {
            for run in keys.chunk_by(|a, b| a.shard.scope == b.shard.scope) {
                match tenants.get(&**run[0].shard.scope.folded()) {
                    Some(tenant) => tenant.read(run, &mut found),
                    None => found.extend(run.iter().map(|_| None)),
                }
            }
            return Ok(found);
        }
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
        writes.iter().try_for_each(Write::check_size)?;
        self.tenant(&shard.scope, |tenant| {
            let mut slot = tenant.slot(shard.slot).write();
            for write in writes {
                let there = || slot.get(write.table, &write.id).map(|found| found.version);
                let holds = match write.expect {
                    Expect::Any => true,
                    Expect::Absent => there().is_none(),
                    Expect::Exactly(version) => there() == Some(version),
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
            let mut removed = Vec::new();
            for write in writes {
                match &write.change {
                    Change::Put(value) => {
                        let value = value.clone();
                        slot.table(write.table)
                            .put(&write.id, Versioned { version, value });
                    }
                    Change::Delete => {
                        if slot.table(write.table).remove(&write.id) {
                            removed.push(write);
                        }
                    }
                    Change::Keep => {}
                }
            }
            drop(slot);
            for write in removed {
                tenant.correct(write.table, [Arc::clone(&write.id)]);
            }
            Ok(version)
        })
    }

    async fn scan(&self, scan: &Scan) -> Result<Page, StoreError> {
        let tenant = self
            .tenants
            .read()
            .get(&**scan.scope.folded())
            .map(Arc::clone);
        Ok(tenant.map_or_else(
            || Page {
                records: Vec::new(),
                more: false,
            },
            |tenant| tenant.scan(scan),
        ))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use dps_core::store::Table;

    use super::*;

    #[test]
    fn debug_shows_no_values() {
        let tenant = Tenant::default();
        let record = Versioned {
            version: Version(1),
            value: Bytes::from_static(b"hunter2"),
        };
        let mut slot = tenant.slot(7).write();
        slot.table(Table::Enrollment).put(&"press-1".into(), record);
        drop(slot);
        let store = MemoryStore::new();
        let tenants = [("0ne".into(), Arc::new(tenant))];
        store.tenants.write().extend(tenants);
        assert_eq!(format!("{store:?}"), "MemoryStore(1 tenants)");
    }
}
