//! The records of one table within one slot.

use std::hash::BuildHasher;
use std::sync::Arc;

use dps_core::store::Versioned;
use hashbrown::{DefaultHashBuilder, HashTable};

/// A hash table of records.
///
/// The order of ids is kept elsewhere and brought up to date by scans, not by writes: a device that
/// registers does not pay for it. Between scans `added` holds the ids that the order may lack; there are
/// never many more of them than records.
#[derive(Default)]
pub(crate) struct Records {
    hasher: DefaultHashBuilder,
    table: HashTable<Record>,
    added: Vec<Arc<str>>,
}

/// One record, in one cache line.
#[repr(align(64))]
pub(crate) struct Record {
    pub(crate) id: Arc<str>,
    /// Of the id, so that a table grows without a look at ids.
    hash: u64,
    pub(crate) held: Versioned,
}

impl Records {
    pub(crate) fn get(&self, id: &str) -> Option<&Record> {
        let hash = self.hasher.hash_one(id);
        self.table.find(hash, |there| there.is(hash, id))
    }

    /// Where the record is until the table changes; after that something else may be there.
    pub(crate) fn place(&self, id: &str) -> Option<usize> {
        let hash = self.hasher.hash_one(id);
        let is_it = |there: &Record| there.is(hash, id);
        self.table.find_bucket_index(hash, is_it)
    }

    /// What is at a place, if that is the record of `id`.
    pub(crate) fn at(&self, place: usize, id: &Arc<str>) -> Option<&Record> {
        let there = self.table.get_bucket(place)?;
        // Mostly the two are one.
        (Arc::ptr_eq(&there.id, id) || there.id == *id).then_some(there)
    }

    pub(crate) fn put(&mut self, id: &Arc<str>, held: Versioned) {
        let hash = self.hasher.hash_one(&**id);
        if let Some(there) = self.table.find_mut(hash, |there| there.is(hash, id)) {
            there.held = held;
            return;
        }
        let record = Record {
            id: Arc::clone(id),
            hash,
            held,
        };
        self.table.insert_unique(hash, record, |there| there.hash);
        self.added.push(Arc::clone(id));
        self.tidy();
    }

    /// Whether there was such a record.
    pub(crate) fn remove(&mut self, id: &str) -> bool {
        let hash = self.hasher.hash_one(id);
        let Ok(found) = self.table.find_entry(hash, |there| there.is(hash, id)) else {
            return false;
        };
        drop(found.remove());
        self.tidy();
        true
    }

    /// Whether the order may lack something.
    pub(crate) fn owes(&self) -> bool {
        !self.added.is_empty()
    }

    /// The ids that the order may lack; some may be gone by now, or come twice.
    pub(crate) fn take_added(&mut self) -> Vec<Arc<str>> {
        std::mem::take(&mut self.added)
    }

    /// Every record with its place, in no order.
    pub(crate) fn all(&self) -> impl Iterator<Item = (usize, &Record)> {
        let places = self.table.iter_buckets();
        places.filter_map(|place| Some((place, self.table.get_bucket(place)?)))
    }

    pub(crate) fn count(&self) -> usize {
        self.table.len()
    }

    /// Keeps what is owed to the order in proportion to what is there, should nobody ever scan.
    fn tidy(&mut self) {
        if self.added.len() > 2 * self.table.len() + 64 {
            let mut added = self.take_added();
            added.retain(|id| self.get(id).is_some());
            added.sort_unstable();
            added.dedup();
            added.shrink_to(64);
            self.added = added;
        }
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
            let kept = records.table.num_buckets() + records.added.len();
            assert!(kept < 300, "{kept} are kept for one record");
        }
        assert!(records.get("stays").is_some());
        assert!(records.get("d1").is_none());
        assert_eq!(records.table.len(), 1);
    }

    #[test]
    fn a_place_is_good_for_the_id_it_was_asked_for() {
        let mut records = Records::default();
        let ids: Vec<Arc<str>> = (0..100).map(|nth| format!("d{nth}").into()).collect();
        ids.iter().for_each(|id| put(&mut records, id));
        let place = |records: &Records, id: &str| records.place(id).expect("it was put");
        let before: Vec<_> = ids.iter().map(|id| place(&records, id)).collect();
        for (id, place) in ids.iter().zip(&before) {
            assert!(records.at(*place, id).is_some_and(|there| there.id == *id));
        }
        // The table grows, and nothing stays where it was but by chance.
        (100..5_000).for_each(|nth| put(&mut records, &format!("d{nth}")));
        for (id, before) in ids.iter().zip(&before) {
            assert!(records.at(*before, id).is_none_or(|there| there.id == *id));
            assert!(records.at(place(&records, id), id).is_some());
        }
        assert!(records.remove("d7"));
        assert!(records.place("d7").is_none());
    }

    #[test]
    fn a_record_fills_a_cache_line() {
        assert_eq!(size_of::<Record>(), 64);
    }
}
