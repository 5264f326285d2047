//! What operators do: instances, enrollments, registrations.
//!
//! Every change of an instance, its certificates or its groups rewrites the epoch of the scope in
//! the same commit, so it counts from the next request on every node. An individual enrollment is
//! read with each request and needs none.
//!
//! Methods that `put` replace whatever is there: for whoever owns what it writes, such as a program
//! with a configuration. Those that take a [`Precondition`] are for many who write at once.

mod entries;

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;

use crate::crypto::{Crypto, CryptoError};
use crate::enrollment::{Attestation, DraftError, Enrollment, Subject, X509Attestation};
use crate::id::{GroupId, IdScope, RegistrationId, SecretBytes};
use crate::instance::{Instance, MAX_HUBS};
use crate::record::{
    DeviceKeys, Leaving, configuration, decode_enrollment, decode_registration, encode_certificate,
    encode_enrollment, encode_instance, encode_leaving, encode_nonce_key, epoch_key, instance_key,
    nonce_key_key,
};
use crate::registration::{Phase, Registration};
use crate::store::{
    Change, Expect, Key, Scan, Store, StoreError, Table, Version, Versioned, Write,
};

/// Changes and reads what one tenant has set up. Cheap to clone; checks no rights: that is the caller's.
#[derive(Clone, Debug)]
pub struct Admin {
    store: Arc<dyn Store>,
    scope: IdScope,
    crypto: Option<Crypto>,
}

/// Names an entry of the enrollment list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryId {
    /// The individual enrollment of a device.
    Individual(RegistrationId),
    /// A group.
    Group(GroupId),
}

/// A record as it was at one moment.
#[derive(Clone, Debug)]
pub struct Revision<T> {
    /// Which of its versions it is. Entity tags are made from it.
    pub version: Version,
    /// What stood in it.
    pub value: T,
}

/// What must be true of a record for a change to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// Nothing: whoever writes last wins.
    Any,
    /// It is not there yet.
    Absent,
    /// It is there, whatever stands in it.
    Present,
    /// It is as it was at this version.
    Version(Version),
}

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdminError {
    /// It makes no sense.
    #[error("{0}")]
    Invalid(Cow<'static, str>),
    /// There is no such record.
    #[error("there is no such record")]
    NotFound,
    /// The record is there, and was to be made.
    #[error("it exists already")]
    Exists,
    /// The record is not as it was to be.
    #[error("it is not there any more, or has been changed")]
    Changed,
    /// Another entry has the same certificate, or the same key.
    #[error("{0}")]
    Duplicate(Cow<'static, str>),
    /// There are as many as there may be.
    #[error("there are {limit} already, which is as many as may be")]
    Full {
        /// How many there may be.
        limit: u64,
    },
    /// A primitive failed.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AdminError {
    const fn invalid(text: &'static str) -> Self {
        Self::Invalid(Cow::Borrowed(text))
    }
}

impl From<DraftError> for AdminError {
    fn from(error: DraftError) -> Self {
        match error {
            DraftError::Crypto(error) => Self::Crypto(error),
            other => Self::Invalid(other.to_string().into()),
        }
    }
}

impl Admin {
    /// Works on the records of `scope` in `store`.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, scope: IdScope) -> Self {
        Self {
            store,
            scope,
            crypto: Crypto::built_in(),
        }
    }

    /// Uses these primitives. Default: [`Crypto::built_in`]; with none, no device can be attested by its
    /// TPM.
    #[must_use]
    pub fn with_crypto(mut self, crypto: Crypto) -> Self {
        self.crypto = Some(crypto);
        self
    }

    /// Makes or replaces the instance, with its certificates: those that are not in it any more go.
    ///
    /// Devices stay on a hub that is linked no more until they register again.
    ///
    /// # Errors
    /// [`AdminError::Invalid`] for more than 50 hubs, or a hub or certificate name that stands twice.
    pub async fn put_instance(&self, instance: &Instance) -> Result<(), AdminError> {
        check_instance(instance)?;
        let mut writes = vec![Write {
            table: Table::Instance,
            id: instance_key(&self.scope).id,
            expect: Expect::Any,
            change: Change::Put(encode_instance(instance)?),
        }];
        for name in self.certificate_ids().await? {
            let kept = instance
                .certificates
                .iter()
                .any(|c| c.name.eq_ignore_ascii_case(&name));
            if !kept {
                let (expect, change) = (Expect::Any, Change::Delete);
                writes.push(Write {
                    table: Table::Certificate,
                    id: name,
                    expect,
                    change,
                });
            }
        }
        for entry in &instance.certificates {
            let id = entry.name.to_ascii_lowercase().into();
            let (expect, change) = (Expect::Any, Change::Put(encode_certificate(entry)?));
            writes.push(Write {
                table: Table::Certificate,
                id,
                expect,
                change,
            });
        }
        let mut with_secret = writes.clone();
        with_secret.extend(self.new_nonce_key().await?);
        match self.configure(with_secret).await {
            // Somebody else has made it meanwhile.
            Err(AdminError::Store(StoreError::Conflict { .. })) => self.configure(writes).await,
            done => done,
        }
    }

    /// The secret that challenges are made from, unless the instance has one. It is never changed: what
    /// was made from it could not be answered any more.
    async fn new_nonce_key(&self) -> Result<Option<Write>, AdminError> {
        let Some(crypto) = &self.crypto else {
            return Ok(None);
        };
        let Key { table, id, .. } = nonce_key_key(&self.scope);
        if self.read(nonce_key_key(&self.scope)).await?.is_some() {
            return Ok(None);
        }
        let key = SecretBytes::from(crypto.random::<32>()?);
        let change = Change::Put(encode_nonce_key(&key)?);
        Ok(Some(Write {
            table,
            id,
            expect: Expect::Absent,
            change,
        }))
    }

    /// Makes or replaces an individual enrollment. It goes before any group, from the device's next
    /// request.
    ///
    /// # Errors
    /// [`AdminError::Invalid`] for a group, for an attestation that only groups can have, or by TPM if
    /// [`Crypto::parents`] is missing.
    pub async fn put_enrollment(&self, entry: &Enrollment) -> Result<(), AdminError> {
        let Subject::Individual { registration, .. } = &entry.subject else {
            return Err(AdminError::invalid(
                "a group is not an individual enrollment",
            ));
        };
        check_attestation(entry)?;
        if matches!(entry.attestation, Attestation::Tpm { .. })
            && self.crypto.is_none_or(|crypto| crypto.parents.is_none())
        {
            return Err(AdminError::invalid(
                "the cryptographic provider cannot encrypt for a TPM: build dps-core with `aws-lc`",
            ));
        }
        let keys = DeviceKeys::new(&self.scope, registration);
        let change = Change::Put(encode_enrollment(entry)?);
        let write = keys.write(Table::Enrollment, Expect::Any, change);
        self.store.commit(&keys.shard, &[write]).await?;
        Ok(())
    }

    /// Makes or replaces an enrollment group.
    ///
    /// # Errors
    /// [`AdminError::Invalid`] for an individual enrollment, or for an attestation that only those
    /// can have.
    pub async fn put_group(&self, entry: &Enrollment) -> Result<(), AdminError> {
        let Subject::Group { id } = &entry.subject else {
            return Err(AdminError::invalid(
                "an individual enrollment is not a group",
            ));
        };
        check_attestation(entry)?;
        let change = Change::Put(encode_enrollment(entry)?);
        let id = Arc::clone(id.folded());
        self.configure(vec![Write {
            table: Table::Group,
            id,
            expect: Expect::Any,
            change,
        }])
        .await
    }

    /// Removes an individual enrollment. Its registration and its hub are left alone.
    ///
    /// # Errors
    /// [`AdminError::Store`].
    pub async fn delete_enrollment(&self, id: &RegistrationId) -> Result<(), AdminError> {
        let keys = DeviceKeys::new(&self.scope, id);
        let delete = |table| keys.write(table, Expect::Any, Change::Delete);
        let writes = [Table::Enrollment, Table::Challenge].map(delete);
        self.store.commit(&keys.shard, &writes).await?;
        Ok(())
    }

    /// Removes an enrollment group. Registrations that came through it are left alone.
    ///
    /// # Errors
    /// [`AdminError::Store`].
    pub async fn delete_group(&self, id: &GroupId) -> Result<(), AdminError> {
        let id = Arc::clone(id.folded());
        let (expect, change) = (Expect::Any, Change::Delete);
        self.configure(vec![Write {
            table: Table::Group,
            id,
            expect,
            change,
        }])
        .await
    }

    /// An individual enrollment; `None` if there is none.
    ///
    /// # Errors
    /// [`AdminError::Store`].
    pub async fn enrollment(&self, id: &RegistrationId) -> Result<Option<Enrollment>, AdminError> {
        let stored = self
            .read(DeviceKeys::new(&self.scope, id).key(Table::Enrollment))
            .await?;
        Ok(stored
            .map(|stored| decode_enrollment(&stored.value))
            .transpose()?)
    }

    /// What is known of a device; `None` if it has never registered.
    ///
    /// # Errors
    /// [`AdminError::Store`].
    pub async fn registration(
        &self,
        id: &RegistrationId,
    ) -> Result<Option<Registration>, AdminError> {
        let stored = self
            .read(DeviceKeys::new(&self.scope, id).key(Table::Registration))
            .await?;
        Ok(stored
            .map(|stored| decode_registration(&stored.value))
            .transpose()?)
    }

    /// Forgets where a device is. Its hub is left alone; its next registration is a first one.
    ///
    /// A hub that an operation in flight may have touched is left to the sweep.
    ///
    /// # Errors
    /// [`AdminError::Store`].
    pub async fn delete_registration(&self, id: &RegistrationId) -> Result<(), AdminError> {
        let keys = DeviceKeys::new(&self.scope, id);
        let Some(stored) = self.read(keys.key(Table::Registration)).await? else {
            return Ok(());
        };
        let expect = Expect::Exactly(stored.version);
        let mut writes = vec![keys.write(Table::Registration, expect, Change::Delete)];
        let record = decode_registration(&stored.value)?;
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
        self.store.commit(&keys.shard, &writes).await?;
        Ok(())
    }

    async fn read(&self, key: Key) -> Result<Option<Versioned>, StoreError> {
        Ok(self
            .store
            .get_many(&[key])
            .await?
            .into_iter()
            .next()
            .flatten())
    }

    async fn certificate_ids(&self) -> Result<Vec<Arc<str>>, StoreError> {
        let (scope, table) = (self.scope.clone(), Table::Certificate);
        let scan = Scan {
            scope,
            table,
            prefix: "".into(),
            after: None,
            limit: 1000,
        };
        Ok(self
            .store
            .scan(&scan)
            .await?
            .records
            .into_iter()
            .map(|(id, _)| id)
            .collect())
    }

    /// Commits a change of configuration, and that there was one.
    async fn configure(&self, mut writes: Vec<Write>) -> Result<(), AdminError> {
        writes.push(Write {
            table: Table::Instance,
            id: epoch_key(&self.scope).id,
            expect: Expect::Any,
            change: Change::Put(Bytes::new()),
        });
        self.store
            .commit(&configuration(&self.scope), &writes)
            .await?;
        Ok(())
    }
}

fn check_instance(instance: &Instance) -> Result<(), AdminError> {
    let hubs = &instance.hubs;
    if hubs.len() > MAX_HUBS {
        return Err(AdminError::invalid("an instance links at most 50 hubs"));
    }
    let twice = hubs
        .iter()
        .enumerate()
        .any(|(n, hub)| hubs.iter().take(n).any(|h| h.name == hub.name));
    if twice {
        return Err(AdminError::invalid("an instance links each hub once"));
    }
    let all = &instance.certificates;
    let twice = all.iter().enumerate().any(|(n, entry)| {
        all.iter()
            .take(n)
            .any(|e| e.name.eq_ignore_ascii_case(&entry.name))
    });
    if twice {
        return Err(AdminError::invalid(
            "two certificates of an instance have the same name",
        ));
    }
    Ok(())
}

fn check_attestation(entry: &Enrollment) -> Result<(), AdminError> {
    match (&entry.attestation, entry.group().is_some()) {
        (Attestation::X509(X509Attestation::Leaf(_)), true) => Err(AdminError::invalid(
            "a group is attested by signing certificates, not by leaves",
        )),
        (Attestation::X509(X509Attestation::Signing(_)), false) => Err(AdminError::invalid(
            "an individual enrollment is attested by its leaf, not by signing certificates",
        )),
        (Attestation::X509(X509Attestation::CaReferences(_)), false) => Err(AdminError::invalid(
            "an individual enrollment cannot refer to certificates of the instance",
        )),
        (Attestation::Tpm { .. }, true) => Err(AdminError::invalid(
            "a TPM is enrolled by itself: a group is attested by certificates or symmetric keys",
        )),
        _ => Ok(()),
    }
}
