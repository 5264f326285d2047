//! The durability suite finds what is wrong with a store that outlives its process.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use dps_core::store::{
    Change, Expect, Key, Page, Scan, Shard, Store, StoreError, Table, Version, Versioned, Write,
};
use dps_testkit::durability::{Fixture, all};
use dps_testkit::run::give_way;
use parking_lot::Mutex;

use crate::{failed, must_fail};

/// What goes wrong in a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    None,
    LosesTheLastCommit,
    LosesItNowAndThen,
    CountsVersionsAnew,
    GoesOnFromTheHighestVersion,
    GivesNewVersions,
    ForgetsDeletes,
    KeepsHalfOfWhatWasDropped,
    CutsValues,
    LosesTheSecondTable,
    LosesWhatIsDeep,
}

type Name = (String, Table, Arc<str>);

/// What is on the disk.
#[derive(Clone, Debug, Default)]
struct Records {
    there: BTreeMap<Name, Versioned>,
    last: u64,
}

/// A disk: what the store in front of it wrote, and what survives.
#[derive(Debug, Default)]
struct Disk {
    now: Records,
    /// Before the last commit.
    before: Records,
    deleted: Vec<(Name, Versioned)>,
    crashes: usize,
}

#[derive(Debug)]
struct OnDisk {
    disk: Arc<Mutex<Disk>>,
    flaw: Flaw,
}

fn name(shard: &Shard, table: Table, id: &Arc<str>) -> Name {
    (shard.scope.folded().to_string(), table, Arc::clone(id))
}

#[async_trait]
impl Store for OnDisk {
    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Versioned>>, StoreError> {
        let disk = self.disk.lock();
        let found = keys.iter().map(|key| {
            let name = name(&key.shard, key.table, &key.id);
            disk.now.there.get(&name).cloned()
        });
        Ok(found.collect())
    }

    async fn commit(&self, shard: &Shard, writes: &[Write]) -> Result<Version, StoreError> {
        // A disk takes its time.
        give_way().await;
        if self.flaw == Flaw::KeepsHalfOfWhatWasDropped && writes.len() == 2 {
            self.apply(shard, &writes[..1])?;
            give_way().await;
            // Undone by who lives, so that nobody sees it in this life.
            let mut disk = self.disk.lock();
            disk.now = disk.before.clone();
        }
        give_way().await;
        self.apply(shard, writes)
    }

    async fn scan(&self, scan: &Scan) -> Result<Page, StoreError> {
        let disk = self.disk.lock();
        let scope = scan.scope.folded().to_string();
        let mut records: Vec<_> = disk
            .now
            .there
            .iter()
            .filter(|((own, table, id), _)| {
                *own == scope && *table == scan.table && id.starts_with(&*scan.prefix)
            })
            .filter(|((_, _, id), _)| scan.after.as_ref().is_none_or(|after| id > after))
            .map(|((_, _, id), found)| (Arc::clone(id), found.clone()))
            .collect();
        let more = records.len() > scan.limit as usize;
        records.truncate(scan.limit as usize);
        Ok(Page { records, more })
    }
}

impl OnDisk {
    fn apply(&self, shard: &Shard, writes: &[Write]) -> Result<Version, StoreError> {
        let disk = &mut *self.disk.lock();
        for write in writes {
            let there = disk.now.there.get(&name(shard, write.table, &write.id));
            let holds = match write.expect {
                Expect::Any => true,
                Expect::Absent => there.is_none(),
                Expect::Exactly(version) => there.is_some_and(|found| found.version == version),
            };
            if !holds {
                let (table, id) = (write.table, Arc::clone(&write.id));
                return Err(StoreError::Conflict { table, id });
            }
        }
        disk.before = disk.now.clone();
        disk.now.last += 1;
        let version = Version(disk.now.last);
        for write in writes {
            let name = name(shard, write.table, &write.id);
            match &write.change {
                Change::Put(value) => {
                    let value = value.clone();
                    disk.now.there.insert(name, Versioned { version, value });
                }
                Change::Delete => {
                    let gone = disk.now.there.remove(&name);
                    disk.deleted.extend(gone.map(|gone| (name, gone)));
                }
                Change::Keep => {}
            }
        }
        Ok(version)
    }
}

#[async_trait]
impl Fixture for Flaw {
    type Place = Arc<Mutex<Disk>>;

    async fn place(&self) -> Self::Place {
        Arc::default()
    }

    async fn open(&self, place: &Self::Place) -> Arc<dyn Store> {
        let (disk, flaw) = (Arc::clone(place), *self);
        Arc::new(OnDisk { disk, flaw })
    }

    async fn crash(&self, place: &Self::Place, store: Arc<dyn Store>) {
        drop(store);
        let disk = &mut *place.lock();
        disk.crashes += 1;
        match self {
            Self::None | Self::KeepsHalfOfWhatWasDropped => {}
            Self::LosesTheLastCommit => disk.now = disk.before.clone(),
            Self::LosesItNowAndThen if disk.crashes.is_multiple_of(5) => {
                disk.now = disk.before.clone();
            }
            Self::LosesItNowAndThen => {}
            Self::CountsVersionsAnew => disk.now.last = 0,
            Self::GoesOnFromTheHighestVersion => {
                let versions = disk.now.there.values().map(|found| found.version.0);
                disk.now.last = versions.max().unwrap_or(0);
            }
            Self::GivesNewVersions => {
                for found in disk.now.there.values_mut() {
                    found.version.0 += 1_000_000;
                }
            }
            Self::ForgetsDeletes => disk.now.there.extend(disk.deleted.drain(..)),
            Self::CutsValues => {
                for found in disk.now.there.values_mut() {
                    let end = found.value.len().min(65_535);
                    found.value = Bytes::copy_from_slice(&found.value[..end]);
                }
            }
            Self::LosesTheSecondTable => {
                let there = &mut disk.now.there;
                there.retain(|(_, table, _), _| *table != Table::Member);
            }
            Self::LosesWhatIsDeep => {
                let last = disk.now.last;
                let there = &mut disk.now.there;
                there.retain(|_, found| found.version.0 + 25 > last);
            }
        }
        disk.deleted.clear();
    }
}

fn fails(flaw: Flaw, duties: &[&str]) {
    must_fail(all(), &flaw, duties);
}

const EACH: &str = "every_commit_is_there_after_each_crash";
const VERSIONS: &str = "versions_never_repeat_across_crashes";
const EXPECTATIONS: &str = "expectations_hold_across_a_crash";
const DELETED: &str = "what_was_deleted_stays_deleted_after_a_crash";
const LARGE: &str = "large_and_many_records_survive_together";
const DROPPED: &str = "a_commit_dropped_in_a_crash_has_happened_whole_or_not";
const MANY: &str = "of_many_commits_at_once_those_acknowledged_survive";
const PAGES: &str = "a_scan_goes_on_after_a_crash";
const ROW: &str = "crashes_in_a_row_change_nothing";
const HISTORY: &str = "any_history_with_crashes_agrees_with_a_model";

#[test]
fn a_store_without_flaws_fails_nothing() {
    assert_eq!(failed(all(), &Flaw::None), [""; 0]);
}

#[test]
fn what_is_lost_is_found() {
    let all = [EACH, LARGE, MANY, ROW, HISTORY];
    fails(Flaw::LosesTheLastCommit, &all);
    fails(Flaw::LosesItNowAndThen, &[EACH, HISTORY]);
    fails(Flaw::ForgetsDeletes, &[DELETED, EXPECTATIONS, HISTORY]);
    fails(Flaw::CutsValues, &[LARGE]);
    fails(Flaw::LosesTheSecondTable, &[EACH, DROPPED, HISTORY]);
    fails(Flaw::LosesWhatIsDeep, &[PAGES]);
}

#[test]
fn versions_that_come_again_are_found() {
    fails(Flaw::CountsVersionsAnew, &[VERSIONS]);
    fails(Flaw::GoesOnFromTheHighestVersion, &[VERSIONS]);
    fails(Flaw::GivesNewVersions, &[EACH, EXPECTATIONS, ROW, HISTORY]);
}

#[test]
fn half_a_commit_is_found() {
    fails(Flaw::KeepsHalfOfWhatWasDropped, &[DROPPED, MANY]);
}
