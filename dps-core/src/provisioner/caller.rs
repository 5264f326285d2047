//! A proven caller, and what its requests are decided from.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::{Parts, broken, device_reads, entry};
use crate::access::Endpoint;
use crate::enrollment::Enrollment;
use crate::error::{Reason, ServiceError};
use crate::event::EventKind;
use crate::id::{OperationId, TrackingId};
use crate::matching::{self, Issuers};
use crate::record::{DeviceKeys, decode_registration};
use crate::registration::{Mechanism, Owner, Registration};
use crate::session::Session;
use crate::snapshot::{self, Snapshot};
use crate::store::{Expect, Key, StoreError, Version, Versioned};
use crate::tenant::Tenant;
use crate::time::Timestamp;
use crate::trace::{Step, Trace};

/// What was read to authenticate still counts for a call of the same request that follows within this
/// time.
const FRESH: Duration = Duration::from_secs(1);

/// What a proven caller's session holds.
#[derive(Debug)]
pub(crate) struct Proven {
    pub(super) tenant: Tenant,
    pub(super) keys: DeviceKeys,
    pub(super) owner: Owner,
    /// Of the certificate of a group's device.
    pub(super) issuers: Option<Issuers>,
    pub(super) view: View,
    /// When `view` was read.
    pub(super) at: Timestamp,
    /// Whether `view` and `fresh` have served a call. Each call may change the records.
    pub(super) used: AtomicBool,
    /// Random bytes for the id of an operation that the first call may begin.
    pub(super) fresh: [u8; 24],
    pub(super) trace: Arc<Trace>,
    pub(super) tracking: TrackingId,
    pub(super) asked: [u8; 32],
    pub(super) token: Option<[u8; 32]>,
    /// The caller's token is past its time and good for asking after this operation only.
    pub(super) only: Option<OperationId>,
}

/// What a decision about one device is made from, as read at one moment.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) enrollment: Arc<Enrollment>,
    /// What must still be true of the individual enrollment when the decision is committed.
    pub(super) expect: Expect,
    pub(super) record: Option<Versioned>,
}

impl View {
    pub(super) fn registration(&self) -> Result<Option<(Version, Registration)>, StoreError> {
        let Some(stored) = &self.record else {
            return Ok(None);
        };
        Ok(Some((stored.version, decode_registration(&stored.value)?)))
    }
}

/// A proven caller in the middle of a call.
#[derive(Clone, Copy)]
pub(super) struct Caller<'a> {
    pub(super) parts: &'a Arc<Parts>,
    pub(super) session: &'a Session,
    pub(super) proven: &'a Proven,
    /// Whether this is the first call of the session.
    pub(super) first: bool,
    pub(super) now: Timestamp,
}

impl Caller<'_> {
    /// What the session has just read, if it is that of one request; what is there now for any other,
    /// and if that was a while ago.
    pub(super) async fn view(&self) -> Result<View, ServiceError> {
        // Over other transports the device takes its time between the two, and so may an operator.
        let one_request = self.first && self.session.origin().transport.proves_each_request();
        if one_request && self.now.since(self.proven.at) <= FRESH {
            return Ok(self.proven.view.clone());
        }
        Ok(self.look(None).await?.0)
    }

    /// An id for an operation that begins now.
    pub(super) fn fresh_operation(&self) -> Result<OperationId, ServiceError> {
        let random = match self.first {
            true => Ok(self.proven.fresh),
            false => self.parts.crypto.random(),
        };
        let random = random.map_err(|_| self.error(Reason::Internal))?;
        Ok(OperationId::from_random(random))
    }

    /// Reads what is there now, and one more record if asked.
    ///
    /// The session holds as long as no rule keeps its address out, its enrollment is as it was, enabled or not, asks for the
    /// credentials that the caller has proven, no other is asked before it, and no certificate has lost
    /// its verification that they may have ended at; otherwise the caller has to prove itself anew.
    pub(super) async fn look(
        &self,
        also: Option<Key>,
    ) -> Result<(View, Option<Versioned>), ServiceError> {
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
        let (access, origin) = (&snapshot.instance.access, self.session.origin());
        if let Some(rejection) = access.rejection(origin.address, &origin.ingress, Endpoint::Device)
        {
            return Err(self.refused(rejection.into()));
        }
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
        if let Some(group) = &proven.owner.group
            && snapshot.epoch != proven.view.snapshot.epoch
        {
            let before = |snapshot| matching::before(snapshot, group, proven.issuers.as_ref());
            let now = before(&snapshot);
            if now.is_none() || now != before(&proven.view.snapshot) {
                return Err(self.changed());
            }
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
        self.refused(Step::EntryChanged {
            entry: entry(self.proven.owner.group.as_ref()),
        })
    }

    /// That the session holds no longer, and why.
    fn refused(&self, because: Step) -> ServiceError {
        let mut trace = Trace::clone(&self.proven.trace);
        trace.push(because);
        self.emit(
            EventKind::Refused {
                origin: self.session.origin().clone(),
            },
            Arc::new(trace),
        );
        self.unauthorized()
    }

    pub(super) fn unauthorized(&self) -> ServiceError {
        ServiceError::new(Reason::Unauthorized).with_tracking(self.proven.tracking)
    }

    pub(super) fn error(&self, reason: Reason) -> ServiceError {
        ServiceError::new(reason).with_tracking(self.proven.tracking)
    }

    pub(super) fn broken(&self, error: &StoreError) -> ServiceError {
        broken(error, self.proven.tracking)
    }

    pub(super) fn emit(&self, kind: EventKind, trace: Arc<Trace>) {
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
