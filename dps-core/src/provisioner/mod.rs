//! The service: a thin asynchronous shell around pure decisions.
//!
//! Reads what a decision needs, lets [`matching`](crate::matching), the verifiers, and
//! [`accept`](crate::accept) decide, calls plug-ins, and commits. It starts no task, keeps no timer,
//! and survives being dropped at any `.await`: what must outlive it is in the store before.

mod authenticate;
mod poll;
mod register;
mod sweep;
mod work;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;

pub use self::sweep::{Sweep, SweepError};
use crate::allocate::{AllocationHook, LatencyOracle};
use crate::api::{Authentication, DeviceApi, DeviceHello, DeviceRequest, DeviceResponse, Reply};
use crate::attest::{AttestationVerifier, Mechanisms};
use crate::crypto::Crypto;
use crate::enrollment::Enrollment;
use crate::error::{Reason, ServiceError};
use crate::event::{Event, EventKind, EventSink, NoEvents};
use crate::hub::HubLinker;
use crate::id::{ApiVersion, GroupId, IdScope, OperationId, RegistrationId, TrackingId};
use crate::record::{DeviceKeys, decode_registration, epoch_key};
use crate::registration::{Mechanism, Owner, Phase, Registration, RegistrationState, Status};
use crate::session::Session;
use crate::snapshot::{self, Snapshot};
use crate::store::{Expect, Key, StoreError, Table, Version, Versioned};
use crate::tenant::{Tenant, TenantResolver};
use crate::time::{Clock, SystemClock, Timestamp};
use crate::trace::{Entry, Step, Trace};

/// The longest that one call to a hub, or to an allocation hook, may take. Our choice; two of them
/// in a row stay below [`Work::LEASE`](crate::api::Work::LEASE).
pub const CALL_DEADLINE: Duration = Duration::from_secs(10);

/// How long to wait when a store or a resolver does not answer, as callers are told.
const UNAVAILABLE_RETRY: Duration = Duration::from_secs(10);

/// What was read to authenticate still counts for a call that follows within this time.
const FRESH: Duration = Duration::from_secs(1);

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
}

/// Puts a [`Provisioner`] together.
#[derive(Debug)]
#[must_use = "call build"]
pub struct ProvisionerBuilder {
    tenants: Arc<dyn TenantResolver>,
    linker: Arc<dyn HubLinker>,
    hook: Option<Arc<dyn AllocationHook>>,
    latency: Option<Arc<dyn LatencyOracle>>,
    verifier: Arc<dyn AttestationVerifier>,
    clock: Arc<dyn Clock>,
    events: Arc<dyn EventSink>,
    crypto: Option<Crypto>,
}

/// Parts do not make a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The crate was built without a cryptographic provider, and none was given.
    #[error("no cryptographic provider: call `crypto`, or build dps-core with `aws-lc` or `ring`")]
    NoCrypto,
}

impl ProvisionerBuilder {
    /// Asks `hook` where the policy is custom. Default: none, and such registrations fail.
    pub fn hook(mut self, hook: Arc<dyn AllocationHook>) -> Self {
        self.hook = Some(hook);
        self
    }

    /// Asks `oracle` where the policy is the lowest latency. Default: none, and weights decide.
    pub fn latency(mut self, oracle: Arc<dyn LatencyOracle>) -> Self {
        self.latency = Some(oracle);
        self
    }

    /// Judges evidence with `verifier`. Default: [`Mechanisms`].
    pub fn verifier(mut self, verifier: Arc<dyn AttestationVerifier>) -> Self {
        self.verifier = verifier;
        self
    }

    /// Takes the time from `clock`. Default: [`SystemClock`].
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Tells `events` what happens. Default: nobody is told.
    pub fn events(mut self, events: Arc<dyn EventSink>) -> Self {
        self.events = events;
        self
    }

    /// Uses these primitives. Default: AWS-LC, else ring, as the crate was built.
    pub fn crypto(mut self, crypto: Crypto) -> Self {
        self.crypto = Some(crypto);
        self
    }

    /// Checks the whole.
    ///
    /// # Errors
    /// [`ConfigError`] names what is missing.
    pub fn build(self) -> Result<Provisioner, ConfigError> {
        Ok(Provisioner {
            parts: Arc::new(Parts {
                tenants: self.tenants,
                linker: self.linker,
                hook: self.hook,
                latency: self.latency,
                verifier: self.verifier,
                clock: self.clock,
                events: self.events,
                crypto: self
                    .crypto
                    .or_else(default_crypto)
                    .ok_or(ConfigError::NoCrypto)?,
                snapshots: RwLock::default(),
            }),
        })
    }
}

#[cfg(feature = "aws-lc")]
const fn default_crypto() -> Option<Crypto> {
    Some(crate::crypto::AWS_LC)
}

#[cfg(all(feature = "ring", not(feature = "aws-lc")))]
const fn default_crypto() -> Option<Crypto> {
    Some(crate::crypto::RING)
}

#[cfg(not(any(feature = "aws-lc", feature = "ring")))]
const fn default_crypto() -> Option<Crypto> {
    None
}

impl Provisioner {
    /// Begins with what has no default: who the tenants are, and how hubs are reached.
    pub fn builder(
        tenants: Arc<dyn TenantResolver>,
        linker: Arc<dyn HubLinker>,
    ) -> ProvisionerBuilder {
        ProvisionerBuilder {
            tenants,
            linker,
            hook: None,
            latency: None,
            verifier: Arc::new(Mechanisms::default()),
            clock: Arc::new(SystemClock),
            events: Arc::new(NoEvents),
            crypto: None,
        }
    }
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

/// What a proven caller's session holds.
#[derive(Debug)]
pub(crate) struct Proven {
    tenant: Tenant,
    keys: DeviceKeys,
    owner: Owner,
    view: View,
    /// When `view` was read.
    at: Timestamp,
    /// Whether `view` has served a call. Each call may change the records.
    used: AtomicBool,
    trace: Arc<Trace>,
    tracking: TrackingId,
    asked: [u8; 32],
    token: Option<[u8; 32]>,
    /// The caller's token is past its time and good for asking after this operation only.
    only: Option<OperationId>,
}

/// What a decision about one device is made from, as read at one moment.
#[derive(Clone, Debug)]
struct View {
    snapshot: Arc<Snapshot>,
    enrollment: Arc<Enrollment>,
    /// What must still be true of the individual enrollment when the decision is committed.
    expect: Expect,
    record: Option<Versioned>,
}

impl View {
    fn registration(&self) -> Result<Option<(Version, Registration)>, StoreError> {
        let Some(stored) = &self.record else {
            return Ok(None);
        };
        Ok(Some((stored.version, decode_registration(&stored.value)?)))
    }
}

/// A proven caller in the middle of a call.
#[derive(Clone, Copy)]
struct Caller<'a> {
    parts: &'a Arc<Parts>,
    session: &'a Session,
    proven: &'a Proven,
    now: Timestamp,
}

impl Caller<'_> {
    /// What the session has just read, for its first call; what is there now for any other, and if
    /// that was a while ago.
    async fn view(&self) -> Result<View, ServiceError> {
        let first = !self.proven.used.swap(true, Ordering::Relaxed);
        if first && self.now.since(self.proven.at) <= FRESH {
            return Ok(self.proven.view.clone());
        }
        Ok(self.look(None).await?.0)
    }

    /// Reads what is there now, and one more record if asked.
    ///
    /// The session holds as long as its enrollment is as it was, enabled or not, asks for the
    /// credentials that the caller has proven, and no certificate has lost its verification that
    /// they may have ended at; otherwise the caller has to prove itself anew.
    async fn look(&self, also: Option<Key>) -> Result<(View, Option<Versioned>), ServiceError> {
        let proven = self.proven;
        let mut keys = device_reads(&proven.keys).to_vec();
        keys.extend(also);
        let read = proven
            .tenant
            .store()
            .get_many(&keys)
            .await
            .map_err(|e| self.broken(&e))?;
        let mut read = read.into_iter();
        let (stored, record, epoch) = (read.next().flatten(), read.next().flatten(), read.next());
        let Some(epoch) = epoch.flatten() else {
            return Err(self.unauthorized());
        };
        let snapshot = self.parts.snapshot(&proven.tenant, epoch.version).await;
        let snapshot = snapshot
            .map_err(|e| self.broken(&e))?
            .ok_or_else(|| self.unauthorized())?;
        let (enrollment, expect) = match (&proven.owner.group, stored) {
            (None, Some(stored)) => {
                let entry =
                    snapshot::individual(&snapshot, &stored).map_err(|e| self.broken(&e))?;
                (entry, Expect::Exactly(stored.version))
            }
            (Some(id), None) => match snapshot.group(id) {
                Some(group) => (Arc::clone(&group.enrollment), Expect::Absent),
                None => return Err(self.changed()),
            },
            // The individual entry is gone, or one has come to block the group's.
            _ => return Err(self.changed()),
        };
        let before = &proven.view.enrollment;
        if enrollment.attestation != before.attestation || enrollment.enabled != before.enabled {
            return Err(self.changed());
        }
        // Which of them a chain ended at is not kept; that one more is verified harms nobody.
        let anchors = &proven.view.snapshot.anchors;
        if proven.owner.mechanism == Mechanism::X509
            && proven.owner.group.is_some()
            && !anchors
                .iter()
                .all(|anchor| snapshot.anchors.contains(anchor))
        {
            return Err(self.changed());
        }
        Ok((
            View {
                snapshot,
                enrollment,
                expect,
                record,
            },
            read.next().flatten(),
        ))
    }

    fn changed(&self) -> ServiceError {
        let mut trace = Trace::clone(&self.proven.trace);
        trace.push(Step::EntryChanged {
            entry: entry(self.proven.owner.group.as_ref()),
        });
        self.emit(
            EventKind::Refused {
                origin: self.session.origin(),
            },
            Arc::new(trace),
        );
        self.unauthorized()
    }

    fn unauthorized(&self) -> ServiceError {
        ServiceError::new(Reason::Unauthorized).with_tracking(self.proven.tracking)
    }

    fn not_found(&self, reason: Reason) -> ServiceError {
        ServiceError::new(reason).with_tracking(self.proven.tracking)
    }

    fn broken(&self, error: &StoreError) -> ServiceError {
        broken(error, self.proven.tracking)
    }

    fn emit(&self, kind: EventKind, trace: Arc<Trace>) {
        self.parts.emit(
            self.now,
            self.session.scope(),
            self.session.registration(),
            self.proven.tracking,
            kind,
            trace,
        );
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
        StoreError::Corrupt(_) => Reason::Internal,
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
