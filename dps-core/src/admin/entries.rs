//! Entries of the enrollment list, as many operators write them at once.
//!
//! Everything that a change depends on is read first and expected by its commit. Whoever loses a race
//! looks again, and its [`Precondition`] says whether that is an answer or another try.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;

use super::{Admin, AdminError, EntryId, Precondition, ROUNDS, Revision, check};
use crate::crypto::CryptoError;
use crate::enrollment::{Draft, Enrollment, Subject};
use crate::id::RegistrationId;
use crate::instance::Quotas;
use crate::record::{
    DeviceKeys, configuration, decode_certificate, decode_enrollment, decode_instance,
    decode_tally, encode_enrollment, encode_tally, epoch_key, instance_key, tally_key, tally_keys,
};
use crate::snapshot::all;
use crate::store::{Change, Expect, Key, StoreError, Table, Version, Versioned, Write};
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
    /// Counts from the next request of any device. Hubs that the instance does not link are taken: that
    /// is judged when a device registers.
    ///
    /// # Errors
    /// [`AdminError::Exists`] and [`AdminError::Changed`] if `precondition` does not hold,
    /// [`AdminError::Invalid`] if the entry makes no sense, [`AdminError::Duplicate`] if another group
    /// has its certificate or key, [`AdminError::Full`] if it would be one more than its quota.
    pub async fn write_entry(
        &self,
        draft: Draft,
        precondition: Precondition,
        now: Timestamp,
    ) -> Result<Revision<Enrollment>, AdminError> {
        let crypto = self.crypto.ok_or(CryptoError)?;
        let id = EntryId::of(&draft.subject);
        let fill = |before: Option<&Versioned>| {
            let before = before.map(revision).transpose()?;
            let mut draft = draft.clone();
            (draft.created, draft.updated) = (now, now);
            let entry = draft.complete(before.as_ref().map(|before| &before.value), &crypto)?;
            Ok(Cow::Owned(entry))
        };
        let (version, entry) = self.place(&id, precondition, Bound::Quotas, fill).await?;
        let value = entry.into_owned();
        Ok(Revision { version, value })
    }

    /// Makes or replaces an individual enrollment. It goes before any group, from the device's next
    /// request. Quotas do not bind it.
    ///
    /// # Errors
    /// [`AdminError::Invalid`] for a group, for an attestation that only groups can have, or by TPM if
    /// [`Crypto::parents`](crate::crypto::Crypto::parents) is missing.
    pub async fn put_enrollment(&self, entry: &Enrollment) -> Result<(), AdminError> {
        if entry.group().is_some() {
            return Err(AdminError::invalid(
                "a group is not an individual enrollment",
            ));
        }
        self.put(entry).await
    }

    /// Makes or replaces an enrollment group. Quotas do not bind it.
    ///
    /// # Errors
    /// [`AdminError::Invalid`] for an individual enrollment, or for an attestation that only those
    /// can have; [`AdminError::Duplicate`] if another group has its certificate or key.
    pub async fn put_group(&self, entry: &Enrollment) -> Result<(), AdminError> {
        if entry.group().is_none() {
            return Err(AdminError::invalid(
                "an individual enrollment is not a group",
            ));
        }
        self.put(entry).await
    }

    async fn put(&self, entry: &Enrollment) -> Result<(), AdminError> {
        let (id, fill) = (EntryId::of(&entry.subject), |_: Option<&Versioned>| {
            Ok(Cow::Borrowed(entry))
        });
        self.place(&id, Precondition::Any, Bound::Nothing, fill)
            .await?;
        Ok(())
    }

    /// An individual enrollment; `None` if there is none.
    ///
    /// # Errors
    /// [`AdminError::Store`].
    pub async fn enrollment(&self, id: &RegistrationId) -> Result<Option<Enrollment>, AdminError> {
        let found = self.entry(&EntryId::Individual(id.clone())).await?;
        Ok(found.map(|found| found.value))
    }

    /// Writes what `fill` makes of the entry that is there.
    async fn place<'a>(
        &self,
        id: &EntryId,
        precondition: Precondition,
        bound: Bound,
        fill: impl Fn(Option<&Versioned>) -> Result<Cow<'a, Enrollment>, AdminError> + Send + Sync,
    ) -> Result<(Version, Cow<'a, Enrollment>), AdminError> {
        let key = self.entry_key(id);
        for _ in 0..ROUNDS {
            let seen = self.look(&key, bound).await?;
            let expect = precondition.expect(seen.entry.as_ref())?;
            let entry = fill(seen.entry.as_ref())?;
            check::sensible(&entry, self.crypto)?;
            let mut writes = vec![Write {
                table: key.table,
                id: Arc::clone(&key.id),
                expect,
                change: Change::Put(encode_enrollment(&entry)?),
            }];
            match id {
                EntryId::Individual(_) if seen.entry.is_none() => {
                    if seen.quotas.enrollments > 0 {
                        check::room(self.count().await?, seen.quotas.enrollments)?;
                    }
                    writes.push(recount(&key, seen.counter.as_ref(), true)?);
                }
                EntryId::Individual(_) => {}
                EntryId::Group(_) => {
                    self.check_group(&entry, seen.quotas).await?;
                    writes.push(self.new_epoch(seen.counter.as_ref()));
                }
            }
            match self.store.commit(&key.shard, &writes).await {
                Ok(version) => return Ok((version, entry)),
                Err(StoreError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(AdminError::restless())
    }

    /// The entry, what is counted beside it, and how many there may be.
    async fn look(&self, key: &Key, bound: Bound) -> Result<Seen, AdminError> {
        let counter = match key.table {
            Table::Group => epoch_key(&self.scope),
            _ => tally_key(&key.shard),
        };
        let mut keys = vec![key.clone(), counter];
        if matches!(bound, Bound::Quotas) {
            keys.push(instance_key(&self.scope));
        }
        let mut found = self.store.get_many(&keys).await?.into_iter();
        let (entry, counter) = (found.next().flatten(), found.next().flatten());
        let quotas = match found.next().flatten() {
            Some(stored) => decode_instance(&stored.value)?.quotas,
            None => Quotas::UNLIMITED,
        };
        Ok(Seen {
            entry,
            counter,
            quotas,
        })
    }

    /// How many individual enrollments there are.
    pub(super) async fn count(&self) -> Result<u64, AdminError> {
        let counts = self.store.get_many(&tally_keys(&self.scope)).await?;
        let counts = counts.iter().flatten();
        let sum: Result<u64, StoreError> = counts.map(|stored| decode_tally(&stored.value)).sum();
        Ok(sum?)
    }

    /// Compares a group with all others. Exact if the epoch is as it was when the group is written.
    async fn check_group(&self, entry: &Enrollment, quotas: Quotas) -> Result<(), AdminError> {
        let (store, scope) = (&*self.store, &self.scope);
        let groups = all(store, scope, Table::Group, decode_enrollment).await?;
        let certificates = all(store, scope, Table::Certificate, decode_certificate).await?;
        check::alone(entry, &groups, &certificates)?;
        check::counted(entry, &groups, quotas)
    }

    pub(super) fn new_epoch(&self, seen: Option<&Versioned>) -> Write {
        Write {
            table: Table::Instance,
            id: epoch_key(&self.scope).id,
            expect: exactly(seen),
            change: Change::Put(Bytes::new()),
        }
    }

    pub(super) fn entry_key(&self, id: &EntryId) -> Key {
        match id {
            EntryId::Individual(id) => DeviceKeys::new(&self.scope, id).key(Table::Enrollment),
            EntryId::Group(id) => Key {
                shard: configuration(&self.scope),
                table: Table::Group,
                id: Arc::clone(id.folded()),
            },
        }
    }
}

/// What a change keeps to.
#[derive(Clone, Copy)]
enum Bound {
    Quotas,
    Nothing,
}

/// What a change is decided by.
struct Seen {
    entry: Option<Versioned>,
    /// The tally of an individual enrollment's slot; the epoch for a group.
    counter: Option<Versioned>,
    quotas: Quotas,
}

/// One more, or one less, in the slot of `entry`.
pub(super) fn recount(
    entry: &Key,
    tally: Option<&Versioned>,
    more: bool,
) -> Result<Write, StoreError> {
    let there = tally.map_or(Ok(0), |stored| decode_tally(&stored.value))?;
    let count = if more {
        there.saturating_add(1)
    } else {
        there.saturating_sub(1)
    };
    let Key { table, id, .. } = tally_key(&entry.shard);
    Ok(Write {
        table,
        id,
        expect: exactly(tally),
        change: Change::Put(encode_tally(count)?),
    })
}

/// That a record is as it was seen.
pub(super) fn exactly(seen: Option<&Versioned>) -> Expect {
    seen.map_or(Expect::Absent, |stored| Expect::Exactly(stored.version))
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
    pub(super) fn expect(self, found: Option<&Versioned>) -> Result<Expect, AdminError> {
        match (self, found) {
            (Self::Absent, Some(_)) => Err(AdminError::Exists),
            (Self::Present | Self::Version(_), None) => Err(AdminError::Changed),
            (Self::Version(version), Some(found)) if found.version != version => {
                Err(AdminError::Changed)
            }
            _ => Ok(exactly(found)),
        }
    }
}

pub(super) fn revision(stored: &Versioned) -> Result<Revision<Enrollment>, StoreError> {
    Ok(Revision {
        version: stored.version,
        value: decode_enrollment(&stored.value)?,
    })
}
