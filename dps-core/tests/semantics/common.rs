//! One service, its store and hubs, and devices that call it.

mod device;
mod entries;

use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use dps_core::admin::Admin;
use dps_core::api::{Authentication, DeviceApi, DeviceRequest, DeviceResponse, Reply, Session};
use dps_core::enrollment::{Enrollment, ReprovisionPolicy, Subject};
use dps_core::error::ServiceError;
use dps_core::event::Recent;
use dps_core::id::{DeviceId, OperationId, RegistrationId};
use dps_core::instance::Instance;
use dps_core::registration::{RegistrationState, Status, Substatus};
use dps_core::store::{
    Expect, Key, Page, Scan, Shard, Store, StoreError, Table, Version, Versioned, Write,
};
use dps_core::tenant::OneStore;
use dps_core::time::Clock;
use dps_core::{Provisioner, ProvisionerBuilder};
use dps_store_memory::MemoryStore;
use dps_testkit::certs::Ca;
use dps_testkit::clock::ManualClock;
use dps_testkit::hubs::{FakeDevice, FakeHubs};
use dps_testkit::run::block_on;

pub use self::device::*;
pub use self::entries::*;

pub const SCOPE: &str = "0ne00ABCDEF";
pub const A: &str = "a.hub.example";
pub const B: &str = "b.hub.example";
pub const C: &str = "c.hub.example";
pub const HOUR: Duration = Duration::from_secs(3600);

pub const NEVER: ReprovisionPolicy = ReprovisionPolicy::NEVER;
pub const MIGRATE: ReprovisionPolicy = ReprovisionPolicy {
    update_hub: true,
    migrate_data: true,
};
pub const RESET: ReprovisionPolicy = ReprovisionPolicy {
    update_hub: true,
    migrate_data: false,
};

/// A store that counts what is asked of it, and lets a test do something just before a commit.
#[derive(Default)]
pub struct Watched {
    inner: MemoryStore,
    commits: AtomicUsize,
    records: AtomicUsize,
    before: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Watched {
    pub fn commits(&self) -> usize {
        self.commits.load(Ordering::SeqCst)
    }

    /// How many records have been read or written, or looked for in vain.
    pub fn records(&self) -> usize {
        self.records.load(Ordering::SeqCst)
    }

    /// Does `action` when the next commit comes, before it takes hold.
    pub fn before_next_commit(&self, action: impl FnOnce() + Send + 'static) {
        *self.before.lock().unwrap() = Some(Box::new(action));
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl Store for Watched {
    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Versioned>>, StoreError> {
        self.records.fetch_add(keys.len(), Ordering::SeqCst);
        self.inner.get_many(keys).await
    }

    async fn commit(&self, shard: &Shard, writes: &[Write]) -> Result<Version, StoreError> {
        let action = self.before.lock().unwrap().take();
        if let Some(action) = action {
            action();
        }
        self.commits.fetch_add(1, Ordering::SeqCst);
        self.records.fetch_add(writes.len(), Ordering::SeqCst);
        self.inner.commit(shard, writes).await
    }

    async fn scan(&self, scan: &Scan) -> Result<Page, StoreError> {
        let page = self.inner.scan(scan).await?;
        self.records
            .fetch_add(page.records.len() + 1, Ordering::SeqCst);
        Ok(page)
    }
}

pub struct World {
    pub store: Arc<Watched>,
    pub hubs: FakeHubs,
    pub clock: ManualClock,
    pub events: Recent,
    pub admin: Admin,
    pub service: Provisioner,
}

impl World {
    /// Three linked hubs of equal weight.
    pub fn new() -> Self {
        Self::with(|builder| builder)
    }

    pub fn with(change: impl FnOnce(ProvisionerBuilder) -> ProvisionerBuilder) -> Self {
        let store = Arc::new(Watched::default());
        let (hubs, clock, events) = (FakeHubs::new(), ManualClock::new(), Recent::new(1000));
        let service = build(&store, &hubs, &clock, &events, change);
        let admin = Admin::new(Arc::clone(&store) as Arc<dyn Store>, scope(SCOPE));
        let world = Self {
            store,
            hubs,
            clock,
            events,
            admin,
            service,
        };
        world.put_instance(&instance(&[A, B, C]));
        world
    }

    /// Another process on the same store and hubs.
    pub fn another(&self) -> Provisioner {
        build(&self.store, &self.hubs, &self.clock, &self.events, |b| b)
    }

    pub fn put_instance(&self, instance: &Instance) {
        block_on(self.admin.put_instance(instance)).unwrap();
    }

    pub fn put(&self, entry: &Enrollment) {
        match &entry.subject {
            Subject::Individual { .. } => block_on(self.admin.put_enrollment(entry)).unwrap(),
            Subject::Group { .. } => block_on(self.admin.put_group(entry)).unwrap(),
        }
    }

    /// Puts a group whose certificate or key another one has: none can be put so, but a store may have
    /// them from before, or names of certificates may come to mean the same.
    pub fn put_alike(&self, entry: &Enrollment) {
        let apart = Arc::new(MemoryStore::new());
        let admin = Admin::new(Arc::clone(&apart) as Arc<dyn Store>, scope(SCOPE));
        block_on(admin.put_group(entry)).unwrap();
        for (table, prefix) in [(Table::Group, ""), (Table::Instance, "epoch")] {
            let scan = Scan {
                scope: scope(SCOPE),
                table,
                prefix: prefix.into(),
                after: None,
                limit: 1,
            };
            let (id, stored) = block_on(apart.scan(&scan)).unwrap().records.remove(0);
            let shard = Shard {
                scope: scope(SCOPE),
                slot: 0,
            };
            let write = Write {
                table,
                id,
                expect: Expect::Any,
                change: dps_core::store::Change::Put(stored.value),
            };
            block_on(self.store.commit(&shard, &[write])).unwrap();
        }
    }

    /// Has `cas` as verified certificates of the instance, by the names `ca-0`, `ca-1` and so on.
    pub fn verify(&self, cas: &[&Ca]) {
        self.put_instance(&instance_of(&[A, B, C], cas, true));
    }

    pub fn authenticate_for(
        &self,
        device: &Device,
        operation: Option<&OperationId>,
    ) -> Authentication {
        let hello = device.hello(self.clock.now(), operation);
        block_on(self.service.authenticate(hello))
    }

    pub fn session(&self, device: &Device) -> Session {
        match self.authenticate_for(device, None) {
            Authentication::Accepted(session) => session,
            other => panic!("{other:?}"),
        }
    }

    pub fn denied(&self, device: &Device) -> ServiceError {
        match self.authenticate_for(device, None) {
            Authentication::Denied(error) => error,
            other => panic!("{other:?} of {device:?}"),
        }
    }

    pub fn call(&self, session: &Session, device: &Device, request: DeviceRequest) -> Reply {
        block_on(self.service.call(session, &device.version, request))
    }

    /// One request as over HTTP: proves itself and asks. What is owed is left undone.
    pub fn ask(&self, device: &Device, request: DeviceRequest) -> Reply {
        let operation = match &request {
            DeviceRequest::OperationStatus { operation } => Some(operation.clone()),
            _ => None,
        };
        match self.authenticate_for(device, operation.as_ref()) {
            Authentication::Accepted(session) => self.call(&session, device, request),
            Authentication::Denied(error) => DeviceResponse::Error(error).into(),
            other => panic!("{other:?}"),
        }
    }

    /// Registers, and leaves what is owed undone.
    pub fn only_register(&self, device: &Device) -> Reply {
        let payload = device.payload.clone();
        self.ask(device, DeviceRequest::Register { payload })
    }

    /// Registers, and does all that is owed.
    pub fn register(&self, device: &Device) -> Told {
        finish(self.only_register(device))
    }

    /// Asks after an operation, and does all that is owed.
    pub fn poll(&self, device: &Device, operation: &OperationId) -> Told {
        let operation = operation.clone();
        finish(self.ask(device, DeviceRequest::OperationStatus { operation }))
    }

    pub fn lookup(&self, device: &Device) -> Told {
        finish(self.ask(device, DeviceRequest::RegistrationStatus))
    }

    pub fn sweep(&self) -> dps_core::Sweep {
        block_on(self.service.sweep(&scope(SCOPE), None, 100)).unwrap()
    }

    /// Deletes the registration, as an operator does.
    pub fn forget(&self, device: &str) {
        let id = RegistrationId::parse(device).unwrap();
        block_on(self.admin.delete_registration(&id)).unwrap();
    }

    pub fn on(&self, name: &str, device: &str) -> Option<FakeDevice> {
        self.hubs
            .device(&hub(name), &DeviceId::parse(device).unwrap())
    }

    /// The hubs that have `device`.
    pub fn hubs_of(&self, device: &str) -> Vec<String> {
        let found = self.hubs.hubs_of(&DeviceId::parse(device).unwrap());
        found.iter().map(ToString::to_string).collect()
    }

    /// All devices of all hubs, as `hub/device`.
    pub fn everything(&self) -> Vec<String> {
        let registry = self.hubs.registry();
        let all = registry
            .iter()
            .flat_map(|(hub, devices)| devices.keys().map(move |id| format!("{hub}/{id}")));
        all.collect()
    }

    /// Why, in words: the traces of everything that happened to `device`.
    pub fn why(&self, device: &Device) -> String {
        let id = RegistrationId::parse(&device.id).unwrap();
        let events = self.events.of(&scope(SCOPE), &id);
        let texts: Vec<_> = events.iter().map(|event| event.trace.to_string()).collect();
        texts.join("\n--\n")
    }

    /// Lets the device say something of itself at `name`.
    pub fn report(&self, name: &str, device: &str) {
        let id = DeviceId::parse(device).unwrap();
        let reported = object(&[("temperature", 81)]);
        assert!(self.hubs.set_reported(&hub(name), &id, reported));
    }
}

fn build(
    store: &Arc<Watched>,
    hubs: &FakeHubs,
    clock: &ManualClock,
    events: &Recent,
    change: impl FnOnce(ProvisionerBuilder) -> ProvisionerBuilder,
) -> Provisioner {
    let tenants = OneStore::new(Arc::clone(store) as Arc<dyn Store>);
    let builder = Provisioner::builder(Arc::new(tenants), Arc::new(hubs.clone()))
        .clock(Arc::new(clock.clone()))
        .events(Arc::new(events.clone()));
    change(builder).build().unwrap()
}

/// Does all that a reply owes.
pub fn finish(reply: Reply) -> Told {
    let first = reply.response.clone();
    let mut last = reply;
    while let Some(work) = last.work.take() {
        last = block_on(work);
    }
    Told {
        first,
        last: last.response,
    }
}

/// What a device was told at first, and when all was done.
#[derive(Debug)]
pub struct Told {
    pub first: DeviceResponse,
    pub last: DeviceResponse,
}

impl Told {
    pub fn state(&self) -> &RegistrationState {
        match &self.last {
            DeviceResponse::Operation { state, .. } | DeviceResponse::Registration(state) => state,
            DeviceResponse::Error(error) => panic!("refused: {error}"),
            other => panic!("{other:?}"),
        }
    }

    pub fn status(&self) -> Status {
        self.state().status
    }

    pub fn operation(&self) -> OperationId {
        operation_of(&self.last)
    }

    /// The hub; panics unless assigned.
    pub fn hub(&self) -> String {
        let assignment = self.state().assignment.as_ref();
        let Some(assignment) = assignment else {
            panic!("not assigned: {:?}", self.last);
        };
        assignment.place.hub.to_string()
    }

    pub fn device(&self) -> String {
        let assignment = self.state().assignment.as_ref().unwrap();
        assignment.place.device.to_string()
    }

    pub fn substatus(&self) -> Substatus {
        self.state().assignment.as_ref().unwrap().substatus
    }

    /// The code it failed with; panics unless failed.
    pub fn failure(&self) -> u32 {
        let failure = self.state().failure.as_ref();
        let Some(failure) = failure else {
            panic!("not failed: {:?}", self.last);
        };
        failure.code
    }

    pub fn error(&self) -> &ServiceError {
        error_of(&self.last)
    }
}

pub fn operation_of(response: &DeviceResponse) -> OperationId {
    match response {
        DeviceResponse::Operation { operation, .. } => operation.clone(),
        other => panic!("{other:?}"),
    }
}

pub fn status_of(response: &DeviceResponse) -> Status {
    match response {
        DeviceResponse::Operation { state, .. } => state.status,
        other => panic!("{other:?}"),
    }
}

pub fn retry_of(response: &DeviceResponse) -> Option<u64> {
    match response {
        DeviceResponse::Operation { retry_after, .. } => retry_after.map(|wait| wait.as_secs()),
        other => panic!("{other:?}"),
    }
}

pub fn error_of(response: &DeviceResponse) -> &ServiceError {
    match response {
        DeviceResponse::Error(error) => error,
        other => panic!("{other:?}"),
    }
}

/// Polls once.
pub fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::Pin::new(future).poll(&mut cx) {
        std::task::Poll::Ready(output) => Some(output),
        std::task::Poll::Pending => None,
    }
}

/// Polls once and drops.
pub fn once<F: Future>(future: F) -> Option<F::Output> {
    poll_once(&mut Box::pin(future))
}
