//! A clock that is set by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dps_core::time::{Clock, Timestamp};

/// A clock that stands still until it is moved. Clones share one hand.
#[derive(Clone, Debug)]
pub struct ManualClock {
    hand: Arc<AtomicU64>,
}

impl ManualClock {
    /// Where a new clock stands: `2026-01-02T03:04:05Z`.
    pub const START: Timestamp = Timestamp(1_767_323_045_000);

    /// A clock that stands at [`ManualClock::START`].
    #[must_use]
    pub fn new() -> Self {
        Self::at(Self::START)
    }

    /// A clock that stands at `moment`.
    #[must_use]
    pub fn at(moment: Timestamp) -> Self {
        Self {
            hand: Arc::new(AtomicU64::new(moment.0)),
        }
    }

    /// Moves the hand forward, in whole milliseconds; returns where it stands then.
    pub fn advance(&self, by: Duration) -> Timestamp {
        let moved = |now| Some(Timestamp(now).plus(by).0);
        let before = self
            .hand
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, moved);
        Timestamp(before.unwrap_or_else(|unmoved| unmoved)).plus(by)
    }

    /// Puts the hand anywhere, also back.
    pub fn set(&self, moment: Timestamp) {
        self.hand.store(moment.0, Ordering::SeqCst);
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.hand.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_one_hand() {
        let clock = ManualClock::new();
        let other = clock.clone();
        assert_eq!(clock.now().to_string(), "2026-01-02T03:04:05.0000000Z");
        let then = clock.advance(Duration::from_secs(60));
        assert_eq!(then.since(ManualClock::START), Duration::from_secs(60));
        assert_eq!(other.now(), then);
        other.set(Timestamp(7));
        assert_eq!(clock.now(), Timestamp(7));
    }
}
