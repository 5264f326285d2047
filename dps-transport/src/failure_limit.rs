//! A limit of failed attempts by address, before credentials are looked at or the store is asked.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dps_core::api::{Authentication, DeviceApi, DeviceHello, DeviceRequest, Reply};
use dps_core::crypto::SecureRandom;
use dps_core::error::{Reason, ServiceError};
use dps_core::id::{ApiVersion, TrackingId};
use dps_core::time::Clock;

use crate::failures::Failures;

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
    failures: Failures,
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
            failures: Failures::default(),
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
        self.failures = Failures::new(per_minute, burst);
        self
    }

    fn refusal(&self) -> ServiceError {
        let error = ServiceError::new(Reason::Unauthorized);
        let mut random = [0; 16];
        match self.random.fill(&mut random) {
            Ok(()) => error.with_tracking(TrackingId::from_random(random)),
            Err(_) => ServiceError::new(Reason::Internal),
        }
    }
}

#[async_trait]
impl DeviceApi for FailureLimit {
    async fn authenticate(&self, hello: DeviceHello) -> Authentication {
        let address = hello.origin.address;
        if !self.failures.is_open(address, self.clock.now()) {
            tracing::debug!(%address, "too many failed attempts");
            return Authentication::Denied(self.refusal());
        }
        let verdict = self.inner.authenticate(hello).await;
        let weight = match &verdict {
            Authentication::Denied(error) if error.reason() == Reason::Unauthorized => {
                self.failures.interval()
            }
            Authentication::Challenge { .. } => {
                (self.failures.interval() / CHALLENGES).max(Duration::from_millis(1))
            }
            _ => return verdict,
        };
        self.failures.count(address, weight, self.clock.now());
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
            .field("failures", &self.failures)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
