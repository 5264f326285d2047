//! Entries as operators write them: what they leave out is taken from the entry that they replace, or
//! made.

use std::sync::Arc;

use bytes::Bytes;

use super::{Attestation, Enrollment, Slots, X509Attestation};
use crate::certificate::Certificate;
use crate::crypto::{Crypto, CryptoError};
use crate::id::SecretBytes;
use crate::tpm;

/// An entry as an operator writes it.
pub type Draft = Enrollment<AttestationDraft>;

/// How a device is to prove itself, with what the service fills in left out.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AttestationDraft {
    /// By a certificate of its own. Individual enrollments only.
    Leaf(Slots<CertificateDraft>),
    /// By a chain through one of these. Groups only.
    Signing(Slots<CertificateDraft>),
    /// The same, by names of the instance's certificates. Groups only.
    CaReferences(Slots<Arc<str>>),
    /// By a token signed with a key. A key that is not said stays, or is made.
    SymmetricKey {
        /// 16 to 64 bytes.
        primary: Option<SecretBytes>,
        /// 16 to 64 bytes.
        secondary: Option<SecretBytes>,
    },
    /// By keys of a TPM. Individual enrollments only.
    Tpm {
        /// The device's identity.
        endorsement_key: tpm::PublicKey,
        /// Kept for operators.
        storage_root_key: Option<Bytes>,
    },
}

/// A certificate that is written, or one that is there already.
///
/// Whoever reads an entry is told of a certificate what stands in it, and not the certificate; when the
/// entry is written back, that says which certificate stays.
#[derive(Clone, Debug)]
pub enum CertificateDraft {
    /// This one.
    Given(Certificate),
    /// The one of the entry that is replaced, in either slot, that has these thumbprints.
    Kept {
        /// SHA-1, if it was said.
        sha1: Option<[u8; 20]>,
        /// SHA-256, if it was said.
        sha256: Option<[u8; 32]>,
    },
}

/// Bytes of the keys that are made.
///
/// # Source
/// *Symmetric key attestation*: keys that the service makes have 64.
const MADE_KEY_BYTES: usize = 64;

/// A draft cannot be filled in.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DraftError {
    /// It keeps a certificate that is not there.
    #[error("{slot} names a certificate by its thumbprints that the entry does not have")]
    NoSuchCertificate {
        /// `primary` or `secondary`.
        slot: &'static str,
    },
    /// A key had to be made and could not.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
}

impl Draft {
    /// The whole entry.
    ///
    /// * `before`: the entry that it replaces.
    ///
    /// A key that is not said is that of `before`, if that has keys, else a new one of 64 bytes. When
    /// the entry was made is taken from `before`.
    ///
    /// # Errors
    /// [`DraftError`] says what cannot be filled in.
    pub fn complete(
        self,
        before: Option<&Enrollment>,
        crypto: &Crypto,
    ) -> Result<Enrollment, DraftError> {
        let mut draft = self;
        if let Some(before) = before {
            draft.created = before.created;
        }
        let attestation = draft
            .attestation
            .clone()
            .complete(before.map(|entry| &entry.attestation), crypto)?;
        Ok(draft.with_attestation(attestation))
    }
}

impl AttestationDraft {
    fn complete(
        self,
        before: Option<&Attestation>,
        crypto: &Crypto,
    ) -> Result<Attestation, DraftError> {
        Ok(match self {
            Self::Leaf(slots) => {
                Attestation::X509(X509Attestation::Leaf(certificates(slots, before)?))
            }
            Self::Signing(slots) => {
                Attestation::X509(X509Attestation::Signing(certificates(slots, before)?))
            }
            Self::CaReferences(slots) => Attestation::X509(X509Attestation::CaReferences(slots)),
            Self::SymmetricKey { primary, secondary } => {
                let (old_primary, old_secondary) = match before {
                    Some(Attestation::SymmetricKey { primary, secondary }) => {
                        (Some(primary), Some(secondary))
                    }
                    _ => (None, None),
                };
                Attestation::SymmetricKey {
                    primary: key(primary, old_primary, crypto)?,
                    secondary: key(secondary, old_secondary, crypto)?,
                }
            }
            Self::Tpm {
                endorsement_key,
                storage_root_key,
            } => Attestation::Tpm {
                endorsement_key,
                storage_root_key,
            },
        })
    }
}

fn key(
    said: Option<SecretBytes>,
    before: Option<&SecretBytes>,
    crypto: &Crypto,
) -> Result<SecretBytes, CryptoError> {
    match said.or_else(|| before.cloned()) {
        Some(key) => Ok(key),
        None => {
            let made: [u8; MADE_KEY_BYTES] = crypto.random()?;
            Ok(SecretBytes::new(made.to_vec()))
        }
    }
}

fn certificates(
    slots: Slots<CertificateDraft>,
    before: Option<&Attestation>,
) -> Result<Slots<Certificate>, DraftError> {
    let there = match before {
        Some(Attestation::X509(X509Attestation::Leaf(slots) | X509Attestation::Signing(slots))) => {
            slots.iter().collect()
        }
        _ => Vec::new(),
    };
    let fill = |slot, draft: Option<CertificateDraft>| match draft {
        None => Ok::<_, DraftError>(None),
        Some(CertificateDraft::Given(certificate)) => Ok(Some(certificate)),
        Some(CertificateDraft::Kept { sha1, sha256 }) => {
            let said = sha1.is_some() || sha256.is_some();
            let kept = there.iter().find(|certificate| {
                said && sha256.is_none_or(|said| said == *certificate.thumbprint())
                    && sha1.is_none_or(|said| said == certificate.sha1())
            });
            let kept = kept.ok_or(DraftError::NoSuchCertificate { slot })?;
            Ok(Some((*kept).clone()))
        }
    };
    Ok(Slots {
        primary: fill("primary", slots.primary)?,
        secondary: fill("secondary", slots.secondary)?,
    })
}
