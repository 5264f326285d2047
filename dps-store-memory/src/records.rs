//! The records of one table within one slot.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use dps_core::store::Versioned;
use hashbrown::HashMap;

/// A hash index for everything but scans, and the order of ids for those.
///
/// The order is brought up to date by scans, not by writes: a device that registers does not pay
/// for it. Between scans `added` holds ids that `order` may not have, and `order` may hold ids that are
/// gone; both are bounded by the number of records (see [`Records::tidy`]).
#[derive(Default)]
pub(crate) struct Records {
    index: HashMap<Arc<str>, Versioned>,
    order: BTreeSet<Arc<str>>,
    added: Vec<Arc<str>>,
    removed: usize,
}

impl Records {
    pub(crate) fn get(&self, id: &str) -> Option<&Versioned> {
        self.index.get(id)
    }

    pub(crate) fn put(&mut self, id: &Arc<str>, record: Versioned) {
        if let Some(there) = self.index.get_mut(&**id) {
            *there = record;
            return;
        }
        self.index.insert(Arc::clone(id), record);
        self.added.push(Arc::clone(id));
        self.tidy();
    }

    pub(crate) fn remove(&mut self, id: &str) {
        if self.index.remove(id).is_some() {
            self.removed += 1;
            self.tidy();
        }
    }

    /// Appends to `page` up to `limit` ids of records, those that begin with `prefix` and come after `after`.
    ///
    /// Returns whether there may be more.
    pub(crate) fn page(
        &mut self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
        page: &mut impl Extend<Arc<str>>,
    ) -> bool {
        self.sort();
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let ids = self.order.range::<str, _>((from, Bound::Unbounded));
        let mut found = 0;
        let ids = ids
            .take_while(|id| id.starts_with(prefix))
            .take(limit)
            .inspect(|_| found += 1);
        page.extend(ids.cloned());
        found == limit
    }

    /// Keeps what is owed to the order in proportion to what is there, should nobody ever scan.
    fn tidy(&mut self) {
        let bound = 2 * self.index.len() + 64;
        if self.removed > bound || self.added.len() > bound {
            self.sort();
        }
    }

    fn sort(&mut self) {
        if self.removed > 0 {
            self.order.retain(|id| self.index.contains_key(id));
            self.added.retain(|id| self.index.contains_key(id));
            self.removed = 0;
        }
        if self.order.is_empty() {
            // A tree is built from sorted input in one pass.
            self.order = self.added.drain(..).collect();
        } else {
            self.order.extend(self.added.drain(..));
        }
        self.added.shrink_to(64);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use dps_core::store::Version;

    use super::*;

    fn put(records: &mut Records, id: &str) {
        let record = Versioned {
            version: Version(1),
            value: Bytes::new(),
        };
        records.put(&id.into(), record);
    }

    fn ids(records: &mut Records) -> Vec<String> {
        let mut page = Vec::new();
        records.page("", None, usize::MAX, &mut page);
        page.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn ids_that_come_and_go_leave_nothing_behind() {
        let mut records = Records::default();
        put(&mut records, "stays");
        for scanned in [false, true] {
            for nth in 0..10_000 {
                let id = format!("d{}", nth % 7);
                put(&mut records, &id);
                if scanned && nth % 100 == 0 {
                    ids(&mut records);
                }
                records.remove(&id);
                let owed = records.added.len() + records.order.len();
                assert!(owed < 300, "{owed} ids are kept for one record");
            }
        }
        assert_eq!(ids(&mut records), ["stays"]);
    }

    #[test]
    fn a_table_that_is_emptied_gives_up_its_order() {
        let mut records = Records::default();
        for nth in 0..5_000 {
            put(&mut records, &format!("d{nth}"));
        }
        assert_eq!(ids(&mut records).len(), 5_000);
        for nth in 0..5_000 {
            records.remove(&format!("d{nth}"));
        }
        assert!(records.order.len() < 300, "{}", records.order.len());
        assert_eq!(ids(&mut records), [""; 0]);
    }

    #[test]
    fn an_id_that_comes_back_is_found_once() {
        let mut records = Records::default();
        for id in ["b", "a", "c"] {
            put(&mut records, id);
        }
        assert_eq!(ids(&mut records), ["a", "b", "c"]);
        records.remove("b");
        put(&mut records, "b");
        put(&mut records, "aa");
        assert_eq!(ids(&mut records), ["a", "aa", "b", "c"]);
    }
}
