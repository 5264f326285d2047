//! Duties among several threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use dps_core::store::{Change, Expect, Store, StoreError, Table};
use parking_lot::Mutex;

use super::make::{asking, commit, delete, ids, key, put, read, read_many, shard};
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

/// Nobody is refused for what a neighbour does.
pub fn commits_of_different_records_of_a_shard_all_succeed<F: Fixture>(fixture: &F) {
    crowd(
        fixture,
        8,
        |nth, store| {
            Box::pin(async move {
                let here = shard("neighbours", 4);
                let mine = format!("w{nth}");
                let mut expect = Expect::Absent;
                for round in 0..25 {
                    let fresh = format!("{mine}-{round}");
                    let writes = [
                        put(TABLE, &mine, expect, [round]),
                        put(Table::Member, &fresh, Expect::Absent, [round]),
                    ];
                    expect = Expect::Exactly(commit(store, &here, &writes).await);
                }
            })
        },
        |store| {
            Box::pin(async move {
                let here = shard("neighbours", 4);
                for nth in 0..8 {
                    let found = read(store, &here, TABLE, &format!("w{nth}")).await;
                    assert_eq!(found.expect("it was put").value[0], 24);
                }
                assert_eq!(
                    ids(store, asking("neighbours", Table::Member, 1000))
                        .await
                        .len(),
                    200
                );
            })
        },
    );
}

/// Where a store locks record by record, they would wait for each other for ever.
pub fn commits_of_the_same_records_in_any_order_all_succeed<F: Fixture>(fixture: &F) {
    crowd(
        fixture,
        4,
        |nth, store| {
            Box::pin(async move {
                let here = shard("orders", 5);
                for round in 0..25_u8 {
                    let mut writes: Vec<_> = (0..10)
                        .map(|id| put(TABLE, &format!("{id}"), Expect::Any, [nth as u8, round]))
                        .collect();
                    match nth {
                        0 => {}
                        1 => writes.reverse(),
                        _ => writes.rotate_left(nth * 3),
                    }
                    if round % 5 == 4 {
                        writes[nth].change = Change::Delete;
                    }
                    commit(store, &here, &writes).await;
                }
            })
        },
        |store| {
            Box::pin(async move {
                let here = shard("orders", 5);
                let names = (0..10).map(|id| key(&here, TABLE, &format!("{id}")));
                let names: Vec<_> = names.collect();
                let found = read_many(store, &names).await;
                let there: Vec<_> = found.iter().flatten().collect();
                assert_eq!(there.len(), 9, "the last commit deleted one of ten");
                let last = there[0].version;
                assert!(there.iter().all(|found| found.version == last), "{there:?}");
            })
        },
    );
}

/// Of those who saw the same one.
pub fn of_many_who_delete_a_record_one_succeeds<F: Fixture>(fixture: &F) {
    let gone = Arc::new(Mutex::new(Vec::new()));
    crowd(
        fixture,
        4,
        |_, store| {
            let gone = Arc::clone(&gone);
            Box::pin(async move {
                let here = shard("deleters", 6);
                for round in 0..25 {
                    let id = format!("r{round}");
                    // Whoever is late makes one of its own.
                    let fresh = put(TABLE, &id, Expect::Absent, "");
                    let _ = store.commit(&here, &[fresh]).await;
                    let Some(found) = read(store, &here, TABLE, &id).await else {
                        continue;
                    };
                    let mine = delete(TABLE, &id, Expect::Exactly(found.version));
                    if store.commit(&here, &[mine]).await.is_ok() {
                        gone.lock().push(found.version);
                    }
                }
            })
        },
        |_| Box::pin(async {}),
    );
    let mut gone = gone.lock().clone();
    assert!(gone.len() >= 25, "in each round somebody succeeds");
    gone.sort_unstable();
    let twice = gone.windows(2).find(|two| two[0] == two[1]);
    assert_eq!(twice, None, "a record was deleted by two");
}
