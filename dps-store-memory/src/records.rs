//! The records of one table within one slot.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use dps_core::store::Versioned;
use hashbrown::HashMap;

/// A hash index for everything but scans, and the order of ids for those.
///
/// The order is brought up to date by scans, not by writes: a device that registers never pays for
/// it. Between scans `added` holds ids that `order` may not have, and `order` may hold ids that are
/// gone; both are bounded by the number of records (see [`Records::tidy`]).
#[derive(Debug, Default)]
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

    /// Appends to `page` up to `limit` records whose ids begin with `prefix` and come after `after`.
    ///
    /// Returns whether there may be more.
    pub(crate) fn page(
        &mut self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
        page: &mut impl Extend<(Arc<str>, Versioned)>,
    ) -> bool {
        self.sort();
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let ids = self.order.range::<str, _>((from, Bound::Unbounded));
        let mut found = 0;
        let records = ids
            .take_while(|id| id.starts_with(prefix))
            .filter_map(|id| Some((Arc::clone(id), self.index.get(id)?.clone())))
            .take(limit)
            .inspect(|_| found += 1);
        page.extend(records);
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
