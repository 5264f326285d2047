//! Duties about commits that nobody waited for.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use dps_core::store::{Store, StoreError, Version, Write};

use super::Mortal;
use crate::store::dropped::{both, has_happened, polled};
use crate::store::make::shard;

/// And what has happened does not unhappen in a later crash.
pub(super) async fn a_commit_dropped_in_a_crash_has_happened_whole_or_not(life: &mut dyn Mortal) {
    let mut there = Vec::new();
    for round in 0..12 {
        let (here, writes) = (shard("dropped", 1), both(round));
        let told = polled(life.store().commit(&here, &writes), round % 4).await;
        life.crash().await;
        there.push(has_happened(life.store(), "dropped", round).await);
        if let Some(outcome) = told {
            assert!(outcome.is_ok(), "nothing is in its way: {outcome:?}");
            assert!(there[round], "a commit that returned is there");
        }
        for (before, there) in there.iter_mut().enumerate() {
            let was_there = *there;
            *there = has_happened(life.store(), "dropped", before).await;
            assert!(*there || !was_there, "commit {before} was there");
        }
    }
}

/// Forty are under way when the store dies, and some have returned.
pub(super) async fn of_many_commits_at_once_those_acknowledged_survive(life: &mut dyn Mortal) {
    for round in 0..5 {
        let scope = format!("many-{round}");
        let told = until_some_are_done(life.store(), &scope, 1 + round * 9).await;
        life.crash().await;
        for (nth, told) in told.iter().enumerate() {
            let happened = has_happened(life.store(), &scope, nth).await;
            // Whole or not, as `has_happened` has seen; and that it has, if somebody was told.
            if let Some(outcome) = told {
                assert!(outcome.is_ok(), "nothing is in its way: {outcome:?}");
                assert!(happened, "commit {nth} returned and is there");
            }
        }
    }
}

/// Begins forty commits at once and drops what is not done when so many are.
async fn until_some_are_done(
    store: &dyn Store,
    scope: &str,
    enough: usize,
) -> Vec<Option<Result<Version, StoreError>>> {
    let here = shard(scope, 1);
    let all: Vec<[Write; 2]> = (0..40).map(both).collect();
    let mut told: Vec<_> = all.iter().map(|_| None).collect();
    let mut left: Vec<_> = all
        .iter()
        .map(|writes| Some(store.commit(&here, writes)))
        .collect();
    poll_fn(|cx| {
        for (future, told) in left.iter_mut().zip(&mut told) {
            if let Some(Poll::Ready(outcome)) = future.as_mut().map(|f| Pin::new(f).poll(cx)) {
                *told = Some(outcome);
                *future = None;
            }
        }
        match told.iter().flatten().count() >= enough {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
    told
}
