//! What every [`AllocationHook`] owes, one test a duty.
//!
//! ```
//! use dps_core::allocate::{BuiltIn, Policy};
//! use dps_testkit::hook::{self, Under};
//!
//! hook::conformance!(Under::test(|| BuiltIn::new(Policy::Hashed)).stable());
//! ```

pub mod answers;

use dps_core::allocate::{Allocation, AllocationHook, AllocationRequest, HookError};
use dps_core::instance::LinkedHub;
use serde_json::{Value, json};

#[doc(inline)]
pub use crate::hook_conformance as conformance;
use crate::run::{Duty, block_on, duty_functions};
use crate::sim::{Fleet, enrollment, hubs, operation, scope};

/// Makes policies for the suite.
pub trait Fixture: Sync {
    /// A fresh policy.
    fn make(&self) -> Box<dyn AllocationHook>;

    /// Whether the policy promises the same answer to the same question, whatever the order of the
    /// candidates, and moves no device that it need not move.
    fn is_stable(&self) -> bool;

    /// Runs a duty to its end. A policy that needs a runtime runs it inside one.
    fn drive(&self, duty: Duty<'_>) {
        block_on(duty);
    }
}

/// A fixture for policies that need no runtime, made of what makes the policy.
#[derive(Clone, Copy, Debug)]
pub struct Under<M> {
    make: M,
    stable: bool,
}

impl<M, H> Under<M>
where
    M: Fn() -> H + Sync,
    H: AllocationHook,
{
    /// Tests what `make` makes; it promises nothing but an answer.
    pub const fn test(make: M) -> Self {
        Self {
            make,
            stable: false,
        }
    }

    /// Holds the policy to being stable: see [`Fixture::is_stable`].
    #[must_use]
    pub fn stable(mut self) -> Self {
        self.stable = true;
        self
    }
}

impl<M, H> Fixture for Under<M>
where
    M: Fn() -> H + Sync,
    H: AllocationHook,
{
    fn make(&self) -> Box<dyn AllocationHook> {
        Box::new((self.make)())
    }

    fn is_stable(&self) -> bool {
        self.stable
    }
}

/// Makes one `#[test]` of each duty of an allocation policy. Takes an expression whose value is a
/// [`Fixture`](crate::hook::Fixture), such as [`Under::test`](crate::hook::Under::test).
#[macro_export]
macro_rules! hook_conformance {
    ($fixture:expr) => {
        $crate::__hook_duties! { [$crate::__duty_tests] hook $fixture }
    };
}

/// The one list of duties.
#[doc(hidden)]
#[macro_export]
macro_rules! __hook_duties {
    ([$($then:tt)+] $($args:tt)*) => {
        $($then)+! { [$($args)*]
            alone {
                answers:
                    the_answer_is_one_of_the_candidates
                    an_only_candidate_is_chosen_or_refused
                    an_absent_payload_is_no_accident
                    a_payload_of_any_shape_is_no_accident
                    a_refusal_says_why
                    a_stable_policy_minds_no_order_of_candidates
                    a_stable_policy_repeats_its_answer;
            }
            together {}
        }
    };
}

crate::__hook_duties! { [duty_functions] alone }

/// What the duties work on.
pub struct Bench {
    policy: Box<dyn AllocationHook>,
    stable: bool,
}

impl std::fmt::Debug for Bench {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.policy.fmt(f)
    }
}

impl Bench {
    /// Asks for the `nth` device of the suite's fleet.
    async fn ask(
        &self,
        nth: usize,
        candidates: &[LinkedHub],
        payload: Option<&Value>,
    ) -> Result<Allocation, HookError> {
        let (scope, operation, enrollment) = (scope(), operation(nth), enrollment());
        let fleet = Fleet::sequential("device-", nth + 1);
        let hubs: Vec<&LinkedHub> = candidates.iter().collect();
        let (device, origin) = (&fleet.ids()[nth], fleet.origin_of(nth));
        let mut request =
            AllocationRequest::new(&scope, &operation, device, &enrollment, &hubs, origin);
        request.payload = payload;
        self.policy.allocate(&request).await
    }
}

fn alone<F: Fixture>(fixture: &F, duty: impl for<'a> FnOnce(&'a Bench) -> Duty<'a> + Send) {
    let bench = Bench {
        policy: fixture.make(),
        stable: fixture.is_stable(),
    };
    fixture.drive(duty(&bench));
}

fn four() -> [LinkedHub; 4] {
    hubs([
        ("eu.example", 1),
        ("us.example", 1),
        ("ap.example", 2),
        ("br.example", 3),
    ])
}

/// Payloads as devices send them, and as no device should.
fn payloads() -> Vec<Value> {
    vec![
        Value::Null,
        json!(true),
        json!(-1.5),
        json!("text"),
        json!([]),
        json!([1, [2, [3]]]),
        json!({}),
        json!({"customer": 7}),
        json!({"customer": null, "region": {"name": []}}),
        json!({"": "", "\u{0}": "\u{10ffff}"}),
    ]
}
