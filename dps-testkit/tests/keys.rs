//! The suite for key providers, on those that are given.

use std::sync::Arc;

use dps_core::seal::{CachedKeys, KeyProvider};
use dps_testkit::clock::ManualClock;
use dps_testkit::keys::{FakeKeys, Fixture};

mod fake {
    use super::*;

    struct Fake;

    #[async_trait::async_trait]
    impl Fixture for Fake {
        type Guard = FakeKeys;

        async fn open(&self) -> (FakeKeys, Arc<dyn KeyProvider>) {
            let keys = FakeKeys::new();
            (keys.clone(), Arc::new(keys))
        }

        async fn rotate(&self, keys: &FakeKeys) {
            keys.rotate();
        }
    }

    dps_testkit::keys::conformance!(Fake);
}

mod cached {
    use std::time::Duration;

    use super::*;

    struct Cached;

    #[async_trait::async_trait]
    impl Fixture for Cached {
        type Guard = (FakeKeys, Arc<ManualClock>);

        async fn open(&self) -> (Self::Guard, Arc<dyn KeyProvider>) {
            let keys = FakeKeys::new();
            let clock = Arc::new(ManualClock::new());
            let cached = CachedKeys::new(keys.clone(), Arc::clone(&clock) as _);
            ((keys, clock), Arc::new(cached))
        }

        async fn rotate(&self, (keys, clock): &Self::Guard) {
            keys.rotate();
            clock.advance(Duration::from_secs(5 * 60));
        }
    }

    dps_testkit::keys::conformance!(Cached);
}
