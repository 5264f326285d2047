//! Which hub a device goes to.
//!
//! The built-in policies are one pure function, [`choose`]; [`BuiltIn`] wraps it as an
//! [`AllocationHook`] so that it can be simulated beside custom ones.

mod fixed;
mod hashed;
mod latency;
#[cfg(test)]
mod tests;

use std::fmt::{self, Debug};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value};

use crate::enrollment::Enrollment;
use crate::hub::Place;
use crate::id::{HubName, IdScope, OperationId, RegistrationId};
use crate::instance::LinkedHub;
use crate::store::BoxError;
use crate::twin::Twin;

/// How a hub is chosen among the candidates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Policy {
    /// Spread by weight ("evenly weighted distribution").
    Hashed,
    /// The nearest, as far as a [`LatencyOracle`] knows; spread by weight among equals.
    GeoLatency,
    /// The hub that the enrollment names.
    Static,
    /// Whatever the [`AllocationHook`] says.
    Custom,
}

impl Policy {
    /// The word the service API uses.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Hashed => "hashed",
            Self::GeoLatency => "geoLatency",
            Self::Static => "static",
            Self::Custom => "custom",
        }
    }

    /// Reads the word the service API uses, without regard to case.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Hashed, Self::GeoLatency, Self::Static, Self::Custom]
            .into_iter()
            .find(|policy| policy.word().eq_ignore_ascii_case(word))
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What a policy is asked.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AllocationRequest<'a> {
    /// The tenant.
    pub scope: &'a IdScope,
    /// The same at each repeat of the question.
    pub operation: &'a OperationId,
    /// The device.
    pub registration: &'a RegistrationId,
    /// The entry that lets it in.
    pub enrollment: &'a Enrollment,
    /// 1 to 50 candidates, in the order of the instance; one if the device must stay.
    pub hubs: &'a [&'a LinkedHub],
    /// Where it is now, if it has a hub.
    pub current: Option<&'a Place>,
    /// What it sent along: any JSON, from a device that has proven itself but may be broken.
    pub payload: Option<&'a Value>,
    /// Where it calls from.
    pub origin: IpAddr,
    /// A policy that asks elsewhere gives up after this long; nobody stops it.
    pub deadline: Duration,
}

impl<'a> AllocationRequest<'a> {
    /// A question with no current place and no payload, and ten seconds to answer.
    #[must_use]
    pub const fn new(
        scope: &'a IdScope,
        operation: &'a OperationId,
        registration: &'a RegistrationId,
        enrollment: &'a Enrollment,
        hubs: &'a [&'a LinkedHub],
        origin: IpAddr,
    ) -> Self {
        let deadline = Duration::from_secs(10);
        Self {
            scope,
            operation,
            registration,
            enrollment,
            hubs,
            current: None,
            payload: None,
            origin,
            deadline,
        }
    }
}

/// What a policy answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Allocation {
    /// One of the candidates.
    pub hub: HubName,
    /// Instead of the enrollment's twin; used where a device begins anew.
    pub twin: Option<Twin>,
    /// For the device, and kept with its registration. An object, because two SDKs read nothing else.
    pub payload: Option<Map<String, Value>>,
}

impl From<HubName> for Allocation {
    fn from(hub: HubName) -> Self {
        Self {
            hub,
            twin: None,
            payload: None,
        }
    }
}

/// Why a policy named no hub.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HookError {
    /// Again later. When the retries are used up, the text of `source` is what the device is told.
    #[error("the allocation hook asks to be called again")]
    Retry {
        /// When; at most 5 minutes count. `None` for the usual 1, 10, 19 … seconds.
        after: Option<Duration>,
        /// What happened.
        #[source]
        source: Option<BoxError>,
    },
    /// Never: 400207. The device is told.
    #[error("the allocation hook refused the device: {reason}")]
    Refused {
        /// What the device is told.
        reason: String,
    },
    /// No hub was named: 400208.
    #[error("the allocation hook named no hub")]
    NoHub,
    /// The hook did not let us in: 400209.
    #[error("the allocation hook was not authorized")]
    Unauthorized,
}

/// A custom allocation policy.
///
/// # Contract
/// Asked at least once per operation, and one operation for every registration, also of a device
/// that will stay. It may be asked again for the same operation; the answer that is stored first is
/// the one that counts. A hub that is no candidate fails the operation with 400207.
#[async_trait]
pub trait AllocationHook: Debug + Send + Sync + 'static {
    /// Chooses one of `request.hubs`.
    ///
    /// # Errors
    /// [`HookError::Retry`] up to ten times; everything else ends the operation, and the device is
    /// told.
    async fn allocate(&self, request: &AllocationRequest<'_>) -> Result<Allocation, HookError>;
}

/// Says how far hubs are. Answers from what it already holds; never waits.
pub trait LatencyOracle: Debug + Send + Sync + 'static {
    /// One estimate per hub, in the order of `hubs`; `None` where unknown.
    fn estimate(&self, from: IpAddr, hubs: &[&LinkedHub]) -> Vec<Option<Duration>>;
}

/// What a built-in policy chose, and what decided it.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice<'a> {
    /// The hub.
    pub hub: &'a LinkedHub,
    /// Why this one.
    pub why: Why,
}

/// What decided a built-in choice.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Why {
    /// The lowest rendezvous score among so many candidates.
    Score {
        /// `-ln(u) / weight`; the lowest wins.
        score: f64,
        /// How many hubs took part.
        among: usize,
    },
    /// The lowest latency; the score decided among so many equals.
    Latency {
        /// The estimate.
        latency: Duration,
        /// How many hubs had it.
        ties: usize,
    },
    /// Nobody knows a latency, so the score decided.
    LatencyUnknown {
        /// As in [`Why::Score`].
        score: f64,
        /// How many hubs took part.
        among: usize,
    },
    /// The enrollment names it; if it names several, the first that is a candidate.
    Named,
}

/// Why no built-in policy could choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChooseError {
    /// The list of candidates is empty.
    #[error("no hub is left to choose from")]
    NoCandidate,
    /// No candidate has a weight.
    #[error("no candidate hub has a weight above 0")]
    NoWeight,
    /// The policy is static, and the enrollment names no hub.
    #[error("the allocation policy is static, but the enrollment names no hub")]
    NoHubNamed,
    /// A custom policy is not built in.
    #[error("a custom allocation policy is asked through a hook")]
    Custom,
}

/// Chooses a hub by one of the built-in policies.
///
/// * `request`: the candidates in any order; the same device always meets the same hub while they
///   stay the same.
/// * `latencies`: one per candidate, as a [`LatencyOracle`] gives them; read by `GeoLatency` only,
///   and what is missing at the end counts as unknown.
///
/// # Errors
/// [`ChooseError`] if there is nothing to choose from.
///
/// # Source
/// *How to use allocation policies*. The hashing is ours; the service does not publish its own.
pub fn choose<'a>(
    policy: Policy,
    request: &AllocationRequest<'a>,
    latencies: &[Option<Duration>],
) -> Result<Choice<'a>, ChooseError> {
    if request.hubs.is_empty() {
        return Err(ChooseError::NoCandidate);
    }
    match policy {
        Policy::Hashed => hashed::choose(request.scope, request.registration, request.hubs),
        Policy::GeoLatency => latency::choose(request, latencies),
        Policy::Static => fixed::choose(request),
        Policy::Custom => Err(ChooseError::Custom),
    }
}

/// A built-in policy as a hook: for simulations, and to fall back to from a custom one.
#[derive(Clone, Debug)]
pub struct BuiltIn {
    policy: Policy,
    latency: Option<Arc<dyn LatencyOracle>>,
}

impl BuiltIn {
    /// The policy, without an oracle.
    #[must_use]
    pub const fn new(policy: Policy) -> Self {
        Self {
            policy,
            latency: None,
        }
    }

    /// Asks `oracle` for latencies.
    #[must_use]
    pub fn with_latency(mut self, oracle: Arc<dyn LatencyOracle>) -> Self {
        self.latency = Some(oracle);
        self
    }
}

#[async_trait]
impl AllocationHook for BuiltIn {
    async fn allocate(&self, request: &AllocationRequest<'_>) -> Result<Allocation, HookError> {
        let latencies = match &self.latency {
            Some(oracle) => oracle.estimate(request.origin, request.hubs),
            None => Vec::new(),
        };
        match choose(self.policy, request, &latencies) {
            Ok(choice) => Ok(choice.hub.name.clone().into()),
            Err(error) => Err(HookError::Refused {
                reason: error.to_string(),
            }),
        }
    }
}
