//! Keys that are remembered.

use std::sync::Arc;
use std::time::Duration;

use dps_core::seal::{CachedKeys, KeyError, KeyName, KeyProvider};
use dps_core::time::Clock;
use dps_testkit::clock::ManualClock;
use dps_testkit::keys::FakeKeys;
use dps_testkit::run::block_on;

use crate::common::*;

const MINUTE: Duration = Duration::from_secs(60);

struct Cache {
    fake: FakeKeys,
    clock: ManualClock,
    keys: CachedKeys<FakeKeys>,
}

impl Cache {
    fn new() -> Self {
        let (fake, clock) = (FakeKeys::new(), ManualClock::new());
        let keys = CachedKeys::new(fake.clone(), Arc::new(clock.clone()))
            .with_fresh_for(5 * MINUTE)
            .with_usable_for(60 * MINUTE);
        Self { fake, clock, keys }
    }

    fn current(&self) -> Result<String, KeyError> {
        let key = block_on(self.keys.sealing_key(&scope()))?;
        Ok(key.name().to_string())
    }

    fn opening(&self, name: &str) -> Result<String, KeyError> {
        let name = KeyName::parse(name).unwrap();
        let key = block_on(self.keys.opening_key(&scope(), &name))?;
        Ok(key.name().to_string())
    }
}

#[test]
fn a_key_is_asked_for_once_while_it_is_fresh() {
    let cache = Cache::new();
    for _ in 0..10 {
        assert_eq!(cache.current().unwrap(), "fake-1");
        assert_eq!(cache.opening("fake-1").unwrap(), "fake-1");
    }
    assert_eq!(cache.fake.asked(), 2);
    cache.fake.rotate();
    assert_eq!(cache.current().unwrap(), "fake-1");
    cache.clock.advance(5 * MINUTE);
    assert_eq!(cache.current().unwrap(), "fake-2");
    assert_eq!(cache.fake.asked(), 3);
}

#[test]
fn an_outage_is_bridged_for_as_long_as_keys_may_be_used() {
    let cache = Cache::new();
    cache.current().unwrap();
    cache.fake.set_away(true);
    for _ in 0..59 {
        cache.clock.advance(MINUTE);
        assert_eq!(cache.current().unwrap(), "fake-1");
    }
    cache.clock.advance(MINUTE);
    assert!(matches!(cache.current(), Err(KeyError::Unavailable(_))));
    cache.fake.set_away(false);
    cache.clock.advance(MINUTE);
    assert_eq!(cache.current().unwrap(), "fake-1");
}

#[test]
fn an_outage_is_not_made_worse_by_asking() {
    let cache = Cache::new();
    cache.current().unwrap();
    cache.fake.set_away(true);
    cache.clock.advance(5 * MINUTE);
    let before = cache.fake.asked();
    for _ in 0..100 {
        assert_eq!(cache.current().unwrap(), "fake-1");
        assert!(cache.opening("fake-2").is_err());
    }
    assert_eq!(cache.fake.asked(), before + 2);
    cache.clock.advance(Duration::from_secs(5));
    cache.current().unwrap();
    assert!(cache.opening("fake-2").is_err());
    assert_eq!(cache.fake.asked(), before + 4);
}

#[test]
fn a_key_that_is_revoked_or_lost_falls_out_of_use() {
    let cache = Cache::new();
    cache.opening("fake-1").unwrap();
    cache.fake.set_refused(true);
    cache.clock.advance(5 * MINUTE);
    let error = cache.opening("fake-1").unwrap_err();
    assert!(matches!(error, KeyError::Refused(_)));
    // Remembered, and told again with its cause.
    let again = cache.opening("fake-1").unwrap_err();
    assert!(chain(&again).contains("the fake keys were revoked"));
    cache.fake.set_refused(false);
    let lost = cache.fake.lose(&KeyName::parse("fake-1").unwrap());
    cache.clock.advance(5 * MINUTE);
    assert!(matches!(
        cache.opening("fake-1"),
        Err(KeyError::Unknown { .. })
    ));
    cache.fake.bring(lost);
    cache.clock.advance(Duration::from_secs(5));
    assert!(cache.opening("fake-1").is_ok());
}

#[test]
fn a_clock_that_is_set_back_keeps_no_key_for_longer() {
    let cache = Cache::new();
    let start = cache.clock.now();
    cache.clock.advance(600 * MINUTE);
    cache.current().unwrap();
    cache.clock.set(start);
    cache.fake.rotate();
    assert_eq!(cache.current().unwrap(), "fake-2");
}

#[test]
fn names_that_somebody_makes_up_do_not_fill_the_memory() {
    let cache = Cache::new();
    cache.current().unwrap();
    for n in 0..10_000 {
        assert!(cache.opening(&format!("made-up-{n}")).is_err());
    }
    let held = format!("{:?}", cache.keys).matches("made-up").count();
    assert!(held <= 3 * 4096, "{held}");
    assert_eq!(cache.current().unwrap(), "fake-1");
}
