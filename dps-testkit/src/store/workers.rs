//! Duties among several threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use dps_core::store::{Expect, Store, StoreError, Table};

use super::make::{commit, key, put, read, read_many, shard};
use super::{Fixture, open};

const TABLE: Table = Table::Registration;

/// Opens a store, runs `work` on so many threads at once, then `check`.
fn crowd<F: Fixture>(
    fixture: &F,
    workers: usize,
    work: impl for<'a> Fn(usize, &'a dyn Store) -> crate::run::Duty<'a> + Sync,
    check: impl for<'a> FnOnce(&'a dyn Store) -> crate::run::Duty<'a> + Send,
) {
    let (guard, store) = open(fixture);
    thread::scope(|scope| {
        for nth in 0..workers {
            let (store, work) = (&*store, &work);
            scope.spawn(move || fixture.drive(work(nth, store)));
        }
    });
    fixture.drive(check(&*store));
    drop(store);
    drop(guard);
}

/// Each reads, adds one, and writes if nobody else did; who loses begins again.
pub fn five_workers_with_ten_increments_each_make_fifty<F: Fixture>(fixture: &F) {
    crowd(
        fixture,
        5,
        |_, store| {
            Box::pin(async move {
                let here = shard("count", 1);
                let mut done = 0;
                while done < 10 {
                    let found = read(store, &here, TABLE, "sum").await;
                    let (expect, sum) = found.map_or((Expect::Absent, 0), |found| {
                        (Expect::Exactly(found.version), found.value[0])
                    });
                    match store
                        .commit(&here, &[put(TABLE, "sum", expect, [sum + 1])])
                        .await
                    {
                        Ok(_) => done += 1,
                        Err(StoreError::Conflict { .. }) => {}
                        Err(other) => unreachable!("neither done nor a conflict: {other}"),
                    }
                }
            })
        },
        |store| {
            Box::pin(async move {
                let sum = read(store, &shard("count", 1), TABLE, "sum").await;
                assert_eq!(sum.expect("it was put").value[0], 50);
            })
        },
    );
}

/// Many rounds; in each all expect the record to be absent.
pub fn of_many_who_create_a_record_one_succeeds<F: Fixture>(fixture: &F) {
    let won: Arc<[AtomicU32]> = (0..50).map(|_| AtomicU32::new(0)).collect();
    crowd(
        fixture,
        4,
        |nth, store| {
            let won = Arc::clone(&won);
            Box::pin(async move {
                let here = shard("race", 2);
                for (round, won) in won.iter().enumerate() {
                    let mine = put(TABLE, &format!("r{round}"), Expect::Absent, [nth as u8]);
                    if store.commit(&here, &[mine]).await.is_ok() {
                        won.fetch_add(1, Ordering::SeqCst);
                    }
                }
            })
        },
        |_| Box::pin(async {}),
    );
    for (round, won) in won.iter().enumerate() {
        assert_eq!(won.load(Ordering::SeqCst), 1, "winners of round {round}");
    }
}

/// Two records always change together; who expects what it read of both can rely on it.
pub fn two_records_written_together_are_never_seen_half_changed<F: Fixture>(fixture: &F) {
    crowd(
        fixture,
        4,
        |nth, store| {
            Box::pin(async move {
                let here = shard("pair", 3);
                for round in 0..50 {
                    let value = [nth as u8, round];
                    let both = [
                        put(TABLE, "left", Expect::Any, value),
                        put(Table::Member, "right", Expect::Any, value),
                    ];
                    commit(store, &here, &both).await;
                    // A read need not be a snapshot; a commit that expects both is one.
                    let keys = [
                        key(&here, TABLE, "left"),
                        key(&here, Table::Member, "right"),
                    ];
                    let found = read_many(store, &keys).await;
                    let [Some(left), Some(right)] = &found[..] else {
                        unreachable!("both were put");
                    };
                    let expecting = [
                        put(TABLE, "left", Expect::Exactly(left.version), value),
                        put(
                            Table::Member,
                            "right",
                            Expect::Exactly(right.version),
                            value,
                        ),
                    ];
                    if store.commit(&here, &expecting).await.is_ok() {
                        assert_eq!(left.version, right.version);
                        assert_eq!(left.value, right.value);
                    }
                }
            })
        },
        |_| Box::pin(async {}),
    );
}
