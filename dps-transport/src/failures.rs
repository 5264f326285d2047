//! Failed attempts by address.

use std::fmt;
use std::hash::RandomState;
use std::net::IpAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dps_core::time::Timestamp;
use lru::LruCache;

use crate::prefix::Prefix;

/// How many addresses are remembered; the one not seen for longest is forgotten first.
pub(crate) const ADDRESSES: NonZeroUsize = NonZeroUsize::new(65_536).expect("not zero");

/// Counts failed attempts by address, and forgives them as time goes by.
///
/// IPv6 addresses count by their first 64 bits. Memory is bounded: 65,536 addresses of about 100 bytes.
/// What is forgotten begins anew.
pub struct Failures {
    /// How long one failed attempt takes to be forgiven.
    interval: Duration,
    burst: u32,
    /// For each address the moment at which all of its failures are forgiven.
    forgiven: Mutex<LruCache<Prefix, Timestamp, RandomState>>,
}

impl Default for Failures {
    /// 60 failed attempts a minute, 60 of them at once. Our choice.
    fn default() -> Self {
        const SIXTY: NonZeroU32 = NonZeroU32::new(60).expect("not zero");
        Self::new(SIXTY, SIXTY)
    }
}

impl Failures {
    /// Counts none yet.
    ///
    /// * `per_minute`: failed attempts that are forgiven each minute; more than 60,000 count as that.
    /// * `burst`: failed attempts that are taken at once, from an address that had none.
    #[must_use]
    pub fn new(per_minute: NonZeroU32, burst: NonZeroU32) -> Self {
        // Time is counted in whole milliseconds.
        let minute = Duration::from_secs(60);
        Self {
            interval: (minute / per_minute.get()).max(Duration::from_millis(1)),
            burst: burst.get(),
            forgiven: Mutex::new(LruCache::with_hasher(ADDRESSES, RandomState::new())),
        }
    }

    /// Whether an attempt from `address` is worth looking at.
    #[must_use]
    pub fn is_open(&self, address: IpAddr, now: Timestamp) -> bool {
        let all_but_one = self.interval.saturating_mul(self.burst - 1);
        let forgiven = self.forgiven().get(&Prefix::from(address)).copied();
        forgiven.is_none_or(|moment| moment <= now.plus(all_but_one))
    }

    /// Counts one failed attempt.
    pub fn add(&self, address: IpAddr, now: Timestamp) {
        self.count(address, self.interval, now);
    }

    /// Counts what takes `weight` to be forgiven.
    pub(crate) fn count(&self, address: IpAddr, weight: Duration, now: Timestamp) {
        let mut forgiven = self.forgiven();
        let moment = forgiven.get_or_insert_mut(Prefix::from(address), || now);
        // Many attempts that began together may fail together: what they add beyond the burst is
        // not held against later ones.
        let latest = now.plus(self.interval.saturating_mul(self.burst));
        *moment = (*moment).max(now).plus(weight).min(latest);
    }

    pub(crate) const fn interval(&self) -> Duration {
        self.interval
    }

    /// How many addresses are remembered.
    #[cfg(test)]
    pub(crate) fn addresses(&self) -> usize {
        self.forgiven().len()
    }

    fn forgiven(&self) -> MutexGuard<'_, LruCache<Prefix, Timestamp, RandomState>> {
        self.forgiven.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failures")
            .field("interval", &self.interval)
            .field("burst", &self.burst)
            .finish_non_exhaustive()
    }
}
