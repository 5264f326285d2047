//! One tenant's records: slots, each with a lock, and the order of ids of each table.

use std::hint::black_box;
use std::sync::Arc;

use dps_core::store::{Key, Page, Scan, Table, Versioned};
use parking_lot::{RwLock, RwLockReadGuard};

use crate::order::{Order, Spot};
use crate::records::{Record, Records};

/// Slots 0 to 64 get a lock each; a slot beyond shares one.
const LOCKS: usize = 65;

/// So many records are read while slots are locked.
const STEP: usize = 128;

/// One tenant's slots, each with its own lock.
///
/// Whoever holds the lock of an order may take those of slots, never the other way round.
pub(crate) struct Tenant {
    slots: Box<[RwLock<Slot>]>,
    orders: RwLock<Vec<(Table, Arc<RwLock<Order>>)>>,
}

impl Default for Tenant {
    fn default() -> Self {
        let slots = (0..LOCKS).map(|_| RwLock::default()).collect();
        let orders = RwLock::default();
        Self { slots, orders }
    }
}

/// The few tables of a slot that have records, in no order.
#[derive(Default)]
pub(crate) struct Slot {
    tables: Vec<(Table, Records)>,
}

impl Slot {
    pub(crate) fn get(&self, table: Table, id: &str) -> Option<&Versioned> {
        Some(&self.records(table)?.get(id)?.held)
    }

    pub(crate) fn table(&mut self, table: Table) -> &mut Records {
        let at = match self.tables.iter().position(|(kind, _)| *kind == table) {
            Some(at) => at,
            None => {
                self.tables.push((table, Records::default()));
                self.tables.len() - 1
            }
        };
        &mut self.tables[at].1
    }

    fn records(&self, table: Table) -> Option<&Records> {
        let (_, records) = self.tables.iter().find(|(kind, _)| *kind == table)?;
        Some(records)
    }
}

impl Tenant {
    pub(crate) fn slot(&self, slot: u16) -> &RwLock<Slot> {
        &self.slots[usize::from(slot) % LOCKS]
    }

    /// Appends a result for each of `keys`, all of this tenant.
    pub(crate) fn read(&self, keys: &[Key], found: &mut Vec<Option<Versioned>>) {
        for keys in keys.chunks(STEP) {
            let slots = self.all_slots();
            let slot = |key: &Key| &slots[usize::from(key.shard.slot) % LOCKS];
            let there = keys
                .iter()
                .map(|key| slot(key).records(key.table)?.get(&key.id));
            let there: Vec<_> = there.collect();
            there.iter().copied().flatten().for_each(fetch);
            found.extend(
                there
                    .iter()
                    .map(|one| one.map(|record| record.held.clone())),
            );
        }
    }

    /// Looks anew where records are that were removed, or were not where they had been.
    pub(crate) fn correct(&self, table: Table, ids: impl IntoIterator<Item = Arc<str>>) {
        let Some(order) = self.known_order(table) else {
            return;
        };
        // If it is busy, the next scan will see what this one has seen.
        let Some(mut order) = order.try_write() else {
            return;
        };
        if order.is_empty() {
            return;
        }
        for id in ids {
            order.correct(&id, |Spot { slot, .. }| {
                let place = self.slots[usize::from(slot)]
                    .read()
                    .records(table)?
                    .place(&id)?;
                Some(Spot { slot, place })
            });
        }
    }

    pub(crate) fn scan(&self, scan: &Scan) -> Page {
        let limit = usize::try_from(scan.limit).unwrap_or(usize::MAX);
        let order = self.order(scan.table);
        self.bring_up_to_date(scan.table, &order);
        let mut records: Vec<(Arc<str>, Versioned)> = Vec::with_capacity(limit.min(1000) + 1);
        let (mut after, mut astray) = (scan.after.clone(), Vec::new());
        // One more than is asked for tells whether more follow.
        while records.len() <= limit {
            let order = order.read();
            let wanted = STEP.min(limit.saturating_add(1) - records.len());
            let ids = order.from(&scan.prefix, after.as_deref());
            let ids: Vec<_> = ids.take(wanted).collect();
            let slots = self.all_slots();
            let tables = slots.iter().map(|slot| slot.records(scan.table));
            let tables: Vec<_> = tables.collect();
            let there = |&(id, spot): &(&Arc<str>, Spot)| {
                let records = tables[usize::from(spot.slot)]?;
                records.at(spot.place, id)
            };
            let found: Vec<_> = ids.iter().map(there).collect();
            found.iter().copied().flatten().for_each(fetch);
            for (&(id, spot), record) in ids.iter().zip(found) {
                let record = record.or_else(|| {
                    astray.push(Arc::clone(id));
                    tables[usize::from(spot.slot)]?.get(id)
                });
                records.extend(record.map(|record| (Arc::clone(id), record.held.clone())));
            }
            if ids.len() < wanted {
                break;
            }
            after = ids.last().map(|(id, _)| Arc::clone(id));
        }
        if !astray.is_empty() {
            self.correct(scan.table, astray);
        }
        let more = records.len() > limit;
        records.truncate(limit);
        Page { records, more }
    }

    /// Gives the order what has been added since the last scan.
    ///
    /// Slots are locked for a moment each. Whoever scans the same table meanwhile waits: what is
    /// taken from a slot must not be missed by anybody.
    fn bring_up_to_date(&self, table: Table, order: &RwLock<Order>) {
        let owes = |slot: &RwLock<Slot>| slot.read().records(table).is_some_and(Records::owes);
        {
            let _nobody_takes = order.read();
            if !self.slots.iter().any(owes) {
                return;
            }
        }
        let mut order = order.write();
        let mut all = Vec::new();
        for (slot, number) in self.slots.iter().zip(0..) {
            if !owes(slot) {
                continue;
            }
            let added = slot.write().table(table).take_added();
            all.reserve(added.len());
            {
                let slot = slot.read();
                let Some(records) = slot.records(table) else {
                    continue;
                };
                // Looking up most of them one by one takes longer than going through all that there are.
                if added.len() > records.count() / 4 {
                    all.extend(records.all().map(|(place, record)| {
                        (
                            Arc::clone(&record.id),
                            Spot {
                                slot: number,
                                place,
                            },
                        )
                    }));
                } else {
                    all.extend(added.into_iter().filter_map(|id| {
                        let place = records.place(&id)?;
                        Some((
                            id,
                            Spot {
                                slot: number,
                                place,
                            },
                        ))
                    }));
                }
            }
        }
        order.add(all);
    }

    fn all_slots(&self) -> Vec<RwLockReadGuard<'_, Slot>> {
        self.slots.iter().map(RwLock::read).collect()
    }

    fn known_order(&self, table: Table) -> Option<Arc<RwLock<Order>>> {
        let orders = self.orders.read();
        let (_, order) = orders.iter().find(|(kind, _)| *kind == table)?;
        Some(Arc::clone(order))
    }

    fn order(&self, table: Table) -> Arc<RwLock<Order>> {
        self.known_order(table).unwrap_or_else(|| {
            let mut orders = self.orders.write();
            if let Some((_, order)) = orders.iter().find(|(kind, _)| *kind == table) {
                return Arc::clone(order);
            }
            let order = Arc::default();
            orders.push((table, Arc::clone(&order)));
            order
        })
    }
}

/// Reads a little of every part of a record.
///
/// Of many records each is somewhere else in memory. A processor fetches several of them at once as long
/// as it only reads; counting a reference, as clones do, makes it wait for one after the other.
fn fetch(record: &Record) {
    let value = &record.held.value;
    let id = record.id.as_bytes().first();
    let lines = value.iter().step_by(64).take(32);
    let read = lines.fold(id.copied().unwrap_or(0), |all, byte| all ^ byte);
    black_box((read, value.is_unique()));
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use dps_core::id::IdScope;
    use dps_core::store::Version;

    use super::*;

    const TABLE: Table = Table::Enrollment;

    fn place(id: &str) -> u16 {
        id.bytes().map(u16::from).sum()
    }

    fn put(tenant: &Tenant, id: &str) {
        let held = Versioned {
            version: Version(1),
            value: Bytes::new(),
        };
        let mut slot = tenant.slot(place(id)).write();
        slot.table(TABLE).put(&id.into(), held);
    }

    /// Removes a record without a word to the order, as where that is busy.
    fn remove(tenant: &Tenant, id: &str) {
        assert!(tenant.slot(place(id)).write().table(TABLE).remove(id));
    }

    fn ids(tenant: &Tenant, limit: u32) -> Vec<String> {
        let scan = Scan {
            scope: IdScope::parse("0ne").expect("a valid scope"),
            table: TABLE,
            prefix: "".into(),
            after: None,
            limit,
        };
        let page = tenant.scan(&scan);
        page.records.iter().map(|(id, _)| id.to_string()).collect()
    }

    fn ordered(tenant: &Tenant) -> usize {
        let order = tenant.order(TABLE);
        let order = order.read();
        order.from("", None).count()
    }

    #[test]
    fn an_id_that_comes_back_is_found_once() {
        let tenant = Tenant::default();
        for id in ["b", "a", "c"] {
            put(&tenant, id);
        }
        for round in 0..3 {
            remove(&tenant, "b");
            if round == 1 {
                assert_eq!(ids(&tenant, 10)[..2], ["a", "aa"]);
            }
            put(&tenant, "b");
            put(&tenant, "aa");
            assert_eq!(ids(&tenant, 10), ["a", "aa", "b", "c"]);
        }
    }

    #[test]
    fn a_scan_passes_over_what_is_gone_and_forgets_it() {
        let tenant = Tenant::default();
        for nth in 1_000..3_000 {
            put(&tenant, &format!("d{nth}"));
        }
        assert_eq!(ids(&tenant, 3_000).len(), 2_000);
        for nth in 1_000..2_990 {
            remove(&tenant, &format!("d{nth}"));
        }
        assert_eq!(ids(&tenant, 3), ["d2990", "d2991", "d2992"]);
        assert_eq!(ordered(&tenant), 10);
    }

    #[test]
    fn what_is_removed_leaves_the_order_without_a_scan() {
        let tenant = Tenant::default();
        for id in ["a", "b", "c"] {
            put(&tenant, id);
        }
        assert_eq!(ids(&tenant, 10).len(), 3);
        for id in ["a", "b"] {
            remove(&tenant, id);
        }
        put(&tenant, "b");
        tenant.correct(TABLE, ["a", "b"].map(Arc::from));
        assert_eq!(ordered(&tenant), 2);
        assert_eq!(ids(&tenant, 10), ["b", "c"]);
    }

    #[test]
    fn records_that_have_moved_are_found_and_are_where_they_are_said_to_be_again() {
        let tenant = Tenant::default();
        let names: Vec<_> = (1_000..3_000).map(|nth| format!("d{nth}")).collect();
        names[..500].iter().for_each(|id| put(&tenant, id));
        assert_eq!(ids(&tenant, 3_000), names[..500]);
        // The tables grow, and what was there has moved.
        names[500..].iter().for_each(|id| put(&tenant, id));
        assert!(strays(&tenant) > 0);
        assert_eq!(ids(&tenant, 3_000), names);
        assert_eq!(strays(&tenant), 0);
    }

    /// How many records are not where the order says.
    fn strays(tenant: &Tenant) -> usize {
        let order = tenant.order(TABLE);
        let order = order.read();
        let is_astray = |(id, spot): &(&Arc<str>, Spot)| {
            let slot = tenant.slot(spot.slot).read();
            slot.records(TABLE)
                .is_none_or(|records| records.at(spot.place, id).is_none())
        };
        order.from("", None).filter(is_astray).count()
    }
}
