//! Files: one that counts its syncs, and what a sync takes.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use dps_benches::Bench;
use dps_store_redb::RedbStore;
use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};

use crate::CACHE;

/// A store whose thread runs on the servers' CPU, and which counts its syncs.
pub(crate) fn open(bench: &Bench, path: &Path, syncs: &Arc<AtomicU64>) -> io::Result<RedbStore> {
    let file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?;
    let backend = Counting {
        file: FileBackend::new(file).map_err(io::Error::other)?,
        syncs: Arc::clone(syncs),
    };
    let open = || {
        bench.move_to_server_cpu();
        RedbStore::builder()
            .with_cache_bytes(CACHE)
            .open_backend(backend)
    };
    let opened = thread::scope(|threads| threads.spawn(open).join());
    opened.expect("no panic").map_err(io::Error::other)
}

/// A file that counts how often it is synced.
#[derive(Debug)]
struct Counting {
    file: FileBackend,
    syncs: Arc<AtomicU64>,
}

type Bound = std::ops::Bound<u64>;

impl StorageBackend for Counting {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.syncs.fetch_add(1, Ordering::SeqCst);
        self.file.sync_data()
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write(offset, data)
    }
    fn close(&self) -> io::Result<()> {
        self.file.close()
    }
    fn try_lock_range(&self, start: Bound, end: Bound) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }
    fn unlock_range(&self, start: Bound, end: Bound) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }
}

/// What it takes to write one page and to sync it.
pub(crate) fn one_sync(bench: &Bench, times: u64) -> io::Result<Vec<Duration>> {
    let file = File::create(bench.folder().join("sync"))?;
    let page = [1; 4096];
    file.write_all_at(&[0; 1 << 20], 0)?;
    file.sync_all()?;
    (0..times)
        .map(|n| {
            let from = Instant::now();
            file.write_all_at(&page, n % 256 * 4096)?;
            file.sync_data()?;
            Ok(from.elapsed())
        })
        .collect()
}
