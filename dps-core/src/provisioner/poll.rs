//! Asking after an operation, and taking it up where somebody left it.

use super::{Caller, ROUNDS, View, is_open, told};
use crate::api::{DeviceResponse, Reply, Work};
use crate::error::{Reason, ServiceError, UNAVAILABLE_RETRY};
use crate::id::OperationId;
use crate::record::encode_registration;
use crate::registration::{Registration, RegistrationState};
use crate::store::{Change, Expect, StoreError, Table, Version};

impl Caller<'_> {
    pub(super) async fn poll(&self, operation: &OperationId) -> Result<Reply, ServiceError> {
        let mut view = self.view().await?;
        for _ in 0..ROUNDS {
            let found = view.registration().map_err(|e| self.broken(&e))?;
            // One in flight that was begun with other credentials would link the device with those:
            // it has to register again, which takes the operation over.
            let found = found.filter(|(_, record)| {
                let begun = &record.operation;
                let goes_on = begun.status().is_final() || begun.asked == self.proven.asked;
                begun.id == *operation && goes_on
            });
            let Some((version, record)) = found else {
                return Err(self.error(Reason::OperationNotFound));
            };
            match self.answer(&view, version, record).await {
                Err(StoreError::Conflict { .. }) => view = self.look(None).await?.0,
                answered => return answered.map_err(|e| self.broken(&e)),
            }
        }
        Err(self
            .error(Reason::Unavailable)
            .with_retry_after(UNAVAILABLE_RETRY))
    }

    pub(super) async fn lookup(&self) -> Result<Reply, ServiceError> {
        let view = self.view().await?;
        let found = view.registration().map_err(|e| self.broken(&e))?;
        let (version, record) = found.ok_or_else(|| self.error(Reason::RegistrationNotFound))?;
        let mut state = RegistrationState::of(&record, version, self.session.registration());
        // A lookup tells where the device is; what was made for one operation stays with that.
        state.extras = crate::registration::Extras::default();
        Ok(DeviceResponse::Registration(state).into())
    }

    /// Tells how far an operation is, and takes it up if its time has come.
    pub(super) async fn answer(
        &self,
        view: &View,
        version: Version,
        mut record: Registration,
    ) -> Result<Reply, StoreError> {
        let spelled = self.session.registration();
        if !is_open(&record.operation.phase) || record.operation.resume_at > self.now {
            return Ok(told(&record, version, spelled, self.now));
        }
        record.operation.attempts = record.operation.attempts.saturating_add(1);
        record.operation.resume_at = self.now.plus(Work::LEASE);
        let keys = &self.proven.keys;
        let change = Change::Put(encode_registration(&record)?);
        let write = keys.write(Table::Registration, Expect::Exactly(version), change);
        let version = self
            .proven
            .tenant
            .store()
            .commit(&keys.shard, &[write])
            .await?;
        let mut reply = told(&record, version, spelled, self.now);
        reply.work = Some(self.work(view, version, record));
        Ok(reply)
    }
}
