//! Records in the tables of one transaction, of one that reads or one that writes.

use std::cmp::Ordering;
use std::ops::Bound;
use std::sync::Arc;

use dps_core::store::{Change, Page, Scan, StoreError, Version, Versioned};
use redb::{AccessGuard, Cursor, ReadableTable, Table};

use crate::format::{self, Entry, Stamped, corrupt, failed};

/// Where records are found.
pub(crate) struct Records<I, V> {
    pub(crate) index: I,
    pub(crate) values: V,
}

/// The records of a transaction that writes.
pub(crate) type Writable<'a> =
    Records<Table<'a, &'static [u8], &'static [u8]>, Table<'a, u64, &'static [u8]>>;

/// A record that is there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub(crate) version: Version,
    /// Unless it is in the index.
    number: Option<u64>,
}

/// A record that a walk has come to.
pub(crate) struct Visited<'a, I, V> {
    records: &'a Records<I, V>,
    key: &'a [u8],
    entry: Entry<'a>,
}

type Next<'a> = Option<(
    AccessGuard<'a, &'static [u8]>,
    AccessGuard<'a, &'static [u8]>,
)>;

impl<I, V> Records<I, V>
where
    I: ReadableTable<&'static [u8], &'static [u8]>,
    V: ReadableTable<u64, &'static [u8]>,
{
    /// Whether there is such a record, and its version.
    ///
    /// * `likely`: whether it is thought to be there; that decides what is asked first.
    pub(crate) fn find(&self, key: &[u8], likely: bool) -> Result<Option<Found>, StoreError> {
        if !likely && self.is_surely_absent(key)? {
            return Ok(None);
        }
        self.look(key, |number, stamped| Found {
            version: stamped.version,
            number,
        })
    }

    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Versioned>, StoreError> {
        self.look(key, |_, stamped| stamped.to_versioned())
    }

    /// One page, or less of it than was asked for; then it says that more follow.
    ///
    /// * `most`: no further record once the values have so many bytes.
    pub(crate) fn scan(&self, scan: &Scan, most: usize) -> Result<Page, StoreError> {
        let place = format::place(scan.table, &scan.scope);
        let with = |id: &str| [&*place, id.as_bytes()].concat();
        let (prefix, after) = (with(&scan.prefix), scan.after.as_deref().map(with));
        let from = match &after {
            Some(after) if *after >= prefix => Bound::Excluded(&**after),
            _ => Bound::Included(&*prefix),
        };
        let limit = usize::try_from(scan.limit).unwrap_or(usize::MAX);
        let (mut records, mut bytes, mut more) = (Vec::new(), 0, false);
        self.walk(from, |key, record| {
            if !key.starts_with(&prefix) {
                return Ok(false);
            }
            more = records.len() >= limit || bytes >= most;
            if more {
                return Ok(false);
            }
            let id = std::str::from_utf8(&key[place.len()..]).map_err(corrupt)?;
            let record = record.take()?;
            bytes += record.value.len();
            records.push((Arc::from(id), record));
            Ok(true)
        })?;
        Ok(Page { records, more })
    }

    /// Visits records in the order of their keys, until the visitor says that it wants no more: it has not taken the last.
    ///
    /// Returns whether it said so. All keys are checked, also that of the record that ends it: it could belong
    /// to those before it, but for the damage.
    pub(crate) fn walk(
        &self,
        from: Bound<&[u8]>,
        mut visit: impl FnMut(&[u8], Visited<'_, I, V>) -> Result<bool, StoreError>,
    ) -> Result<bool, StoreError> {
        let mut cursor = self.index.lower_bound(from).map_err(failed)?;
        let before = cursor.peek_prev().map_err(failed)?;
        let mut last = check_before(before, from)?;
        while let Some((key, written)) = cursor.next().map_err(failed)? {
            let key = key.value();
            let entry = Entry::read(key, written.value())?;
            if last.as_deref().is_some_and(|last| key <= last) || is_before(key, from) {
                return Err(out_of_order());
            }
            let records = self;
            if !visit(
                key,
                Visited {
                    records,
                    key,
                    entry,
                },
            )? {
                return Ok(true);
            }
            let last = last.get_or_insert_default();
            last.clear();
            last.extend_from_slice(key);
        }
        Ok(false)
    }

    fn look<T>(
        &self,
        key: &[u8],
        take: impl FnOnce(Option<u64>, Stamped<'_>) -> T,
    ) -> Result<Option<T>, StoreError> {
        if let Some(written) = self.index.get(key).map_err(failed)? {
            let entry = Entry::read(key, written.value())?;
            return self.at(key, entry, take).map(Some);
        }
        self.check_absence(key).map(|()| None)
    }

    fn at<T>(
        &self,
        key: &[u8],
        entry: Entry<'_>,
        take: impl FnOnce(Option<u64>, Stamped<'_>) -> T,
    ) -> Result<T, StoreError> {
        match entry {
            Entry::Here(stamped) => Ok(take(None, stamped)),
            Entry::Number(number) => {
                let written = self.values.get(number).map_err(failed)?;
                let written =
                    written.ok_or_else(|| corrupt("a record in the file has no value"))?;
                let stamped = Stamped::read(key, written.value())?;
                Ok(take(Some(number), stamped))
            }
        }
    }

    fn check_absence(&self, key: &[u8]) -> Result<(), StoreError> {
        if self.is_surely_absent(key)? {
            Ok(())
        } else {
            Err(out_of_order())
        }
    }

    /// A key that was damaged is not found, and misleads the search for others: then it is what lies next to
    /// where the search has ended.
    fn is_surely_absent(&self, key: &[u8]) -> Result<bool, StoreError> {
        let bound = Bound::Included(key);
        let mut cursor: Cursor<'_, _, _> = self.index.lower_bound(bound).map_err(failed)?;
        check_before(cursor.peek_prev().map_err(failed)?, bound)?;
        let Some((next, written)) = cursor.peek_next().map_err(failed)? else {
            return Ok(true);
        };
        Entry::read(next.value(), written.value())?;
        match next.value().cmp(key) {
            Ordering::Greater => Ok(true),
            Ordering::Equal => Ok(false),
            Ordering::Less => Err(out_of_order()),
        }
    }
}

impl<I, V> Visited<'_, I, V>
where
    I: ReadableTable<&'static [u8], &'static [u8]>,
    V: ReadableTable<u64, &'static [u8]>,
{
    pub(crate) fn take(self) -> Result<Versioned, StoreError> {
        let Self {
            records,
            key,
            entry,
        } = self;
        records.at(key, entry, |_, stamped| stamped.to_versioned())
    }
}

impl Writable<'_> {
    /// Makes a change to a record that was `found` or not.
    ///
    /// * `number`: gives a new number.
    pub(crate) fn make(
        &mut self,
        key: &[u8],
        found: Option<Found>,
        change: &Change,
        version: Version,
        number: impl FnOnce() -> u64,
    ) -> Result<(), StoreError> {
        let numbered = found.and_then(|found| found.number);
        match change {
            Change::Keep => {}
            Change::Put(value) if format::is_small(value) => {
                let written = Entry::write_here(key, version, value);
                self.index.insert(key, &*written).map_err(failed)?;
                self.forget(numbered)?;
            }
            Change::Put(value) => {
                let number = match numbered {
                    Some(number) => number,
                    None => {
                        let number = number();
                        let written = Entry::write_number(key, number);
                        self.index.insert(key, &written[..]).map_err(failed)?;
                        number
                    }
                };
                let written = Stamped::new(version, value).write(key);
                self.values.insert(number, &*written).map_err(failed)?;
            }
            Change::Delete if found.is_some() => {
                self.index.remove(key).map_err(failed)?;
                self.forget(numbered)?;
            }
            Change::Delete => {}
        }
        Ok(())
    }

    fn forget(&mut self, number: Option<u64>) -> Result<(), StoreError> {
        if let Some(number) = number {
            self.values.remove(number).map_err(failed)?;
        }
        Ok(())
    }
}

/// Checks what lies before a place in the index, and returns its key.
fn check_before(before: Next<'_>, from: Bound<&[u8]>) -> Result<Option<Vec<u8>>, StoreError> {
    let Some((key, written)) = before else {
        return Ok(None);
    };
    Entry::read(key.value(), written.value())?;
    if is_before(key.value(), from) {
        Ok(Some(key.value().to_vec()))
    } else {
        Err(out_of_order())
    }
}

fn is_before(key: &[u8], from: Bound<&[u8]>) -> bool {
    match from {
        Bound::Included(from) => key < from,
        Bound::Excluded(from) => key <= from,
        Bound::Unbounded => false,
    }
}

fn out_of_order() -> StoreError {
    corrupt("records in the file are out of order")
}
