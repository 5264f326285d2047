//! Where a store is, as people write it, and how it is opened.

use std::error::Error;
use std::fmt;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dps_core::id::SecretBytes;
use dps_core::store::{BoxError, Store};
use dps_store_memory::MemoryStore;
use dps_store_redb::RedbStore;

/// Where records are kept.
#[derive(Clone, Debug)]
pub enum Place {
    /// In memory: nothing survives the process.
    Memory,
    /// In one file, which one process at a time has open.
    File(FilePlace),
    /// In PostgreSQL, for any number of processes.
    Postgres(Database),
}

/// A file that records are kept in.
#[derive(Clone, Debug)]
pub struct FilePlace {
    /// The file; made if it is not there.
    pub path: PathBuf,
    /// Bytes of memory that pages of it are kept in; the store's own choice unless said.
    pub cache: Option<usize>,
}

/// A database that records are kept in.
#[derive(Clone)]
pub struct Database {
    url: String,
    password: Option<SecretBytes>,
    connections: Option<NonZeroU32>,
}

impl Place {
    /// `redb:FILE`, or the URL of a database.
    ///
    /// # Errors
    /// It is neither.
    pub fn parse(text: &str) -> Result<Self, BoxError> {
        if let Some(path) = text.strip_prefix("redb:").filter(|path| !path.is_empty()) {
            let (path, cache) = (path.into(), None);
            return Ok(Self::File(FilePlace { path, cache }));
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(Database::parse(text)?));
        }
        Err("neither redb:FILE nor postgres://USER@HOST/DATABASE".into())
    }

    /// Opens the store. Blocks the thread while a file is opened.
    ///
    /// # Errors
    /// It is not there, not ours, of a later version, or somebody else has it.
    pub async fn open(&self) -> Result<Arc<dyn Store>, BoxError> {
        match self {
            Self::Memory => Ok(Arc::new(MemoryStore::new())),
            Self::File(file) => Ok(Arc::new(file.open()?)),
            Self::Postgres(database) => Err(format!("{database:?}: not yet").into()),
        }
    }
}

impl FilePlace {
    fn open(&self) -> Result<RedbStore, BoxError> {
        let path = self.path.display().to_string();
        let builder = RedbStore::builder().on_repair(move |done| {
            let percent = (done * 100.0).round();
            tracing::info!(path, percent, "checking the file, which was not closed");
        });
        let builder = match self.cache {
            Some(bytes) => builder.with_cache_bytes(bytes),
            None => builder,
        };
        let opened = builder.open(&self.path);
        Ok(opened.map_err(|error| format!("{}: {}", self.path.display(), with_causes(&error)))?)
    }
}

/// What an error says, and why, and why that is so, as far as it tells more than was said.
#[must_use]
pub fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.ends_with(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}

impl Database {
    pub fn parse(url: &str) -> Result<Self, BoxError> {
        Ok(Self {
            url: url.to_owned(),
            password: None,
            connections: None,
        })
    }

    pub fn with_password(mut self, password: &str) -> Self {
        self.password = Some(SecretBytes::new(password.as_bytes().to_vec()));
        self
    }

    pub fn with_connections(mut self, connections: NonZeroU32) -> Self {
        self.connections = Some(connections);
        self
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Database")
    }
}

/// A store whose values are sealed with the keys in a file.
///
/// # Errors
/// The file cannot be read, or has no key.
pub fn sealed(store: Arc<dyn Store>, keys: &Path) -> Result<Arc<dyn Store>, BoxError> {
    drop(store);
    Err(format!("{}: not yet", keys.display()).into())
}
