//! What the tests share: a disk in memory that fails when told to, and short ways to write and read.

use std::io::{self, ErrorKind};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use dps_core::id::IdScope;
use dps_core::store::{
    Change, Expect, Key, Scan, Shard, Store, StoreError, Table, Version, Versioned, Write,
};
use dps_testkit::run::block_on;
use parking_lot::{Condvar, Mutex};
use redb::StorageBackend;

pub(crate) fn scope() -> IdScope {
    IdScope::parse("0ne00000001").unwrap()
}

pub(crate) fn shard() -> Shard {
    Shard {
        scope: scope(),
        slot: 1,
    }
}

pub(crate) fn key(id: &str) -> Key {
    Key {
        shard: shard(),
        table: Table::Registration,
        id: id.into(),
    }
}

pub(crate) fn put_as(
    store: &dyn Store,
    id: &str,
    expect: Expect,
    value: &[u8],
) -> Result<Version, StoreError> {
    let write = Write {
        table: Table::Registration,
        id: id.into(),
        expect,
        change: Change::Put(Bytes::copy_from_slice(value)),
    };
    block_on(store.commit(&shard(), &[write]))
}

pub(crate) fn put(store: &dyn Store, id: &str, value: &[u8]) -> Result<Version, StoreError> {
    put_as(store, id, Expect::Any, value)
}

pub(crate) fn get(store: &dyn Store, id: &str) -> Result<Option<Versioned>, StoreError> {
    let found = block_on(store.get_many(&[key(id)]))?;
    Ok(found.into_iter().next().unwrap())
}

pub(crate) fn value(store: &dyn Store, id: &str) -> Vec<u8> {
    get(store, id).unwrap().unwrap().value.to_vec()
}

/// All registrations, page by page.
pub(crate) fn all(store: &dyn Store) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
    let mut scan = Scan {
        scope: scope(),
        table: Table::Registration,
        prefix: "".into(),
        after: None,
        limit: 1000,
    };
    let mut found = Vec::new();
    loop {
        let page = block_on(store.scan(&scan))?;
        for (id, record) in &page.records {
            found.push((id.to_string(), record.value.to_vec()));
        }
        if !page.more {
            return Ok(found);
        }
        scan.after = page.records.last().map(|(id, _)| Arc::clone(id));
    }
}

/// A disk in memory. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    state: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Debug, Default)]
struct State {
    /// As programs see it.
    bytes: Vec<u8>,
    /// As it would be without power.
    synced: Vec<u8>,
    /// What the next sync has to write.
    dirty: Vec<Range<usize>>,
    faults: Faults,
    syncs: u64,
    /// Somebody waits in a sync that is held up.
    waiting: bool,
}

/// What is the matter.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    /// Writes find no room.
    pub(crate) full: bool,
    /// Syncs fail, and forget what they did not write: as Linux does, later ones know nothing of it.
    pub(crate) no_sync: bool,
    /// Nothing can be read.
    pub(crate) no_read: bool,
    /// Syncs wait until this ends.
    pub(crate) hold_syncs: bool,
}

impl Disk {
    pub(crate) fn of(bytes: Vec<u8>) -> Self {
        let disk = Self::default();
        let mut state = disk.state.0.lock();
        state.synced.clone_from(&bytes);
        state.bytes = bytes;
        drop(state);
        disk
    }

    pub(crate) fn set(&self, faults: Faults) {
        self.state.0.lock().faults = faults;
        self.state.1.notify_all();
    }

    pub(crate) fn heal(&self) {
        self.set(Faults::default());
    }

    /// Returns once somebody waits in a sync.
    pub(crate) fn wait_for_sync(&self) {
        let mut state = self.state.0.lock();
        while !state.waiting {
            self.state.1.wait(&mut state);
        }
    }

    pub(crate) fn syncs(&self) -> u64 {
        self.state.0.lock().syncs
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.state.0.lock().bytes.clone()
    }

    /// What is there after the power has failed: only what was synced.
    pub(crate) fn after_power_failure(&self) -> Self {
        Self::of(self.state.0.lock().synced.clone())
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state.0.lock().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.state.0.lock();
        if state.faults.no_read {
            return Err(io::Error::other("EIO"));
        }
        let from = usize::try_from(offset).unwrap();
        let there = state.bytes.get(from..from + out.len());
        out.copy_from_slice(there.ok_or(ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.state.0.lock();
        state.bytes.resize(usize::try_from(len).unwrap(), 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state.0.lock();
        while state.faults.hold_syncs {
            state.waiting = true;
            self.state.1.notify_all();
            self.state.1.wait(&mut state);
        }
        state.waiting = false;
        state.syncs += 1;
        let dirty = std::mem::take(&mut state.dirty);
        if state.faults.no_sync {
            return Err(io::Error::other("EIO"));
        }
        let State { bytes, synced, .. } = &mut *state;
        synced.resize(bytes.len(), 0);
        for range in dirty {
            let range = range.start.min(bytes.len())..range.end.min(bytes.len());
            synced[range.clone()].copy_from_slice(&bytes[range]);
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.state.0.lock();
        if state.faults.full {
            return Err(ErrorKind::StorageFull.into());
        }
        let from = usize::try_from(offset).unwrap();
        let range = from..from + data.len();
        if state.bytes.len() < range.end {
            state.bytes.resize(range.end, 0);
        }
        state.bytes[range.clone()].copy_from_slice(data);
        state.dirty.push(range);
        Ok(())
    }
}
