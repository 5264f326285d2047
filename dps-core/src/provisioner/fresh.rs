//! The key that a device with a TPM signs in to its hub with: made anew for each operation.

use crate::attest::SignIn;
use crate::crypto::{Crypto, CryptoError};
use crate::hub::DeviceAuth;
use crate::id::{IdScope, RegistrationId, SecretBytes};
use crate::tpm::{self, TpmKeys};

/// How a device will sign in to its hub, as it is written into an operation that begins now.
pub(super) struct HubCredential<'a> {
    pub(super) auth: DeviceAuth,
    /// For which TPM `auth` was made; `None` if the device has its credentials already.
    tpm: Option<&'a TpmKeys>,
}

impl<'a> HubCredential<'a> {
    /// Draws a key where one is needed.
    pub(super) fn draw(sign_in: &'a SignIn, crypto: &Crypto) -> Result<Self, CryptoError> {
        match sign_in {
            SignIn::Known(auth) => Ok(Self {
                auth: auth.clone(),
                tpm: None,
            }),
            SignIn::Fresh(keys) => {
                // Nobody is told the second: a hub wants two, and the device has room for one.
                let [primary, secondary] = [crypto.random()?, crypto.random()?]
                    .map(|key: [u8; tpm::KEY_BYTES]| SecretBytes::from(key));
                Ok(Self {
                    auth: DeviceAuth::Keys { primary, secondary },
                    tpm: Some(keys),
                })
            }
        }
    }

    /// The key as the device is told it: wrapped for its TPM. `None` if it has its credentials already.
    pub(super) fn wrapped(
        &self,
        crypto: &Crypto,
        scope: &IdScope,
        registration: &RegistrationId,
    ) -> Result<Option<Vec<u8>>, CryptoError> {
        let (Some(keys), DeviceAuth::Keys { primary, .. }) = (self.tpm, &self.auth) else {
            return Ok(None);
        };
        keys.wrap(crypto, scope, registration, primary).map(Some)
    }
}
