//! The service on this store, with a disk that fails at every write, sync and change of length.
//!
//! `DPS_FAULT_LOSSES` says in how many ways the power takes some of what was not synced, at each of them (1 without).
#![allow(clippy::unwrap_used, reason = "a test that fails says so")]

mod disk;

use std::sync::Arc;

use bytes::Bytes;
use dps_core::id::IdScope;
use dps_core::store::{Change, Expect, Key, Shard, Store, Table, Write};
use dps_store_redb::RedbStore;
use dps_testkit::crash::{self, Beneath, Fragile};
use dps_testkit::hubs::FakeHubs;
use dps_testkit::run::block_on;
use parking_lot::Mutex;

use self::disk::{Disk, Fault};

/// A store in a file on a disk that fails.
#[derive(Debug)]
struct OnDisk {
    disk: Mutex<Disk>,
    first: Disk,
}

impl OnDisk {
    fn new(first: Disk) -> Self {
        Self {
            disk: Mutex::new(first.copy(0)),
            first,
        }
    }

    fn open(&self) -> Result<Arc<dyn Store>, String> {
        let store = RedbStore::builder().open_backend(self.disk.lock().plug());
        match store {
            Ok(store) => Ok(Arc::new(store)),
            Err(error) => Err(format!("it does not open: {error:?}")),
        }
    }
}

impl Beneath for OnDisk {
    fn fresh(&self) -> Arc<dyn Store> {
        *self.disk.lock() = self.first.copy(0);
        self.open().unwrap()
    }

    fn ways(&self) -> usize {
        Fault::ALL.len() - 1 + losses()
    }

    fn arm(&self, nth: usize, way: usize) {
        let fault = Fault::ALL.get(way).unwrap_or(&Fault::PowerSome);
        let disk = self.disk.lock();
        disk.reseed(way as u64);
        disk.arm(nth, *fault);
    }

    fn has_failed(&self) -> bool {
        self.disk.lock().struck()
    }

    fn again(&self) -> Result<Arc<dyn Store>, String> {
        self.disk.lock().repair();
        self.open()
    }
}

fn losses() -> usize {
    let losses = std::env::var("DPS_FAULT_LOSSES");
    losses.map_or(1, |losses| losses.parse().unwrap())
}

fn hubs() -> Arc<FakeHubs> {
    Arc::new(FakeHubs::new())
}

dps_testkit::fault_sweep!(Fragile::new(OnDisk::new(Disk::new(7)), || hubs() as _));

/// What the sweep checks is checked: a disk that loses what it said it had synced is found.
#[test]
fn a_disk_that_lies_is_found() {
    let lying = Fragile::new(OnDisk::new(Disk::lying()), || hubs() as _);
    for scenario in [crash::stay, crash::move_with_data, crash::first_assignment] {
        assert!(scenario(&lying).is_err());
    }
}

/// The power goes while the file is repaired and opened, at every effect of that; the time after it opens.
#[test]
fn a_file_survives_that_the_power_goes_while_it_is_opened() {
    for seed in 0..5 * losses() as u64 {
        let disk = Disk::new(seed);
        let store = RedbStore::builder().open_backend(disk.plug()).unwrap();
        for nth in 0..10 {
            block_on(store.commit(&shard(), &[write(nth)])).unwrap();
        }
        disk.strike(Fault::PowerSome);
        drop(store);
        disk.repair();
        for nth in 1.. {
            let mut struck = false;
            for fault in [
                Fault::PowerNothing,
                Fault::PowerEverything,
                Fault::PowerSome,
            ] {
                let disk = disk.copy(seed + nth as u64);
                disk.arm(nth, fault);
                // If it opens, it is closed without power.
                drop(RedbStore::builder().open_backend(disk.plug()));
                struck |= disk.struck();
                disk.repair();
                let store = RedbStore::builder().open_backend(disk.plug()).unwrap();
                let found = block_on(store.get_many(&(0..10).map(key).collect::<Vec<_>>()));
                let there = found.unwrap().iter().flatten().count();
                assert_eq!(there, 10, "{fault:?} at effect {nth}, seed {seed}");
            }
            if !struck {
                assert!(nth > 3, "there was nothing to do when it was opened");
                break;
            }
        }
    }
}

fn shard() -> Shard {
    let scope = IdScope::parse("0ne").unwrap();
    Shard { scope, slot: 1 }
}

fn write(nth: usize) -> Write {
    Write {
        table: Table::Registration,
        id: format!("device-{nth}").into(),
        expect: Expect::Absent,
        change: Change::Put(Bytes::from(vec![nth as u8; 3000])),
    }
}

fn key(nth: usize) -> Key {
    Key {
        shard: shard(),
        table: Table::Registration,
        id: write(nth).id,
    }
}
