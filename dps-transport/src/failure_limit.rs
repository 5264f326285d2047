//! A limit of failed attempts by address, before credentials are looked at or the store is asked.

use std::fmt;
use std::hash::RandomState;
use std::net::IpAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use dps_core::api::{Authentication, DeviceApi, DeviceHello, DeviceRequest, Reply};
use dps_core::crypto::SecureRandom;
use dps_core::error::{Reason, ServiceError};
use dps_core::id::{ApiVersion, TrackingId};
use dps_core::time::{Clock, Timestamp};
use lru::LruCache;

use crate::prefix::Prefix;

/// How many addresses are remembered; the one not seen for longest is forgotten first.
const ADDRESSES: NonZeroUsize = NonZeroUsize::new(65_536).expect("not zero");

/// How many challenges weigh as much as one failed attempt.
const CHALLENGES: u32 = 10;

/// A [`DeviceApi`] that refuses an address after too many failed attempts, without asking further.
///
/// Only attempts that end in 401 count; one that ends in a challenge counts a tenth, because an honest
/// device with a TPM needs one for each registration, and many may share an address (our choice). IPv6 addresses count by their first 64 bits. A refused caller
/// is told what it would be told for a wrong key, so the limit gives nothing away, and its further
/// attempts cost a look-up. Others are served meanwhile, but those that share its address are not:
/// behind an address translator, one device that tries a wrong key more often than the limit shuts
/// out its neighbours.
///
/// Attempts that are under way together are all looked at: so many more as the address may have
/// connections ([`Limits`](crate::Limits)).
///
/// Memory is bounded: 65,536 addresses of about 100 bytes. What is forgotten begins anew.
pub struct FailureLimit {
    inner: Arc<dyn DeviceApi>,
    clock: Arc<dyn Clock>,
    random: &'static dyn SecureRandom,
    interval: Duration,
    burst: u32,
    /// For each address the moment at which all of its failures are forgiven.
    forgiven: Mutex<LruCache<Prefix, Timestamp, RandomState>>,
}

impl FailureLimit {
    /// Allows 60 failed attempts a minute, 60 of them at once. Our choice.
    ///
    /// * `inner`: who is asked otherwise.
    /// * `random`: where tracking ids come from.
    #[must_use]
    pub fn new(
        inner: Arc<dyn DeviceApi>,
        clock: Arc<dyn Clock>,
        random: &'static dyn SecureRandom,
    ) -> Self {
        Self {
            inner,
            clock,
            random,
            interval: Duration::from_secs(1),
            burst: 60,
            forgiven: Mutex::new(LruCache::with_hasher(ADDRESSES, RandomState::new())),
        }
    }

    /// Sets the limit.
    ///
    /// * `per_minute`: failed attempts that are forgiven each minute; more than 60,000 count as that.
    /// * `burst`: failed attempts that are taken at once, from an address that had none.
    ///
    /// Challenges have ten times as much room, or 60,000 a minute if that is less.
    #[must_use]
    pub fn with_limit(mut self, per_minute: NonZeroU32, burst: NonZeroU32) -> Self {
        // Time is counted in whole milliseconds.
        let minute = Duration::from_secs(60);
        self.interval = (minute / per_minute.get()).max(Duration::from_millis(1));
        self.burst = burst.get();
        self
    }

    /// Whether an attempt from `address` is worth looking at.
    fn is_open(&self, address: IpAddr, now: Timestamp) -> bool {
        let all_but_one = self.interval.saturating_mul(self.burst - 1);
        let forgiven = self.forgiven().get(&Prefix::from(address)).copied();
        forgiven.is_none_or(|moment| moment <= now.plus(all_but_one))
    }

    /// Counts what takes `weight` to be forgiven.
    fn count(&self, address: IpAddr, weight: Duration, now: Timestamp) {
        let mut forgiven = self.forgiven();
        let moment = forgiven.get_or_insert_mut(Prefix::from(address), || now);
        // Many attempts that began together may fail together: what they add beyond the burst is
        // not held against later ones.
        let latest = now.plus(self.interval.saturating_mul(self.burst));
        *moment = (*moment).max(now).plus(weight).min(latest);
    }

    fn refusal(&self) -> ServiceError {
        let error = ServiceError::new(Reason::Unauthorized);
        let mut random = [0; 16];
        match self.random.fill(&mut random) {
            Ok(()) => error.with_tracking(TrackingId::from_random(random)),
            Err(_) => ServiceError::new(Reason::Internal),
        }
    }

    fn forgiven(&self) -> MutexGuard<'_, LruCache<Prefix, Timestamp, RandomState>> {
        self.forgiven.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl DeviceApi for FailureLimit {
    async fn authenticate(&self, hello: DeviceHello) -> Authentication {
        let address = hello.origin.address;
        if !self.is_open(address, self.clock.now()) {
            tracing::debug!(%address, "too many failed attempts");
            return Authentication::Denied(self.refusal());
        }
        let verdict = self.inner.authenticate(hello).await;
        let weight = match &verdict {
            Authentication::Denied(error) if error.reason() == Reason::Unauthorized => {
                self.interval
            }
            Authentication::Challenge { .. } => {
                (self.interval / CHALLENGES).max(Duration::from_millis(1))
            }
            _ => return verdict,
        };
        self.count(address, weight, self.clock.now());
        verdict
    }

    async fn call(
        &self,
        session: &dps_core::api::Session,
        version: &ApiVersion,
        request: DeviceRequest,
    ) -> Reply {
        self.inner.call(session, version, request).await
    }
}

impl fmt::Debug for FailureLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FailureLimit")
            .field("inner", &self.inner)
            .field("interval", &self.interval)
            .field("burst", &self.burst)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
