//! Asking the allocation hook.

use std::sync::Arc;
use std::time::Duration;

use super::{LONGEST_DELAY, Next, Run};
use crate::accept::{self, Chosen, current};
use crate::allocate::{Allocation, AllocationRequest, HookError};
use crate::api::Work;
use crate::error::Failure;
use crate::provisioner::CALL_DEADLINE;
use crate::record::decode_leaving;
use crate::registration::{Linking, Phase, Registration};
use crate::store::{Change, Expect, Key, StoreError, Table, Write};
use crate::trace::{Step, Trace};

/// How often a hook is asked again.
///
/// # Source
/// Ten retries, the first after 1 s, then 9 s more each: *Tutorial: use custom allocation policies*.
const HOOK_RETRIES: u32 = 10;

impl Run {
    /// Asks the allocation hook, and commits what it says: the first answer that is stored counts.
    pub(super) async fn allocate(&mut self) -> Result<Next, StoreError> {
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
}
