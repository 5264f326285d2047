//! The load: many tasks on one thread, each doing one unit of work after the other.

mod handshake;
mod line;
mod talk;

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use tokio::task::{JoinHandle, LocalSet};

pub use handshake::{handshake, handshake_as};
pub use line::Line;
pub(crate) use talk::complete;
pub use talk::{Exchange, Heard, Visit, body_length};

/// Who visits: the n-th unit of work of a run asks for the n-th visit.
pub type Visits = Rc<dyn Fn(u64) -> Visit>;

/// One kind of load on one server.
#[derive(Clone)]
pub struct Load {
    /// The server's port on 127.0.0.1.
    pub port: u16,
    /// How many tasks work at once.
    pub tasks: usize,
    /// What each task does again and again.
    pub unit: Unit,
    /// What to send. A connection that is kept stays what the first visit of its task made it.
    pub visits: Visits,
    /// What the last answer must contain to count.
    pub wanted: &'static [u8],
}

impl fmt::Debug for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            port, tasks, unit, ..
        } = self;
        write!(f, "Load({tasks} tasks on port {port}, {unit:?})")
    }
}

/// One unit of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Connect, shake hands, converse, say goodbye, read up to close_notify, close.
    Connection,
    /// Converse, on a connection made once for each task.
    Request,
}

/// What a running load has done so far.
#[derive(Debug, Default)]
pub struct Tally {
    done: Cell<u64>,
    failed: Cell<u64>,
    failure: RefCell<Option<String>>,
    stop: Cell<bool>,
}

impl Tally {
    /// Units completed with the wanted answer.
    pub fn done(&self) -> u64 {
        self.done.get()
    }

    /// Units that failed, and how the first one did.
    pub fn failures(&self) -> (u64, Option<String>) {
        (self.failed.get(), self.failure.borrow().clone())
    }

    fn failed(&self, error: &io::Error) {
        self.failed.set(self.failed.get() + 1);
        self.failure
            .borrow_mut()
            .get_or_insert_with(|| error.to_string());
    }
}

/// A load that is running, until [`Running::stop`].
#[derive(Debug)]
pub struct Running {
    tally: Rc<Tally>,
    tasks: Vec<JoinHandle<()>>,
}

/// Starts a load.
///
/// The client never sleeps while it runs: on loopback the kernel charges waking a sleeper to whoever
/// sends to it, so a server would pay for every answer that comes after a pause, which only servers
/// slower than the client make. Devices are woken by their own network card.
///
/// * `set`: where its tasks run.
/// * `next`: the number of the next visit; loads that share it never make the same visit twice.
pub fn start(set: &LocalSet, load: &Load, next: &Rc<Cell<u64>>) -> Running {
    let tally = Rc::new(Tally::default());
    let mut tasks: Vec<_> = (0..load.tasks)
        .map(|_| {
            let (load, next, tally) = (load.clone(), Rc::clone(next), Rc::clone(&tally));
            set.spawn_local(async move { work(&load, &next, &tally).await })
        })
        .collect();
    let awake = Rc::clone(&tally);
    tasks.push(set.spawn_local(async move {
        while !awake.stop.get() {
            tokio::task::yield_now().await;
        }
    }));
    Running { tally, tasks }
}

impl Running {
    /// What was done so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Lets every task finish its unit, at most for two seconds, and ends them.
    pub async fn stop(self) {
        self.tally.stop.set(true);
        let deadline = tokio::time::Instant::now() + Duration::from_secs(2);
        for mut task in self.tasks {
            if tokio::time::timeout_at(deadline, &mut task).await.is_err() {
                task.abort();
            }
        }
    }
}

async fn work(load: &Load, next: &Cell<u64>, tally: &Tally) {
    let mut answer = Vec::with_capacity(4096);
    let mut kept: Option<Line> = None;
    while !tally.stop.get() {
        let number = next.get();
        next.set(number + 1);
        let visit = (load.visits)(number);
        let result = match load.unit {
            Unit::Connection => visit_once(load, number, &visit, &mut answer).await,
            Unit::Request => visit_again(load, number, &visit, &mut kept, &mut answer).await,
        };
        match result {
            Ok(()) => tally.done.set(tally.done.get() + 1),
            Err(error) => {
                kept = None;
                tally.failed(&error);
                // A server that refuses everything must not make us spin.
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
}

async fn visit_once(load: &Load, n: u64, visit: &Visit, answer: &mut Vec<u8>) -> io::Result<()> {
    let mut line = Line::open(load.port, n, visit.tls.as_ref()).await?;
    visit.converse(&mut line, load.wanted, answer).await?;
    visit.part(&mut line).await
}

async fn visit_again(
    load: &Load,
    n: u64,
    visit: &Visit,
    kept: &mut Option<Line>,
    answer: &mut Vec<u8>,
) -> io::Result<()> {
    let line = match kept {
        Some(line) => line,
        None => kept.insert(Line::open(load.port, n, visit.tls.as_ref()).await?),
    };
    visit.converse(line, load.wanted, answer).await
}
