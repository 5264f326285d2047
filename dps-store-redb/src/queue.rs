//! Where commits wait for the writer. There is a bound on what waits: whoever comes then waits for room.

use std::sync::Arc;

use dps_core::store::{Change, Expect, Shard, StoreError, Table, Version, Write};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::format::{self, unavailable};

/// How many units may wait.
const ROOM: u32 = 16_384;

/// What one unit stands for, in bytes: 64 MiB in all. A commit takes one unit more than its values fill.
const UNIT: usize = 4096;

/// What the writer is asked to do.
pub(crate) enum Ask {
    Commit(Job),
    /// See whether the file is still usable.
    Mend,
}

/// A commit that waits.
pub(crate) struct Job {
    pub(crate) writes: Vec<Prepared>,
    answer: oneshot::Sender<Result<Version, StoreError>>,
    _room: OwnedSemaphorePermit,
}

/// One record's part in it.
pub(crate) struct Prepared {
    pub(crate) key: Vec<u8>,
    pub(crate) table: Table,
    pub(crate) id: Arc<str>,
    pub(crate) expect: Expect,
    pub(crate) change: Change,
}

/// The callers' end.
pub(crate) struct Queue {
    asks: mpsc::UnboundedSender<Ask>,
    room: Arc<Semaphore>,
}

impl Queue {
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<Ask>) {
        let (asks, asked) = mpsc::unbounded_channel();
        let room = Arc::new(Semaphore::new(ROOM as usize));
        (Self { asks, room }, asked)
    }

    pub(crate) async fn commit(
        &self,
        shard: &Shard,
        writes: &[Write],
    ) -> Result<Version, StoreError> {
        let room = Arc::clone(&self.room).acquire_many_owned(units(writes));
        let room = room.await.map_err(unavailable)?;
        let prepare = |write: &Write| Prepared {
            key: format::key(write.table, &shard.scope, &write.id),
            table: write.table,
            id: Arc::clone(&write.id),
            expect: write.expect,
            change: write.change.clone(),
        };
        let (answer, answered) = oneshot::channel();
        let job = Job {
            writes: writes.iter().map(prepare).collect(),
            answer,
            _room: room,
        };
        let gone = || unavailable("the thread that writes has ended");
        self.asks.send(Ask::Commit(job)).map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }

    pub(crate) fn mend(&self) {
        let _ = self.asks.send(Ask::Mend);
    }
}

impl Job {
    /// Nobody may be there any more to hear it.
    pub(crate) fn answer(self, answer: Result<Version, StoreError>) {
        let _ = self.answer.send(answer);
    }
}

fn units(writes: &[Write]) -> u32 {
    let bytes = |write: &Write| match &write.change {
        Change::Put(value) => value.len(),
        _ => 0,
    };
    let bytes: usize = writes.iter().map(bytes).sum();
    u32::try_from(1 + bytes / UNIT).map_or(ROOM, |units| units.min(ROOM))
}
