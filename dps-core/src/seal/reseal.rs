//! Rotation that does not wait for the next write, and how far it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::key::{DataKey, KeyName};
use super::store::{Opener, SealError, SealedStore};
use super::value::{Sealed, Spot};
use crate::id::IdScope;
use crate::pages::{Pages, together};
use crate::record::shard_of;
use crate::store::{Change, Expect, Store, StoreError, Table, Versioned, Write};

/// How far a [`SealedStore::reseal`] is, or has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resealed {
    /// Records looked at.
    pub seen: u64,
    /// Of these, those that were sealed anew. The others had the current key already.
    pub resealed: u64,
    /// Of these, those that are still under an old key, because somebody wrote them meanwhile. The next run sees.
    pub missed: u64,
    /// Of these, those that cannot be sealed anew, because they do not open or are no records of the service.
    pub unreadable: u64,
    /// The first few of the unreadable ones.
    pub examples: Vec<(Table, Arc<str>)>,
}

impl Resealed {
    /// How many unreadable records are named.
    const EXAMPLES: usize = 16;

    fn unreadable(&mut self, table: Table, id: &Arc<str>) {
        self.unreadable += 1;
        if self.examples.len() < Self::EXAMPLES {
            self.examples.push((table, Arc::clone(id)));
        }
    }
}

impl<S: Store> SealedStore<S> {
    /// Seals all records of `scope` with its current key that have another one.
    ///
    /// Devices and operators may go on meanwhile: a record is written only if it is still the one that was read. It
    /// takes a new version then, so tags that operators hold become stale; and a registration whose operation is in
    /// flight since before the rotation is taken up again by its device's next poll after the lease. It may be
    /// dropped or fail at any point, and be run again: it passes over what is done. It holds one page of 64 records.
    ///
    /// * `progress`: told after each page.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the store or the keys cannot be asked. Records that do not open are counted.
    pub async fn reseal(
        &self,
        scope: &IdScope,
        progress: &mut (dyn FnMut(&Resealed) + Send),
    ) -> Result<Resealed, StoreError> {
        let mut done = Resealed::default();
        let mut opener = self.opener();
        for table in Table::ALL {
            let mut pages = Pages::new(&self.store, scope, table);
            loop {
                let page = pages.next().await?;
                if page.is_empty() {
                    break;
                }
                done.seen += page.len() as u64;
                // Anew for each page, for it may change while this runs.
                let key = self.sealing_key(scope).await?;
                let mut writes = Vec::new();
                for (id, found) in page {
                    let due = Due { scope, table, id };
                    match due.write(self, &mut opener, &key, &found).await {
                        Ok(None) => {}
                        Ok(Some(write)) => writes.push((due, write)),
                        Err(StoreError::Corrupt(_)) => done.unreadable(table, &due.id),
                        Err(error) => return Err(error),
                    }
                }
                self.write(writes, &mut done).await?;
                progress(&done);
            }
        }
        Ok(done)
    }

    /// How many records of `scope` are sealed with which key; under none, those that are not sealed.
    ///
    /// Not a snapshot: what is written meanwhile may count or not. No value is opened.
    ///
    /// # Errors
    /// [`StoreError`], if the store cannot be asked.
    pub async fn keys_in_use(
        &self,
        scope: &IdScope,
    ) -> Result<BTreeMap<Option<KeyName>, u64>, StoreError> {
        let mut counts = BTreeMap::new();
        for table in Table::ALL {
            let mut pages = Pages::new(&self.store, scope, table);
            loop {
                let page = pages.next().await?;
                if page.is_empty() {
                    break;
                }
                for (_, found) in page {
                    let sealed = Sealed::parse(&found.value);
                    let name = sealed.and_then(|sealed| KeyName::parse(sealed.key).ok());
                    *counts.entry(name).or_default() += 1;
                }
            }
        }
        Ok(counts)
    }

    /// Writes the records of one page, each by itself, so that one that has changed keeps no other back.
    async fn write(
        &self,
        writes: Vec<(Due<'_>, Write)>,
        done: &mut Resealed,
    ) -> Result<(), StoreError> {
        let mut commits = Vec::new();
        for (due, write) in writes {
            match shard_of(due.scope, due.table, &due.id) {
                Some(shard) => commits.push((shard, write)),
                None => done.unreadable(due.table, &due.id),
            }
        }
        let commits = commits.iter();
        let commits =
            commits.map(|(shard, write)| self.store.commit(shard, std::slice::from_ref(write)));
        for committed in together(commits).await {
            match committed {
                Ok(_) => done.resealed += 1,
                Err(StoreError::Conflict { .. }) => done.missed += 1,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// A record that may have to be sealed anew.
struct Due<'a> {
    scope: &'a IdScope,
    table: Table,
    id: Arc<str>,
}

impl Due<'_> {
    /// `None` if it has the key already.
    async fn write<S: Store>(
        &self,
        store: &SealedStore<S>,
        opener: &mut Opener<'_, S>,
        key: &DataKey,
        found: &Versioned,
    ) -> Result<Option<Write>, StoreError> {
        let (table, id) = (self.table, &self.id);
        let Some(sealed) = Sealed::parse(&found.value) else {
            let id = Arc::clone(id);
            return Err(StoreError::Corrupt(Box::new(SealError::NotSealed {
                table,
                id,
            })));
        };
        if sealed.key == key.name().as_str() {
            return Ok(None);
        }
        let plain = opener.open(self.scope, table, id, &found.value).await?;
        let spot = Spot {
            scope: self.scope,
            table,
            id,
        };
        Ok(Some(Write {
            table,
            id: Arc::clone(id),
            expect: Expect::Exactly(found.version),
            change: Change::Put(store.seal(key, spot, &plain)?),
        }))
    }
}
