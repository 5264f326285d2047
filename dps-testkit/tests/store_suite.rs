//! The store suite finds what is wrong with a store.

use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use dps_core::id::IdScope;
use dps_core::store::{
    Change, Expect, Key, Page, Scan, Shard, Store, StoreError, Table, Version, Versioned, Write,
};
use dps_store_memory::MemoryStore;
use dps_testkit::store::{Fixture, all};

/// What a store gets wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    None,
    WritesBeforeItChecks,
    ForgetsAbsent,
    TakesAnyVersion,
    ChecksThenWrites,
    ConflictNamesTheLast,
    PutsWhatIsKept,
    AnswersSorted,
    CutsValues,
    MixesScopes,
    FoldsIds,
    ScansDescending,
    IgnoresPrefix,
    IncludesAfter,
    ForgetsMore,
    SaysMoreAtTheEnd,
    SkipsSlots,
}

/// A store in memory with one flaw.
#[derive(Debug)]
struct Flawed {
    inner: MemoryStore,
    flaw: Flaw,
}

#[async_trait]
impl Store for Flawed {
    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Versioned>>, StoreError> {
        let mut keys: Vec<Key> = keys.iter().map(|key| self.bent(key)).collect();
        if self.flaw == Flaw::AnswersSorted {
            keys.sort();
        }
        self.inner.get_many(&keys).await
    }

    async fn commit(&self, shard: &Shard, writes: &[Write]) -> Result<Version, StoreError> {
        let shard = self.bent_shard(shard);
        let mut writes = writes.to_vec();
        for write in &mut writes {
            match (self.flaw, write.expect, &write.change) {
                (Flaw::ForgetsAbsent, Expect::Absent, _)
                | (Flaw::TakesAnyVersion, Expect::Exactly(_), _) => write.expect = Expect::Any,
                (Flaw::PutsWhatIsKept, Expect::Exactly(_), Change::Keep) => {
                    write.change = Change::Put(Bytes::from_static(b"g"));
                }
                (Flaw::CutsValues, _, Change::Put(value)) => {
                    let cut = value.iter().position(|byte| *byte == 0);
                    let end = cut.unwrap_or(value.len()).min(65_535);
                    write.change = Change::Put(value.slice(..end));
                }
                (Flaw::FoldsIds, _, _) => write.id = folded(&write.id),
                _ => {}
            }
        }
        match self.flaw {
            Flaw::WritesBeforeItChecks => {
                let mut version = Version(0);
                for write in &writes {
                    version = self
                        .inner
                        .commit(&shard, std::slice::from_ref(write))
                        .await?;
                }
                Ok(version)
            }
            Flaw::ChecksThenWrites => {
                let checks: Vec<Write> = writes.iter().map(kept).collect();
                self.inner.commit(&shard, &checks).await?;
                (0..50).for_each(|_| std::thread::yield_now());
                let blind: Vec<Write> = writes.iter().map(blind).collect();
                self.inner.commit(&shard, &blind).await
            }
            Flaw::ConflictNamesTheLast => {
                let outcome = self.inner.commit(&shard, &writes).await;
                outcome.map_err(|error| match (error, writes.last()) {
                    (StoreError::Conflict { .. }, Some(last)) => StoreError::Conflict {
                        table: last.table,
                        id: Arc::clone(&last.id),
                    },
                    (other, _) => other,
                })
            }
            _ => self.inner.commit(&shard, &writes).await,
        }
    }

    async fn scan(&self, scan: &Scan) -> Result<Page, StoreError> {
        let mut scan = scan.clone();
        if self.flaw == Flaw::MixesScopes {
            scan.scope = one_scope();
        }
        if self.flaw == Flaw::IgnoresPrefix {
            scan.prefix = "".into();
        }
        let mut page = self.inner.scan(&scan).await?;
        match self.flaw {
            Flaw::ScansDescending => page.records.reverse(),
            Flaw::ForgetsMore => page.more = false,
            Flaw::SaysMoreAtTheEnd => page.more |= page.records.len() == scan.limit as usize,
            Flaw::SkipsSlots => page.records.retain(|(id, _)| !id.ends_with('7')),
            Flaw::IncludesAfter => {
                if let Some(after) = scan.after.take() {
                    scan.prefix = Arc::clone(&after);
                    scan.limit = 1;
                    let mut there = self.inner.scan(&scan).await?.records;
                    there.retain(|(id, _)| *id == after);
                    page.records.splice(0..0, there);
                }
            }
            _ => {}
        }
        Ok(page)
    }
}

impl Flawed {
    fn bent(&self, key: &Key) -> Key {
        let id = match self.flaw {
            Flaw::FoldsIds => folded(&key.id),
            _ => Arc::clone(&key.id),
        };
        Key {
            shard: self.bent_shard(&key.shard),
            table: key.table,
            id,
        }
    }

    fn bent_shard(&self, shard: &Shard) -> Shard {
        match self.flaw {
            Flaw::MixesScopes => Shard {
                scope: one_scope(),
                slot: shard.slot,
            },
            _ => shard.clone(),
        }
    }
}

fn one_scope() -> IdScope {
    IdScope::parse("all").expect("it is a scope")
}

fn folded(id: &str) -> Arc<str> {
    id.replace(['/', '.'], "-").into()
}

fn kept(write: &Write) -> Write {
    Write {
        change: Change::Keep,
        ..write.clone()
    }
}

fn blind(write: &Write) -> Write {
    Write {
        expect: Expect::Any,
        ..write.clone()
    }
}

#[async_trait]
impl Fixture for Flaw {
    type Guard = ();

    async fn open(&self) -> ((), Arc<dyn Store>) {
        let inner = MemoryStore::new();
        ((), Arc::new(Flawed { inner, flaw: *self }))
    }
}

/// The duties that `flaw` fails.
fn failed(flaw: Flaw) -> Vec<&'static str> {
    all::<Flaw>()
        .into_iter()
        .filter(|(_, duty)| catch_unwind(AssertUnwindSafe(|| duty(&flaw))).is_err())
        .map(|(name, _)| name)
        .collect()
}

fn fails(flaw: Flaw, duties: &[&str]) {
    let failed = failed(flaw);
    for duty in duties {
        assert!(
            failed.contains(duty),
            "{flaw:?} passes {duty}; it fails {failed:?}"
        );
    }
}

#[test]
fn a_store_without_flaws_fails_nothing() {
    assert_eq!(failed(Flaw::None), [""; 0]);
    // The table the suite knows by number and this file by name.
    assert_eq!(Table::Tally as u8, 8);
}

#[test]
fn flaws_of_commits_are_found() {
    let history = "any_history_agrees_with_a_model";
    let matrix = "each_expectation_holds_where_it_should_and_nowhere_else";
    let atomic = "a_refused_commit_writes_nothing";
    fails(
        Flaw::WritesBeforeItChecks,
        &[
            atomic,
            history,
            "every_record_put_takes_the_returned_version",
        ],
    );
    fails(Flaw::ForgetsAbsent, &[matrix, atomic, history]);
    fails(
        Flaw::TakesAnyVersion,
        &[
            matrix,
            history,
            "versions_never_repeat_not_even_after_a_delete",
        ],
    );
    fails(
        Flaw::ConflictNamesTheLast,
        &["a_conflict_names_the_first_record_that_is_not_as_expected"],
    );
    fails(
        Flaw::PutsWhatIsKept,
        &[
            "a_kept_record_guards_the_others_and_stays_as_it_is",
            history,
        ],
    );
}

#[test]
fn a_store_that_checks_and_writes_in_two_steps_is_found() {
    let failed = failed(Flaw::ChecksThenWrites);
    let together = [
        "five_workers_with_ten_increments_each_make_fifty",
        "of_many_who_create_a_record_one_succeeds",
        "two_records_written_together_are_never_seen_half_changed",
    ];
    assert!(
        together.iter().any(|duty| failed.contains(duty)),
        "no race was found; failed: {failed:?}"
    );
}

#[test]
fn flaws_of_reads_are_found() {
    fails(
        Flaw::AnswersSorted,
        &["get_many_answers_in_the_order_of_the_keys"],
    );
    fails(
        Flaw::CutsValues,
        &["every_byte_comes_back", "a_value_may_have_one_mebibyte"],
    );
    fails(Flaw::MixesScopes, &["scopes_never_see_each_other"]);
    fails(Flaw::FoldsIds, &["ids_that_begin_alike_are_apart"]);
}

#[test]
fn flaws_of_scans_are_found() {
    let pages = "pages_give_each_record_exactly_once";
    let limit = "a_page_has_at_most_its_limit_and_says_whether_more_follow";
    fails(
        Flaw::ScansDescending,
        &["a_scan_is_ordered_by_bytes_over_all_slots"],
    );
    fails(Flaw::IgnoresPrefix, &["a_scan_keeps_to_its_prefix"]);
    fails(Flaw::ForgetsMore, &[limit, pages]);
    fails(Flaw::SaysMoreAtTheEnd, &[limit]);
    fails(Flaw::SkipsSlots, &[pages]);
    fails(Flaw::IncludesAfter, &[pages]);
}
