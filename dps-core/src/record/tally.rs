//! How many individual enrollments a slot has.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{SLOTS, decode, encode};
use crate::id::IdScope;
use crate::store::{Key, Shard, StoreError, Table};

#[derive(Serialize, Deserialize)]
struct Stored {
    count: u64,
}

pub(crate) fn encode_tally(count: u64) -> Result<Bytes, StoreError> {
    encode(&Stored { count })
}

pub(crate) fn decode_tally(value: &[u8]) -> Result<u64, StoreError> {
    Ok(decode::<Stored>(value)?.count)
}

/// The count of the slot that `shard` is.
pub(crate) fn tally_key(shard: &Shard) -> Key {
    Key {
        table: Table::Tally,
        id: format!("enrollments/{}", shard.slot).into(),
        shard: shard.clone(),
    }
}

/// The counts of all slots.
pub(crate) fn tally_keys(scope: &IdScope) -> Vec<Key> {
    let slots = 1..=u16::from(SLOTS);
    let shard = |slot| Shard {
        scope: scope.clone(),
        slot,
    };
    slots.map(|slot| tally_key(&shard(slot))).collect()
}
