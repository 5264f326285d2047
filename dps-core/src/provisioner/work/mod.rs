//! Driving one operation from phase to phase.
//!
//! The rules that keep a device on exactly one hub, whatever crashes:
//! - no hub is called before the place is committed, by compare-and-swap;
//! - every effect can be repeated: the same place, the same twin, the same credentials;
//! - the new place is linked and recorded before the old one is cleaned;
//! - a place that may have been touched and is given up is recorded for cleaning in the same commit.

mod allocate;
mod clean;
mod link;

use std::sync::Arc;
use std::time::Duration;

use super::{CALL_DEADLINE, Parts, told};
use crate::accept::current;
use crate::api::{Reply, Work};
use crate::enrollment::Enrollment;
use crate::error::Failure;
use crate::event::EventKind;
use crate::hub::Place;
use crate::id::{RegistrationId, TrackingId};
use crate::record::{
    DeviceKeys, Leaving, decode_registration, encode_leaving, encode_registration,
};
use crate::registration::{Phase, Registration};
use crate::snapshot::Snapshot;
use crate::store::{Change, Expect, StoreError, Table, Version, Write};
use crate::tenant::Tenant;
use crate::time::Timestamp;
use crate::trace::{Step, Trace};

/// No plug-in can put an operation off for longer. Our choice.
const LONGEST_DELAY: Duration = Duration::from_secs(5 * 60);

/// One operation, taken up.
pub(super) struct Run {
    pub(super) parts: Arc<Parts>,
    pub(super) tenant: Tenant,
    pub(super) keys: DeviceKeys,
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) enrollment: Arc<Enrollment>,
    pub(super) spelled: RegistrationId,
    pub(super) tracking: TrackingId,
    pub(super) record: Registration,
    pub(super) version: Version,
}

/// Whether to go on with the next phase.
enum Next {
    Phase,
    Wait,
}

impl Run {
    /// Goes as far as it can now.
    pub(super) async fn run(mut self) -> Reply {
        loop {
            let stepped = match self.record.operation.phase {
                Phase::Accepted { .. } | Phase::Linking(_) if !self.enrollment.enabled => {
                    self.disable().await
                }
                Phase::Accepted { .. } => self.allocate().await,
                Phase::Linking(_) => self.link().await,
                Phase::Leaving { .. } => return self.reply_then_clean(),
                Phase::Done | Phase::Failed(_) | Phase::Disabled => Ok(Next::Wait),
            };
            match stepped {
                Ok(Next::Phase) => {}
                Ok(Next::Wait) => return self.reply(),
                Err(error) => return self.overtaken(error).await,
            }
        }
    }

    fn reply(&self) -> Reply {
        let operation = &self.record.operation;
        let (id, status) = (operation.id.clone(), operation.status());
        let now = self.parts.clock.now();
        self.parts.emit(
            now,
            &self.tenant.scope,
            &self.spelled,
            self.tracking,
            EventKind::Worked {
                operation: id,
                status,
            },
            Arc::clone(&self.record.trace),
        );
        told(&self.record, self.version, &self.spelled, now)
    }

    fn reply_then_clean(self) -> Reply {
        let mut reply = self.reply();
        reply.work = Some(Work::new(self.clean()));
        reply
    }

    /// A commit was refused, or nobody knows what became of it: the record tells.
    async fn overtaken(mut self, error: StoreError) -> Reply {
        let now = self.parts.clock.now();
        if matches!(error, StoreError::Conflict { .. })
            && let Ok(found) = self
                .tenant
                .store()
                .get_many(&[self.keys.key(Table::Registration)])
                .await
            && let Some(stored) = found.into_iter().next().flatten()
            && let Ok(record) = decode_registration(&stored.value)
            && record.operation.id == self.record.operation.id
        {
            self.version = stored.version;
            self.record = record;
        }
        told(&self.record, self.version, &self.spelled, now)
    }

    fn trace(&mut self) -> &mut Trace {
        Arc::make_mut(&mut self.record.trace)
    }

    /// Leaves the operation alone for a while.
    async fn wait(&mut self, delay: Duration) -> Result<Next, StoreError> {
        let mut next = self.record.clone();
        next.operation.resume_at = self.parts.clock.now().plus(delay);
        self.commit(next, Vec::new()).await?;
        Ok(Next::Wait)
    }

    /// Ends the operation without a hub. Where the device was before, it stays.
    async fn fail(&mut self, failure: Failure) -> Result<Next, StoreError> {
        self.end(Phase::Failed(failure)).await
    }

    /// Ends the operation because its entry was disabled since it began.
    async fn disable(&mut self) -> Result<Next, StoreError> {
        let entry = super::entry(self.enrollment.group());
        self.trace().push(Step::EntryDisabled { entry });
        self.end(Phase::Disabled).await
    }

    async fn end(&mut self, phase: Phase) -> Result<Next, StoreError> {
        let now = self.parts.clock.now();
        let mut next = self.record.clone();
        let mut also = Vec::new();
        if let Phase::Linking(linking) = &next.operation.phase
            && Some(&linking.place) != current(Some(&next))
        {
            // Nobody knows whether a call took hold, or whether one is still on its way.
            also.push(self.leaving(&linking.place, now.plus(CALL_DEADLINE))?);
        }
        next.operation.phase = phase;
        next.operation.resume_at = now;
        self.commit(next, also).await?;
        Ok(Next::Wait)
    }

    fn leaving(&self, place: &Place, until: Timestamp) -> Result<Write, StoreError> {
        let leaving = Leaving {
            place: place.clone(),
            until,
            attempts: 0,
        };
        Ok(Write {
            table: Table::Leaving,
            id: self.keys.leaving_id(place),
            expect: Expect::Any,
            change: Change::Put(encode_leaving(&leaving)?),
        })
    }

    /// Commits `next` in the place of the record this run began from, or nothing.
    async fn commit(&mut self, mut next: Registration, also: Vec<Write>) -> Result<(), StoreError> {
        next.updated = self.parts.clock.now();
        let mut writes = also;
        let change = Change::Put(encode_registration(&next)?);
        writes.push(
            self.keys
                .write(Table::Registration, Expect::Exactly(self.version), change),
        );
        self.version = self
            .tenant
            .store()
            .commit(&self.keys.shard, &writes)
            .await?;
        self.record = next;
        Ok(())
    }
}
