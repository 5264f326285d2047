//! The one thread that writes: whatever is asked for while it syncs goes into its next transaction.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use dps_core::store::{Change, Expect, StoreError, Version};
use redb::{Database, ReadableDatabase};
use tokio::sync::mpsc;

use crate::format::{ABOUT, ABOUT_GIVEN, INDEX, VALUES, failed, guarded, unavailable};
use crate::keeper::Keeper;
use crate::open::{Builder, OpenError, Opened};
use crate::queue::{Ask, Job, Queue};
use crate::records::{Records, Writable};
use crate::shared::{Shared, Snapshot};
use crate::store::RedbStore;

/// At most so many commits go into one transaction.
const BATCH: usize = 1024;

/// Numbers are set aside in blocks, so that not every transaction has to write down how far they have come.
const BLOCK: u64 = 1 << 20;

/// A file that is opened again faster than this is opened whenever somebody asks.
const QUICK: Duration = Duration::from_millis(200);

/// Starts the thread; it ends when the store is dropped.
pub(crate) fn start(
    opened: Opened,
    keeper: Arc<Keeper>,
    builder: Builder,
) -> Result<RedbStore, OpenError> {
    let shared = Arc::new(Shared::new());
    let (queue, asked) = Queue::new();
    let mut writer = Writer {
        keeper,
        builder,
        shared: Arc::clone(&shared),
        open: None,
        not_before: None,
    };
    writer.take_up(opened);
    let thread = thread::Builder::new()
        .name("dps-store-redb".to_owned())
        .spawn(move || writer.run(asked))
        .map_err(OpenError::Io)?;
    Ok(RedbStore::new(shared, queue, thread))
}

struct Writer {
    keeper: Arc<Keeper>,
    builder: Builder,
    shared: Arc<Shared>,
    /// Unless it could not be opened again after an error.
    open: Option<Open>,
    /// When it may be tried again.
    not_before: Option<Instant>,
}

struct Open {
    database: Database,
    /// The next number, or version.
    next: u64,
    /// The file says that all numbers below this are given.
    set_aside: u64,
}

type Answer = Result<Version, StoreError>;

impl Writer {
    fn run(mut self, mut asked: mpsc::UnboundedReceiver<Ask>) {
        let mut batch = Vec::new();
        let mut jobs = Vec::new();
        while asked.blocking_recv_many(&mut batch, BATCH) > 0 {
            for ask in batch.drain(..) {
                match ask {
                    Ask::Commit(job) => jobs.push(job),
                    Ask::Mend => self.look_after(),
                }
            }
            if jobs.is_empty() {
                continue;
            }
            let answers = self.write(&jobs);
            answer(&mut jobs, answers);
            if !self.shared.is_sound() && self.open.is_some() {
                self.give_up();
                let _ = self.mend();
            }
        }
        self.shared.publish(None);
        // Closing writes as well.
        if let Some(open) = self.open.take() {
            let _ = guarded(|| open.database.close().map_err(failed));
        }
    }

    /// Does everything that is asked for, in one transaction.
    fn write(&mut self, jobs: &[Job]) -> Result<Vec<Answer>, StoreError> {
        self.mend()?;
        let Some(open) = &mut self.open else {
            return Err(unavailable("the file is not open"));
        };
        // After an error, what was done to mend the file may still have to be written.
        self.keeper.let_go().map_err(unavailable)?;
        let written = guarded(|| open.write(jobs));
        if written.is_err() {
            self.shared.publish(None);
        } else if let Some(open) = &self.open {
            self.shared.publish(guarded(|| open.snapshot()).ok());
        }
        written
    }

    /// A reader has met an error.
    fn look_after(&mut self) {
        self.shared.heard();
        if let Some(open) = &self.open {
            let usable = guarded(|| {
                let transaction = open.database.begin_write().map_err(failed)?;
                transaction.abort().map_err(failed)
            });
            if usable.is_err() || !self.shared.is_sound() {
                self.give_up();
            }
        }
        let _ = self.mend();
    }

    fn give_up(&mut self) {
        self.shared.publish(None);
        self.keeper.cut();
        if let Some(open) = self.open.take() {
            let _ = guarded(|| {
                drop(open);
                Ok(())
            });
        }
    }

    /// Opens the file again after an error.
    ///
    /// Everything that was acknowledged is in it. As it was not closed, redb checks all of it, which takes a while for
    /// a large file: one that does not stay usable is not opened over and over.
    fn mend(&mut self) -> Result<(), StoreError> {
        if self.open.is_some() {
            return Ok(());
        }
        let now = Instant::now();
        if self.not_before.is_some_and(|then| now < then) {
            return Err(unavailable("the file failed a moment ago"));
        }
        self.keeper.settle().map_err(unavailable)?;
        let looked = self.builder.look(&self.keeper);
        let took = now.elapsed();
        self.not_before = (took > QUICK).then(|| Instant::now() + took);
        match looked {
            Ok(opened) => {
                self.take_up(opened);
                Ok(())
            }
            Err(error @ (OpenError::Io(_) | OpenError::InUse)) => Err(unavailable(error)),
            Err(error) => Err(StoreError::Corrupt(error.into())),
        }
    }

    fn take_up(&mut self, opened: Opened) {
        let open = Open {
            database: opened.database,
            next: opened.given,
            set_aside: opened.given,
        };
        self.shared.publish(guarded(|| open.snapshot()).ok());
        self.open = Some(open);
    }
}

impl Open {
    fn write(&mut self, jobs: &[Job]) -> Result<Vec<Answer>, StoreError> {
        let transaction = self.database.begin_write().map_err(failed)?;
        let mut answers = Vec::with_capacity(jobs.len());
        let mut changed = false;
        {
            let mut records = Records {
                index: transaction.open_table(INDEX).map_err(failed)?,
                values: transaction.open_table(VALUES).map_err(failed)?,
            };
            for job in jobs {
                let (answer, changes) = apply(&mut records, job, &mut self.next)?;
                answers.push(answer);
                changed |= changes;
            }
        }
        if self.next > self.set_aside {
            self.set_aside = self.next + BLOCK;
            let mut about = transaction.open_table(ABOUT).map_err(failed)?;
            about.insert(ABOUT_GIVEN, self.set_aside).map_err(failed)?;
            changed = true;
        }
        if changed {
            transaction.commit().map_err(failed)?;
        } else {
            transaction.abort().map_err(failed)?;
        }
        Ok(answers)
    }

    fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let transaction = self.database.begin_read().map_err(failed)?;
        Ok(Snapshot {
            records: Records {
                index: transaction.open_table(INDEX).map_err(failed)?,
                values: transaction.open_table(VALUES).map_err(failed)?,
            },
            given: self.set_aside,
        })
    }
}

/// Does all of a commit or nothing, after those before it in the same transaction. An outer error is one of the whole
/// transaction.
fn apply(
    records: &mut Writable<'_>,
    job: &Job,
    next: &mut u64,
) -> Result<(Answer, bool), StoreError> {
    let mut give = || {
        let given = *next;
        *next += 1;
        given
    };
    let mut found = Vec::with_capacity(job.writes.len());
    for write in &job.writes {
        let there = match records.find(&write.key, write.expect != Expect::Absent) {
            Ok(there) => there,
            // Damage to one record is no reason to refuse the others.
            Err(error @ StoreError::Corrupt(_)) => return Ok((Err(error), false)),
            Err(error) => return Err(error),
        };
        let holds = match write.expect {
            Expect::Any => true,
            Expect::Absent => there.is_none(),
            Expect::Exactly(version) => there.is_some_and(|there| there.version == version),
        };
        if !holds {
            let conflict = StoreError::Conflict {
                table: write.table,
                id: Arc::clone(&write.id),
            };
            return Ok((Err(conflict), false));
        }
        found.push(there);
    }
    let version = Version(give());
    let mut changed = false;
    for (write, there) in job.writes.iter().zip(found) {
        changed |= match write.change {
            Change::Keep => false,
            Change::Put(_) => true,
            Change::Delete => there.is_some(),
        };
        records.make(&write.key, there, &write.change, version, &mut give)?;
    }
    Ok((Ok(version), changed))
}

fn answer(jobs: &mut Vec<Job>, answers: Result<Vec<Answer>, StoreError>) {
    match answers {
        Ok(answers) => {
            for (job, answer) in jobs.drain(..).zip(answers) {
                job.answer(answer);
            }
        }
        Err(error) => {
            let error = Arc::new(error);
            for job in jobs.drain(..) {
                let cause = Arc::clone(&error);
                job.answer(Err(match &*error {
                    StoreError::Corrupt(_) => StoreError::Corrupt(cause.into()),
                    _ => StoreError::Unavailable(cause.into()),
                }));
            }
        }
    }
}
