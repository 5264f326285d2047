//! The ids of one table in ascending order, over all slots.

use std::cmp::Ordering;
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

    /// Takes in records that were added. An id that is there already may be somewhere else now.
    pub(crate) fn add(&mut self, added: Vec<(Arc<str>, Spot)>) {
        // A tree is built from many at once in one pass.
        if added.len() > self.spots.len() / 16 {
            let mut added = sorted(added).collect();
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

/// In ascending order. Of many ids each is somewhere else in memory, so that a look at one is dear:
/// each is looked at once, and again only where two begin alike beyond what all have in common.
fn sorted(added: Vec<(Arc<str>, Spot)>) -> impl Iterator<Item = (Arc<str>, Spot)> {
    let common = common(&added).to_owned();
    let mut all: Vec<_> = added
        .into_iter()
        .map(|(id, spot)| (Head::of(&id, &common), id, spot))
        .collect();
    all.sort_unstable_by(|(head, id, _), (other, than, _)| {
        head.cmp(other).then_with(|| id.cmp(than))
    });
    all.into_iter().map(|(_, id, spot)| (id, spot))
}

/// How some of the ids begin, and most of the others likely too.
fn common(ids: &[(Arc<str>, Spot)]) -> &[u8] {
    let mut some = ids.iter().step_by(ids.len() / 64 + 1);
    let Some((first, _)) = some.next() else {
        return &[];
    };
    some.fold(first.as_bytes(), |common, (id, _)| {
        let same = common.iter().zip(id.as_bytes());
        let same = same.take_while(|(a, b)| a == b).count();
        &common[..same]
    })
}

/// What decides most comparisons of ids: how an id stands to what most have in common, and the next
/// bytes of one that begins with that.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Head(Ordering, u64);

impl Head {
    fn of(id: &str, common: &[u8]) -> Self {
        match id.as_bytes().strip_prefix(common) {
            Some(rest) => {
                let mut next = [0; 8];
                let length = rest.len().min(8);
                next[..length].copy_from_slice(&rest[..length]);
                Self(Ordering::Equal, u64::from_be_bytes(next))
            }
            None => Self(id.as_bytes().cmp(common), 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_come_in_the_order_of_their_bytes_whatever_they_have_in_common() {
        let spot = Spot { slot: 0, place: 0 };
        let mut ids: Vec<String> = (0..500)
            .map(|n| format!("device-{}", n * 7919 % 500))
            .collect();
        let odd = [
            "",
            "a",
            "d",
            "device",
            "device-",
            "device-\0",
            "device-1\0",
            "dévice",
            "z",
        ];
        ids.extend(odd.map(str::to_owned));
        ids.extend(["device-123456789", "device-123456788", "device-12345678"].map(str::to_owned));
        for few in [1, 2, 3, 500, ids.len()] {
            let mut ids = ids[ids.len() - few..].to_vec();
            let added = ids.iter().map(|id| (Arc::from(&**id), spot)).collect();
            let found: Vec<_> = sorted(added).map(|(id, _)| id.to_string()).collect();
            ids.sort_unstable();
            assert_eq!(found, ids);
        }
    }
}
