//! The suites for stores find what is wrong with one.

mod durability;
mod store;

use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Duties by name.
type All<F> = Vec<(&'static str, fn(&F))>;

/// The duties of `all` that `flaw` fails.
fn failed<F>(all: All<F>, flaw: &F) -> Vec<&'static str> {
    all.into_iter()
        .filter(|(_, duty)| catch_unwind(AssertUnwindSafe(|| duty(flaw))).is_err())
        .map(|(name, _)| name)
        .collect()
}

/// That `flaw` fails these of `all`, and maybe more.
fn must_fail<F: Debug>(all: All<F>, flaw: &F, duties: &[&str]) {
    let failed = failed(all, flaw);
    for duty in duties {
        assert!(
            failed.contains(duty),
            "{flaw:?} passes {duty}; it fails {failed:?}"
        );
    }
}
