//! The store itself.

use std::fmt;
use std::future::poll_fn;
use std::path::Path;
use std::sync::Arc;
use std::task::Poll;
use std::thread::JoinHandle;

use async_trait::async_trait;
use dps_core::store::{Key, Page, Scan, Shard, Store, StoreError, Version, Versioned, Write};

use crate::backup::{self, BackupError};
use crate::format::{self, guarded, unavailable};
use crate::open::{Builder, OpenError};
use crate::queue::Queue;
use crate::shared::{Shared, Snapshot};

/// A scan lets others have their turn after so many records, or so many bytes.
const TURN_RECORDS: u32 = 100;
const TURN_BYTES: usize = 256 << 10;

/// A store in one file.
///
/// Clones are one store. When the last of them is dropped, what was asked for is written and the file closed, before the
/// drop returns. See the crate's page for what it costs and what it needs.
#[derive(Clone)]
pub struct RedbStore {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    /// Until the end.
    queue: Option<Queue>,
    thread: Option<JoinHandle<()>>,
}

impl RedbStore {
    /// Opens the file at `path`, and makes it if it is not there or empty. Blocks: call it before serving.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::builder().open(path)
    }

    /// Opens with other settings than the usual ones.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// Copies everything, as it is at one moment, into a new file at `path`, which can be opened as a store.
    ///
    /// Commits go on meanwhile; what they replace stays in this store's file until the copy is done. All check
    /// sums are looked at, so that a backup that succeeded is whole. It has no gaps: it is also the way to a
    /// smaller file. Blocks for as long as it takes to read and write everything: asynchronous code calls it on a
    /// thread where that is allowed, such as tokio's `spawn_blocking`.
    ///
    /// Returns how many records there are.
    ///
    /// # Errors
    /// [`BackupError`]; then there is no file at `path`, or the one that was there before.
    pub fn backup(&self, path: impl AsRef<Path>) -> Result<u64, BackupError> {
        let snapshot = self.inner.shared.snapshot()?;
        backup::copy(&snapshot, path.as_ref())
    }

    pub(crate) fn new(shared: Arc<Shared>, queue: Queue, thread: JoinHandle<()>) -> Self {
        let inner = Inner {
            shared,
            queue: Some(queue),
            thread: Some(thread),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Reads where the caller runs: with the pages in memory, it takes less than to hand it to another thread.
    fn read<T>(
        &self,
        ask: impl FnOnce(&Snapshot) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let inner = &self.inner;
        let asked = guarded(|| ask(&*inner.shared.snapshot()?));
        if matches!(asked, Err(StoreError::Unavailable(_))) && inner.shared.complain() {
            inner.queue.iter().for_each(Queue::mend);
        }
        asked
    }
}

#[async_trait]
impl Store for RedbStore {
    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Versioned>>, StoreError> {
        let get = |snapshot: &Snapshot, key: &Key| {
            let key = format::key(key.table, &key.shard.scope, &key.id);
            snapshot.records.get(&key)
        };
        self.read(|snapshot| keys.iter().map(|key| get(snapshot, key)).collect())
    }

    async fn commit(&self, shard: &Shard, writes: &[Write]) -> Result<Version, StoreError> {
        writes.iter().try_for_each(Write::check_size)?;
        match &self.inner.queue {
            Some(queue) => queue.commit(shard, writes).await,
            None => Err(unavailable("the store is closed")),
        }
    }

    async fn scan(&self, scan: &Scan) -> Result<Page, StoreError> {
        let mut records = Vec::new();
        let mut turn = scan.clone();
        loop {
            let left = scan
                .limit
                .saturating_sub(u32::try_from(records.len()).unwrap_or(u32::MAX));
            turn.limit = left.min(TURN_RECORDS);
            let page = self.read(|snapshot| snapshot.records.scan(&turn, TURN_BYTES))?;
            let read = u32::try_from(page.records.len()).unwrap_or(u32::MAX);
            records.extend(page.records);
            if !page.more || read >= left {
                let more = page.more;
                return Ok(Page { records, more });
            }
            turn.after = records.last().map(|(id, _)| Arc::clone(id));
            give_way().await;
        }
    }
}

/// Lets other tasks of the thread run, in any runtime.
async fn give_way() {
    let mut given = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut given, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The writer does what is queued, closes the file, and ends.
        drop(self.queue.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for RedbStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedbStore")
    }
}
