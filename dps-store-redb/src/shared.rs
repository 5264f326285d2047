//! What the writer shows to readers: all records as the last commit left them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dps_core::store::StoreError;
use parking_lot::RwLock;
use redb::ReadOnlyTable;

use crate::format::unavailable;
use crate::records::Records;

type Readable =
    Records<ReadOnlyTable<&'static [u8], &'static [u8]>, ReadOnlyTable<u64, &'static [u8]>>;

/// All records at one moment. While it is there the file keeps all that belongs to it.
pub(crate) struct Snapshot {
    pub(crate) records: Readable,
    /// All numbers and versions in it are below this.
    pub(crate) given: u64,
}

/// The latest snapshot.
#[derive(Default)]
pub(crate) struct Shared {
    /// None while the file is not usable.
    snapshot: RwLock<Option<Arc<Snapshot>>>,
    /// A reader's complaint is under way.
    complaint: AtomicBool,
}

impl Shared {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn snapshot(&self) -> Result<Arc<Snapshot>, StoreError> {
        let snapshot = self.snapshot.read().clone();
        snapshot.ok_or_else(|| unavailable("the file cannot be used at the moment"))
    }

    /// Shows another one, before anybody hears that its commits succeeded.
    pub(crate) fn publish(&self, snapshot: Option<Snapshot>) {
        let snapshot = snapshot.map(Arc::new);
        let before = std::mem::replace(&mut *self.snapshot.write(), snapshot);
        // Not under the lock.
        drop(before);
    }

    pub(crate) fn is_sound(&self) -> bool {
        self.snapshot.read().is_some()
    }

    /// Whether this is the first complaint since the writer heard the last.
    pub(crate) fn complain(&self) -> bool {
        !self.complaint.swap(true, Ordering::AcqRel)
    }

    pub(crate) fn heard(&self) {
        self.complaint.store(false, Ordering::Release);
    }
}
