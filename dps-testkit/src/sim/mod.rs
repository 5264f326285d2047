//! Simulates allocation: a fleet, a policy, hubs, and where the devices end up.
//!
//! ```
//! use dps_core::allocate::{BuiltIn, Policy};
//! use dps_testkit::run::block_on;
//! use dps_testkit::sim::{Fleet, hubs, simulate};
//!
//! let policy = BuiltIn::new(Policy::Hashed);
//! let fleet = Fleet::sequential("press-", 20_000);
//! let three = hubs([("eu", 1), ("us", 1), ("ap", 2)]);
//! let four = hubs([("eu", 1), ("us", 1), ("ap", 2), ("br", 1)]);
//! let (before, after) = block_on(async {
//!     let before = simulate(&policy, &fleet, &three, None).await;
//!     let after = simulate(&policy, &fleet, &four, Some(&before)).await;
//!     (before, after)
//! });
//! assert!(before.skew() < 0.05);
//! assert!(before.moved(&after) < 0.22); // 0.2 is ideal: a fifth of all weight is new
//! assert!((4_700..5_300).contains(&before.count(&three[0].name)));
//! ```
//!
//! Decisions are values: the same fleet, policy and hubs give the same placement on any machine, so
//! the difference of two placements answers "what if". No runtime is needed; a policy that needs one
//! is simulated inside it.

mod placement;
mod service;

use std::fmt::{self, Debug};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dps_core::allocate::{Allocation, AllocationHook, AllocationRequest, HookError, Policy};
use dps_core::enrollment::{Attestation, Enrollment, ReprovisionPolicy, Subject};
use dps_core::hub::Place;
use dps_core::id::{GroupId, HubName, IdScope, OperationId, SecretBytes};
use dps_core::instance::LinkedHub;

pub use self::placement::{Outcome, Placement};
pub use self::service::{Service, Told};
use crate::clock::ManualClock;
pub use crate::fleet::Fleet;

/// Hubs of these names and weights, in policy, each located where its name says.
///
/// # Panics
/// If a name is no host name.
#[must_use]
pub fn hubs<const N: usize>(named: [(&str, u32); N]) -> [LinkedHub; N] {
    named.map(|(name, weight)| LinkedHub {
        name: HubName::parse(name).expect("hubs are named as hosts are"),
        location: name.into(),
        weight,
        in_policy: true,
        credential: None,
    })
}

/// The group enrollment that simulated devices come through, in the scope `simulation`.
///
/// It names no hubs, so that all are candidates, asks for the custom policy, and lets devices move
/// with their data.
#[must_use]
pub fn enrollment() -> Enrollment {
    let subject = Subject::Group {
        id: GroupId::parse("simulated").expect("it is a group id"),
    };
    let attestation = Attestation::SymmetricKey {
        primary: SecretBytes::from([0; 32]),
        secondary: SecretBytes::from([0; 32]),
    };
    Enrollment {
        policy: Some(Policy::Custom),
        reprovision: Some(ReprovisionPolicy::default()),
        ..Enrollment::new(subject, attestation, ManualClock::START)
    }
}

/// Asks `policy` for each device of `fleet`, in the order of their numbers, and keeps the answers.
///
/// * `hubs`: 1 to 50 candidates.
/// * `before`: where the devices are now; of the same fleet, or `None` if they are nowhere yet.
///
/// A device that is asked to come again, or is refused, keeps its place in the outcome: it is
/// counted as [`Outcome::Retry`] or [`Outcome::Refused`] and has no hub.
pub async fn simulate(
    policy: &dyn AllocationHook,
    fleet: &Fleet,
    hubs: &[LinkedHub],
    before: Option<&Placement>,
) -> Placement {
    simulate_with(policy, fleet, &enrollment(), hubs, before).await
}

/// As [`simulate`], with devices that come through `enrollment`.
pub async fn simulate_with(
    policy: &dyn AllocationHook,
    fleet: &Fleet,
    enrollment: &Enrollment,
    hubs: &[LinkedHub],
    before: Option<&Placement>,
) -> Placement {
    let scope = scope();
    let candidates: Vec<&LinkedHub> = hubs.iter().collect();
    let mut outcomes = Vec::with_capacity(fleet.len());
    for (nth, registration) in fleet.ids().iter().enumerate() {
        let operation = operation(nth);
        let origin = fleet.origin_of(nth);
        let payload = fleet.payload_of(nth);
        let current = before
            .and_then(|before| before.hub_of(nth))
            .map(|hub| Place {
                hub: hub.clone(),
                device: registration.into(),
            });
        let mut request = AllocationRequest::new(
            &scope,
            &operation,
            registration,
            enrollment,
            &candidates,
            origin,
        );
        request.payload = payload.as_ref();
        request.current = current.as_ref();
        request.deadline = Duration::from_secs(10);
        let answer = policy.allocate(&request).await;
        outcomes.push(Outcome::of(answer, hubs));
    }
    Placement::new(hubs, outcomes)
}

/// The tenant of simulated devices.
pub(crate) fn scope() -> IdScope {
    IdScope::parse("simulation").expect("it is a scope")
}

/// The operation of the `nth` simulated device.
pub(crate) fn operation(nth: usize) -> OperationId {
    let mut random = [0; 24];
    random[16..].copy_from_slice(&(nth as u64).to_be_bytes());
    OperationId::from_random(random)
}

/// An allocation hook made of a closure.
///
/// ```
/// use dps_core::allocate::{AllocationHook, HookError};
/// use dps_testkit::sim::HookFn;
///
/// let first = HookFn::new(|request| match request.hubs {
///     [first, ..] => Ok(first.name.clone().into()),
///     [] => Err(HookError::NoHub),
/// });
/// # let _: &dyn AllocationHook = &first;
/// ```
#[derive(Clone)]
pub struct HookFn {
    answer: Arc<Answer>,
}

type Answer = dyn Fn(&AllocationRequest<'_>) -> Result<Allocation, HookError> + Send + Sync;

impl HookFn {
    /// Asks `answer` each time.
    pub fn new(
        answer: impl Fn(&AllocationRequest<'_>) -> Result<Allocation, HookError> + Send + Sync + 'static,
    ) -> Self {
        Self {
            answer: Arc::new(answer),
        }
    }
}

#[async_trait]
impl AllocationHook for HookFn {
    async fn allocate(&self, request: &AllocationRequest<'_>) -> Result<Allocation, HookError> {
        (self.answer)(request)
    }
}

impl Debug for HookFn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HookFn(..)")
    }
}
