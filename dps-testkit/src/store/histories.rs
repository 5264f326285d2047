//! Random histories against a model.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dps_core::store::{Change, Expect, Key, Scan, Store, StoreError, Table, Version, Write};
use parking_lot::Mutex;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use super::make::{asking, key, put, read_many, shard, write};
use super::{Fixture, open};

/// One step; names are small numbers, so that steps meet.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Commit(u8, Vec<Part>),
    Read(Vec<u8>),
    Scan {
        member: bool,
        prefix: &'static str,
        after: Option<u8>,
        limit: u32,
    },
}

/// One record's part in a commit.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    nth: u8,
    expect: Hope,
    change: Act,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Hope {
    Any,
    Absent,
    Current,
    Stale,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    Put(u8),
    Delete,
    Keep,
}

/// A hundred histories of up to forty steps; the shortest that goes wrong is shown.
pub fn any_history_agrees_with_a_model<F: Fixture>(fixture: &F) {
    let config = Config {
        cases: 100,
        failure_persistence: None,
        ..Config::default()
    };
    let (guard, store) = open(fixture);
    // A scope of its own keeps histories apart.
    let histories = AtomicUsize::new(0);
    let histories_agree = TestRunner::new(config).run(&history(40), |steps| {
        let scope = format!("h{}", histories.fetch_add(1, Ordering::Relaxed));
        let outcome = Mutex::new(Ok(()));
        fixture.drive(Box::pin(async {
            let done = replay(&*store, &scope, &steps, &mut Model::default()).await;
            *outcome.lock() = done;
        }));
        outcome.into_inner()
    });
    drop(store);
    drop(guard);
    assert!(
        histories_agree.is_ok(),
        "the store and the model differ: {}",
        histories_agree.map_or_else(|error| error.to_string(), |()| String::new())
    );
}

/// Histories of fewer steps than `longest`.
pub(crate) fn history(longest: usize) -> impl Strategy<Value = Vec<Step>> {
    let hope = prop_oneof![
        1 => Just(Hope::Any),
        1 => Just(Hope::Absent),
        4 => Just(Hope::Current),
        1 => Just(Hope::Stale)
    ];
    let act = prop_oneof![
        3 => any::<u8>().prop_map(Act::Put),
        1 => Just(Act::Delete),
        1 => Just(Act::Keep)
    ];
    let part = (0..4_u8, hope, act).prop_map(|(nth, expect, change)| Part {
        nth,
        expect,
        change,
    });
    let commit = (0..3_u8, prop::collection::vec(part, 1..4));
    let scan = (
        any::<bool>(),
        prop_oneof![Just(""), Just("a"), Just("a1")],
        prop::option::of(0..12_u8),
        1..6_u32,
    );
    let step = prop_oneof![
        4 => commit.prop_map(|(slot, parts)| Step::Commit(slot, parts)),
        2 => prop::collection::vec(0..12_u8, 0..5).prop_map(Step::Read),
        2 => scan.prop_map(|(member, prefix, after, limit)| Step::Scan {
            member,
            prefix,
            after,
            limit,
        }),
    ];
    prop::collection::vec(step, 1..longest)
}

/// The tables a history uses: every record of a slot is of one of them.
fn place(nth: u8) -> (u16, Table, String) {
    let table = [Table::Registration, Table::Member][usize::from(nth) % 2];
    let name = ["a", "a1", "a10", "b", "b-", "c"][usize::from(nth / 2) % 6];
    (u16::from(nth / 4), table, name.to_owned())
}

/// What a store must hold, and versions that records had before.
#[derive(Default)]
pub(crate) struct Model {
    there: BTreeMap<(Table, String), (Version, Vec<u8>)>,
    stale: BTreeMap<(Table, String), Version>,
}

/// Takes the steps on the store and on the model, and compares what they say.
pub(crate) async fn replay(
    store: &dyn Store,
    scope: &str,
    steps: &[Step],
    model: &mut Model,
) -> Result<(), TestCaseError> {
    for step in steps {
        match step {
            Step::Commit(slot, parts) => {
                let mut writes: Vec<Write> = Vec::new();
                for part in parts {
                    let (_, table, id) = place(slot * 4 + part.nth);
                    if writes.iter().any(|w| w.table == table && *w.id == *id) {
                        continue;
                    }
                    writes.push(part.write(table, &id, model));
                }
                let refused = writes.iter().find(|w| !holds(w, model));
                let outcome = store.commit(&shard(scope, u16::from(*slot)), &writes).await;
                match (refused, outcome) {
                    (None, Ok(version)) => apply(&writes, version, model),
                    (Some(first), Err(StoreError::Conflict { table, id })) => {
                        prop_assert_eq!((first.table, &first.id), (table, &id));
                    }
                    (_, outcome) => prop_assert!(false, "{:?} gave {:?}", writes, outcome),
                }
            }
            Step::Read(names) => {
                let places = names.iter().map(|nth| place(*nth));
                let keys: Vec<_> = places
                    .map(|(slot, table, id)| key(&shard(scope, slot), table, &id))
                    .collect();
                check_reads(store, &keys, model).await?;
            }
            Step::Scan {
                member,
                prefix,
                after,
                limit,
            } => {
                let table = [Table::Registration, Table::Member][usize::from(*member)];
                let after = after.map(|nth| Arc::from(place(nth).2));
                let ask = Scan {
                    prefix: (*prefix).into(),
                    after,
                    ..asking(scope, table, *limit)
                };
                check_scan(store, &ask, model).await?;
            }
        }
    }
    Ok(())
}

/// Compares every record there can be, read and scanned.
pub(crate) async fn check_all(
    store: &dyn Store,
    scope: &str,
    model: &Model,
) -> Result<(), TestCaseError> {
    let places = (0..12).map(place);
    let keys: Vec<_> = places
        .map(|(slot, table, id)| key(&shard(scope, slot), table, &id))
        .collect();
    check_reads(store, &keys, model).await?;
    for table in [Table::Registration, Table::Member] {
        check_scan(store, &asking(scope, table, 20), model).await?;
    }
    Ok(())
}

async fn check_reads(store: &dyn Store, keys: &[Key], model: &Model) -> Result<(), TestCaseError> {
    for (key, found) in keys.iter().zip(read_many(store, keys).await) {
        let found = found.map(|found| (found.version, found.value.to_vec()));
        let known = model.there.get(&(key.table, key.id.to_string()));
        prop_assert_eq!(found.as_ref(), known, "{:?}", key);
    }
    Ok(())
}

async fn check_scan(store: &dyn Store, ask: &Scan, model: &Model) -> Result<(), TestCaseError> {
    let page = store.scan(ask).await;
    let page = page.map_err(|error| TestCaseError::fail(error.to_string()))?;
    let known: Vec<_> = model
        .there
        .iter()
        .filter(|((table, id), _)| *table == ask.table && id.starts_with(&*ask.prefix))
        .filter(|((_, id), _)| ask.after.as_ref().is_none_or(|after| **id > **after))
        .collect();
    let limit = ask.limit as usize;
    prop_assert_eq!(page.more, known.len() > limit, "{:?}", ask);
    let found: Vec<_> = page
        .records
        .iter()
        .map(|(id, found)| (id.to_string(), found.version, found.value.to_vec()))
        .collect();
    let known: Vec<_> = known
        .into_iter()
        .take(limit)
        .map(|((_, id), (version, value))| (id.clone(), *version, value.clone()))
        .collect();
    prop_assert_eq!(found, known, "{:?}", ask);
    Ok(())
}

fn holds(write: &Write, model: &Model) -> bool {
    let there = model.there.get(&(write.table, write.id.to_string()));
    match write.expect {
        Expect::Any => true,
        Expect::Absent => there.is_none(),
        Expect::Exactly(version) => there.is_some_and(|(own, _)| *own == version),
    }
}

fn apply(writes: &[Write], version: Version, model: &mut Model) {
    for write in writes {
        let name = (write.table, write.id.to_string());
        let before = match &write.change {
            Change::Put(value) => model.there.insert(name.clone(), (version, value.to_vec())),
            Change::Delete => model.there.remove(&name),
            Change::Keep => None,
        };
        if let Some((version, _)) = before {
            model.stale.insert(name, version);
        }
    }
}

impl Part {
    fn write(&self, table: Table, id: &str, model: &Model) -> Write {
        let name = (table, id.to_owned());
        let expect = match self.expect {
            Hope::Any => Expect::Any,
            Hope::Absent => Expect::Absent,
            Hope::Current => model
                .there
                .get(&name)
                .map_or(Expect::Absent, |(version, _)| Expect::Exactly(*version)),
            Hope::Stale => model
                .stale
                .get(&name)
                .map_or(Expect::Absent, |version| Expect::Exactly(*version)),
        };
        match self.change {
            Act::Put(value) => put(table, id, expect, [value]),
            Act::Delete => write(table, id, expect, Change::Delete),
            Act::Keep => write(table, id, expect, Change::Keep),
        }
    }
}
