//! What must be remembered of challenges: the storage root keys that a device showed with its enrolled
//! endorsement key, newest last. It may sign without showing them again.

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Base64, decode, encode, load_public_key, store_public_key};
use crate::store::StoreError;
use crate::tpm::PublicKey;

#[derive(Serialize, Deserialize)]
struct Stored<'a> {
    srks: Vec<Base64<Cow<'a, [u8]>>>,
}

pub(crate) fn encode_shown(keys: &[PublicKey]) -> Result<Bytes, StoreError> {
    encode(&Stored {
        srks: keys.iter().map(store_public_key).collect(),
    })
}

pub(crate) fn decode_shown(value: &[u8]) -> Result<Vec<PublicKey>, StoreError> {
    let stored: Stored<'static> = decode(value)?;
    stored.srks.iter().map(load_public_key).collect()
}
