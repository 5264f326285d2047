//! Where everything is kept: three methods over versioned records.
//!
//! Typing, keys and secondary records live once above this trait, so a back end is one ordered map
//! and knows nothing of enrollments. What it owes is written at [`Store`] and run by the suite
//! `dps_testkit::store`.

use std::fmt::{self, Debug};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::id::IdScope;

/// Any error of a plug-in, kept as a source.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The largest record: 1 MiB.
pub const MAX_VALUE_BYTES: usize = 1 << 20;

/// The largest value that a store takes: a record, and 1 KiB for what is put around it, such as a seal.
pub const MAX_STORED_BYTES: usize = MAX_VALUE_BYTES + 1024;

/// The longest id of a record: a place that a device has left is named after the device, the hub and the
/// device's name there, with 128, 253 and 128 bytes and a `/` between them.
pub const MAX_ID_BYTES: usize = 511;

/// Which form the records have that this version of the crate writes.
///
/// It grows when an older version could not read them, or would lose something by writing them again. A store that
/// outlives the process keeps the number, raises it when it is opened, and refuses to be opened where it is larger
/// than this.
pub const RECORD_FORMAT: u32 = 1;

/// Unit of atomicity and of placement.
///
/// `slot` is 0 for configuration and 1 to 64 for everything keyed by a registration id: 1 + the first
/// byte of SHA-256 over the lower-case id, modulo 64. A store may ignore it: ids are unique without.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shard {
    /// Whose records these are.
    pub scope: IdScope,
    /// Which part of them.
    pub slot: u16,
}

/// Kinds of records. The numbers are part of the stored format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Table {
    /// The instance itself, and the epoch of its configuration.
    Instance = 0,
    /// Certificates of the instance.
    Certificate = 1,
    /// Enrollment groups.
    Group = 2,
    /// Individual enrollments.
    Enrollment = 3,
    /// Registrations, each with its last operation.
    Registration = 4,
    /// Which registrations came through which group.
    Member = 5,
    /// What must be remembered of a challenge: keys of a TPM.
    Challenge = 6,
    /// Places that devices have left and that must still be cleaned.
    Leaving = 7,
    /// How many individual enrollments each slot has, for their quota.
    Tally = 8,
}

impl Table {
    /// Every kind, in the order of the numbers.
    pub const ALL: [Self; 9] = [
        Self::Instance,
        Self::Certificate,
        Self::Group,
        Self::Enrollment,
        Self::Registration,
        Self::Member,
        Self::Challenge,
        Self::Leaving,
        Self::Tally,
    ];
}

/// Names one record. `id` is unique in (scope, table) by itself and folded to lower case.
///
/// An id has 1 to [`MAX_ID_BYTES`] bytes. Any character may be in it but NUL, which not every database keeps.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Where the record lives.
    pub shard: Shard,
    /// Its kind.
    pub table: Table,
    /// Its name within scope and kind; compared byte by byte.
    pub id: Arc<str>,
}

/// Given to a record by the store at each commit; never repeats within a shard, not even after a
/// delete. Larger does not mean later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u64);

/// A value as stored, of [`MAX_STORED_BYTES`] at the most. `Debug` leaves out what may hold keys.
#[derive(Clone)]
pub struct Versioned {
    /// The commit that wrote it.
    pub version: Version,
    /// The bytes that were put.
    pub value: Bytes,
}

impl Debug for Versioned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Versioned({}, {} bytes)",
            self.version.0,
            self.value.len()
        )
    }
}

/// What must be true of a record for a commit to take hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Nothing is asked.
    Any,
    /// There is no such record.
    Absent,
    /// The record is there and has this version.
    Exactly(Version),
}

/// What a commit does to a record. `Debug` leaves out what may hold keys.
#[derive(Clone)]
pub enum Change {
    /// The record becomes this.
    Put(Bytes),
    /// The record goes; one that is not there is no error.
    Delete,
    /// Nothing: only the expectation matters.
    Keep,
}

impl Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Put(value) => write!(f, "Put({} bytes)", value.len()),
            Self::Delete => f.write_str("Delete"),
            Self::Keep => f.write_str("Keep"),
        }
    }
}

/// One record's part in a commit.
#[derive(Clone, Debug)]
pub struct Write {
    /// Kind of the record.
    pub table: Table,
    /// Its name.
    pub id: Arc<str>,
    /// What must be true of it.
    pub expect: Expect,
    /// What happens to it.
    pub change: Change,
}

/// Asks for one page of a table.
#[derive(Clone, Debug)]
pub struct Scan {
    /// Whose records.
    pub scope: IdScope,
    /// Which kind, over all slots.
    pub table: Table,
    /// Only ids that begin with this, byte by byte; empty for all. No character in it means another.
    pub prefix: Arc<str>,
    /// Only ids after this one, which need not be there, nor begin with `prefix`.
    pub after: Option<Arc<str>>,
    /// At most so many records; 1 to 1000.
    pub limit: u32,
}

/// A page, ids ascending by bytes. The last id is where the next page goes on.
#[derive(Debug)]
pub struct Page {
    /// Id and value of each record.
    pub records: Vec<(Arc<str>, Versioned)>,
    /// Whether records follow after the last.
    pub more: bool,
}

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Nothing was written. Read again and decide again.
    #[error("{table:?} record {id} is not at the expected version")]
    Conflict {
        /// Kind of the record whose expectation did not hold; the first such, if several.
        table: Table,
        /// Its name.
        id: Arc<str>,
    },
    /// Whether the commit took hold is unknown. Try again later.
    #[error("the store is unavailable")]
    Unavailable(#[source] BoxError),
    /// A stored value cannot be read back. Trying again will not help.
    #[error("a stored value cannot be read back")]
    Corrupt(#[source] BoxError),
    /// Nothing was written, because a value has more than [`MAX_STORED_BYTES`]. Trying again will not help.
    #[error("a value of {bytes} bytes is too large for a store")]
    TooLarge {
        /// How many it has.
        bytes: usize,
    },
}

/// A store of versioned records.
///
/// # Contract
/// - `commit` does all of its writes or none, and is durable when it returns.
/// - All expectations of a commit hold at one moment between call and return. Two commits that put
///   or delete the same record never both succeed on the same expectation.
/// - A `get_many` that begins after a commit returned sees that commit.
/// - A conflict is never without cause: commits that name different records do not hinder each other.
/// - Every commit that was acknowledged is there when the store is opened again, however it ended, and no
///   version comes twice in all its lives.
/// - `scan` returns each record that was there throughout exactly once, ids ascending by bytes.
/// - Scopes never see each other.
/// - A value larger than [`MAX_STORED_BYTES`] is refused, whatever else is expected, and nothing is written.
///
/// The caller's part: a commit names a record at most once, and ids keep to the bounds of [`Key`]. A commit
/// without writes succeeds. The version that a commit returns means something only if it puts a record.
///
/// Futures may be dropped at any point: a dropped commit has happened whole, or not, or happens yet, as with
/// [`StoreError::Unavailable`]; what comes after it does not wait for it longer than it takes.
#[async_trait]
pub trait Store: Debug + Send + Sync + 'static {
    /// One result per key, in the order of `keys`; keys may span shards and scopes.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`]; never a conflict.
    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Versioned>>, StoreError>;

    /// All of `writes` or none, within one shard. Every record put takes the returned version.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if an expectation does not hold: nothing was written.
    /// [`StoreError::Unavailable`] if nobody knows whether it was. [`StoreError::TooLarge`].
    async fn commit(&self, shard: &Shard, writes: &[Write]) -> Result<Version, StoreError>;

    /// Up to `limit` records of one table of one scope, after `after`. Not a snapshot: records that
    /// come or go meanwhile may be in it or not.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    async fn scan(&self, scan: &Scan) -> Result<Page, StoreError>;
}

impl Write {
    /// Refuses what is too large for a store.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`].
    pub const fn check_size(&self) -> Result<(), StoreError> {
        match &self.change {
            Change::Put(value) if value.len() > MAX_STORED_BYTES => {
                Err(StoreError::TooLarge { bytes: value.len() })
            }
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl<S: Store + ?Sized> Store for Arc<S> {
    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Versioned>>, StoreError> {
        (**self).get_many(keys).await
    }
    async fn commit(&self, shard: &Shard, writes: &[Write]) -> Result<Version, StoreError> {
        (**self).commit(shard, writes).await
    }
    async fn scan(&self, scan: &Scan) -> Result<Page, StoreError> {
        (**self).scan(scan).await
    }
}
