//! Stored shapes: what records look like, where they live, and how they are read back.
//!
//! Domain types are free to change; these are not. Values are JSON with short names: readable by
//! whoever has to look into a store one night, and open for members to be added. Tests freeze a
//! sample of each kind; a change that cannot read yesterday's record fails there.

mod certificate;
mod challenge;
mod enrollment;
mod instance;
mod issuer;
mod place;
mod registration;
mod rule;
mod slot;
mod tally;

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

pub(crate) use self::certificate::{
    decode_certificate, decode_held, encode_certificate, encode_held,
};
pub(crate) use self::challenge::{decode_shown, encode_shown};
pub(crate) use self::enrollment::{decode_enrollment, encode_enrollment};
pub(crate) use self::instance::{
    decode_instance, decode_nonce_key, encode_instance, encode_nonce_key,
};
pub(crate) use self::place::{Leaving, decode_leaving, encode_leaving};
pub(crate) use self::registration::{decode_registration, encode_registration};
pub(crate) use self::slot::shard_of;
pub(crate) use self::tally::{decode_tally, encode_tally, tally_key, tally_keys};
use crate::hub::Place;
use crate::id::{GroupId, IdScope, RegistrationId};
use crate::store::{
    BoxError, Change, Expect, Key, MAX_VALUE_BYTES, Shard, StoreError, Table, Write,
};
use crate::tpm::PublicKey;
use crate::twin::Twin;

/// Slots that devices are spread over; part of the stored format.
const SLOTS: u8 = 64;

/// Where the configuration of a scope lives.
pub(crate) fn configuration(scope: &IdScope) -> Shard {
    Shard {
        scope: scope.clone(),
        slot: 0,
    }
}

/// The record that changes with every change of the configuration.
pub(crate) fn epoch_key(scope: &IdScope) -> Key {
    Key {
        shard: configuration(scope),
        table: Table::Instance,
        id: "epoch".into(),
    }
}

/// The instance itself.
pub(crate) fn instance_key(scope: &IdScope) -> Key {
    Key {
        shard: configuration(scope),
        table: Table::Instance,
        id: "instance".into(),
    }
}

/// The secret that challenges of the instance are made from. It stays when the instance is written anew.
pub(crate) fn nonce_key_key(scope: &IdScope) -> Key {
    Key {
        shard: configuration(scope),
        table: Table::Instance,
        id: "nonce-key".into(),
    }
}

/// Where the records of one device live. All in one shard, so that they commit together.
#[derive(Clone, Debug)]
pub(crate) struct DeviceKeys {
    pub(crate) shard: Shard,
    id: Arc<str>,
}

impl DeviceKeys {
    pub(crate) fn new(scope: &IdScope, registration: &RegistrationId) -> Self {
        Self::of_folded(scope, Arc::clone(registration.folded()))
    }

    /// From an id that is in lower case already.
    pub(crate) fn of_folded(scope: &IdScope, id: Arc<str>) -> Self {
        let digest: [u8; 32] = Sha256::digest(id.as_bytes()).into();
        let slot = 1 + u16::from(digest[0] % SLOTS);
        Self {
            shard: Shard {
                scope: scope.clone(),
                slot,
            },
            id,
        }
    }

    pub(crate) fn key(&self, table: Table) -> Key {
        Key {
            shard: self.shard.clone(),
            table,
            id: Arc::clone(&self.id),
        }
    }

    pub(crate) fn write(&self, table: Table, expect: Expect, change: Change) -> Write {
        Write {
            table,
            id: Arc::clone(&self.id),
            expect,
            change,
        }
    }

    /// The record of a place that this device has left.
    pub(crate) fn leaving_id(&self, place: &Place) -> Arc<str> {
        format!("{}/{}/{}", self.id, place.hub.folded(), place.device).into()
    }

    /// The record that lists this device with a group.
    pub(crate) fn member_id(&self, group: &GroupId) -> Arc<str> {
        format!("{}/{}", group.folded(), self.id).into()
    }
}

fn encode(value: &impl Serialize) -> Result<Bytes, StoreError> {
    // Most records fit, so that the text need not move while it grows; what is left over is given
    // back, for it would be kept as long as the record.
    let mut encoded = Vec::with_capacity(2048);
    serde_json::to_writer(&mut encoded, value).map_err(|e| StoreError::Corrupt(e.into()))?;
    if encoded.len() > MAX_VALUE_BYTES {
        return Err(StoreError::TooLarge {
            bytes: encoded.len(),
        });
    }
    encoded.shrink_to_fit();
    Ok(encoded.into())
}

/// What sealed values begin with ([`crate::seal`]), and no JSON does.
const SEALED: u8 = 1;

fn decode<T: DeserializeOwned>(value: &[u8]) -> Result<T, StoreError> {
    if value.first() == Some(&SEALED) {
        return Err(corrupt(
            "it is sealed, and the store was opened without keys",
        ));
    }
    // Where, but not what: the text of such an error quotes the value, which may be a key.
    serde_json::from_slice(value).map_err(|error| {
        let (kind, line, column) = (error.classify(), error.line(), error.column());
        corrupt(format!("{kind:?} error at line {line} column {column}"))
    })
}

fn corrupt(error: impl Into<BoxError>) -> StoreError {
    StoreError::Corrupt(error.into())
}

/// Bytes as base64 text.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Base64<T>(T);

impl<T: AsRef<[u8]>> Serialize for Base64<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de, T: TryFrom<Vec<u8>>> Deserialize<'de> for Base64<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        let bytes = STANDARD.decode(text.as_bytes()).map_err(D::Error::custom)?;
        T::try_from(bytes)
            .map(Self)
            .map_err(|_| D::Error::custom("wrong number of bytes"))
    }
}

fn store_public_key(key: &PublicKey) -> Base64<Cow<'_, [u8]>> {
    Base64(Cow::Borrowed(key.bytes()))
}

fn load_public_key(stored: &Base64<Cow<'_, [u8]>>) -> Result<PublicKey, StoreError> {
    PublicKey::parse(&stored.0).map_err(corrupt)
}

/// A twin; objects that are empty are left out.
#[derive(Serialize, Deserialize)]
struct StoredTwin<'a> {
    #[serde(default, skip_serializing_if = "is_empty")]
    tags: Cow<'a, Map<String, Value>>,
    #[serde(default, skip_serializing_if = "is_empty")]
    desired: Cow<'a, Map<String, Value>>,
    #[serde(default, skip_serializing_if = "is_empty")]
    reported: Cow<'a, Map<String, Value>>,
}

fn is_empty(map: &Map<String, Value>) -> bool {
    map.is_empty()
}

impl<'a> StoredTwin<'a> {
    fn of(twin: &'a Twin) -> Self {
        Self {
            tags: Cow::Borrowed(&twin.tags),
            desired: Cow::Borrowed(&twin.desired),
            reported: Cow::Borrowed(&twin.reported),
        }
    }

    fn into_twin(self) -> Twin {
        Twin {
            tags: self.tags.into_owned(),
            desired: self.desired.into_owned(),
            reported: self.reported.into_owned(),
        }
    }

    fn is_blank(&self) -> bool {
        self.tags.is_empty() && self.desired.is_empty() && self.reported.is_empty()
    }
}

#[cfg(test)]
mod tests;
