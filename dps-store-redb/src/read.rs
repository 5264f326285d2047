//! Reads: of what was committed last, without waiting for the writer.

use std::ops::Bound;
use std::sync::Arc;

use dps_core::store::{Key, Page, Scan, StoreError, Versioned};
use redb::ReadOnlyTable;

use crate::format;

/// All records as one commit left them.
pub(crate) struct Snapshot {
    pub(crate) records: ReadOnlyTable<&'static [u8], &'static [u8]>,
}

impl Snapshot {
    pub(crate) fn get(&self, key: &Key) -> Result<Option<Versioned>, StoreError> {
        let key = format::key(key.table, &key.shard.scope, &key.id);
        let found = self.records.get(&*key).map_err(failed)?;
        found
            .map(|written| format::read(&key, written.value()))
            .transpose()
    }

    pub(crate) fn scan(&self, scan: &Scan) -> Result<Page, StoreError> {
        let place = format::place(scan.table, &scan.scope);
        let with = |id: &str| [&*place, id.as_bytes()].concat();
        let prefix = with(&scan.prefix);
        let after = scan.after.as_deref().map(with);
        let from = match &after {
            Some(after) if *after >= prefix => Bound::Excluded(&**after),
            _ => Bound::Included(&*prefix),
        };
        let limit = usize::try_from(scan.limit).unwrap_or(usize::MAX);
        let mut records = Vec::new();
        let range = (from, Bound::Unbounded);
        for entry in self.records.range::<&[u8]>(range).map_err(failed)? {
            let (key, written) = entry.map_err(failed)?;
            let key = key.value();
            if !key.starts_with(&prefix) {
                break;
            }
            if records.len() == limit {
                return Ok(Page {
                    records,
                    more: true,
                });
            }
            let value = format::read(key, written.value())?;
            let id = std::str::from_utf8(&key[place.len()..]).map_err(format::corrupt)?;
            records.push((Arc::from(id), value));
        }
        Ok(Page {
            records,
            more: false,
        })
    }
}

pub(crate) fn failed(error: impl Into<redb::Error>) -> StoreError {
    match error.into() {
        error @ redb::Error::Corrupted(_) => StoreError::Corrupt(error.into()),
        error => StoreError::Unavailable(error.into()),
    }
}
