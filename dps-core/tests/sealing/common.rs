//! A sealed store, what lies below it, and devices that register on it.

use std::error::Error;
use std::sync::Arc;

use bytes::Bytes;
use dps_core::allocate::{Allocation, HookError};
use dps_core::api::{DeviceRequest, Reply};
use dps_core::crypto::AWS_LC;
use dps_core::enrollment::ReprovisionPolicy;
use dps_core::id::{IdScope, RegistrationId};
use dps_core::registration::Status;
use dps_core::seal::{KeyProvider, SealedStore};
use dps_core::store::{
    Change, Expect, Key, Scan, Shard, Store, StoreError, Table, Version, Versioned, Write,
};
use dps_store_memory::MemoryStore;
use dps_testkit::keys::FakeKeys;
use dps_testkit::run::block_on;
use dps_testkit::sim::{HookFn, Service, hubs};

pub type Sealed = SealedStore<Arc<MemoryStore>>;

/// What is sealed, and with what.
pub struct World {
    pub below: Arc<MemoryStore>,
    pub keys: FakeKeys,
    pub store: Arc<Sealed>,
}

impl World {
    pub fn new() -> Self {
        let (below, keys) = (Arc::new(MemoryStore::new()), FakeKeys::new());
        let store = sealed(&below, keys.clone());
        Self { below, keys, store }
    }
}

pub fn sealed(below: &Arc<MemoryStore>, keys: impl KeyProvider) -> Arc<Sealed> {
    Arc::new(SealedStore::new(Arc::clone(below), Arc::new(keys), AWS_LC).unwrap())
}

pub fn scope() -> IdScope {
    IdScope::parse("0ne00ABCDEF").unwrap()
}

pub fn shard(of: &IdScope, slot: u16) -> Shard {
    Shard {
        scope: of.clone(),
        slot,
    }
}

pub fn key(shard: &Shard, table: Table, id: &str) -> Key {
    Key {
        shard: shard.clone(),
        table,
        id: id.into(),
    }
}

pub fn put(table: Table, id: &str, value: &[u8]) -> Write {
    Write {
        table,
        id: id.into(),
        expect: Expect::Any,
        change: Change::Put(Bytes::copy_from_slice(value)),
    }
}

pub fn write(store: &dyn Store, key: &Key, value: &[u8]) -> Version {
    block_on(store.commit(&key.shard, &[put(key.table, &key.id, value)])).unwrap()
}

pub fn try_read(store: &dyn Store, key: &Key) -> Result<Option<Versioned>, StoreError> {
    Ok(block_on(store.get_many(std::slice::from_ref(key)))?.remove(0))
}

pub fn read(store: &dyn Store, key: &Key) -> Versioned {
    try_read(store, key).unwrap().unwrap()
}

/// All records of a scope.
pub fn all(store: &dyn Store, of: &IdScope) -> Vec<(Table, Arc<str>, Versioned)> {
    let mut records = Vec::new();
    for table in Table::ALL {
        let mut scan = Scan {
            scope: of.clone(),
            table,
            prefix: "".into(),
            after: None,
            limit: 1000,
        };
        loop {
            let page = block_on(store.scan(&scan)).unwrap();
            scan.after = page.records.last().map(|(id, _)| Arc::clone(id));
            let found = page.records.into_iter();
            records.extend(found.map(|(id, found)| (table, id, found)));
            if !page.more {
                break;
            }
        }
    }
    records
}

/// What a store holds of a scope, versions apart.
pub fn contents(store: &dyn Store, of: &IdScope) -> Vec<(Table, Arc<str>, Bytes)> {
    let records = all(store, of).into_iter();
    records
        .map(|(table, id, found)| (table, id, found.value))
        .collect()
}

/// An error with its sources, in one line, as a log shows it.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}

/// A service on `store`, set up, for devices with keys of a group.
pub fn service(store: Arc<dyn Store>) -> Service {
    let service = bare_service(store);
    let linked = hubs([("west.example", 1), ("east.example", 1)]);
    block_on(service.set_up(&linked, ReprovisionPolicy::default())).unwrap();
    service
}

/// A service on a store that is set up already.
pub fn bare_service(store: Arc<dyn Store>) -> Service {
    let policy = HookFn::new(|request| match request.hubs.first() {
        Some(hub) => Ok(Allocation::from(hub.name.clone())),
        None => Err(HookError::NoHub),
    });
    Service::new(store, Arc::new(policy), AWS_LC).unwrap()
}

pub fn device(n: usize) -> RegistrationId {
    RegistrationId::parse(&format!("press-{n}")).unwrap()
}

pub fn register(service: &Service, n: usize) {
    let told = block_on(service.register(&device(n), None)).unwrap();
    assert_eq!(told.state.status, Status::Assigned);
}

/// Asks once for the `n`-th device.
pub fn ask(service: &Service, n: usize, request: DeviceRequest) -> Reply {
    block_on(service.ask(&device(n), request))
}

pub fn register_request() -> DeviceRequest {
    DeviceRequest::Register { payload: None }
}
