//! What is written into errors.

use std::fmt::Debug;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dps_core::id::TrackingId;
use dps_core::time::{Clock, SystemClock, Timestamp};

/// What is written into an error beside what went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// By which it can be found again.
    pub id: TrackingId,
    /// When it was told.
    pub now: Timestamp,
}

/// Where stamps come from.
pub trait Stamps: Debug + Send + Sync {
    /// A new one.
    fn stamp(&self) -> Stamp;
}

/// Stamps with ids that do not repeat, and look random but are no secrets.
#[derive(Debug)]
pub struct ClockStamps {
    clock: Arc<dyn Clock>,
    keys: RandomState,
    made: AtomicU64,
}

impl ClockStamps {
    /// Stamps with the time of `clock`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            keys: RandomState::new(),
            made: AtomicU64::new(0),
        }
    }
}

impl Default for ClockStamps {
    /// Stamps with the time of the system.
    fn default() -> Self {
        Self::new(Arc::new(SystemClock))
    }
}

impl Stamps for ClockStamps {
    fn stamp(&self) -> Stamp {
        let nth = self.made.fetch_add(1, Ordering::Relaxed);
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.keys.hash_one((nth, 0_u8)).to_be_bytes());
        id[8..].copy_from_slice(&self.keys.hash_one((nth, 1_u8)).to_be_bytes());
        Stamp {
            id: TrackingId::from_random(id),
            now: self.clock.now(),
        }
    }
}
