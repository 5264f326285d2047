//! What an entry must be to be written: sensible in itself, alone with its credentials, and not one too
//! many.

use crate::crypto::Crypto;
use crate::enrollment::{Attestation, Enrollment, Slots, X509Attestation};
use crate::id::SecretBytes;
use crate::instance::{CaCertificate, Quotas};

use super::AdminError;

/// Bytes of a symmetric key.
///
/// # Source
/// *Symmetric key attestation*: keys have 16 to 64 bytes.
pub(super) const KEY_BYTES: std::ops::RangeInclusive<usize> = 16..=64;

pub(super) fn sensible(entry: &Enrollment, crypto: Option<Crypto>) -> Result<(), AdminError> {
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
        (Attestation::X509(X509Attestation::Leaf(slots) | X509Attestation::Signing(slots)), _) => {
            filled(slots)
        }
        (Attestation::X509(X509Attestation::CaReferences(slots)), true) => filled(slots),
        (Attestation::SymmetricKey { primary, secondary }, _) => {
            let long = |key: &SecretBytes| KEY_BYTES.contains(&key.expose().len());
            if long(primary) && long(secondary) {
                Ok(())
            } else {
                Err(AdminError::invalid("a symmetric key has 16 to 64 bytes"))
            }
        }
        (Attestation::Tpm { .. }, true) => Err(AdminError::invalid(
            "a TPM is enrolled by itself: a group is attested by certificates or symmetric keys",
        )),
        (Attestation::Tpm { .. }, false) => {
            if crypto.is_none_or(|crypto| crypto.parents.is_none()) {
                return Err(AdminError::invalid(
                    "the cryptographic provider cannot encrypt for a TPM: build dps-core with `aws-lc`",
                ));
            }
            Ok(())
        }
    }
}

fn filled<T>(slots: &Slots<T>) -> Result<(), AdminError> {
    if slots.iter().next().is_none() {
        return Err(AdminError::invalid(
            "neither the primary nor the secondary certificate is there",
        ));
    }
    Ok(())
}

/// That no other group has a credential of `entry`: nobody could say whose a device is.
///
/// * `others`: all groups, `entry` itself as it was among them or not.
/// * `certificates`: of the instance, for groups that refer to them by name.
///
/// # Source
/// *X.509 certificate attestation*: a certificate is used by one enrollment entry of an instance. For
/// symmetric keys our choice.
pub(super) fn alone(
    entry: &Enrollment,
    others: &[Enrollment],
    certificates: &[CaCertificate],
) -> Result<(), AdminError> {
    let hashes = thumbprints(&entry.attestation, certificates);
    let names: Vec<_> = names(&entry.attestation).collect();
    for other in others.iter().filter(|other| other.group() != entry.group()) {
        let Some(group) = other.group() else { continue };
        let theirs = thumbprints(&other.attestation, certificates);
        let named = |name: &str| names.iter().any(|mine| mine.eq_ignore_ascii_case(name));
        if hashes.iter().any(|hash| theirs.contains(hash))
            || self::names(&other.attestation).any(named)
        {
            let text = format!("group {group} has the same certificate");
            return Err(AdminError::Duplicate(text.into()));
        }
        if keys(&entry.attestation).any(|key| keys(&other.attestation).any(|other| key == other)) {
            let text = format!("group {group} has the same symmetric key");
            return Err(AdminError::Duplicate(text.into()));
        }
    }
    Ok(())
}

/// That there may be one more group such as `entry`; as many as there are may stay.
pub(super) fn counted(
    entry: &Enrollment,
    others: &[Enrollment],
    quotas: Quotas,
) -> Result<(), AdminError> {
    let by_key = |entry: &Enrollment| matches!(entry.attestation, Attestation::SymmetricKey { .. });
    let limit = if by_key(entry) {
        quotas.symmetric_key_groups
    } else {
        quotas.x509_groups
    };
    let alike = || others.iter().filter(|other| by_key(other) == by_key(entry));
    if alike().any(|other| other.group() == entry.group()) {
        return Ok(());
    }
    room(alike().count() as u64, limit)
}

/// That there is room for one more.
pub(super) const fn room(there: u64, limit: u64) -> Result<(), AdminError> {
    if limit > 0 && there >= limit {
        return Err(AdminError::Full { limit });
    }
    Ok(())
}

fn names(attestation: &Attestation) -> impl Iterator<Item = &str> {
    let slots = match attestation {
        Attestation::X509(X509Attestation::CaReferences(slots)) => Some(slots),
        _ => None,
    };
    slots.into_iter().flat_map(Slots::iter).map(|name| &**name)
}

fn thumbprints(attestation: &Attestation, certificates: &[CaCertificate]) -> Vec<[u8; 32]> {
    match attestation {
        Attestation::X509(X509Attestation::Signing(slots)) => {
            let all = slots.iter();
            all.map(|certificate| *certificate.thumbprint()).collect()
        }
        attestation => {
            let find = |name: &str| {
                let mut all = certificates.iter();
                all.find(|entry| entry.name.eq_ignore_ascii_case(name))
            };
            names(attestation)
                .filter_map(find)
                .map(|entry| *entry.certificate.thumbprint())
                .collect()
        }
    }
}

fn keys(attestation: &Attestation) -> impl Iterator<Item = &SecretBytes> {
    let both = match attestation {
        Attestation::SymmetricKey { primary, secondary } => Some([primary, secondary]),
        _ => None,
    };
    both.into_iter().flatten()
}
