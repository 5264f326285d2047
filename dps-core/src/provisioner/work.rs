//! Driving one operation from phase to phase.
//!
//! The rules that keep a device on exactly one hub, whatever crashes:
//! - no hub is called before the place is committed, by compare-and-swap;
//! - every effect can be repeated: the same place, the same twin, the same credentials;
//! - the new place is linked and recorded before the old one is cleaned;
//! - a place that may have been touched and is given up is recorded for cleaning in the same commit.

use std::sync::Arc;
use std::time::Duration;

use super::{CALL_DEADLINE, Parts, told};
use crate::accept::{self, Chosen, current};
use crate::allocate::{Allocation, AllocationRequest, HookError};
use crate::api::{Reply, Work};
use crate::enrollment::Enrollment;
use crate::error::Failure;
use crate::event::EventKind;
use crate::hub::{DeviceLink, HubDevice, HubError, Place, TwinPlan};
use crate::id::{RegistrationId, TrackingId};
use crate::record::{
    DeviceKeys, Leaving, decode_leaving, decode_registration, encode_leaving, encode_registration,
};
use crate::registration::{Assignment, Linking, Phase, Registration, Substatus, TwinSource};
use crate::snapshot::Snapshot;
use crate::store::{Change, Expect, Key, StoreError, Table, Version, Versioned, Write};
use crate::tenant::Tenant;
use crate::time::Timestamp;
use crate::trace::{Step, Trace};

/// How long a hub may keep asking to be called again. Our choice.
const HUB_BUDGET: Duration = Duration::from_secs(5 * 60);

/// How often an operation is taken up to call a hub that never answers. Our choice: with a lease for
/// each it takes as long as [`HUB_BUDGET`].
const HUB_SILENCES: u32 = 10;

/// How often a hook is asked again.
///
/// # Source
/// Ten retries, the first after 1 s, then 9 s more each: *Tutorial: use custom allocation policies*.
const HOOK_RETRIES: u32 = 10;

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

    /// Asks the allocation hook, and commits what it says: the first answer that is stored counts.
    async fn allocate(&mut self) -> Result<Next, StoreError> {
        let Phase::Accepted {
            auth,
            origin,
            payload,
        } = self.record.operation.phase.clone()
        else {
            return Ok(Next::Phase);
        };
        let (snapshot, enrollment) = (Arc::clone(&self.snapshot), Arc::clone(&self.enrollment));
        let version = self.record.operation.version.clone();
        let found = accept::candidates(
            &snapshot.instance,
            &enrollment,
            Some(&self.record),
            &version,
            &mut Trace::default(),
        );
        let candidates = match found {
            Ok(found) => found.hubs,
            Err(failure) => return self.fail(failure).await,
        };
        if self.record.operation.attempts > HOOK_RETRIES {
            // Each time whoever asked was gone before there was an answer.
            self.trace().push(Step::OutOfTime);
            let text = "the allocation hook did not answer in time";
            return self
                .fail(Failure::new(Failure::CUSTOM_ALLOCATION, text))
                .await;
        }
        let Some(hook) = self.parts.hook.clone() else {
            let text = "the policy is custom, but this service has no allocation hook";
            return self
                .fail(Failure::new(Failure::CUSTOM_ALLOCATION, text))
                .await;
        };
        let answer = {
            let mut request = AllocationRequest::new(
                &self.tenant.scope,
                &self.record.operation.id,
                &self.spelled,
                &enrollment,
                &candidates,
                origin,
            );
            request.current = current(Some(&self.record));
            request.payload = payload.as_ref();
            request.deadline = CALL_DEADLINE;
            hook.allocate(&request).await
        };
        let Allocation { hub, twin, payload } = match answer {
            Ok(allocation) => allocation,
            Err(error) => return self.hook_failed(error).await,
        };
        let Some(hub) = candidates
            .into_iter()
            .find(|candidate| candidate.name == hub)
        else {
            let text = format!("the allocation hook chose {hub}, which is not a candidate");
            self.trace().push(Step::HookFailed {
                because: text.clone().into(),
            });
            return self
                .fail(Failure::new(Failure::CUSTOM_ALLOCATION, text))
                .await;
        };
        let mut trace = Trace::clone(&self.record.trace);
        trace.push(Step::HookChose {
            hub: Arc::clone(hub.name.folded()),
        });
        let chosen = Chosen {
            registration: &self.spelled,
            instance: &snapshot.instance,
            enrollment: &enrollment,
            record: Some(&self.record),
            version: &version,
            hub,
            twin,
        };
        let linking = accept::place(&chosen, auth, &mut trace);
        let mut next = self.record.clone();
        next.trace = Arc::new(trace);
        next.operation.extras.payload = payload;
        self.intend(next, linking).await
    }

    async fn hook_failed(&mut self, error: HookError) -> Result<Next, StoreError> {
        let failure = match error {
            HookError::Retry { after, source } => {
                let attempts = self.record.operation.attempts;
                if attempts < HOOK_RETRIES {
                    let usual = Duration::from_secs(1 + 9 * u64::from(attempts));
                    let delay = after.unwrap_or(usual).min(LONGEST_DELAY);
                    self.trace().push(Step::HookAgain {
                        seconds: delay.as_secs(),
                    });
                    return self.wait(delay).await;
                }
                self.trace().push(Step::OutOfTime);
                let text = source.map_or_else(
                    || "Custom allocation failed".to_owned(),
                    |source| source.to_string(),
                );
                Failure::new(Failure::CUSTOM_ALLOCATION, text)
            }
            HookError::Refused { reason } => Failure::new(Failure::CUSTOM_ALLOCATION, reason),
            HookError::NoHub => {
                Failure::new(Failure::NO_HUB_NAMED, "the allocation hook named no hub")
            }
            HookError::Unauthorized => Failure::new(
                Failure::HOOK_UNAUTHORIZED,
                "the allocation hook was not authorized",
            ),
        };
        self.trace().push(Step::HookFailed {
            because: failure.message.to_string().into(),
        });
        self.fail(failure).await
    }

    /// Commits the place that was chosen, before the hub hears of it.
    async fn intend(
        &mut self,
        mut next: Registration,
        linking: Linking,
    ) -> Result<Next, StoreError> {
        let now = self.parts.clock.now();
        let place = linking.place.clone();
        let moves = Some(&place) != current(Some(&self.record));
        next.operation.phase = Phase::Linking(linking);
        next.operation.since = now;
        next.operation.attempts = 0;
        next.operation.resume_at = now.plus(Work::LEASE);
        if !moves {
            return self.commit(next, Vec::new()).await.map(|()| Next::Phase);
        }
        let id = self.keys.leaving_id(&place);
        let table = Table::Leaving;
        let claim = Write {
            table,
            id: Arc::clone(&id),
            expect: Expect::Absent,
            change: Change::Keep,
        };
        match self.commit(next.clone(), vec![claim]).await {
            Err(StoreError::Conflict {
                table: Table::Leaving,
                ..
            }) => {}
            done => return done.map(|()| Next::Phase),
        }
        // The device comes back to a place that somebody may be cleaning.
        let key = Key {
            shard: self.keys.shard.clone(),
            table,
            id: Arc::clone(&id),
        };
        let stored = self
            .tenant
            .store()
            .get_many(&[key])
            .await?
            .into_iter()
            .next()
            .flatten();
        let (expect, change, until) = match stored {
            Some(stored) => {
                let until = decode_leaving(&stored.value)?.until;
                (Expect::Exactly(stored.version), Change::Delete, until)
            }
            None => (Expect::Absent, Change::Keep, now),
        };
        let waits = until > now;
        if waits {
            next.operation.resume_at = until;
        }
        Arc::make_mut(&mut next.trace).push(Step::ComesBack {
            hub: Arc::clone(place.hub.folded()),
        });
        self.commit(
            next,
            vec![Write {
                table,
                id,
                expect,
                change,
            }],
        )
        .await?;
        Ok(if waits { Next::Wait } else { Next::Phase })
    }

    /// Calls the hub, and commits that the device is there.
    async fn link(&mut self) -> Result<Next, StoreError> {
        let Phase::Linking(linking) = &self.record.operation.phase else {
            return Ok(Next::Phase);
        };
        let instance = &self.snapshot.instance;
        let Some(hub) = instance.hub(&linking.place.hub) else {
            let text = format!("{} is not linked any more", linking.place.hub);
            return self.fail(Failure::new(Failure::NO_CANDIDATE, text)).await;
        };
        let operation = &self.record.operation;
        if operation.attempts > HUB_SILENCES && self.is_out_of_time() {
            return self.give_up_hub().await;
        }
        let linker = &self.parts.linker;
        let leave = linking
            .leave
            .as_ref()
            .and_then(|leave| Some((instance.hub(&leave.hub)?, leave)));
        let old = match leave {
            Some((old_hub, leave)) => linker.read(old_hub, &leave.device, CALL_DEADLINE).await,
            None => Ok(None),
        };
        let linked = match old {
            Ok(old) => {
                linker
                    .link(hub, &device_link(&self.record, linking, old))
                    .await
            }
            Err(error) => Err(error),
        };
        match linked {
            Ok(linked) => self.linked(linked.created).await,
            Err(error) => self.hub_failed(error).await,
        }
    }

    /// Commit 2: the device is where it was to be.
    async fn linked(&mut self, created: bool) -> Result<Next, StoreError> {
        let now = self.parts.clock.now();
        let mut next = self.record.clone();
        let Phase::Linking(linking) = std::mem::replace(&mut next.operation.phase, Phase::Done)
        else {
            return Ok(Next::Phase);
        };
        Arc::make_mut(&mut next.trace).push(Step::Linked {
            hub: Arc::clone(linking.place.hub.folded()),
            created,
        });
        next.assignment = Some(Assignment {
            place: linking.place,
            substatus: substatus(&next, linking.substatus, created),
            payload: next.operation.extras.payload.clone(),
        });
        next.operation.resume_at = now;
        let mut also = Vec::new();
        if let Some(leave) = linking.leave {
            next.operation.resume_at = now.plus(Work::LEASE);
            next.operation.since = now;
            also.push(self.leaving(&leave, next.operation.resume_at)?);
            next.operation.phase = Phase::Leaving { leave };
        }
        self.commit(next, also).await?;
        Ok(Next::Phase)
    }

    async fn hub_failed(&mut self, error: HubError) -> Result<Next, StoreError> {
        let Phase::Linking(linking) = &self.record.operation.phase else {
            return Ok(Next::Phase);
        };
        let hub = Arc::clone(linking.place.hub.folded());
        match error {
            HubError::Retry { after, .. } => {
                if self.is_out_of_time() {
                    return self.give_up_hub().await;
                }
                let operation = &self.record.operation;
                let usual = Duration::from_secs(1 << operation.attempts.min(5));
                let delay = after.unwrap_or(usual).min(LONGEST_DELAY);
                self.trace().push(Step::HubAgain {
                    hub,
                    seconds: delay.as_secs(),
                });
                self.wait(delay).await
            }
            HubError::Refused { code, reason } => {
                self.trace().push(Step::HubRefused { hub, code });
                self.fail(Failure::new(code, reason)).await
            }
        }
    }

    fn is_out_of_time(&self) -> bool {
        let since = self.record.operation.since;
        self.parts.clock.now().since(since) >= HUB_BUDGET
    }

    async fn give_up_hub(&mut self) -> Result<Next, StoreError> {
        self.trace().push(Step::OutOfTime);
        let text = "the hub did not take the device in time";
        self.fail(Failure::new(Failure::HUB_UNAVAILABLE, text))
            .await
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

    /// Cleans the place that the device has left. What is not done here the sweep does.
    async fn clean(mut self) -> Reply {
        let Phase::Leaving { leave } = self.record.operation.phase.clone() else {
            return self.reply();
        };
        if let Err(error) = self.try_clean(&leave).await {
            return self.overtaken(error).await;
        }
        told(
            &self.record,
            self.version,
            &self.spelled,
            self.parts.clock.now(),
        )
    }

    /// Makes sure that the place is left to whoever cleans it for as long as a call to its hub takes:
    /// a device that comes back waits until then.
    async fn hold(&self, id: &Arc<str>, stored: &Versioned) -> Result<Version, StoreError> {
        let now = self.parts.clock.now();
        let mut leaving = decode_leaving(&stored.value)?;
        if leaving.until.since(now) > CALL_DEADLINE {
            return Ok(stored.version);
        }
        leaving.until = now.plus(Work::LEASE);
        let lease = Write {
            table: Table::Leaving,
            id: Arc::clone(id),
            expect: Expect::Exactly(stored.version),
            change: Change::Put(encode_leaving(&leaving)?),
        };
        self.tenant.store.commit(&self.keys.shard, &[lease]).await
    }

    async fn try_clean(&mut self, leave: &Place) -> Result<(), StoreError> {
        let id = self.keys.leaving_id(leave);
        let key = Key {
            shard: self.keys.shard.clone(),
            table: Table::Leaving,
            id: Arc::clone(&id),
        };
        let found = self
            .tenant
            .store()
            .get_many(&[key])
            .await?
            .into_iter()
            .next()
            .flatten();
        let mut also = Vec::new();
        if let Some(stored) = found {
            let version = self.hold(&id, &stored).await?;
            if let Some(hub) = self.snapshot.instance.hub(&leave.hub)
                && self
                    .parts
                    .linker
                    .unlink(hub, &leave.device, CALL_DEADLINE)
                    .await
                    .is_err()
            {
                return Ok(());
            }
            let expect = Expect::Exactly(version);
            also.push(Write {
                table: Table::Leaving,
                id,
                expect,
                change: Change::Delete,
            });
        }
        let mut next = self.record.clone();
        next.operation.phase = Phase::Done;
        next.operation.resume_at = self.parts.clock.now();
        Arc::make_mut(&mut next.trace).push(Step::Cleaned {
            hub: Arc::clone(leave.hub.folded()),
        });
        match self.commit(next, also.clone()).await {
            // The device has registered again meanwhile; the place is clean all the same.
            Err(StoreError::Conflict {
                table: Table::Registration,
                ..
            }) if !also.is_empty() => self
                .tenant
                .store()
                .commit(&self.keys.shard, &also)
                .await
                .map(|_| ()),
            done => done,
        }
    }
}

fn device_link(record: &Registration, linking: &Linking, old: Option<HubDevice>) -> DeviceLink {
    let enabled = old.as_ref().is_none_or(|old| old.enabled);
    let (twin, edge) = match (&linking.twin, old) {
        (TwinSource::IfNew(twin), _) => (TwinPlan::IfNew(twin.clone()), linking.edge),
        (TwinSource::Reset(twin), _) => (TwinPlan::Replace(twin.clone()), linking.edge),
        (TwinSource::Carry { .. }, Some(old)) => (TwinPlan::Replace(old.twin), old.edge),
        (TwinSource::Carry { otherwise }, None) => {
            (TwinPlan::Replace(otherwise.clone()), linking.edge)
        }
    };
    DeviceLink {
        operation: record.operation.id.clone(),
        device: linking.place.device.clone(),
        auth: linking.auth.clone(),
        edge,
        enabled,
        twin,
        deadline: CALL_DEADLINE,
    }
}

/// A first assignment to a hub that knew the device already is none; devices that speak a version
/// from before that word are not told it.
///
/// # Source
/// Azure/azure-iot-sdk-csharp issue 2397.
fn substatus(record: &Registration, planned: Substatus, created: bool) -> Substatus {
    let knows_the_word = record.operation.version.as_str() >= "2019-04-15";
    match planned {
        Substatus::InitialAssignment if !created && knows_the_word => {
            Substatus::ReprovisionedToInitialAssignment
        }
        planned => planned,
    }
}
