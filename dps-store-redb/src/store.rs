//! The store itself.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use async_trait::async_trait;
use dps_core::store::{Key, Page, Scan, Shard, Store, StoreError, Version, Versioned, Write};

use crate::open::{Builder, OpenError};
use crate::writer::{Queue, Shared};

/// A store in one file.
///
/// Clones are the same store. With the last one what was asked for is written, and the file is closed.
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
    /// Opens the file at `path`, and makes it if it is not there. Blocks: call it before serving.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::builder().open(path)
    }

    /// Opens with other settings than the usual ones.
    pub const fn builder() -> Builder {
        Builder::new()
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
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The writer does what is queued, and ends.
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

#[async_trait]
impl Store for RedbStore {
    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Versioned>>, StoreError> {
        let snapshot = self.inner.shared.snapshot()?;
        keys.iter().map(|key| snapshot.get(key)).collect()
    }

    async fn commit(&self, shard: &Shard, writes: &[Write]) -> Result<Version, StoreError> {
        writes.iter().try_for_each(Write::check_size)?;
        match &self.inner.queue {
            Some(queue) => queue.commit(shard, writes).await,
            None => unreachable!("the queue is there until the store is dropped"),
        }
    }

    async fn scan(&self, scan: &Scan) -> Result<Page, StoreError> {
        self.inner.shared.snapshot()?.scan(scan)
    }
}
