//! Opening a file: looking at it before anything in it is changed.

use std::fmt::{self, Debug};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dps_core::store::{BoxError, RECORD_FORMAT};
use redb::backends::FileBackend;
use redb::{Database, DatabaseError, ReadableDatabase, StorageBackend, StorageError, TableHandle};

use crate::format::{
    ABOUT, ABOUT_GIVEN, ABOUT_LAYOUT, ABOUT_RECORDS, INDEX, LAYOUT, VALUES, guarded,
};
use crate::keeper::Keeper;
use crate::store::RedbStore;
use crate::writer;

/// How a store is opened. Made by [`RedbStore::builder`].
#[derive(Clone)]
#[must_use]
pub struct Builder {
    cache_bytes: usize,
    check: bool,
    on_repair: Option<Arc<dyn Fn(f64) + Send + Sync>>,
}

/// Why a store was not opened. Nothing that was in the file has been changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The folder that is to hold the file is not there.
    #[error("there is no folder {}: make it, or name another", .0.display())]
    NoFolder(PathBuf),
    /// Something else than a file has this name, such as a folder.
    #[error("this is not a file: name a file for the store")]
    NotAFile,
    /// The file, or its folder, may not be read and written.
    #[error(
        "the file cannot be opened for reading and writing: check who owns it, and whether its disk is read-only"
    )]
    Denied(#[source] io::Error),
    /// Another store has the file open, in this process or in another.
    #[error("the file is in use: only one process may have it open, stop the other one")]
    InUse,
    /// The file is something else than a redb database.
    #[error("this is not a file of a store: name another, or move it away")]
    Foreign,
    /// A redb database, but of another program.
    #[error("this is a database of another program: name another file, or move it away")]
    NotOurs,
    /// The file was changed by something else than a store, or its disk does not keep what it was given.
    #[error("the file is damaged: put a backup in its place")]
    Damaged(#[source] BoxError),
    /// A later version of this crate has written the file.
    #[error(
        "the file has {what} {found}, and this version knows up to {known}: use the version that wrote it, or a backup from before"
    )]
    Newer {
        /// What is newer: the file's own form, or that of its records.
        what: &'static str,
        /// As the file has it.
        found: u64,
        /// The latest that can be read.
        known: u64,
    },
    /// The disk does not do what it should.
    #[error("the file cannot be read or written")]
    Io(#[source] io::Error),
}

/// A database that was looked at.
pub(crate) struct Opened {
    pub(crate) database: Database,
    /// All numbers and versions given so far are below this.
    pub(crate) given: u64,
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self {
            cache_bytes: 256 << 20,
            check: false,
            on_repair: None,
        }
    }

    /// How much of the file is kept in memory, in bytes; 256 MiB unless this is called.
    ///
    /// What is not there comes from the system's own cache, or from the disk.
    pub fn with_cache_bytes(mut self, bytes: usize) -> Self {
        self.cache_bytes = bytes;
        self
    }

    /// Whether the whole file is read and checked whenever it is opened; it is not, unless this is called.
    ///
    /// It takes as long as opening it after a crash, when it is checked in any case.
    pub fn with_check(mut self, check: bool) -> Self {
        self.check = check;
        self
    }

    /// Is called while a file is checked, after a crash or because of [`with_check`](Self::with_check).
    ///
    /// * `progress`: how much is done, from 0 to 1. It may be called from the store's own thread as well.
    pub fn on_repair(mut self, progress: impl Fn(f64) + Send + Sync + 'static) -> Self {
        self.on_repair = Some(Arc::new(progress));
        self
    }

    /// Opens the file at `path`, and makes it if it is not there or empty. Blocks: call it before serving.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(&self, path: impl AsRef<Path>) -> Result<RedbStore, OpenError> {
        let path = path.as_ref();
        match fs::metadata(path) {
            Ok(there) if !there.is_file() => return Err(OpenError::NotAFile),
            Ok(there) if there.len() > 0 => {}
            Ok(_) => self.make(path, |new| fs::rename(new, path))?,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                // Another process may have been faster.
                self.make(path, |new| match publish(new, path) {
                    Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
                    published => published,
                })?;
            }
            Err(error) => return Err(error.into()),
        }
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        self.open_backend_as(Box::new(backend(file)?), false)
    }

    /// Opens what is kept in `backend`, and begins a store there if it holds nothing.
    ///
    /// After an error the backend is used on, once it does what it is asked. It is closed with the store.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open_backend(&self, backend: impl StorageBackend) -> Result<RedbStore, OpenError> {
        let empty = is_unfinished(&backend)?;
        self.open_backend_as(Box::new(backend), empty)
    }

    fn open_backend_as(
        &self,
        backend: Box<dyn StorageBackend>,
        empty: bool,
    ) -> Result<RedbStore, OpenError> {
        let keeper = Keeper::new(backend, empty);
        let opened = self.look(&keeper)?;
        keeper.let_go()?;
        writer::start(opened, keeper, self.clone())
    }

    /// Makes a store beside `path`, and puts it there when it is whole.
    fn make(
        &self,
        path: &Path,
        put: impl FnOnce(&Path) -> io::Result<()>,
    ) -> Result<(), OpenError> {
        let folder = folder(path);
        if !folder.is_dir() {
            return Err(OpenError::NoFolder(folder.to_owned()));
        }
        let new = beside(path, "new");
        let made = (|| {
            let keeper = Keeper::new(Box::new(backend(create(&new)?)?), false);
            let opened = self.look(&keeper)?;
            keeper.let_go()?;
            opened.database.close().map_err(OpenError::from)?;
            drop(keeper);
            put(&new)?;
            Ok(sync_folder(folder)?)
        })();
        let _ = fs::remove_file(&new);
        made
    }

    /// Opens what is in the keeper, while it holds back all changes.
    pub(crate) fn look(&self, keeper: &Arc<Keeper>) -> Result<Opened, OpenError> {
        let mut builder = Database::builder();
        builder
            .set_cache_size(self.cache_bytes)
            .set_check_integrity_on_open(self.check);
        if let Some(on_repair) = self.on_repair.clone() {
            builder.set_repair_callback(move |session| on_repair(session.progress()));
        }
        let looked = guarded(|| {
            let opened = builder.create_with_backend(keeper.hold());
            let opened = opened.map_err(OpenError::from);
            Ok(opened.and_then(|database| {
                let given = prepare(&database)?;
                Ok(Opened { database, given })
            }))
        });
        // What redb does in its last moments is not for this file.
        let looked = looked.unwrap_or_else(|panic| Err(OpenError::Damaged(panic.into())));
        if looked.is_err() {
            keeper.cut();
        }
        looked
    }
}

/// Checks that the file is ours to use, and makes it ours if nothing is in it.
fn prepare(database: &Database) -> Result<u64, OpenError> {
    let transaction = database.begin_read().map_err(redb::Error::from)?;
    let mut names: Vec<_> = transaction
        .list_tables()?
        .map(|table| table.name().to_owned())
        .collect();
    names.sort_unstable();
    let others = transaction.list_multimap_tables()?.count();
    let mut raise = false;
    let given = if names.is_empty() && others == 0 {
        raise = true;
        1
    } else {
        if names
            .binary_search_by(|name| (**name).cmp("about"))
            .is_err()
        {
            return Err(OpenError::NotOurs);
        }
        let about = transaction.open_table(ABOUT).map_err(not_ours)?;
        let said = |name| about.get(name).map(|said| said.map(|said| said.value()));
        let layout = said(ABOUT_LAYOUT)?.ok_or(OpenError::NotOurs)?;
        check("the form", layout, LAYOUT)?;
        let records = said(ABOUT_RECORDS)?.ok_or(OpenError::NotOurs)?;
        check("records of the form", records, RECORD_FORMAT.into())?;
        if names != ["about", "index", "values"] || others > 0 {
            return Err(OpenError::NotOurs);
        }
        raise |= records < RECORD_FORMAT.into();
        said(ABOUT_GIVEN)?.ok_or_else(|| OpenError::Damaged("a number is missing".into()))?
    };
    if raise {
        let transaction = database.begin_write().map_err(redb::Error::from)?;
        transaction.open_table(INDEX).map_err(not_ours)?;
        transaction.open_table(VALUES).map_err(not_ours)?;
        {
            let mut about = transaction.open_table(ABOUT).map_err(not_ours)?;
            about.insert(ABOUT_LAYOUT, LAYOUT)?;
            about.insert(ABOUT_RECORDS, u64::from(RECORD_FORMAT))?;
            about.insert(ABOUT_GIVEN, given)?;
        }
        transaction.commit().map_err(redb::Error::from)?;
    }
    Ok(given)
}

const fn check(what: &'static str, found: u64, known: u64) -> Result<(), OpenError> {
    if found > known {
        return Err(OpenError::Newer { what, found, known });
    }
    Ok(())
}

/// Whether nothing is there, or what a redb left that ended while it made its file.
fn is_unfinished(backend: &impl StorageBackend) -> io::Result<bool> {
    let mut magic = [0; 9];
    if backend.len()? < magic.len() as u64 {
        return Ok(true);
    }
    backend.read(0, &mut magic)?;
    Ok(magic == [0; 9])
}

pub(crate) fn backend(file: File) -> Result<FileBackend, OpenError> {
    FileBackend::new(file).map_err(OpenError::from)
}

/// A new file that only its owner can read.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Gives a finished file its name, unless another has that name already. The file may keep the old one as well.
pub(crate) fn publish(new: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(new, path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(error),
        // Where there are no links.
        Err(_) if !path.exists() => fs::rename(new, path),
        Err(error) => Err(error),
    }
}

/// A name in the same folder that nobody else uses.
pub(crate) fn beside(path: &Path, what: &str) -> PathBuf {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = now.map_or(0, |now| now.as_nanos());
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{what}-{}-{now}", std::process::id()));
    name.into()
}

pub(crate) fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// Makes sure that a file's name survives as its bytes do.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

fn not_ours(error: redb::TableError) -> OpenError {
    match error {
        redb::TableError::Storage(error) => error.into(),
        _ => OpenError::NotOurs,
    }
}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Self::Denied(error),
            ErrorKind::IsADirectory => Self::NotAFile,
            // The file ends where it should not.
            ErrorKind::UnexpectedEof => Self::Damaged(error.into()),
            _ => Self::Io(error),
        }
    }
}

impl From<StorageError> for OpenError {
    fn from(error: StorageError) -> Self {
        redb::Error::from(error).into()
    }
}

impl From<redb::Error> for OpenError {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::Io(error) => error.into(),
            error => Self::Damaged(error.into()),
        }
    }
}

impl From<DatabaseError> for OpenError {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => Self::InUse,
            DatabaseError::UpgradeRequired(_) => Self::NotOurs,
            // "Not a redb database".
            DatabaseError::Storage(StorageError::Io(error))
                if error.kind() == ErrorKind::InvalidData =>
            {
                Self::Foreign
            }
            error => redb::Error::from(error).into(),
        }
    }
}

impl Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("cache_bytes", &self.cache_bytes)
            .field("check", &self.check)
            .finish_non_exhaustive()
    }
}
