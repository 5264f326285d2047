//! Where a store is, as people write it, and how it is opened.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dps_core::crypto::AWS_LC;
use dps_core::seal::SealedStore;
use dps_core::store::{BoxError, Store};
use dps_keys_file::KeyFile;
use dps_store_memory::MemoryStore;
use dps_store_postgres::{Config, PostgresStore};
use dps_store_redb::RedbStore;

/// Where records are kept.
#[derive(Clone, Debug)]
pub enum Place {
    /// In memory: nothing survives the process.
    Memory,
    /// In one file, which one process at a time has open.
    File(FilePlace),
    /// In PostgreSQL, for any number of processes.
    Postgres(Box<DatabasePlace>),
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
#[derive(Clone, Debug)]
pub struct DatabasePlace {
    /// How it is reached.
    pub config: Config,
    /// Whether its tables are made, or brought up to date, before it is used.
    pub migrate: bool,
}

impl Place {
    /// `redb:FILE`, or the URL of a database.
    ///
    /// # Errors
    /// It is neither.
    pub fn parse(text: &str) -> Result<Self, BoxError> {
        if let Some(path) = text.strip_prefix("redb:").filter(|path| !path.is_empty()) {
            return Ok(Self::file(path));
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Self::database(text);
        }
        Err("neither redb:FILE nor postgres://USER@HOST/DATABASE".into())
    }

    /// A file.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        let (path, cache) = (path.into(), None);
        Self::File(FilePlace { path, cache })
    }

    /// A database, by its URL. What it needs is made if it is not there.
    ///
    /// # Errors
    /// It is no URL of a database.
    pub fn database(url: &str) -> Result<Self, BoxError> {
        let config = Config::parse(url)?;
        let migrate = true;
        Ok(Self::Postgres(Box::new(DatabasePlace { config, migrate })))
    }

    /// Opens the store. Blocks the thread while a file is opened.
    ///
    /// # Errors
    /// It is not there, not ours, of a later version, or somebody else has it.
    pub async fn open(&self) -> Result<Arc<dyn Store>, BoxError> {
        match self {
            Self::Memory => Ok(Arc::new(MemoryStore::new())),
            Self::File(file) => Ok(Arc::new(file.open()?)),
            Self::Postgres(database) => Ok(Arc::new(database.open().await?)),
        }
    }
}

impl FilePlace {
    /// Opens the file. Blocks the thread.
    ///
    /// # Errors
    /// It is not ours, of a later version, or somebody else has it.
    pub fn open(&self) -> Result<RedbStore, BoxError> {
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

impl DatabasePlace {
    async fn open(&self) -> Result<PostgresStore, BoxError> {
        let mut config = self.config.clone();
        // As all programs of PostgreSQL have it.
        if !config.has_password()
            && let Ok(password) = std::env::var("PGPASSWORD")
        {
            config = config.with_password(password);
        }
        if self.migrate {
            PostgresStore::migrate(&config).await?;
        }
        Ok(PostgresStore::connect(config).await?)
    }
}

/// A store whose values are sealed with keys from a file.
///
/// # Errors
/// The file cannot be read, or is not as it has to be.
pub fn sealed(store: Arc<dyn Store>, keys: &Path) -> Result<Arc<dyn Store>, BoxError> {
    let keys = Arc::new(KeyFile::open(keys)?);
    Ok(Arc::new(SealedStore::new(store, keys, AWS_LC)?))
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
