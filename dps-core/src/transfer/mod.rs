//! Moving the records of a tenant from one store to another: from memory to a file, from a file to a database, from
//! plain to sealed, and back.
//!
//! ```
//! # use dps_core::id::IdScope;
//! # use dps_core::transfer::{Transfer, TransferError};
//! # use dps_store_memory::MemoryStore;
//! # dps_testkit::run::block_on(async {
//! # let (old, new) = (MemoryStore::new(), MemoryStore::new());
//! let scope = IdScope::parse("0ne00000001").unwrap();
//! let mut progress = |now: &dps_core::transfer::Progress| println!("{} records", now.seen);
//! let done = Transfer::new(&old, &new).run(&scope, &mut progress).await?;
//! # assert_eq!(done.seen, 0);
//! # Ok::<_, TransferError>(())
//! # }).unwrap();
//! ```
//!
//! - **Ids and values** are copied, not versions: the target gives its own. Tags that operators hold (`ETag`) are stale
//!   afterwards, and sessions of devices read anew.
//! - **One scope at a time.** A store does not know which scopes it has; whoever runs the service does.
//! - **Nobody should write to either store meanwhile.** What is written to the source behind the position of the copy is
//!   missed. The check at the end finds that, as [`TransferError::Differs`]; then run it again with
//!   [`Transfer::replacing`], which writes only what differs. A copy of a service that runs is a first run, the service
//!   stopped, and a second one.
//! - **It may be interrupted anywhere**, and run again with [`Transfer::replacing`]: it remembers nothing, and compares.
//! - **The instance comes last**, and its epoch after it: before that the target has no tenant of this scope, so nobody is
//!   served from a part.
//! - **Memory**: of each side a page of 64 records, and 8 MiB to be written.

mod merge;

use std::collections::BTreeMap;
use std::sync::Arc;

use self::merge::{Found, Merge};
use crate::id::IdScope;
use crate::pages::together;
use crate::record::{epoch_key, shard_of};
use crate::store::{Change, Expect, Scan, Shard, Store, StoreError, Table, Version, Write};

/// The most bytes of values that wait to be written.
const BATCH_BYTES: usize = 8 << 20;

/// The most records that wait to be written.
const BATCH: usize = 1024;

/// The most records of one commit.
const COMMIT: usize = 256;

/// Why records were not moved, or not all of them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransferError {
    /// The target has records of the scope already: it is another tenant's, or an earlier run was interrupted.
    #[error("the target has records of {scope} already, such as {table:?} record {id}")]
    NotEmpty {
        /// Whose records.
        scope: IdScope,
        /// Kind of one of them.
        table: Table,
        /// Its name.
        id: Arc<str>,
    },
    /// A record of the source has a name that none of the service has.
    #[error("{table:?} record {id} is no record of the service")]
    Foreign {
        /// Kind of the record.
        table: Table,
        /// Its name.
        id: Arc<str>,
    },
    /// Somebody else writes to the target.
    #[error("somebody writes to the target: {table:?} record {id} has changed")]
    TargetChanged {
        /// Kind of the record.
        table: Table,
        /// Its name.
        id: Arc<str>,
    },
    /// All was copied, and the stores differ: somebody has written to one of them meanwhile.
    #[error("{records} records differ after the copy: somebody has written to one of the stores")]
    Differs {
        /// How many.
        records: u64,
    },
    /// The source cannot be read.
    #[error("the source cannot be read")]
    Source(#[source] StoreError),
    /// The target cannot be read or written.
    #[error("the target cannot be read or written")]
    Target(#[source] StoreError),
}

/// How far a [`Transfer`] is, or has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Whether this is the check after the copy; it counts from the beginning.
    pub checking: bool,
    /// Records of the source that were looked at.
    pub seen: u64,
    /// Bytes of their values.
    pub bytes: u64,
    /// Of these records, those that the target had, with the same value.
    pub same: u64,
    /// Those that the target did not have.
    pub missing: u64,
    /// Those that the target had with another value.
    pub different: u64,
    /// Records of the target that the source does not have; they are not among the others.
    pub surplus: u64,
}

impl Progress {
    /// How many records have to be written, or were.
    #[must_use]
    pub const fn differing(&self) -> u64 {
        self.missing + self.different + self.surplus
    }
}

/// Told how far it is, after each page of either store.
pub type OnProgress<'a> = &'a mut (dyn FnMut(&Progress) + Send);

/// Moves the records of one store to another: see [the module](self).
#[derive(Clone, Copy, Debug)]
pub struct Transfer<'a> {
    from: &'a dyn Store,
    to: &'a dyn Store,
    replacing: bool,
}

impl<'a> Transfer<'a> {
    /// From one store to another, which must have no records of the scope.
    #[must_use]
    pub const fn new(from: &'a dyn Store, to: &'a dyn Store) -> Self {
        Self {
            from,
            to,
            replacing: false,
        }
    }

    /// The target may have records of the scope. In the end it has those of the source and no others: what differs is
    /// replaced, **what the source does not have is deleted**.
    #[must_use]
    pub const fn replacing(mut self) -> Self {
        self.replacing = true;
        self
    }

    /// Counts what a run would write, and writes nothing.
    ///
    /// # Errors
    /// [`TransferError::Source`] and [`TransferError::Target`].
    pub async fn compare(
        &self,
        scope: &IdScope,
        progress: OnProgress<'_>,
    ) -> Result<Progress, TransferError> {
        self.walk(scope, Progress::default(), None, progress).await
    }

    /// Copies all records of `scope`, and then compares all of them.
    ///
    /// Returns what the copy has found and written; the check has found all the same, or this is an error.
    ///
    /// # Errors
    /// [`TransferError`]. Whichever it is, a part may have been written; run it again with
    /// [`replacing`](Self::replacing).
    pub async fn run(
        &self,
        scope: &IdScope,
        progress: OnProgress<'_>,
    ) -> Result<Progress, TransferError> {
        if !self.replacing {
            self.must_be_empty(scope).await?;
        }
        let mut batch = Batch::new(self.to, scope);
        let first = Progress::default();
        let done = self.walk(scope, first, Some(&mut batch), progress).await?;
        batch.finish(done.differing() > 0).await?;
        let checking = Progress {
            checking: true,
            ..first
        };
        match self.walk(scope, checking, None, progress).await? {
            check if check.differing() == 0 => Ok(done),
            check => Err(TransferError::Differs {
                records: check.differing(),
            }),
        }
    }

    async fn must_be_empty(&self, scope: &IdScope) -> Result<(), TransferError> {
        for table in Table::ALL {
            let any = Scan {
                scope: scope.clone(),
                table,
                prefix: "".into(),
                after: None,
                limit: 1,
            };
            let page = self.to.scan(&any).await.map_err(TransferError::Target)?;
            if let Some((id, _)) = page.records.into_iter().next() {
                let scope = scope.clone();
                return Err(TransferError::NotEmpty { scope, table, id });
            }
        }
        Ok(())
    }

    /// Compares all records, and gives what differs to `batch`, if there is one.
    async fn walk(
        &self,
        scope: &IdScope,
        mut now: Progress,
        mut batch: Option<&mut Batch<'_>>,
        progress: OnProgress<'_>,
    ) -> Result<Progress, TransferError> {
        let last = Table::Instance;
        let others = Table::ALL.into_iter().filter(|table| *table != last);
        for table in others.chain([last]) {
            let mut merge = Merge::new(self.from, self.to, scope, table);
            while let Some((id, found)) = merge.next().await? {
                if let Found::Missing(value) | Found::Both(value, _) = &found {
                    now.seen += 1;
                    now.bytes += value.len() as u64;
                }
                let differs = match &found {
                    Found::Both(ours, theirs) if *ours == theirs.value => &mut now.same,
                    Found::Both(..) => &mut now.different,
                    Found::Missing(_) => &mut now.missing,
                    Found::Surplus(_) => &mut now.surplus,
                };
                *differs += 1;
                if let Some(batch) = &mut batch {
                    batch.take(table, id, found).await?;
                }
                if merge.turned() {
                    progress(&now);
                }
            }
            if let Some(batch) = &mut batch {
                batch.write().await?;
            }
        }
        progress(&now);
        Ok(now)
    }
}

/// What waits to be written to the target.
struct Batch<'a> {
    to: &'a dyn Store,
    scope: &'a IdScope,
    writes: BTreeMap<Shard, Vec<Write>>,
    records: usize,
    bytes: usize,
    /// The record that tells everybody to read the configuration anew, and so is written last.
    epoch: Option<Write>,
}

impl<'a> Batch<'a> {
    const fn new(to: &'a dyn Store, scope: &'a IdScope) -> Self {
        Self {
            to,
            scope,
            writes: BTreeMap::new(),
            records: 0,
            bytes: 0,
            epoch: None,
        }
    }

    async fn take(
        &mut self,
        table: Table,
        id: Arc<str>,
        found: Found,
    ) -> Result<(), TransferError> {
        let shard = shard_of(self.scope, table, &id);
        let epoch = epoch_key(self.scope);
        let is_epoch = table == epoch.table && id == epoch.id;
        let same = matches!(&found, Found::Both(ours, theirs) if *ours == theirs.value);
        if same && !is_epoch {
            return Ok(());
        }
        let (expect, change) = found.into_write();
        let Some(shard) = shard else {
            return Err(TransferError::Foreign { table, id });
        };
        if let Change::Put(value) = &change {
            self.bytes += value.len();
        }
        let write = Write {
            table,
            id,
            expect,
            change,
        };
        if is_epoch {
            self.epoch = Some(write);
            return Ok(());
        }
        self.records += 1;
        self.writes.entry(shard).or_default().push(write);
        if self.records >= BATCH || self.bytes >= BATCH_BYTES {
            self.write().await?;
        }
        Ok(())
    }

    async fn write(&mut self) -> Result<(), TransferError> {
        let writes = std::mem::take(&mut self.writes);
        (self.records, self.bytes) = (0, 0);
        let commits = writes
            .iter()
            .flat_map(|(shard, writes)| writes.chunks(COMMIT).map(move |some| (shard, some)))
            .map(|(shard, some)| self.to.commit(shard, some));
        for committed in together(commits.collect::<Vec<_>>()).await {
            outcome(committed)?;
        }
        Ok(())
    }

    /// Writes the epoch, if anything else was written or it has to be.
    async fn finish(&mut self, changed: bool) -> Result<(), TransferError> {
        match self.epoch.take() {
            Some(write) if changed => {
                let shard = epoch_key(self.scope).shard;
                outcome(self.to.commit(&shard, &[write]).await)
            }
            _ => Ok(()),
        }
    }
}

fn outcome(committed: Result<Version, StoreError>) -> Result<(), TransferError> {
    match committed {
        Ok(_) => Ok(()),
        Err(StoreError::Conflict { table, id }) => Err(TransferError::TargetChanged { table, id }),
        Err(error) => Err(TransferError::Target(error)),
    }
}

impl Found {
    fn into_write(self) -> (Expect, Change) {
        match self {
            Self::Missing(value) => (Expect::Absent, Change::Put(value)),
            Self::Both(value, there) => (Expect::Exactly(there.version), Change::Put(value)),
            Self::Surplus(version) => (Expect::Exactly(version), Change::Delete),
        }
    }
}
