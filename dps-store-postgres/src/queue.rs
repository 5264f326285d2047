//! Calls that wait for a connection, and the connections that wait for calls.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use dps_core::store::StoreError;
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use crate::link::{Link, Opener};
use crate::{DatabaseError, Layout};

/// A call, and whom to tell.
#[derive(Debug)]
pub(crate) struct Job<T, R> {
    pub(crate) task: T,
    reply: oneshot::Sender<Result<R, StoreError>>,
    deadline: Instant,
    /// How often it was begun.
    pub(crate) tries: u32,
}

impl<T, R> Job<T, R> {
    pub(crate) fn answer(self, answer: Result<R, StoreError>) {
        // Whoever asked may have gone.
        let _ = self.reply.send(answer);
    }

    fn is_late(&self) -> bool {
        self.deadline <= Instant::now()
    }
}

/// A kind of calls.
#[async_trait]
pub(crate) trait Kind: Debug + Send + Sync + Sized + 'static {
    type Task: Debug + Send + Sync;
    type Reply: Debug + Send;
    /// What is under way, where that matters to what may go next.
    type Busy: Debug + Default + Send;

    /// Takes what goes out together from the front, and leaves the rest in order.
    fn gather(
        waiting: &mut VecDeque<Job<Self::Task, Self::Reply>>,
        busy: &mut Self::Busy,
        layout: Layout,
    ) -> Vec<Job<Self::Task, Self::Reply>>;

    /// Does them, and answers all, but for those that it gives back because they can be done over another
    /// connection. Whether this connection is still good.
    async fn run(
        link: &mut Link,
        layout: Layout,
        jobs: Vec<Job<Self::Task, Self::Reply>>,
    ) -> Ran<Job<Self::Task, Self::Reply>>;

    /// Is told when what was gathered is done.
    fn done(busy: &mut Self::Busy, tasks: &Self::Busy);

    /// What of `jobs` has to be told to [`Kind::done`].
    fn marks(jobs: &[Job<Self::Task, Self::Reply>], layout: Layout) -> Self::Busy;
}

/// What became of calls.
#[derive(Debug)]
pub(crate) struct Ran<J> {
    /// To be done again, over another connection, with the reason.
    pub(crate) again: Vec<J>,
    pub(crate) why: Option<DatabaseError>,
    pub(crate) keep: bool,
}

impl<J> Ran<J> {
    pub(crate) const fn done(keep: bool) -> Self {
        Self {
            again: Vec::new(),
            why: None,
            keep,
        }
    }
}

/// One kind's calls.
#[derive(Debug)]
pub(crate) struct Queue<K: Kind> {
    state: Mutex<State<K>>,
    wake: Notify,
    patience: Duration,
    most: usize,
}

#[derive(Debug)]
struct State<K: Kind> {
    waiting: VecDeque<Job<K::Task, K::Reply>>,
    busy: K::Busy,
    connected: usize,
    lanes: usize,
    closed: bool,
}

impl<K: Kind> Queue<K> {
    pub(crate) fn new(patience: Duration, most: usize) -> Arc<Self> {
        let state = State {
            waiting: VecDeque::new(),
            busy: K::Busy::default(),
            connected: 0,
            lanes: 0,
            closed: false,
        };
        Arc::new(Self {
            state: Mutex::new(state),
            wake: Notify::new(),
            patience,
            most,
        })
    }

    /// Waits for the answer to a call.
    pub(crate) async fn call(&self, task: K::Task) -> Result<K::Reply, StoreError> {
        let (reply, answer) = oneshot::channel();
        let deadline = Instant::now() + self.patience;
        {
            let mut state = self.state.lock();
            if state.closed {
                return Err(DatabaseError::Closed.unavailable());
            }
            if state.waiting.len() >= self.most {
                return Err(DatabaseError::Busy(state.waiting.len()).unavailable());
            }
            state.waiting.push_back(Job {
                task,
                reply,
                deadline,
                tries: 0,
            });
        }
        self.wake.notify_one();
        // A lane that ends half-way drops the call.
        answer
            .await
            .unwrap_or_else(|_| Err(DatabaseError::Closed.unavailable()))
    }

    /// Answers all that wait, and all that will come.
    pub(crate) fn close(&self) {
        let waiting = {
            let mut state = self.state.lock();
            state.closed = true;
            std::mem::take(&mut state.waiting)
        };
        for job in waiting {
            job.answer(Err(DatabaseError::Closed.unavailable()));
        }
        self.wake.notify_waiters();
        self.wake.notify_one();
    }

    fn is_closed(&self) -> bool {
        self.state.lock().closed
    }

    fn take(&self, layout: Layout) -> Vec<Job<K::Task, K::Reply>> {
        let mut state = self.state.lock();
        let state = &mut *state;
        let taken = K::gather(&mut state.waiting, &mut state.busy, layout);
        if !taken.is_empty() && !state.waiting.is_empty() {
            self.wake.notify_one();
        }
        taken
    }

    /// Gives back what was not done; those that have waited long enough are answered.
    fn give_back(&self, jobs: Vec<Job<K::Task, K::Reply>>, why: &DatabaseError) {
        let mut late = Vec::new();
        {
            let mut state = self.state.lock();
            for job in jobs.into_iter().rev() {
                if job.is_late() || state.closed {
                    late.push(job);
                } else {
                    state.waiting.push_front(job);
                }
            }
        }
        for job in late {
            job.answer(Err(why.clone().unavailable()));
        }
        self.wake.notify_one();
    }

    /// Where nobody has a connection, answers those that have waited long enough, or all if waiting does not help.
    fn no_connection(&self, why: &DatabaseError) {
        let mut late = Vec::new();
        {
            let mut state = self.state.lock();
            if state.connected > 0 {
                return;
            }
            for job in std::mem::take(&mut state.waiting) {
                if job.is_late() || !why.passes() {
                    late.push(job);
                } else {
                    state.waiting.push_back(job);
                }
            }
        }
        for job in late {
            job.answer(Err(why.clone().unavailable()));
        }
    }
}

/// Keeps one connection, for calls of one kind, until the queue is closed.
pub(crate) async fn lane<K: Kind>(
    queue: Arc<Queue<K>>,
    opener: Arc<Opener>,
    layout: Layout,
    mut first: Option<Link>,
) {
    let alive = Alive::new(&queue);
    loop {
        let link = match first.take() {
            Some(link) => Some(link),
            None => connect(&queue, &opener, layout).await,
        };
        let Some(mut link) = link else {
            break;
        };
        let connected = Connected::new(&queue);
        let good = serve(&queue, layout, &mut link).await;
        drop(connected);
        if good {
            link.close().await;
            break;
        }
    }
    drop(alive);
}

/// Does calls until the queue is closed, which is `true`, or the connection has to be given up.
async fn serve<K: Kind>(queue: &Queue<K>, layout: Layout, link: &mut Link) -> bool {
    loop {
        let jobs = queue.take(layout);
        if jobs.is_empty() {
            if queue.is_closed() {
                return true;
            }
            if link.idle(queue.wake.notified()).await.is_none() {
                tracing::debug!("the database ended an idle connection");
                // Whoever woke this lane meant any.
                queue.wake.notify_one();
                return false;
            }
            continue;
        }
        let marks = K::marks(&jobs, layout);
        let marked = Marked { queue, marks };
        let (late, jobs): (Vec<_>, Vec<_>) = jobs.into_iter().partition(Job::is_late);
        for job in late {
            job.answer(Err(
                DatabaseError::NoConnection(queue.patience).unavailable()
            ));
        }
        if jobs.is_empty() {
            continue;
        }
        let ran = K::run(link, layout, jobs).await;
        drop(marked);
        if let Some(why) = &ran.why {
            if !ran.keep {
                tracing::warn!(error = %why, "a connection to the database is given up");
            }
            queue.give_back(ran.again, why);
        }
        if !ran.keep {
            return false;
        }
    }
}

/// A connection, as soon as there is one; `None` if the queue is closed.
async fn connect<K: Kind>(queue: &Queue<K>, opener: &Opener, layout: Layout) -> Option<Link> {
    const FIRST: Duration = Duration::from_millis(20);
    const LONGEST: Duration = Duration::from_millis(500);
    let mut pause = FIRST;
    let mut said = None;
    while !queue.is_closed() {
        match opener.open_checked(Some(layout)).await {
            Ok((link, _)) => {
                if said.is_some() {
                    tracing::info!("the database is there again");
                }
                return Some(link);
            }
            Err(why) => {
                queue.no_connection(&why);
                if said.as_ref() != Some(&why) {
                    tracing::warn!(error = %why, "no connection to the database");
                }
                said = Some(why);
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST);
    }
    None
}

/// Counts the lanes: when the last one ends, nobody answers any more.
struct Alive<K: Kind>(Arc<Queue<K>>);

impl<K: Kind> Alive<K> {
    fn new(queue: &Arc<Queue<K>>) -> Self {
        queue.state.lock().lanes += 1;
        Self(Arc::clone(queue))
    }
}

impl<K: Kind> Drop for Alive<K> {
    fn drop(&mut self) {
        let last = {
            let mut state = self.0.state.lock();
            state.lanes -= 1;
            state.lanes == 0
        };
        if last {
            self.0.close();
        }
    }
}

struct Connected<'a, K: Kind>(&'a Queue<K>);

impl<'a, K: Kind> Connected<'a, K> {
    fn new(queue: &'a Queue<K>) -> Self {
        queue.state.lock().connected += 1;
        Self(queue)
    }
}

impl<K: Kind> Drop for Connected<'_, K> {
    fn drop(&mut self) {
        self.0.state.lock().connected -= 1;
    }
}

struct Marked<'a, K: Kind> {
    queue: &'a Queue<K>,
    marks: K::Busy,
}

impl<K: Kind> Drop for Marked<'_, K> {
    fn drop(&mut self) {
        let mut state = self.queue.state.lock();
        K::done(&mut state.busy, &self.marks);
        if !state.waiting.is_empty() {
            self.queue.wake.notify_one();
        }
    }
}
