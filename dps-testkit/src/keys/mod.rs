//! What every [`KeyProvider`] owes, one test a duty; and keys in memory, with faults on demand.
//!
//! ```
//! use std::sync::Arc;
//! use dps_core::seal::KeyProvider;
//! use dps_testkit::keys::{self, FakeKeys, Fixture};
//!
//! struct Fake;
//!
//! #[async_trait::async_trait]
//! impl Fixture for Fake {
//!     type Guard = FakeKeys;
//!     async fn open(&self) -> (FakeKeys, Arc<dyn KeyProvider>) {
//!         let keys = FakeKeys::new();
//!         (keys.clone(), Arc::new(keys))
//!     }
//!     async fn rotate(&self, keys: &FakeKeys) {
//!         keys.rotate();
//!     }
//! }
//!
//! keys::conformance!(Fake);
//! ```

mod drawer;
mod fake;
pub mod providers;

use std::sync::Arc;

use async_trait::async_trait;
use dps_core::seal::KeyProvider;

pub use self::fake::FakeKeys;
#[doc(inline)]
pub use crate::keys_conformance as conformance;
use crate::run::{Duty, block_on, duty_functions};

/// Opens key providers for the suite.
#[async_trait]
pub trait Fixture: Sync {
    /// What has to live as long as a provider: a file, a service. Its drop cleans up.
    type Guard: Send + Sync;

    /// A provider with a current key, and its guard.
    async fn open(&self) -> (Self::Guard, Arc<dyn KeyProvider>);

    /// Makes another key current, as an operator does. The provider has noticed when this returns.
    async fn rotate(&self, guard: &Self::Guard);

    /// Runs a duty to its end. A provider that needs a runtime runs it inside one.
    fn drive(&self, duty: Duty<'_>) {
        block_on(duty);
    }
}

/// Makes one `#[test]` of each duty of a key provider. Takes an expression whose value is a
/// [`Fixture`](crate::keys::Fixture).
#[macro_export]
macro_rules! keys_conformance {
    ($fixture:expr) => {
        $crate::__keys_duties! { [$crate::__duty_tests] keys $fixture }
    };
}

/// The one list of duties.
#[doc(hidden)]
#[macro_export]
macro_rules! __keys_duties {
    ([$($then:tt)+] $($args:tt)*) => {
        $($then)+! { [$($args)*]
            alone {
                providers:
                    the_current_key_is_found_by_its_name
                    a_name_means_the_same_key_each_time
                    a_key_is_for_one_scope_as_good_as_for_another
                    a_name_that_nobody_gave_is_unknown
                    whoever_asks_at_once_gets_the_same_key
                    after_a_rotation_another_key_is_current_and_the_old_one_still_opens;
            }
            together {}
        }
    };
}

crate::__keys_duties! { [duty_functions] alone }

/// What the duties work on.
pub struct Bench<'a> {
    keys: Arc<dyn KeyProvider>,
    rotate: &'a (dyn Fn() -> Duty<'a> + Sync),
}

impl std::fmt::Debug for Bench<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.keys.fmt(f)
    }
}

fn alone<F: Fixture>(fixture: &F, duty: impl for<'a> FnOnce(&'a Bench<'a>) -> Duty<'a> + Send) {
    fixture.drive(Box::pin(async move {
        let (guard, keys) = fixture.open().await;
        let rotate = || -> Duty<'_> { Box::pin(fixture.rotate(&guard)) };
        let bench = Bench {
            keys,
            rotate: &rotate,
        };
        duty(&bench).await;
    }));
}
