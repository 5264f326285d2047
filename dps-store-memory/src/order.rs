//! The ids of one table in ascending order, over all slots.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

/// Where a record is said to be: in which slot, and at which place of the table there.
///
/// A slot is certain as long as the record is there; a place is where it was last seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spot {
    pub(crate) slot: u16,
    pub(crate) place: usize,
}

/// What scans go by. It may name records that are gone.
#[derive(Default)]
pub(crate) struct Order {
    spots: BTreeMap<Arc<str>, Spot>,
}

impl Order {
    /// Ids from there on that begin with `prefix`.
    pub(crate) fn from<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&str>,
    ) -> impl Iterator<Item = (&'a Arc<str>, Spot)> + use<'a> {
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        self.spots
            .range::<str, _>((from, Bound::Unbounded))
            .take_while(move |(id, _)| id.starts_with(prefix))
            .map(|(id, spot)| (id, *spot))
    }

    /// Takes in records that were added, best in sorted runs. An id that is there already may be somewhere else now.
    pub(crate) fn add(&mut self, added: Vec<(Arc<str>, Spot)>) {
        // A tree is built from many at once in one pass.
        if added.len() > self.spots.len() / 16 {
            let mut added = added.into_iter().collect();
            self.spots.append(&mut added);
        } else {
            self.spots.extend(added);
        }
    }

    /// Has `known` say anew where a record is; `None` if it is nowhere.
    pub(crate) fn correct(&mut self, id: &str, known: impl FnOnce(Spot) -> Option<Spot>) {
        let Some(spot) = self.spots.get_mut(id) else {
            return;
        };
        match known(*spot) {
            Some(now) => *spot = now,
            None => {
                self.spots.remove(id);
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.spots.is_empty()
    }
}
