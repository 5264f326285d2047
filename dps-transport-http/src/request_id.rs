//! Names for answers.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use dps_core::id::TrackingId;

/// Makes ids that do not repeat. They look random but are no secrets.
#[derive(Debug, Default)]
pub(crate) struct RequestIds {
    keys: RandomState,
    made: AtomicU64,
}

impl RequestIds {
    pub(crate) fn next(&self) -> TrackingId {
        let nth = self.made.fetch_add(1, Ordering::Relaxed);
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.keys.hash_one((nth, 0_u8)).to_be_bytes());
        id[8..].copy_from_slice(&self.keys.hash_one((nth, 1_u8)).to_be_bytes());
        TrackingId::from_random(id)
    }
}
