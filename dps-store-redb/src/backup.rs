//! Copies of a store that is in use.

use std::fs;
use std::io::{self, ErrorKind};
use std::ops::Bound;
use std::path::Path;

use dps_core::store::{Change, RECORD_FORMAT, StoreError, Versioned};
use redb::Database;

use crate::format::{
    ABOUT, ABOUT_GIVEN, ABOUT_LAYOUT, ABOUT_RECORDS, INDEX, LAYOUT, VALUES, guarded,
};
use crate::open::{backend, beside, create, folder, publish, sync_folder};
use crate::records::Records;
use crate::shared::Snapshot;

/// So many bytes are copied in one transaction, or so many records.
const STEP_BYTES: usize = 8 << 20;
const STEP_RECORDS: usize = 10_000;

/// A copy is written from its beginning to its end: it need not be remembered.
const CACHE_BYTES: usize = 64 << 20;

/// The copy gives other numbers and versions from now on than the store it was copied from.
const GAP: u64 = 1 << 40;

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// There is something of this name: nothing is ever overwritten.
    #[error("there is a file of this name already: choose another")]
    Exists,
    /// The copy could not be written.
    #[error("the backup cannot be written")]
    Io(#[source] io::Error),
    /// The store could not be read: an earlier backup may be the last good one.
    #[error("the store cannot be read")]
    Store(#[from] StoreError),
}

pub(crate) fn copy(snapshot: &Snapshot, path: &Path) -> Result<u64, BackupError> {
    if path.symlink_metadata().is_ok() {
        return Err(BackupError::Exists);
    }
    let new = beside(path, "backup");
    let made = write(snapshot, &new).and_then(|count| {
        publish(&new, path)?;
        sync_folder(folder(path))?;
        Ok(count)
    });
    let _ = fs::remove_file(&new);
    made
}

fn write(snapshot: &Snapshot, path: &Path) -> Result<u64, BackupError> {
    let file = backend(create(path)?).map_err(io::Error::other)?;
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    let database = builder.create_with_backend(file).map_err(unwritten)?;
    let (mut count, mut last) = (0, None);
    loop {
        let (records, more) = guarded(|| read(snapshot, last.as_deref()))?;
        let transaction = database.begin_write().map_err(unwritten)?;
        {
            let mut copy = Records {
                index: transaction.open_table(INDEX).map_err(unwritten)?,
                values: transaction.open_table(VALUES).map_err(unwritten)?,
            };
            for (key, record) in &records {
                count += 1;
                let change = Change::Put(record.value.clone());
                copy.make(key, None, &change, record.version, || count)
                    .map_err(io::Error::other)?;
            }
            let mut about = transaction.open_table(ABOUT).map_err(unwritten)?;
            for (name, value) in [
                (ABOUT_LAYOUT, LAYOUT),
                (ABOUT_RECORDS, RECORD_FORMAT.into()),
                (ABOUT_GIVEN, snapshot.given.saturating_add(GAP)),
            ] {
                about.insert(name, value).map_err(unwritten)?;
            }
        }
        transaction.commit().map_err(unwritten)?;
        if !more {
            break;
        }
        last = records.into_iter().last().map(|(key, _)| key);
    }
    database.close().map_err(unwritten)?;
    Ok(count)
}

type Some = Vec<(Vec<u8>, Versioned)>;

/// The next records, and whether there are more.
fn read(snapshot: &Snapshot, after: Option<&[u8]>) -> Result<(Some, bool), StoreError> {
    let (mut records, mut bytes) = (Vec::new(), 0);
    let from = after.map_or(Bound::Unbounded, Bound::Excluded);
    let more = snapshot.records.walk(from, |key, record| {
        if bytes >= STEP_BYTES || records.len() >= STEP_RECORDS {
            return Ok(false);
        }
        let record = record.take()?;
        bytes += record.value.len();
        records.push((key.to_vec(), record));
        Ok(true)
    })?;
    Ok((records, more))
}

fn unwritten(error: impl Into<redb::Error>) -> io::Error {
    match error.into() {
        redb::Error::Io(error) => error,
        error => io::Error::other(error),
    }
}

impl From<io::Error> for BackupError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::AlreadyExists => Self::Exists,
            _ => Self::Io(error),
        }
    }
}
