//! What goes: entries, and what is known of devices.

use std::sync::Arc;

use super::entries::{exactly, recount};
use super::{Admin, AdminError, EntryId, Precondition, ROUNDS};
use crate::id::{GroupId, RegistrationId};
use crate::record::{DeviceKeys, Leaving, decode_registration, encode_leaving, tally_key};
use crate::registration::{Phase, Registration};
use crate::store::{Change, Expect, StoreError, Table, Versioned, Write};

impl Admin {
    /// Removes an entry. Hubs are left alone.
    ///
    /// With an individual enrollment goes what is known of its device, if the device came through it: its
    /// next registration, through a group, is a first one. Registrations that came through a group stay
    /// when the group goes.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], or [`AdminError::Changed`] if `precondition` does not hold.
    ///
    /// # Source
    /// *How to disenroll or revoke device* for groups; for individual enrollments, whose record is part of
    /// what is told of them, *Data subject requests* of the service.
    pub async fn remove_entry(
        &self,
        id: &EntryId,
        precondition: Precondition,
    ) -> Result<(), AdminError> {
        match id {
            EntryId::Individual(id) => self.remove_individual(id, precondition, true).await,
            EntryId::Group(_) => self.remove_group(id, precondition).await,
        }
    }

    /// Removes an individual enrollment, if there is one. Its registration and its hub are left alone.
    ///
    /// # Errors
    /// [`AdminError::Store`].
    pub async fn delete_enrollment(&self, id: &RegistrationId) -> Result<(), AdminError> {
        gone(self.remove_individual(id, Precondition::Any, false).await)
    }

    /// Removes an enrollment group, if there is one. Registrations that came through it are left alone.
    ///
    /// # Errors
    /// [`AdminError::Store`].
    pub async fn delete_group(&self, id: &GroupId) -> Result<(), AdminError> {
        let id = EntryId::Group(id.clone());
        gone(self.remove_group(&id, Precondition::Any).await)
    }

    /// Forgets where a device is. Its hub is left alone; its next registration is a first one.
    ///
    /// A hub that an operation in flight may have touched is left to the sweep.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], or [`AdminError::Changed`] if `precondition` does not hold.
    pub async fn remove_registration(
        &self,
        id: &RegistrationId,
        precondition: Precondition,
    ) -> Result<(), AdminError> {
        let keys = DeviceKeys::new(&self.scope, id);
        for _ in 0..ROUNDS {
            let found = self.read(keys.key(Table::Registration)).await?;
            let stored = found.ok_or(AdminError::NotFound)?;
            precondition.expect(Some(&stored))?;
            let writes = forget(&keys, &stored, &decode_registration(&stored.value)?)?;
            match self.store.commit(&keys.shard, &writes).await {
                Ok(_) => return Ok(()),
                Err(StoreError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(AdminError::restless())
    }

    /// As [`Admin::remove_registration`], if there is one, as it is when it goes.
    ///
    /// # Errors
    /// [`AdminError::Store`].
    pub async fn delete_registration(&self, id: &RegistrationId) -> Result<(), AdminError> {
        gone(self.remove_registration(id, Precondition::Any).await)
    }

    /// * `with_record`: whether what is known of its device goes along.
    async fn remove_individual(
        &self,
        id: &RegistrationId,
        precondition: Precondition,
        with_record: bool,
    ) -> Result<(), AdminError> {
        let keys = DeviceKeys::new(&self.scope, id);
        let entry_key = keys.key(Table::Enrollment);
        let read = [
            entry_key.clone(),
            tally_key(&keys.shard),
            keys.key(Table::Registration),
        ];
        for _ in 0..ROUNDS {
            let mut found = self.store.get_many(&read).await?.into_iter();
            let entry = found.next().flatten().ok_or(AdminError::NotFound)?;
            let (tally, record) = (found.next().flatten(), found.next().flatten());
            let expect = precondition.expect(Some(&entry))?;
            let mut writes = vec![
                keys.write(Table::Enrollment, expect, Change::Delete),
                keys.write(Table::Challenge, Expect::Any, Change::Delete),
                recount(&entry_key, tally.as_ref(), false)?,
            ];
            if with_record {
                writes.extend(forget_own(&keys, record.as_ref())?);
            }
            match self.store.commit(&keys.shard, &writes).await {
                Ok(_) => return Ok(()),
                Err(StoreError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(AdminError::restless())
    }

    async fn remove_group(
        &self,
        id: &EntryId,
        precondition: Precondition,
    ) -> Result<(), AdminError> {
        let key = self.entry_key(id);
        for _ in 0..ROUNDS {
            let found = self.read(key.clone()).await?.ok_or(AdminError::NotFound)?;
            let delete = Write {
                table: key.table,
                id: Arc::clone(&key.id),
                expect: precondition.expect(Some(&found))?,
                change: Change::Delete,
            };
            match self.configure(vec![delete]).await {
                Err(AdminError::Store(StoreError::Conflict { .. })) => {}
                done => return done.map(drop),
            }
        }
        Err(AdminError::restless())
    }
}

/// That there was nothing is as good.
fn gone(done: Result<(), AdminError>) -> Result<(), AdminError> {
    match done {
        Err(AdminError::NotFound) => Ok(()),
        done => done,
    }
}

/// Forgets a device that came through its individual enrollment, and nothing of any other; either way
/// nothing may have been written of it meanwhile.
fn forget_own(keys: &DeviceKeys, stored: Option<&Versioned>) -> Result<Vec<Write>, StoreError> {
    if let Some(stored) = stored {
        let record = decode_registration(&stored.value)?;
        if record.owner.group.is_none() {
            return forget(keys, stored, &record);
        }
    }
    let as_it_was = keys.write(Table::Registration, exactly(stored), Change::Keep);
    Ok(vec![as_it_was])
}

/// What forgetting a device takes.
fn forget(
    keys: &DeviceKeys,
    stored: &Versioned,
    record: &Registration,
) -> Result<Vec<Write>, StoreError> {
    let expect = Expect::Exactly(stored.version);
    let mut writes = vec![keys.write(Table::Registration, expect, Change::Delete)];
    let assigned = record.assignment.as_ref().map(|at| &at.place);
    if let Phase::Linking(linking) = &record.operation.phase
        && Some(&linking.place) != assigned
    {
        // The hub may have been called, and whoever calls it may be at it until then.
        let leaving = Leaving {
            place: linking.place.clone(),
            until: record.operation.resume_at,
            attempts: 0,
        };
        writes.push(Write {
            table: Table::Leaving,
            id: keys.leaving_id(&leaving.place),
            expect: Expect::Any,
            change: Change::Put(encode_leaving(&leaving)?),
        });
    }
    if let Some(group) = &record.owner.group {
        let (expect, change) = (Expect::Any, Change::Delete);
        writes.push(Write {
            table: Table::Member,
            id: keys.member_id(group),
            expect,
            change,
        });
    }
    Ok(writes)
}
