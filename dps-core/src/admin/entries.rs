//! Entries of the enrollment list, as many operators write them at once.

use std::sync::Arc;

use bytes::Bytes;

use super::{Admin, AdminError, EntryId, Precondition, Revision, check_attestation};
use crate::enrollment::{Draft, Enrollment, Subject};
use crate::record::{DeviceKeys, configuration, decode_enrollment, encode_enrollment, epoch_key};
use crate::store::{Change, Expect, Key, StoreError, Table, Versioned, Write};
use crate::time::Timestamp;

impl Admin {
    /// An entry as it is now; `None` if there is none.
    ///
    /// # Errors
    /// [`AdminError::Store`].
    pub async fn entry(&self, id: &EntryId) -> Result<Option<Revision<Enrollment>>, AdminError> {
        let stored = self.read(self.entry_key(id)).await?;
        Ok(stored.map(|stored| revision(&stored)).transpose()?)
    }

    /// Makes an entry, or replaces one. What the draft leaves out is taken from the one it replaces, or
    /// made.
    ///
    /// * `now`: when that is; the draft's own dates do not count.
    ///
    /// Counts from the next request of any device.
    ///
    /// # Errors
    /// [`AdminError::Exists`] and [`AdminError::Changed`] if `precondition` does not hold,
    /// [`AdminError::Invalid`] if the entry makes no sense.
    pub async fn write_entry(
        &self,
        draft: Draft,
        precondition: Precondition,
        now: Timestamp,
    ) -> Result<Revision<Enrollment>, AdminError> {
        let crypto = self.crypto.ok_or(crate::crypto::CryptoError)?;
        let id = EntryId::of(&draft.subject);
        let key = self.entry_key(&id);
        let before = self.read(key.clone()).await?;
        let expect = precondition.expect(before.as_ref())?;
        let before = before.map(|stored| revision(&stored)).transpose()?;
        let mut draft = draft;
        (draft.created, draft.updated) = (now, now);
        let before = before.as_ref().map(|before| &before.value);
        let entry = draft.complete(before, &crypto)?;
        check_attestation(&entry)?;
        let write = Write {
            table: key.table,
            id: Arc::clone(&key.id),
            expect,
            change: Change::Put(encode_enrollment(&entry)?),
        };
        let version = self.commit_entry(&id, &key, vec![write]).await?;
        Ok(Revision {
            version,
            value: entry,
        })
    }

    /// Removes an entry. Hubs are left alone.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], or [`AdminError::Changed`] if `precondition` does not hold.
    pub async fn remove_entry(
        &self,
        id: &EntryId,
        precondition: Precondition,
    ) -> Result<(), AdminError> {
        let key = self.entry_key(id);
        let before = self.read(key.clone()).await?;
        if before.is_none() {
            return Err(AdminError::NotFound);
        }
        let expect = precondition.expect(before.as_ref())?;
        let write = Write {
            table: key.table,
            id: Arc::clone(&key.id),
            expect,
            change: Change::Delete,
        };
        self.commit_entry(id, &key, vec![write]).await?;
        Ok(())
    }

    fn entry_key(&self, id: &EntryId) -> Key {
        match id {
            EntryId::Individual(id) => DeviceKeys::new(&self.scope, id).key(Table::Enrollment),
            EntryId::Group(id) => Key {
                shard: configuration(&self.scope),
                table: Table::Group,
                id: Arc::clone(id.folded()),
            },
        }
    }

    /// A change of a group is a change of the configuration; an individual entry is read by each request.
    async fn commit_entry(
        &self,
        id: &EntryId,
        key: &Key,
        mut writes: Vec<Write>,
    ) -> Result<crate::store::Version, AdminError> {
        if let EntryId::Group(_) = id {
            writes.push(Write {
                table: Table::Instance,
                id: epoch_key(&self.scope).id,
                expect: Expect::Any,
                change: Change::Put(Bytes::new()),
            });
        }
        match self.store.commit(&key.shard, &writes).await {
            Ok(version) => Ok(version),
            Err(StoreError::Conflict { .. }) => Err(AdminError::Changed),
            Err(error) => Err(error.into()),
        }
    }
}

impl EntryId {
    /// The name of the entry for `subject`.
    #[must_use]
    pub fn of(subject: &Subject) -> Self {
        match subject {
            Subject::Individual { registration, .. } => Self::Individual(registration.clone()),
            Subject::Group { id } => Self::Group(id.clone()),
        }
    }
}

impl Precondition {
    /// What a commit has to expect of a record that was read as `found`.
    fn expect(self, found: Option<&Versioned>) -> Result<Expect, AdminError> {
        match (self, found) {
            (Self::Any, Some(found)) => Ok(Expect::Exactly(found.version)),
            (Self::Any | Self::Absent, None) => Ok(Expect::Absent),
            (Self::Absent, Some(_)) => Err(AdminError::Exists),
            (Self::Present | Self::Version(_), None) => Err(AdminError::Changed),
            (Self::Present, Some(found)) => Ok(Expect::Exactly(found.version)),
            (Self::Version(version), Some(found)) if found.version == version => {
                Ok(Expect::Exactly(version))
            }
            (Self::Version(_), Some(_)) => Err(AdminError::Changed),
        }
    }
}

fn revision(stored: &Versioned) -> Result<Revision<Enrollment>, StoreError> {
    Ok(Revision {
        version: stored.version,
        value: decode_enrollment(&stored.value)?,
    })
}
