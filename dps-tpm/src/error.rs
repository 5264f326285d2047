//! What can go wrong between a device and its TPM, and what to do about it.

use tss_esapi::Error as Tss;

/// Why the TPM did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The name of the TPM is not one that the TPM software stack understands.
    #[error("{0:?} names no TPM: try device:/dev/tpmrm0, or swtpm:host=127.0.0.1,port=2321")]
    Name(String),
    /// The TPM cannot be reached.
    #[error(
        "no TPM answers at {name}: see that it is there, that this user may open it (group tss, for a \
         device), and that the library of this kind is installed (libtss2-tcti-*)"
    )]
    Open {
        /// What was to be opened.
        name: String,
        /// What the software stack said.
        source: Tss,
    },
    /// What the service sent is not a key to activate.
    #[error("the service sent something else than a key to activate")]
    Blob(#[from] BlobError),
    /// The key was wrapped for another TPM, or for a storage root key from before this one was cleared.
    #[error(
        "the key is wrapped for other keys than those of this TPM: register with the keys it has now"
    )]
    NotForThisTpm(#[source] Tss),
    /// Nothing was activated yet, or the TPM was cleared since.
    #[error("the TPM holds no key to sign with: activate one first")]
    NoKey,
    /// More is to be signed than the TPM takes at once.
    #[error("{bytes} bytes are to be signed, and the TPM takes 1024 at a time")]
    TooLong {
        /// How much there is.
        bytes: usize,
    },
    /// The TPM, or the software in front of it, refused a command.
    #[error(
        "the TPM does not {wanted}: if it says \"auth\", an owner or endorsement password is set, and this \
         crate uses none; if it says \"lockout\", wait or clear it"
    )]
    Command {
        /// What it was to do.
        wanted: &'static str,
        /// What it said.
        source: Tss,
    },
}

/// Why bytes are not a key to activate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BlobError {
    /// They end too early.
    #[error("it ends within the {0}")]
    Truncated(&'static str),
    /// They go on too long.
    #[error("{0} bytes follow it")]
    Trailing(usize),
    /// A part is not what it must be.
    #[error("its {0} is not one")]
    Malformed(&'static str),
}
