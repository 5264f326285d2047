//! The one thread that writes: whatever is asked for while it syncs goes into its next transaction.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use dps_core::store::{BoxError, Change, Expect, Shard, StoreError, Table, Version, Write};
use parking_lot::RwLock;
use redb::{Database, ReadableDatabase, ReadableTable};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::format::{self, ABOUT, RECORDS};
use crate::read::{Snapshot, failed};

/// What may be queued, in units of [`UNIT`] bytes: 64 MiB.
const ROOM: u32 = 16_384;
const UNIT: usize = 4096;

/// At most so many commits go into one transaction.
const BATCH: usize = 1024;

/// Versions are set aside in blocks, so that not every transaction writes down how far they have come.
const BLOCK: u64 = 1 << 20;

/// What readers see.
pub(crate) struct Shared {
    snapshot: RwLock<Option<Arc<Snapshot>>>,
}

impl Shared {
    pub(crate) const fn new() -> Self {
        Self {
            snapshot: RwLock::new(None),
        }
    }

    pub(crate) fn snapshot(&self) -> Result<Arc<Snapshot>, StoreError> {
        let snapshot = self.snapshot.read().clone();
        snapshot.ok_or_else(|| StoreError::Unavailable("the file is not open".into()))
    }

    fn publish(&self, snapshot: Option<Snapshot>) {
        let snapshot = snapshot.map(Arc::new);
        let before = std::mem::replace(&mut *self.snapshot.write(), snapshot);
        drop(before);
    }
}

/// Where commits wait.
pub(crate) struct Queue {
    jobs: mpsc::UnboundedSender<Job>,
    room: Arc<Semaphore>,
}

struct Job {
    writes: Vec<Prepared>,
    answer: oneshot::Sender<Result<Version, StoreError>>,
    _room: OwnedSemaphorePermit,
}

struct Prepared {
    key: Vec<u8>,
    table: Table,
    id: Arc<str>,
    expect: Expect,
    change: Change,
}

impl Queue {
    pub(crate) async fn commit(
        &self,
        shard: &Shard,
        writes: &[Write],
    ) -> Result<Version, StoreError> {
        let bytes: usize = writes
            .iter()
            .map(|write| match &write.change {
                Change::Put(value) => value.len(),
                _ => 0,
            })
            .sum();
        let units = u32::try_from(1 + bytes / UNIT).map_or(ROOM, |units| units.min(ROOM));
        let room = Arc::clone(&self.room).acquire_many_owned(units).await;
        let room = room.map_err(unavailable)?;
        let writes = writes
            .iter()
            .map(|write| Prepared {
                key: format::key(write.table, &shard.scope, &write.id),
                table: write.table,
                id: Arc::clone(&write.id),
                expect: write.expect,
                change: write.change.clone(),
            })
            .collect();
        let (answer, answered) = oneshot::channel();
        let job = Job {
            writes,
            answer,
            _room: room,
        };
        let gone = || unavailable("the writer is gone");
        self.jobs.send(job).map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

/// Starts the thread; it ends when the queue is dropped.
pub(crate) fn start(
    database: Database,
    shared: Arc<Shared>,
) -> Result<(Queue, JoinHandle<()>), BoxError> {
    let (jobs, waiting) = mpsc::unbounded_channel();
    let transaction = database.begin_write()?;
    transaction.open_table(RECORDS)?;
    let last = transaction
        .open_table(ABOUT)?
        .get("versions")?
        .map_or(0, |last| last.value());
    transaction.commit()?;
    shared.publish(Some(snapshot(&database).map_err(io::Error::other)?));
    let writer = Writer {
        database,
        shared,
        last,
        set_aside: last,
    };
    let thread = thread::Builder::new()
        .name("dps-store-redb".to_owned())
        .spawn(move || writer.run(waiting))?;
    let room = Arc::new(Semaphore::new(ROOM as usize));
    Ok((Queue { jobs, room }, thread))
}

fn snapshot(database: &Database) -> Result<Snapshot, StoreError> {
    let transaction = database.begin_read().map_err(failed)?;
    let records = transaction.open_table(RECORDS).map_err(failed)?;
    Ok(Snapshot { records })
}

struct Writer {
    database: Database,
    shared: Arc<Shared>,
    last: u64,
    set_aside: u64,
}

type Answers = Vec<Result<Version, StoreError>>;

impl Writer {
    fn run(mut self, mut waiting: mpsc::UnboundedReceiver<Job>) {
        let mut batch = Vec::new();
        while waiting.blocking_recv_many(&mut batch, BATCH) > 0 {
            let done = catch_unwind(AssertUnwindSafe(|| self.write(&batch)));
            let done = done.unwrap_or_else(|_| Err(unavailable("redb panicked")));
            match done {
                Ok(answers) => {
                    for (job, answer) in batch.drain(..).zip(answers) {
                        let _ = job.answer.send(answer);
                    }
                }
                Err(error) => {
                    let error: Arc<str> = error.to_string().into();
                    for job in batch.drain(..) {
                        let _ = job.answer.send(Err(unavailable(&*error)));
                    }
                }
            }
        }
        self.shared.publish(None);
    }

    fn write(&mut self, batch: &[Job]) -> Result<Answers, StoreError> {
        let transaction = self.database.begin_write().map_err(failed)?;
        let mut answers = Vec::with_capacity(batch.len());
        {
            let mut records = transaction.open_table(RECORDS).map_err(failed)?;
            for job in batch {
                self.last += 1;
                let version = Version(self.last);
                answers.push(apply(&mut records, job, version)?);
            }
            if self.last >= self.set_aside {
                self.set_aside = self.last + BLOCK;
                let mut about = transaction.open_table(ABOUT).map_err(failed)?;
                about.insert("versions", self.set_aside).map_err(failed)?;
            }
        }
        transaction.commit().map_err(failed)?;
        self.shared.publish(Some(snapshot(&self.database)?));
        Ok(answers)
    }
}

type Records<'a> = redb::Table<'a, &'static [u8], &'static [u8]>;

/// All of a commit or nothing. An outer error is one of the whole transaction.
fn apply(
    records: &mut Records<'_>,
    job: &Job,
    version: Version,
) -> Result<Result<Version, StoreError>, StoreError> {
    for write in &job.writes {
        if write.expect == Expect::Any {
            continue;
        }
        let found = records.get(&*write.key).map_err(failed)?;
        let found = match found.map(|written| format::version(&write.key, written.value())) {
            None => None,
            Some(Ok(version)) => Some(version),
            Some(Err(damaged)) => return Ok(Err(damaged)),
        };
        let holds = match write.expect {
            Expect::Any => true,
            Expect::Absent => found.is_none(),
            Expect::Exactly(version) => found == Some(version),
        };
        if !holds {
            return Ok(Err(StoreError::Conflict {
                table: write.table,
                id: Arc::clone(&write.id),
            }));
        }
    }
    for write in &job.writes {
        match &write.change {
            Change::Put(value) => {
                let written = format::written(&write.key, version, value);
                records.insert(&*write.key, &*written).map_err(failed)?;
            }
            Change::Delete => {
                records.remove(&*write.key).map_err(failed)?;
            }
            Change::Keep => {}
        }
    }
    Ok(Ok(version))
}

fn unavailable(why: impl Into<BoxError>) -> StoreError {
    StoreError::Unavailable(why.into())
}
