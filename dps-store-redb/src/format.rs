//! How keys and records are written down.

use dps_core::id::IdScope;
use dps_core::store::{BoxError, StoreError, Table, Version, Versioned};

use bytes::Bytes;
use redb::TableDefinition;

use crate::sum::Sum;

/// Every record by its key.
pub(crate) const RECORDS: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("records");

/// What is said of the file itself, by name.
pub(crate) const ABOUT: TableDefinition<'static, &str, u64> = TableDefinition::new("about");

/// Before each value: its version, and the sum over key, version and value.
const HEAD: usize = 8 + 4;

/// What all keys of one table of one scope begin with.
pub(crate) fn place(table: Table, scope: &IdScope) -> Vec<u8> {
    let scope = scope.folded().as_bytes();
    let mut key = Vec::with_capacity(64);
    key.push(table as u8);
    // At most 20 letters, so that one byte is enough and no scope can look like the beginning of another.
    key.push(u8::try_from(scope.len()).unwrap_or(u8::MAX));
    key.extend_from_slice(scope);
    key
}

/// The key of one record: ids ascend by bytes within their place.
pub(crate) fn key(table: Table, scope: &IdScope, id: &str) -> Vec<u8> {
    let mut key = place(table, scope);
    key.extend_from_slice(id.as_bytes());
    key
}

/// A value as it is written.
pub(crate) fn written(key: &[u8], version: Version, value: &[u8]) -> Vec<u8> {
    let mut written = Vec::with_capacity(HEAD + value.len());
    written.extend_from_slice(&version.0.to_le_bytes());
    written.extend_from_slice(&sum(key, version, value).to_le_bytes());
    written.extend_from_slice(value);
    written
}

/// What was written under `key`.
pub(crate) fn read(key: &[u8], written: &[u8]) -> Result<Versioned, StoreError> {
    let (version, value) = split(key, written)?;
    Ok(Versioned {
        version,
        value: Bytes::copy_from_slice(value),
    })
}

/// The version of what was written under `key`.
pub(crate) fn version(key: &[u8], written: &[u8]) -> Result<Version, StoreError> {
    split(key, written).map(|(version, _)| version)
}

fn split<'a>(key: &[u8], written: &'a [u8]) -> Result<(Version, &'a [u8]), StoreError> {
    let damaged = || corrupt("a record's check sum does not match it");
    let (version, rest) = written.split_first_chunk().ok_or_else(damaged)?;
    let (stored, value) = rest.split_first_chunk().ok_or_else(damaged)?;
    let version = Version(u64::from_le_bytes(*version));
    if u32::from_le_bytes(*stored) != sum(key, version, value) {
        return Err(damaged());
    }
    Ok((version, value))
}

fn sum(key: &[u8], version: Version, value: &[u8]) -> u32 {
    Sum::new()
        .with(key)
        .with(&version.0.to_le_bytes())
        .with(value)
        .end()
}

pub(crate) fn corrupt(why: impl Into<BoxError>) -> StoreError {
    StoreError::Corrupt(why.into())
}
