//! The service: a thin asynchronous shell around pure decisions.
//!
//! Reads what a decision needs, lets [`matching`](crate::matching), the verifiers, and
//! [`accept`](crate::accept) decide, calls plug-ins, and commits. It starts no task, keeps no timer,
//! and survives being dropped at any `.await`: what must outlive it is in the store before.

mod authenticate;
mod builder;
mod caller;
mod challenge;
mod fresh;
mod poll;
mod quota;
mod register;
mod sweep;
mod work;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;

pub use self::builder::{ConfigError, ProvisionerBuilder};
pub(crate) use self::caller::Proven;
use self::caller::{Caller, View};
pub use self::sweep::{Sweep, SweepError};
use crate::allocate::{AllocationHook, LatencyOracle};
use crate::api::{Authentication, DeviceApi, DeviceHello, DeviceRequest, DeviceResponse, Reply};
use crate::attest::AttestationVerifier;
use crate::crypto::Crypto;
use crate::error::{Reason, ServiceError, UNAVAILABLE_RETRY};
use crate::event::{Event, EventKind, EventSink};
use crate::hub::HubLinker;
use crate::id::{ApiVersion, GroupId, IdScope, RegistrationId, TrackingId};
use crate::record::{DeviceKeys, epoch_key};
use crate::registration::{Phase, Registration, RegistrationState, Status};
use crate::session::Session;
use crate::snapshot::Snapshot;
use crate::store::{Key, StoreError, Table, Version};
use crate::tenant::{Tenant, TenantResolver};
use crate::time::{Clock, Timestamp};
use crate::trace::{Entry, Trace};

/// The longest that one call to a hub, or to an allocation hook, may take. Our choice; two of them
/// in a row stay below [`Work::LEASE`](crate::api::Work::LEASE).
pub const CALL_DEADLINE: Duration = Duration::from_secs(10);

/// How often a decision is made again when the records it was made from have changed.
const ROUNDS: usize = 8;

/// The one real [`DeviceApi`]. Cheap to clone; all clones are the same service.
#[derive(Clone, Debug)]
pub struct Provisioner {
    parts: Arc<Parts>,
}

/// What a service is made of.
#[derive(Debug)]
pub(crate) struct Parts {
    tenants: Arc<dyn TenantResolver>,
    linker: Arc<dyn HubLinker>,
    hook: Option<Arc<dyn AllocationHook>>,
    latency: Option<Arc<dyn LatencyOracle>>,
    verifier: Arc<dyn AttestationVerifier>,
    clock: Arc<dyn Clock>,
    events: Arc<dyn EventSink>,
    crypto: Crypto,
    snapshots: RwLock<BTreeMap<IdScope, Arc<Snapshot>>>,
    /// Registrations of each tenant, as far as this node knows.
    counts: RwLock<BTreeMap<IdScope, Arc<AtomicU64>>>,
}

#[async_trait]
impl DeviceApi for Provisioner {
    async fn authenticate(&self, hello: DeviceHello) -> Authentication {
        self.parts.authenticate(&hello).await
    }

    async fn call(&self, session: &Session, version: &ApiVersion, request: DeviceRequest) -> Reply {
        let Some(proven) = &session.proven else {
            let error = ServiceError::new(Reason::Internal)
                .with_message("this session was not made by this service");
            return DeviceResponse::Error(error).into();
        };
        let now = self.parts.clock.now();
        let caller = Caller {
            parts: &self.parts,
            session,
            proven,
            first: !proven.used.swap(true, Ordering::Relaxed),
            now,
        };
        let allowed = match (&proven.only, &request) {
            (None, _) => true,
            (Some(only), DeviceRequest::OperationStatus { operation }) => only == operation,
            (Some(_), _) => false,
        };
        let done = if !allowed {
            Err(caller.unauthorized())
        } else {
            match request {
                DeviceRequest::Register { payload } => caller.register(version, payload).await,
                DeviceRequest::OperationStatus { operation } => caller.poll(&operation).await,
                DeviceRequest::RegistrationStatus => caller.lookup().await,
            }
        };
        done.unwrap_or_else(|error| DeviceResponse::Error(error).into())
    }
}

/// The three records that every request of a device begins with: its individual enrollment, its
/// registration, and the epoch of its scope.
fn device_reads(keys: &DeviceKeys) -> [Key; 3] {
    [
        keys.key(Table::Enrollment),
        keys.key(Table::Registration),
        epoch_key(&keys.shard.scope),
    ]
}

fn broken(error: &StoreError, tracking: TrackingId) -> ServiceError {
    let reason = match error {
        StoreError::Corrupt(_) | StoreError::TooLarge { .. } => Reason::Internal,
        _ => Reason::Unavailable,
    };
    let error = ServiceError::new(reason).with_tracking(tracking);
    match reason {
        Reason::Unavailable => error.with_retry_after(UNAVAILABLE_RETRY),
        _ => error,
    }
}

fn entry(group: Option<&GroupId>) -> Entry {
    group.map_or(Entry::Individual, |id| {
        Entry::Group(Arc::clone(id.folded()))
    })
}

/// What is true of an operation now, as its device is told.
fn told(
    record: &Registration,
    version: Version,
    spelled: &RegistrationId,
    now: Timestamp,
) -> Reply {
    let operation = &record.operation;
    let waits = operation.status() == Status::Assigning;
    DeviceResponse::Operation {
        operation: operation.id.clone(),
        state: RegistrationState::of(record, version, spelled),
        retry_after: waits.then(|| retry_after(operation.resume_at.since(now))),
    }
    .into()
}

/// Whole seconds from 1 to 5: what every device SDK understands. Several misread anything else.
fn retry_after(left: Duration) -> Duration {
    Duration::from_secs(left.as_millis().div_ceil(1000).clamp(1, 5) as u64)
}

/// Whether somebody still has to do something.
const fn is_open(phase: &Phase) -> bool {
    matches!(
        phase,
        Phase::Accepted { .. } | Phase::Linking(_) | Phase::Leaving { .. }
    )
}

impl Parts {
    /// The configuration of a tenant at this epoch or a later one; `None` if it has no instance.
    async fn snapshot(
        &self,
        tenant: &Tenant,
        epoch: Version,
    ) -> Result<Option<Arc<Snapshot>>, StoreError> {
        let known = {
            let snapshots = self
                .snapshots
                .read()
                .unwrap_or_else(PoisonError::into_inner);
            snapshots.get(&tenant.scope).cloned()
        };
        if let Some(known) = known.filter(|known| known.epoch == epoch) {
            return Ok(Some(known));
        }
        let Some(loaded) = Snapshot::load(tenant.store(), &tenant.scope).await? else {
            return Ok(None);
        };
        let loaded = Arc::new(loaded);
        let mut snapshots = self
            .snapshots
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        snapshots.insert(tenant.scope.clone(), Arc::clone(&loaded));
        Ok(Some(loaded))
    }

    fn emit(
        &self,
        at: Timestamp,
        scope: &IdScope,
        registration: &RegistrationId,
        tracking: TrackingId,
        kind: EventKind,
        trace: Arc<Trace>,
    ) {
        let (scope, registration) = (scope.clone(), registration.clone());
        self.events.emit(Event {
            at,
            scope,
            registration,
            tracking,
            kind,
            trace,
        });
    }
}
