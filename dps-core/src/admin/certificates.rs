//! Certificates of the instance, one at a time, and the proof that the tenant holds their keys.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::entries::exactly;
use super::{Admin, AdminError, Precondition, ROUNDS, Revision, check};
use crate::certificate::{Certificate, ProofError};
use crate::crypto::CryptoError;
use crate::enrollment::{Attestation, Enrollment, X509Attestation};
use crate::instance::{CaCertificate, HeldCertificate, PendingCode};
use crate::record::{
    configuration, decode_enrollment, decode_held, decode_instance, encode_held, epoch_key,
    instance_key,
};
use crate::snapshot::all;
use crate::store::{Change, Key, Scan, StoreError, Table, Versioned, Write};
use crate::time::Timestamp;

/// Bytes of the name of a certificate.
///
/// # Source
/// `certificateName` of the resource API; that it is printable ASCII is ours.
const NAME_BYTES: std::ops::RangeInclusive<usize> = 1..=256;

/// How long a verification code is good. Our choice.
pub const CODE_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// Random bytes of a code. Twice as many digits just fit a common name, which has up to 64 characters.
const CODE_BYTES: usize = 32;

/// A certificate of the instance as an operator writes it.
#[derive(Clone, Debug)]
pub struct CaDraft {
    /// Its name, 1 to 256 bytes of printable ASCII, no space at its ends; certificates are told apart by
    /// it, without regard to case.
    pub name: Arc<str>,
    /// The certificate.
    pub certificate: Certificate,
    /// Whether the tenant is known to hold its key. If not said: what it was, if it is the same
    /// certificate, or no.
    pub verified: Option<bool>,
}

/// A code for proving that somebody holds the key of a certificate.
#[derive(Clone)]
pub struct VerificationCode {
    /// The common name that the proof has to have: 64 hexadecimal digits.
    pub code: Arc<str>,
    /// From when on it is not good any more.
    pub expires: Timestamp,
    /// The certificate that it is for.
    pub certificate: HeldCertificate,
}

impl Admin {
    /// The certificates of the instance by their names, each with its version.
    ///
    /// # Errors
    /// [`AdminError::Store`].
    pub async fn certificates(&self) -> Result<Vec<Revision<HeldCertificate>>, AdminError> {
        let mut scan = Scan {
            scope: self.scope.clone(),
            table: Table::Certificate,
            prefix: "".into(),
            after: None,
            limit: 200,
        };
        let mut found = Vec::new();
        loop {
            let page = self.store.scan(&scan).await?;
            for (_, stored) in &page.records {
                found.push(revision(stored)?);
            }
            match page.records.last() {
                Some((last, _)) if page.more => scan.after = Some(Arc::clone(last)),
                _ => return Ok(found),
            }
        }
    }

    /// A certificate of the instance; `None` if there is none of this name.
    ///
    /// # Errors
    /// [`AdminError::Store`].
    pub async fn certificate(
        &self,
        name: &str,
    ) -> Result<Option<Revision<HeldCertificate>>, AdminError> {
        let stored = self.read(self.certificate_key(name)).await?;
        Ok(stored.map(|stored| revision(&stored)).transpose()?)
    }

    /// Makes a certificate of the instance, or replaces one. Counts from the next request of any device; a
    /// code that was out for it is void.
    ///
    /// * `now`: when that is.
    ///
    /// # Errors
    /// [`AdminError::Invalid`] for a name out of its bounds, or a certificate that may not issue others;
    /// [`AdminError::Duplicate`] if a group that refers to it would have the certificate of another;
    /// [`AdminError::Full`] if it would be one more than its quota; [`AdminError::NotFound`] without an
    /// instance; [`AdminError::Exists`] or [`AdminError::Changed`] if `precondition` does not hold.
    pub async fn put_certificate(
        &self,
        draft: CaDraft,
        precondition: Precondition,
        now: Timestamp,
    ) -> Result<Revision<HeldCertificate>, AdminError> {
        check_draft(&draft)?;
        let keys = [
            self.certificate_key(&draft.name),
            epoch_key(&self.scope),
            instance_key(&self.scope),
        ];
        for _ in 0..ROUNDS {
            let mut found = self.store.get_many(&keys).await?.into_iter();
            let (stored, epoch) = (found.next().flatten(), found.next().flatten());
            let instance = found.next().flatten().ok_or(AdminError::NotFound)?;
            let quotas = decode_instance(&instance.value)?.quotas;
            precondition.expect(stored.as_ref())?;
            let before = stored.as_ref().map(revision).transpose()?;
            let same = before
                .as_ref()
                .filter(|before| before.value.entry.certificate == draft.certificate);
            let kept = same.is_some_and(|same| same.value.entry.verified);
            let held = HeldCertificate {
                entry: CaCertificate {
                    name: Arc::clone(&draft.name),
                    certificate: draft.certificate.clone(),
                    verified: draft.verified.unwrap_or(kept),
                },
                created: before.map_or(Some(now), |before| before.value.created),
                updated: Some(now),
                code: None,
            };
            self.check_certificate(&held.entry, stored.is_none(), quotas.certificates)
                .await?;
            let seen = (stored.as_ref(), epoch.as_ref());
            if let Some(written) = self.write_certificate(held, seen).await? {
                return Ok(written);
            }
        }
        Err(AdminError::restless())
    }

    /// Removes a certificate of the instance. Chains end at it no more from the next request on; groups
    /// that refer to it stay, and take nobody through it.
    ///
    /// # Errors
    /// [`AdminError::NotFound`] if it is not there; [`AdminError::Exists`] or [`AdminError::Changed`] if
    /// `precondition` does not hold.
    pub async fn remove_certificate(
        &self,
        name: &str,
        precondition: Precondition,
    ) -> Result<(), AdminError> {
        let key = self.certificate_key(name);
        for _ in 0..ROUNDS {
            let stored = self.read(key.clone()).await?.ok_or(AdminError::NotFound)?;
            let delete = Write {
                table: key.table,
                id: Arc::clone(&key.id),
                expect: precondition.expect(Some(&stored))?,
                change: Change::Delete,
            };
            match self.configure(vec![delete]).await {
                Err(AdminError::Store(StoreError::Conflict { .. })) => {}
                done => return done.map(drop),
            }
        }
        Err(AdminError::restless())
    }

    /// Makes a code for proving that the tenant holds the key of a certificate. A code from before is void;
    /// whether the certificate is verified stays.
    ///
    /// * `now`: when that is; the code is good for [`CODE_LIFETIME`].
    ///
    /// # Errors
    /// [`AdminError::NotFound`] if the certificate is not there; [`AdminError::Exists`] or
    /// [`AdminError::Changed`] if `precondition` does not hold.
    pub async fn generate_code(
        &self,
        name: &str,
        precondition: Precondition,
        now: Timestamp,
    ) -> Result<Revision<VerificationCode>, AdminError> {
        let random: [u8; CODE_BYTES] = self.crypto.ok_or(CryptoError)?.random()?;
        let code: Arc<str> = hex(&random).into();
        let expires = now.plus(CODE_LIFETIME);
        let pending = PendingCode {
            hash: Sha256::digest(code.as_bytes()).into(),
            expires,
        };
        let change = |held: &mut HeldCertificate| {
            held.code = Some(pending.clone());
            Ok(())
        };
        let held = self.change_certificate(name, precondition, change).await?;
        Ok(Revision {
            version: held.version,
            value: VerificationCode {
                code,
                expires,
                certificate: held.value,
            },
        })
    }

    /// Takes a proof that the tenant holds the key of a certificate: another certificate, signed with that
    /// key, whose common name is the code that was made last. Chains may end at it from the next request
    /// on; the code is void.
    ///
    /// * `now`: when that is.
    ///
    /// # Errors
    /// [`AdminError::Proof`] if it proves nothing, and the code stays as good as it was;
    /// [`AdminError::NotFound`] if the certificate is not there; [`AdminError::Exists`] or
    /// [`AdminError::Changed`] if `precondition` does not hold.
    ///
    /// # Source
    /// *How to verify certificates* of the service.
    pub async fn verify_certificate(
        &self,
        name: &str,
        proof: &Certificate,
        precondition: Precondition,
        now: Timestamp,
    ) -> Result<Revision<HeldCertificate>, AdminError> {
        let crypto = self.crypto.ok_or(CryptoError)?;
        let change = |held: &mut HeldCertificate| {
            let code = held.code.take().ok_or(ProofError::NoCode)?;
            if now >= code.expires {
                return Err(ProofError::Expired.into());
            }
            let named = proof.common_name().unwrap_or_default();
            if Sha256::digest(named.as_bytes())[..] != code.hash {
                return Err(ProofError::OtherCode.into());
            }
            if !proof.is_signed_by(&held.entry.certificate, &crypto) {
                return Err(ProofError::OtherKey.into());
            }
            if !proof.is_valid_at(now) {
                return Err(ProofError::OutsideValidity.into());
            }
            held.entry.verified = true;
            held.updated = Some(now);
            Ok(())
        };
        self.change_certificate(name, precondition, change).await
    }

    /// Writes what `change` makes of a certificate that is there.
    async fn change_certificate(
        &self,
        name: &str,
        precondition: Precondition,
        change: impl Fn(&mut HeldCertificate) -> Result<(), AdminError> + Send + Sync,
    ) -> Result<Revision<HeldCertificate>, AdminError> {
        let keys = [self.certificate_key(name), epoch_key(&self.scope)];
        for _ in 0..ROUNDS {
            let mut found = self.store.get_many(&keys).await?.into_iter();
            let stored = found.next().flatten().ok_or(AdminError::NotFound)?;
            let epoch = found.next().flatten();
            precondition.expect(Some(&stored))?;
            let mut held = decode_held(&stored.value)?;
            change(&mut held)?;
            let seen = (Some(&stored), epoch.as_ref());
            if let Some(written) = self.write_certificate(held, seen).await? {
                return Ok(written);
            }
        }
        Err(AdminError::restless())
    }

    /// Writes a certificate if nothing has changed since it and the epoch were `seen`; `None` if something
    /// has.
    async fn write_certificate(
        &self,
        held: HeldCertificate,
        seen: (Option<&Versioned>, Option<&Versioned>),
    ) -> Result<Option<Revision<HeldCertificate>>, AdminError> {
        let Key { shard, table, id } = self.certificate_key(&held.entry.name);
        let put = Write {
            table,
            id,
            expect: exactly(seen.0),
            change: Change::Put(encode_held(&held)?),
        };
        let writes = [put, self.new_epoch(seen.1)];
        match self.store.commit(&shard, &writes).await {
            Ok(version) => {
                let value = held;
                Ok(Some(Revision { version, value }))
            }
            Err(StoreError::Conflict { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Compares a certificate with what is there. Exact if the epoch is as it was when it is written.
    async fn check_certificate(
        &self,
        entry: &CaCertificate,
        new: bool,
        limit: u64,
    ) -> Result<(), AdminError> {
        let (store, scope) = (&*self.store, &self.scope);
        let mut certificates = self.certificates().await?;
        if new {
            check::room(certificates.len() as u64, limit)?;
        }
        certificates.retain(|held| !held.value.entry.name.eq_ignore_ascii_case(&entry.name));
        let others = certificates.into_iter().map(|held| held.value.entry);
        let certificates: Vec<_> = others.chain([entry.clone()]).collect();
        let groups = all(store, scope, Table::Group, decode_enrollment).await?;
        for group in groups.iter().filter(|group| refers(group, &entry.name)) {
            check::alone(group, &groups, &certificates)?;
        }
        Ok(())
    }

    fn certificate_key(&self, name: &str) -> Key {
        Key {
            shard: configuration(&self.scope),
            table: Table::Certificate,
            id: name.to_ascii_lowercase().into(),
        }
    }
}

impl From<ProofError> for AdminError {
    fn from(error: ProofError) -> Self {
        Self::Proof(error)
    }
}

fn check_draft(draft: &CaDraft) -> Result<(), AdminError> {
    let name = &*draft.name;
    let printable = name.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if !NAME_BYTES.contains(&name.len()) || !printable || name.trim() != name {
        return Err(AdminError::invalid(
            "the name of a certificate has 1 to 256 bytes of printable ASCII, and no space at its ends",
        ));
    }
    if draft.certificate.authority().is_none() {
        return Err(AdminError::invalid(
            "the certificate is not a CA's: it may not issue others",
        ));
    }
    Ok(())
}

/// Whether a group refers to the certificate of this name.
fn refers(group: &Enrollment, name: &str) -> bool {
    match &group.attestation {
        Attestation::X509(X509Attestation::CaReferences(slots)) => {
            slots.iter().any(|slot| slot.eq_ignore_ascii_case(name))
        }
        _ => false,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02X}");
        text
    })
}

impl std::fmt::Debug for VerificationCode {
    /// Without the code.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VerificationCode")
            .field("expires", &self.expires)
            .field("certificate", &self.certificate)
            .finish_non_exhaustive()
    }
}

fn revision(stored: &Versioned) -> Result<Revision<HeldCertificate>, StoreError> {
    Ok(Revision {
        version: stored.version,
        value: decode_held(&stored.value)?,
    })
}
