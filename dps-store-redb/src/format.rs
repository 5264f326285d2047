//! How the file is laid out, and how keys and values are written down.
//!
//! There are two tables for records. `index` goes from a key to a *number*, and `values` from the number to the
//! value. A record gets its number when it is made and keeps it, and numbers only grow. So the values of devices that
//! come together lie together, and what each of their later commits writes are a few pages at the end, not one page a
//! device. Values of a few bytes stay in the index.
//!
//! Beside everything there is a check sum that binds it to its key: redb looks at its own sums only when it
//! repairs a file.

use bytes::Bytes;
use dps_core::id::IdScope;
use dps_core::store::{BoxError, StoreError, Table, Version, Versioned};
use redb::TableDefinition;

/// From keys to [`Entry`]s.
pub(crate) const INDEX: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("index");

/// From numbers to values.
pub(crate) const VALUES: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("values");

/// What is said of the file itself, by name.
pub(crate) const ABOUT: TableDefinition<'static, &str, u64> = TableDefinition::new("about");

/// In [`ABOUT`]: which form the file has, as [`LAYOUT`] says.
pub(crate) const ABOUT_LAYOUT: &str = "layout";

/// In [`ABOUT`]: which form the records have, as [`dps_core::store::RECORD_FORMAT`] says.
pub(crate) const ABOUT_RECORDS: &str = "records";

/// In [`ABOUT`]: all numbers and versions given so far are below this.
pub(crate) const ABOUT_GIVEN: &str = "given";

/// Which form of a file this is. It grows when an older version could not use it.
pub(crate) const LAYOUT: u64 = 1;

/// The largest value that stays in the index.
const SMALL: usize = 96;

/// What the index says of a key.
#[derive(Clone, Copy)]
pub(crate) enum Entry<'a> {
    /// The value itself.
    Here(Stamped<'a>),
    /// The number of the value.
    Number(u64),
}

/// A value with its version.
#[derive(Clone, Copy)]
pub(crate) struct Stamped<'a> {
    pub(crate) version: Version,
    value: &'a [u8],
}

/// The first byte of an entry. It counts in the sum, so that no kind can be taken for the other.
const HERE: u8 = 1;
const NUMBER: u8 = 2;

/// What all keys of one table of one scope begin with.
pub(crate) fn place(table: Table, scope: &IdScope) -> Vec<u8> {
    let scope = scope.folded().as_bytes();
    let mut key = Vec::with_capacity(2 + scope.len() + 40);
    key.push(table as u8);
    // A scope has at most 20 letters. With its length before it, none looks like the beginning of another.
    key.push(u8::try_from(scope.len()).unwrap_or(u8::MAX));
    key.extend_from_slice(scope);
    key
}

/// The key of one record: within their place, records are ordered by the bytes of their ids.
pub(crate) fn key(table: Table, scope: &IdScope, id: &str) -> Vec<u8> {
    let mut key = place(table, scope);
    key.extend_from_slice(id.as_bytes());
    key
}

/// Whether a value stays in the index.
pub(crate) const fn is_small(value: &[u8]) -> bool {
    value.len() <= SMALL
}

impl<'a> Entry<'a> {
    /// Reads what the index has under `key`.
    pub(crate) fn read(key: &[u8], written: &'a [u8]) -> Result<Self, StoreError> {
        let (kind, rest) = written.split_first().ok_or_else(damaged)?;
        match *kind {
            HERE => Stamped::read(key, rest).map(Self::Here),
            NUMBER => {
                let (number, sum) = rest.split_first_chunk().ok_or_else(damaged)?;
                let number = u64::from_le_bytes(*number);
                if *sum == number_sum(key, number) {
                    Ok(Self::Number(number))
                } else {
                    Err(damaged())
                }
            }
            _ => Err(damaged()),
        }
    }

    pub(crate) fn write_here(key: &[u8], version: Version, value: &[u8]) -> Vec<u8> {
        let mut written = vec![HERE];
        written.extend_from_slice(&Stamped { version, value }.write(key));
        written
    }

    pub(crate) fn write_number(key: &[u8], number: u64) -> [u8; 13] {
        let mut written = [NUMBER; 13];
        written[1..9].copy_from_slice(&number.to_le_bytes());
        written[9..].copy_from_slice(&number_sum(key, number));
        written
    }
}

impl<'a> Stamped<'a> {
    /// Before each value: its version, and the sum over key, version and value.
    const HEAD: usize = 8 + 4;

    pub(crate) const fn new(version: Version, value: &'a [u8]) -> Self {
        Self { version, value }
    }

    pub(crate) fn read(key: &[u8], written: &'a [u8]) -> Result<Self, StoreError> {
        let (version, rest) = written.split_first_chunk().ok_or_else(damaged)?;
        let (sum, value) = rest.split_first_chunk().ok_or_else(damaged)?;
        let version = Version(u64::from_le_bytes(*version));
        let stamped = Self { version, value };
        if *sum == stamped.sum(key) {
            Ok(stamped)
        } else {
            Err(damaged())
        }
    }

    pub(crate) fn write(self, key: &[u8]) -> Vec<u8> {
        let mut written = Vec::with_capacity(Self::HEAD + self.value.len());
        written.extend_from_slice(&self.version.0.to_le_bytes());
        written.extend_from_slice(&self.sum(key));
        written.extend_from_slice(self.value);
        written
    }

    pub(crate) fn to_versioned(self) -> Versioned {
        Versioned {
            version: self.version,
            value: Bytes::copy_from_slice(self.value),
        }
    }

    fn sum(self, key: &[u8]) -> [u8; 4] {
        check_sum([key, &[HERE], &self.version.0.to_le_bytes(), self.value])
    }
}

fn number_sum(key: &[u8], number: u64) -> [u8; 4] {
    check_sum([key, &[NUMBER], &number.to_le_bytes(), &[]])
}

/// CRC-32C over all pieces as if they were one, the lowest byte first.
fn check_sum(pieces: [&[u8]; 4]) -> [u8; 4] {
    let sum = pieces.into_iter().fold(0, crc32c::crc32c_append);
    sum.to_le_bytes()
}

fn damaged() -> StoreError {
    corrupt("a record in the file does not match its check sum")
}

pub(crate) fn corrupt(why: impl Into<BoxError>) -> StoreError {
    StoreError::Corrupt(why.into())
}

/// What an error of redb means for whoever asked.
pub(crate) fn failed(error: impl Into<redb::Error>) -> StoreError {
    match error.into() {
        redb::Error::Io(error) => StoreError::Unavailable(error.into()),
        error @ (redb::Error::PreviousIo
        | redb::Error::DatabaseClosed
        | redb::Error::LockPoisoned(_)) => StoreError::Unavailable(error.into()),
        error => StoreError::Corrupt(error.into()),
    }
}

pub(crate) fn unavailable(why: impl Into<BoxError>) -> StoreError {
    StoreError::Unavailable(why.into())
}

/// Runs what may find redb at a loss: damaged pages can make it panic.
pub(crate) fn guarded<T>(ask: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    let asked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(ask));
    asked.unwrap_or_else(|panic| {
        let why = panic.downcast::<String>().map(|why| *why);
        let why = why.or_else(|panic| panic.downcast::<&str>().map(|why| (*why).to_owned()));
        let why = why.unwrap_or_else(|_| "no reason given".to_owned());
        Err(unavailable(format!("redb stopped: {why}")))
    })
}
