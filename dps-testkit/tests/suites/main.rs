//! The suites for stores find what is wrong with one.

mod durability;
mod store;

use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Duties by name.
type All<F> = Vec<(&'static str, fn(&F))>;

/// Which of the duties `flaw` fails.
fn failed<F>(duties: All<F>, flaw: &F) -> Vec<&'static str> {
    duties
        .into_iter()
        .filter(|(_, duty)| catch_unwind(AssertUnwindSafe(|| duty(flaw))).is_err())
        .map(|(name, _)| name)
        .collect()
}

/// Those of `all` with these names.
fn named<F>(all: All<F>, names: &[&str]) -> All<F> {
    let found: All<F> = all
        .into_iter()
        .filter(|(name, _)| names.contains(name))
        .collect();
    assert_eq!(found.len(), names.len(), "not all of {names:?} are duties");
    found
}

/// That `flaw` fails all of these.
fn must_fail<F: Debug>(all: All<F>, flaw: &F, duties: &[&str]) {
    let failed = failed(named(all, duties), flaw);
    for duty in duties {
        assert!(failed.contains(duty), "{flaw:?} passes {duty}");
    }
}
