//! Both keys of a TPM.

use super::PublicKey;

/// The two keys of a TPM that a device shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TpmKeys {
    /// Which TPM it is: the device's identity.
    pub endorsement_key: PublicKey,
    /// Under which the TPM takes keys in. Another one once the TPM has been cleared.
    pub storage_root_key: PublicKey,
}
