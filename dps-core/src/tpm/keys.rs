//! Both keys of a TPM.

use super::{PublicKey, wrap};
use crate::crypto::{Crypto, CryptoError};
use crate::id::{IdScope, RegistrationId, SecretBytes};

/// The two keys of a TPM that a device shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TpmKeys {
    /// Which TPM it is: the device's identity.
    pub endorsement_key: PublicKey,
    /// Under which the TPM takes keys in. Another one once the TPM has been cleared.
    pub storage_root_key: PublicKey,
}

impl TpmKeys {
    /// Wraps a key of `registration` for them.
    pub(crate) fn wrap(
        &self,
        crypto: &Crypto,
        scope: &IdScope,
        registration: &RegistrationId,
        key: &SecretBytes,
    ) -> Result<Vec<u8>, CryptoError> {
        let resource = format!("{scope}/registrations/{registration}");
        let (ek, srk) = (&self.endorsement_key, &self.storage_root_key);
        wrap(crypto, ek, srk, key, &resource)
    }
}
