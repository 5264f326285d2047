//! Why a document is not an enrollment.

use dps_core::access::{ActionsError, IpMaskError};
use dps_core::certificate::CertificateError;
use dps_core::crypto::CryptoError;
use dps_core::enrollment::DraftError;
use dps_core::id::IdError;
use dps_core::json::JsonError;
use dps_core::tpm::PublicKeyError;

use super::MAX_ENROLLMENT_BYTES;

/// Why a document is not an enrollment. No text repeats a value of the document, which may be secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnrollmentError {
    /// Not worth looking at.
    #[error("the document is larger than {MAX_ENROLLMENT_BYTES} bytes")]
    TooLarge,
    /// Not JSON at all.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// JSON, but one member is not as it has to be.
    #[error("{path}: {problem}")]
    Member {
        /// Where it is, such as `attestation.symmetricKey.primaryKey`; `$` is the whole document.
        path: Box<str>,
        /// What is the matter with it.
        problem: Problem,
    },
    /// A key had to be made and could not.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
    /// What the document leaves out cannot be filled in.
    #[error(transparent)]
    Draft(DraftError),
}

/// What is the matter with a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// It has to be there.
    #[error("is missing")]
    Missing,
    /// It is there with another JSON type.
    #[error("must be {0}")]
    NotA(&'static str),
    /// It is a number that cannot be meant.
    #[error("must be a whole number from 0 to {max}")]
    NotACount {
        /// The largest it may be.
        max: u64,
    },
    /// It is a word that means nothing here.
    #[error("must be one of {0}")]
    NotAWord(&'static str),
    /// It is not a name of its kind.
    #[error(transparent)]
    Id(#[from] IdError),
    /// It is not base64 with padding.
    #[error("is not base64")]
    NotBase64,
    /// It is a key of a length that is not taken.
    #[error("{bytes} bytes, must have {min} to {max}")]
    KeyLength {
        /// Its length.
        bytes: usize,
        /// The shortest there may be.
        min: usize,
        /// The longest there may be.
        max: usize,
    },
    /// It is not a key that a TPM decrypts with.
    #[error(transparent)]
    TpmKey(#[from] PublicKeyError),
    /// It is neither an address nor a range of addresses.
    #[error(transparent)]
    IpMask(#[from] IpMaskError),
    /// It names no action.
    #[error(transparent)]
    Action(#[from] ActionsError),
    /// It is PEM, but there is no certificate to be read in it.
    #[error("holds no certificate that can be read as PEM")]
    NoPemCertificate,
    /// It is not a certificate.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// It is not the hash of a certificate.
    #[error("is not a thumbprint in hexadecimal digits")]
    NotAThumbprint,
    /// It says which certificate of an enrollment is kept, and there is none that it could mean.
    #[error("has thumbprints of no certificate that the enrollment has")]
    NoSuchCertificate,
    /// It is longer than is kept.
    #[error("has more than {max} {unit}")]
    TooMany {
        /// The most there may be.
        max: usize,
        /// Of what.
        unit: &'static str,
    },
    /// It does not go together with the rest.
    #[error("{0}")]
    Unfit(&'static str),
}
