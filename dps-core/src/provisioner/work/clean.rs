//! Cleaning the place that a device has left.

use std::sync::Arc;

use super::Run;
use crate::api::{Reply, Work};
use crate::hub::Place;
use crate::provisioner::{CALL_DEADLINE, told};
use crate::record::{decode_leaving, encode_leaving};
use crate::registration::Phase;
use crate::store::{Change, Expect, Key, StoreError, Table, Version, Versioned, Write};
use crate::trace::Step;

impl Run {
    /// Cleans the place that the device has left. What is not done here the sweep does.
    pub(super) async fn clean(mut self) -> Reply {
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
