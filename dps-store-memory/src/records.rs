//! The records of one table within one slot.

use std::hash::BuildHasher;
use std::sync::Arc;

use dps_core::store::Versioned;
use hashbrown::{DefaultHashBuilder, HashTable};

/// Records side by side, and a hash index over them.
///
/// The order of ids is kept elsewhere and brought up to date by scans, not by writes: a device that
/// registers does not pay for it. Between scans `added` holds the places that were filled since.
#[derive(Default)]
pub(crate) struct Records {
    hasher: DefaultHashBuilder,
    /// Where the record of an id is.
    index: HashTable<u32>,
    places: Vec<Option<Record>>,
    free: Vec<u32>,
    added: Vec<u32>,
}

/// One record, where it lies: as large as a cache line.
pub(crate) struct Record {
    pub(crate) id: Arc<str>,
    hash: u64,
    pub(crate) held: Versioned,
}

impl Records {
    pub(crate) fn get(&self, id: &str) -> Option<&Record> {
        let hash = self.hasher.hash_one(id);
        let at = self.index.find(hash, |at| self.is(*at, hash, id))?;
        self.at(*at)
    }

    /// What lies at a place; `None` if nothing does.
    pub(crate) fn at(&self, at: u32) -> Option<&Record> {
        self.places.get(at as usize)?.as_ref()
    }

    pub(crate) fn put(&mut self, id: &Arc<str>, held: Versioned) {
        let hash = self.hasher.hash_one(&**id);
        if let Some(at) = self.index.find(hash, |at| self.is(*at, hash, id)).copied()
            && let Some(record) = &mut self.places[at as usize]
        {
            record.held = held;
            return;
        }
        let record = Some(Record {
            id: Arc::clone(id),
            hash,
            held,
        });
        let at = match self.free.pop() {
            Some(at) => {
                self.places[at as usize] = record;
                at
            }
            None => {
                self.places.push(record);
                u32::try_from(self.places.len() - 1).expect("a slot has room for less")
            }
        };
        let places = &self.places;
        let hash_of = |at: &u32| places[*at as usize].as_ref().map_or(0, |there| there.hash);
        self.index.insert_unique(hash, at, hash_of);
        self.owe(at);
    }

    /// Whether there was such a record.
    pub(crate) fn remove(&mut self, id: &str) -> bool {
        let hash = self.hasher.hash_one(id);
        let places = &self.places;
        let is_it = |at: &u32| {
            let there = places[*at as usize].as_ref();
            there.is_some_and(|there| there.is(hash, id))
        };
        let Ok(found) = self.index.find_entry(hash, is_it) else {
            return false;
        };
        let (at, _) = found.remove();
        self.places[at as usize] = None;
        self.free.push(at);
        true
    }

    /// Whether the order may lack something.
    pub(crate) fn owes(&self) -> bool {
        !self.added.is_empty()
    }

    /// The places that the order may lack; some may be empty by now, or be named twice.
    pub(crate) fn take_added(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.added)
    }

    fn owe(&mut self, at: u32) {
        self.added.push(at);
        // Should nobody ever scan while records come and go.
        if self.added.len() > 2 * self.places.len() + 64 {
            self.added.sort_unstable();
            self.added.dedup();
        }
    }

    fn is(&self, at: u32, hash: u64, id: &str) -> bool {
        self.at(at).is_some_and(|there| there.is(hash, id))
    }
}

impl Record {
    fn is(&self, hash: u64, id: &str) -> bool {
        self.hash == hash && *self.id == *id
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use dps_core::store::Version;

    use super::*;

    fn put(records: &mut Records, id: &str) {
        let held = Versioned {
            version: Version(1),
            value: Bytes::new(),
        };
        records.put(&id.into(), held);
    }

    #[test]
    fn records_that_come_and_go_leave_nothing_behind() {
        let mut records = Records::default();
        put(&mut records, "stays");
        for nth in 0..10_000 {
            let id = format!("d{}", nth % 7);
            put(&mut records, &id);
            assert!(records.remove(&id));
            assert!(!records.remove(&id));
            let kept = records.places.len() + records.free.len() + records.added.len();
            assert!(kept < 300, "{kept} are kept for one record");
        }
        assert!(records.get("stays").is_some());
        assert!(records.get("d1").is_none());
        assert_eq!(records.index.len(), 1);
    }

    #[test]
    fn each_record_is_found_by_its_id_also_where_another_lay_before() {
        let mut records = Records::default();
        for nth in 0..5_000 {
            put(&mut records, &format!("a{nth}"));
        }
        for nth in (0..5_000).step_by(2) {
            records.remove(&format!("a{nth}"));
            put(&mut records, &format!("b{nth}"));
        }
        for nth in 0..5_000 {
            let (old, new) = (format!("a{nth}"), format!("b{nth}"));
            assert_eq!(records.get(&old).is_some(), nth % 2 == 1);
            assert_eq!(records.get(&new).is_some(), nth % 2 == 0);
        }
        assert_eq!(records.places.len(), 5_000);
    }

    #[test]
    fn a_record_fills_a_cache_line() {
        assert_eq!(size_of::<Option<Record>>(), 64);
    }
}
