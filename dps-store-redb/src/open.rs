//! Opening a file.

use std::path::Path;
use std::sync::Arc;

use redb::{Database, StorageBackend};

use crate::store::RedbStore;
use crate::writer::{self, Shared};

/// How a store is opened.
#[derive(Debug)]
#[must_use]
pub struct Builder {
    cache_bytes: usize,
}

/// Why a store was not opened. Nothing in the file was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Something else.
    #[error("the store cannot be opened")]
    Other(#[source] dps_core::store::BoxError),
}

impl Builder {
    pub(crate) const fn new() -> Self {
        Self {
            cache_bytes: 256 << 20,
        }
    }

    /// How many bytes of the file are kept in memory: 256 MiB, unless this says otherwise.
    pub const fn with_cache_bytes(mut self, bytes: usize) -> Self {
        self.cache_bytes = bytes;
        self
    }

    /// Opens the file at `path`, and makes it if it is not there.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(&self, path: impl AsRef<Path>) -> Result<RedbStore, OpenError> {
        let mut builder = Database::builder();
        builder.set_cache_size(self.cache_bytes);
        start(builder.create(path).map_err(other)?)
    }

    /// Opens what is kept in `backend`, and begins anew if that is empty.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open_backend(&self, backend: impl StorageBackend) -> Result<RedbStore, OpenError> {
        let mut builder = Database::builder();
        builder.set_cache_size(self.cache_bytes);
        start(builder.create_with_backend(backend).map_err(other)?)
    }
}

fn start(database: Database) -> Result<RedbStore, OpenError> {
    let shared = Arc::new(Shared::new());
    let (queue, thread) = writer::start(database, Arc::clone(&shared)).map_err(other)?;
    Ok(RedbStore::new(shared, queue, thread))
}

fn other(error: impl Into<dps_core::store::BoxError>) -> OpenError {
    OpenError::Other(error.into())
}
