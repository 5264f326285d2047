//! Calling the hub.

use std::sync::Arc;
use std::time::Duration;

use super::{LONGEST_DELAY, Next, Run};
use crate::api::Work;
use crate::error::Failure;
use crate::hub::{DeviceLink, HubDevice, HubError, TwinPlan};
use crate::provisioner::CALL_DEADLINE;
use crate::registration::{Assignment, Linking, Phase, Registration, Substatus, TwinSource};
use crate::store::StoreError;
use crate::trace::Step;

/// How long a hub may keep asking to be called again. Our choice.
const HUB_BUDGET: Duration = Duration::from_secs(5 * 60);

/// How often an operation is taken up to call a hub that never answers. Our choice: with a lease for
/// each it takes as long as [`HUB_BUDGET`].
const HUB_SILENCES: u32 = 10;

impl Run {
    /// Calls the hub, and commits that the device is there.
    pub(super) async fn link(&mut self) -> Result<Next, StoreError> {
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
        // Whoever was frozen until its lease is nearly over must not call: somebody else may be at a
        // later operation by the time the call lands.
        if self.parts.clock.now().plus(2 * CALL_DEADLINE) > operation.resume_at {
            return Ok(Next::Wait);
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
