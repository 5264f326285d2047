//! Duties about futures that are dropped before they are done.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use dps_core::store::{Change, Expect, Store, StoreError, Table, Version, Write};

use super::make::{asking, commit, delete, keep, key, put, read_many, shard, text};

const TABLE: Table = Table::Registration;

/// Drops `future` after it was polled so often; `None` if it was not done by then.
pub(crate) async fn polled<T>(future: impl Future<Output = T>, times: usize) -> Option<T> {
    let mut future = pin!(future);
    let mut left = times;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(out) => Poll::Ready(Some(out)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Two records in two tables, both of which `round` writes.
pub(crate) fn both(round: usize) -> [Write; 2] {
    let value = format!("{round}");
    [
        put(TABLE, &format!("left-{round}"), Expect::Absent, &value),
        put(
            Table::Member,
            &format!("right-{round}"),
            Expect::Absent,
            &value,
        ),
    ]
}

/// Whether `both(round)` has happened, as seen at one moment.
pub(crate) async fn has_happened(store: &dyn Store, shard_name: &str, round: usize) -> bool {
    let here = shard(shard_name, 1);
    let names = both(round);
    let keys: Vec<_> = names
        .iter()
        .map(|write| key(&here, write.table, &write.id))
        .collect();
    loop {
        let found = read_many(store, &keys).await;
        let versions: Vec<Option<Version>> = found
            .iter()
            .map(|found| found.as_ref().map(|found| found.version))
            .collect();
        let checks: Vec<Write> = names
            .iter()
            .zip(&versions)
            .map(|(write, version)| Write {
                expect: version.map_or(Expect::Absent, Expect::Exactly),
                change: Change::Keep,
                ..write.clone()
            })
            .collect();
        match store.commit(&here, &checks).await {
            Ok(_) => {
                assert_eq!(versions[0], versions[1], "half of a commit has happened");
                return versions[0].is_some();
            }
            // It happened between the read and the look.
            Err(StoreError::Conflict { .. }) => {}
            Err(other) => unreachable!("neither done nor a conflict: {other}"),
        }
    }
}

/// Wherever it waited; and if nobody ever waited, not at all.
pub async fn a_dropped_commit_has_happened_whole_or_not(store: &dyn Store) {
    for round in 0..60 {
        let (here, writes) = (shard("dropped", 1), both(round));
        let told = polled(store.commit(&here, &writes), round % 6).await;
        let happened = has_happened(store, "dropped", round).await;
        match told {
            Some(outcome) => {
                assert!(outcome.is_ok(), "nothing is in its way: {outcome:?}");
                assert!(happened, "a commit that returned has happened");
            }
            None => assert!(!happened || round % 6 > 0, "nobody ever asked for it"),
        }
    }
}

/// Neither its own records nor its neighbours, neither reads nor writes.
pub async fn what_is_dropped_blocks_nobody(store: &dyn Store) {
    let here = shard("unblocked", 1);
    for round in 0..60 {
        let times = 1 + round % 5;
        let sum = put(TABLE, "sum", Expect::Any, format!("dropped {round}"));
        polled(store.commit(&here, &[sum]), times).await;
        polled(store.get_many(&[key(&here, TABLE, "sum")]), times).await;
        polled(store.scan(&asking("unblocked", TABLE, 5)), times).await;
        let beside = put(TABLE, "beside", Expect::Any, format!("{round}"));
        commit(store, &here, &[beside]).await;
        assert_eq!(
            text(store, &here, TABLE, "beside").await,
            format!("{round}")
        );
    }
    let gone = [
        delete(TABLE, "sum", Expect::Any),
        keep(TABLE, "beside", Expect::Any),
    ];
    commit(store, &here, &gone).await;
    let page = store.scan(&asking("unblocked", TABLE, 5)).await;
    assert!(page.is_ok(), "{page:?}");
}
