//! Asking a TPM for its proof.
//!
//! Whoever shows two keys of a TPM is asked, whether they are enrolled or not: what is enrolled shows
//! only to a right answer. The one thing that is ever written for a caller who has proven nothing is the
//! storage root key that came with an enrolled endorsement key.

use super::Parts;
use crate::api::DeviceHello;
use crate::attest::tpm;
use crate::enrollment::Attestation;
use crate::record::{
    DeviceKeys, decode_enrollment, decode_registration, decode_shown, encode_shown,
};
use crate::snapshot::Snapshot;
use crate::store::{Change, Expect, StoreError, Table, Versioned};
use crate::tenant::Tenant;
use crate::time::Timestamp;
use crate::tpm::{PublicKey, TpmKeys};
use crate::trace::{Step, Trace};

/// How many storage root keys are remembered for a device beside that of its last registration: the
/// newest. Our choice.
const REMEMBERED: usize = 8;

/// How often a key is added again when another one was added meanwhile.
const ROUNDS: usize = 4;

/// A request that is not signed yet, with what was read for it.
pub(super) struct Unsigned<'a> {
    pub(super) hello: &'a DeviceHello,
    pub(super) shown: &'a TpmKeys,
    pub(super) tenant: &'a Tenant,
    pub(super) keys: &'a DeviceKeys,
    pub(super) snapshot: &'a Snapshot,
    pub(super) stored: Option<&'a Versioned>,
    pub(super) record: Option<&'a Versioned>,
}

impl Parts {
    /// What the caller has to answer; `None` if it cannot be asked, and `trace` says why.
    pub(super) async fn challenge(
        &self,
        unsigned: &Unsigned<'_>,
        now: Timestamp,
        trace: &mut Trace,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let Unsigned { hello, shown, .. } = unsigned;
        let Some(nonce_key) = &unsigned.snapshot.nonce_key else {
            trace.push(Step::CannotChallenge {
                because: "the instance has no secret for it: write the instance again".into(),
            });
            return Ok(None);
        };
        let made = tpm::challenge(
            &self.crypto,
            nonce_key,
            &hello.scope,
            &hello.registration,
            shown,
            now,
        );
        let Ok(challenge) = made else {
            trace.push(Step::CannotChallenge {
                because: "nothing can be encrypted for its keys".into(),
            });
            return Ok(None);
        };
        let enrolled = unsigned.is_enrolled()?;
        trace.push(Step::Challenged { enrolled });
        if enrolled && hello.origin.transport.proves_each_request() {
            unsigned.remember().await?;
        }
        Ok(Some(challenge))
    }

    /// The storage root keys that a device of this enrollment may have signed with.
    pub(super) async fn remembered(
        &self,
        tenant: &Tenant,
        keys: &DeviceKeys,
        record: Option<&Versioned>,
    ) -> Result<Vec<PublicKey>, StoreError> {
        let (_, mut remembered) = read(tenant, keys).await?;
        if let Some(last) = last(record)? {
            remembered.push(last);
        }
        Ok(remembered)
    }
}

impl Unsigned<'_> {
    /// Whether the device is enrolled with the endorsement key that is shown.
    fn is_enrolled(&self) -> Result<bool, StoreError> {
        let Some(stored) = self.stored else {
            return Ok(false);
        };
        Ok(matches!(
            decode_enrollment(&stored.value)?.attestation,
            Attestation::Tpm { endorsement_key, .. } if endorsement_key == self.shown.endorsement_key
        ))
    }

    /// Keeps the storage root key until the device registers: it may sign without showing it again.
    async fn remember(&self) -> Result<(), StoreError> {
        let shown = &self.shown.storage_root_key;
        if last(self.record)?.as_ref() == Some(shown) {
            return Ok(());
        }
        for _ in 0..ROUNDS {
            let (expect, mut keys) = read(self.tenant, self.keys).await?;
            if keys.contains(shown) {
                return Ok(());
            }
            keys.push(shown.clone());
            let keys = &keys[keys.len().saturating_sub(REMEMBERED)..];
            let change = Change::Put(encode_shown(keys)?);
            let enrolled = self
                .stored
                .map_or(Expect::Absent, |stored| Expect::Exactly(stored.version));
            let writes = [
                self.keys.write(Table::Challenge, expect, change),
                self.keys.write(Table::Enrollment, enrolled, Change::Keep),
            ];
            match self.tenant.store().commit(&self.keys.shard, &writes).await {
                // Another one was added meanwhile.
                Err(StoreError::Conflict {
                    table: Table::Challenge,
                    ..
                }) => {}
                // It is not enrolled as it was: the signed request will tell.
                Err(StoreError::Conflict { .. }) => return Ok(()),
                done => return done.map(drop),
            }
        }
        Ok(())
    }
}

/// The keys that are remembered, and what must still be true of their record to change it.
async fn read(tenant: &Tenant, keys: &DeviceKeys) -> Result<(Expect, Vec<PublicKey>), StoreError> {
    let found = tenant
        .store()
        .get_many(&[keys.key(Table::Challenge)])
        .await?;
    match found.into_iter().next().flatten() {
        Some(stored) => Ok((
            Expect::Exactly(stored.version),
            decode_shown(&stored.value)?,
        )),
        None => Ok((Expect::Absent, Vec::new())),
    }
}

/// The key of the last registration, which no stranger can push out.
fn last(record: Option<&Versioned>) -> Result<Option<PublicKey>, StoreError> {
    let Some(stored) = record else {
        return Ok(None);
    };
    Ok(decode_registration(&stored.value)?
        .operation
        .storage_root_key)
}
