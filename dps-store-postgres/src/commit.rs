//! Commits: what waits goes out in one statement, and each is all or nothing all the same.

mod spread;

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use async_trait::async_trait;
use dps_core::store::{Change, Expect, Shard, StoreError, Version, Write};

use crate::Layout;
use crate::error::{DatabaseError, Failure};
use crate::link::Link;
use crate::place::{place, scope_of};
use crate::queue::{Job, Kind, Ran};
use crate::read::versions;
use crate::schema::take_versions;
use crate::sql::{ABSENT, ANY, Batch, Place, Put, together};

/// Rows in one statement, unless one commit has more.
const MOST_TOGETHER: usize = 256;
/// Where rows are spread, each number is a plan of its own.
const MOST_SPREAD: usize = 32;
/// Bytes of values in one statement, unless one commit has more.
const MOST_BYTES: usize = 1 << 20;
/// How often commits are decided anew before they are given up.
const ROUNDS: u32 = 16;

/// Writes of one shard.
#[derive(Debug)]
pub(crate) struct Commit {
    pub(crate) shard: Shard,
    pub(crate) writes: Vec<Write>,
}

type CommitJob = Job<Commit, Version>;

/// `commit`.
#[derive(Debug)]
pub(crate) struct Commits;

#[async_trait]
impl Kind for Commits {
    type Task = Commit;
    type Reply = Version;
    /// Shards with a statement under way, where rows are spread.
    type Busy = HashSet<Shard>;

    fn gather(
        waiting: &mut VecDeque<CommitJob>,
        busy: &mut HashSet<Shard>,
        layout: Layout,
    ) -> Vec<CommitJob> {
        let most = match layout {
            Layout::Together => MOST_TOGETHER,
            Layout::Spread => MOST_SPREAD,
        };
        let (mut rows, mut bytes) = (0, 0);
        let mut only: Option<Shard> = None;
        let mut named = Named::default();
        let mut taken = Vec::new();
        let mut left = VecDeque::new();
        while let Some(job) = waiting.pop_front() {
            let Commit { shard, writes } = &job.task;
            rows += writes.len();
            bytes += writes.iter().map(size).sum::<usize>();
            if !taken.is_empty() && (rows > most || bytes > MOST_BYTES) {
                left.push_back(job);
                break;
            }
            let elsewhere = layout == Layout::Spread
                && (busy.contains(shard) || only.as_ref().is_some_and(|only| only != shard));
            // One statement names a row once; who comes later waits for the outcome.
            if named.any_again(shard, writes) || elsewhere {
                rows -= writes.len();
                bytes -= writes.iter().map(size).sum::<usize>();
                left.push_back(job);
                continue;
            }
            if layout == Layout::Spread {
                only = Some(shard.clone());
            }
            taken.push(job);
        }
        left.append(waiting);
        *waiting = left;
        busy.extend(only);
        taken
    }

    async fn run(link: &mut Link, layout: Layout, mut jobs: Vec<CommitJob>) -> Ran<CommitJob> {
        let mut round = 0;
        loop {
            if let Err(failure) = stock(link, jobs.len()).await {
                match failure {
                    // Nothing was sent yet.
                    Failure::Unknown(why) => return again(jobs, why),
                    Failure::Again(why @ DatabaseError::ReadOnly) => return again(jobs, why),
                    Failure::Again(_) if round < ROUNDS => {
                        pause(round).await;
                        round += 1;
                        continue;
                    }
                    failure => return failed(jobs, failure),
                }
            }
            match write(link, layout, &jobs).await {
                Ok(versions) => {
                    for (job, version) in jobs.into_iter().zip(versions) {
                        job.answer(Ok(version));
                    }
                    return Ran::done(true);
                }
                Err(Failure::Unexpected) => match settle(link, layout, jobs).await {
                    Ok(rest) => jobs = rest,
                    // Nothing was written, whatever became of the question.
                    Err((rest, Failure::Unknown(why))) => return again(rest, why),
                    Err((rest, failure)) => return failed(rest, failure),
                },
                Err(Failure::Again(why @ DatabaseError::ReadOnly)) => return again(jobs, why),
                // Rolled back, as it says; the pause lets the other one pass.
                Err(Failure::Again(_)) => pause(round).await,
                // One of them may be to blame, and the others are not to suffer.
                Err(Failure::Not(DatabaseError::Other { code, .. }))
                    if jobs.len() > 1 && (code.starts_with("22") || code.starts_with("54")) =>
                {
                    return one_by_one(link, layout, jobs).await;
                }
                Err(failure) => return failed(jobs, failure),
            }
            if jobs.is_empty() {
                return Ran::done(true);
            }
            round += 1;
            if round >= ROUNDS {
                return failed(jobs, Failure::Not(DatabaseError::Contended(round)));
            }
        }
    }

    fn done(busy: &mut HashSet<Shard>, tasks: &HashSet<Shard>) {
        for shard in tasks {
            busy.remove(shard);
        }
    }

    fn marks(jobs: &[CommitJob], layout: Layout) -> HashSet<Shard> {
        let spread = jobs.iter().filter(|_| layout == Layout::Spread);
        spread.map(|job| job.task.shard.clone()).collect()
    }
}

async fn one_by_one(link: &mut Link, layout: Layout, jobs: Vec<CommitJob>) -> Ran<CommitJob> {
    let mut all = Ran::done(true);
    for job in jobs {
        if all.keep {
            let one = Box::pin(Commits::run(link, layout, vec![job])).await;
            all.again.extend(one.again);
            all.why = one.why.or(all.why);
            all.keep = one.keep;
        } else {
            // It was never sent over a connection that still is.
            all.again.push(job);
        }
    }
    all
}

fn failed(jobs: Vec<CommitJob>, failure: Failure) -> Ran<CommitJob> {
    let keep = failure.keeps_connection();
    let why = failure.error();
    for job in jobs {
        job.answer(Err(why.clone().unavailable()));
    }
    Ran {
        again: Vec::new(),
        why: Some(why),
        keep,
    }
}

/// Which rows are named, by their hashes: two that share one go out one after the other, and nothing worse.
#[derive(Default)]
struct Named {
    hasher: RandomState,
    seen: HashSet<u64>,
}

impl Named {
    /// Whether any was named before; names all.
    fn any_again(&mut self, shard: &Shard, writes: &[Write]) -> bool {
        let mut again = false;
        let nothing =
            |write: &&Write| matches!((&write.change, write.expect), (Change::Keep, Expect::Any));
        for write in writes.iter().filter(|write| !nothing(write)) {
            let hash = self.hasher.hash_one((&shard.scope, write.table, &write.id));
            again |= !self.seen.insert(hash);
        }
        again
    }
}

fn size(write: &Write) -> usize {
    match &write.change {
        Change::Put(value) => value.len(),
        Change::Delete | Change::Keep => 0,
    }
}

async fn pause(round: u32) {
    tokio::time::sleep(Duration::from_millis(1 << round.min(6))).await;
}

/// To be done again, over another connection.
fn again(jobs: Vec<CommitJob>, why: DatabaseError) -> Ran<CommitJob> {
    Ran {
        again: jobs,
        why: Some(why),
        keep: false,
    }
}

/// Sees to it that there is a version for each commit.
async fn stock(link: &mut Link, commits: usize) -> Result<(), Failure> {
    let left = link.versions.end - link.versions.start;
    if usize::try_from(left).unwrap_or(0) < commits {
        take_versions(link).await?;
    }
    Ok(())
}

/// Writes all of them or none.
async fn write(
    link: &mut Link,
    layout: Layout,
    jobs: &[CommitJob],
) -> Result<Vec<Version>, Failure> {
    let mut given = Vec::with_capacity(jobs.len());
    let mut batch = Batch::default();
    for job in jobs {
        let version = link.versions.next().unwrap_or_default();
        given.push(Version(version.unsigned_abs()));
        add(&mut batch, &job.task, version);
    }
    if batch.is_empty() {
        return Ok(given);
    }
    batch.sort();
    link.forget_warning();
    match layout {
        Layout::Together => drop(link.rows(&together::write(&batch)).await?),
        Layout::Spread => spread::write(link, &batch).await?,
    }
    // Somebody cancelled the wait for the standby: the server says that it has committed, and warns.
    match link.warning() {
        Some(warning) => Err(Failure::Unknown(DatabaseError::NotReplicated(warning))),
        None => Ok(given),
    }
}

fn add(batch: &mut Batch, commit: &Commit, version: i64) {
    let Commit { shard, writes } = commit;
    let scope = scope_of(&shard.scope);
    let absent = batch.absent.len();
    for write in writes {
        let place = place(shard, write.table, &write.id);
        match (&write.change, write.expect) {
            (Change::Put(value), expect) => batch.puts.push(Put {
                place,
                version,
                expected: number(expect),
                scope: scope.clone(),
                value: value.clone(),
            }),
            (Change::Keep, Expect::Any) => {}
            (Change::Keep | Change::Delete, Expect::Absent) => batch.absent.push(place),
            (Change::Keep, Expect::Exactly(_)) => batch.keeps.push((place, number(write.expect))),
            (Change::Delete, expect) => batch.deletes.push((place, number(expect))),
        }
    }
    // All that is absent is to be absent at one moment. A row that is put says only that it was when it was put.
    if batch.absent.len() > absent {
        for write in writes {
            if let (Change::Put(_), Expect::Absent) = (&write.change, write.expect) {
                batch.absent.push(place(shard, write.table, &write.id));
            }
        }
    }
}

/// A version that no row can have is never met.
fn number(expect: Expect) -> i64 {
    match expect {
        Expect::Any => ANY,
        Expect::Absent => ABSENT,
        Expect::Exactly(Version(version)) => match i64::try_from(version) {
            Ok(version) if version > 0 => version,
            _ => i64::MAX,
        },
    }
}

/// Answers the commits that are refused, with the first record that is not as expected; the others are left.
async fn settle(
    link: &mut Link,
    layout: Layout,
    jobs: Vec<CommitJob>,
) -> Result<Vec<CommitJob>, (Vec<CommitJob>, Failure)> {
    let asked = |write: &&Write| write.expect != Expect::Any;
    let places: Vec<Place> = jobs
        .iter()
        .flat_map(|job| {
            let writes = job.task.writes.iter().filter(asked);
            writes.map(|write| place(&job.task.shard, write.table, &write.id))
        })
        .collect();
    let found = match versions(link, layout, &places).await {
        Ok(found) => found,
        Err(failure) => return Err((jobs, failure)),
    };
    let mut found = found.into_iter();
    let mut rest = Vec::new();
    for job in jobs {
        let mut first = None;
        for write in job.task.writes.iter().filter(asked) {
            let now = found.next().flatten();
            let holds = match write.expect {
                Expect::Any => true,
                Expect::Absent => now.is_none(),
                Expect::Exactly(version) => now == Some(version),
            };
            if !holds && first.is_none() {
                first = Some(StoreError::Conflict {
                    table: write.table,
                    id: write.id.clone(),
                });
            }
        }
        match first {
            Some(conflict) => job.answer(Err(conflict)),
            None => rest.push(job),
        }
    }
    Ok(rest)
}
