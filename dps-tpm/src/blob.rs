//! What the service sends to be activated: a key for signing, wrapped twice.
//!
//! Six structures of the TPM's own kind one after the other, each with its length in two bytes. All clients
//! read it so: `insert_key_in_tpm` in azure-iot-sdk-c, `provisioning_client/adapters/hsm_client_tpm.c`.

use tss_esapi::structures::{
    EncryptedSecret, IdObject, KeyedHashScheme, Private, Public, PublicKeyedHashParameters,
};
use tss_esapi::traits::{Marshall, UnMarshall};

use crate::error::BlobError;

/// A key for signing, as the TPM takes it.
#[derive(Debug)]
pub(crate) struct Blob {
    /// Holds the key of the inner wrap. Only this TPM opens it, and only for this storage root key.
    pub(crate) credential: IdObject,
    /// The seed of `credential`, for the endorsement key.
    pub(crate) credential_seed: EncryptedSecret,
    /// The key, in both wraps.
    pub(crate) duplicate: Private,
    /// The seed of the outer wrap, for the storage root key.
    pub(crate) duplicate_seed: EncryptedSecret,
    /// The key's public area: an HMAC key for SHA-256.
    pub(crate) public: Public,
}

impl Blob {
    /// Reads all six parts, and nothing after them. The last, encrypted data, is of no use to a device.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, BlobError> {
        let mut rest = bytes;
        let credential = part(&mut rest, "credential")?;
        let credential_seed = part(&mut rest, "seed of the credential")?;
        let duplicate = part(&mut rest, "wrapped key")?;
        let duplicate_seed = part(&mut rest, "seed of the wrapped key")?;
        let public = part(&mut rest, "public area")?;
        part(&mut rest, "data")?;
        if !rest.is_empty() {
            return Err(BlobError::Trailing(rest.len()));
        }
        Ok(Self {
            credential: IdObject::try_from(credential)
                .map_err(|_| BlobError::Malformed("credential"))?,
            credential_seed: EncryptedSecret::try_from(credential_seed)
                .map_err(|_| BlobError::Malformed("seed of the credential"))?,
            duplicate: Private::try_from(duplicate)
                .map_err(|_| BlobError::Malformed("wrapped key"))?,
            duplicate_seed: EncryptedSecret::try_from(duplicate_seed)
                .map_err(|_| BlobError::Malformed("seed of the wrapped key"))?,
            public: hmac_key(public).ok_or(BlobError::Malformed("public area"))?,
        })
    }
}

fn part<'a>(rest: &mut &'a [u8], name: &'static str) -> Result<&'a [u8], BlobError> {
    let split = rest
        .split_first_chunk()
        .and_then(|(size, after)| after.split_at_checked(u16::from_be_bytes(*size).into()));
    let (part, after) = split.ok_or(BlobError::Truncated(name))?;
    *rest = after;
    Ok(part)
}

/// A public area of an HMAC key, if it is one to the last byte.
fn hmac_key(bytes: &[u8]) -> Option<Public> {
    let public = Public::unmarshall(bytes).ok()?;
    let Public::KeyedHash { parameters, .. } = &public else {
        return None;
    };
    let is_hmac = *parameters == PublicKeyedHashParameters::new(KeyedHashScheme::HMAC_SHA_256);
    // The library leaves what follows the structure unread.
    let is_whole = public.marshall().ok()? == bytes;
    (is_hmac && is_whole).then_some(public)
}
