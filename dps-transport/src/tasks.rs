//! What outlives a connection: work that is still owed, and how everything comes to its end.

use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use dps_core::api::{DeviceResponse, Reply, Work};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Connections and [`Work`] in flight, and the way to end them. Cheap to clone; clones are one.
///
/// One value serves a whole process: all listeners, on all runtimes, share it.
#[derive(Clone)]
pub struct Tasks(Arc<Inner>);

struct Inner {
    draining: CancellationToken,
    ended: CancellationToken,
    connections: TaskTracker,
    work: TaskTracker,
    room: AtomicUsize,
}

/// How a drain went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "says whether something was cut off"]
pub struct Drained {
    /// Connections that were cut, because the time was up.
    pub connections: usize,
    /// Pieces of work that were dropped, because the time was up; a later poll of the device takes
    /// each of them up again.
    pub work: usize,
}

impl Tasks {
    /// How many pieces of work may be in flight at a time unless said otherwise. Our choice: at a few
    /// kilobytes each, about 100 MB.
    pub const DEFAULT_LIMIT: usize = 32_768;

    /// No tasks yet; at most [`Tasks::DEFAULT_LIMIT`] pieces of work at a time.
    #[must_use]
    pub fn new() -> Self {
        Self::with_limit(Self::DEFAULT_LIMIT)
    }

    /// No tasks yet; at most `limit` pieces of work at a time.
    ///
    /// Work beyond it is dropped, as a crash would drop it: the device is told "assigning", and a
    /// later poll takes the work up.
    #[must_use]
    pub fn with_limit(limit: usize) -> Self {
        Self(Arc::new(Inner {
            draining: CancellationToken::new(),
            ended: CancellationToken::new(),
            connections: TaskTracker::new(),
            work: TaskTracker::new(),
            room: AtomicUsize::new(limit),
        }))
    }

    /// Resolves when a drain begins; at once if one has begun.
    pub fn draining(&self) -> impl Future<Output = ()> + Send + 'static {
        self.0.draining.clone().cancelled_owned()
    }

    /// Whether a drain has begun.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.0.draining.is_cancelled()
    }

    /// Resolves when a drain is over: nothing runs any more.
    pub fn ended(&self) -> impl Future<Output = ()> + Send + 'static {
        self.0.ended.clone().cancelled_owned()
    }

    /// Connections being served now, handshakes among them.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.0.connections.len()
    }

    /// Pieces of work in flight now.
    #[must_use]
    pub fn work(&self) -> usize {
        self.0.work.len()
    }

    /// Brings everything to its end: listeners stop accepting, connections are told to end, and work
    /// is finished.
    ///
    /// * `bound`: how long all of it may take; what is left then is cut off.
    ///
    /// The runtimes on which connections were accepted have to run until this returns. A second call
    /// waits beside the first.
    pub async fn drain(&self, bound: Duration) -> Drained {
        let inner = &self.0;
        inner.draining.cancel();
        inner.connections.close();
        let quiet = async {
            inner.connections.wait().await;
            // Connections spawn work; with none left, the set of work can only shrink.
            inner.work.close();
            inner.work.wait().await;
        };
        let cut = tokio::time::timeout(bound, quiet).await.is_err();
        let left = Drained {
            connections: if cut { inner.connections.len() } else { 0 },
            work: if cut { inner.work.len() } else { 0 },
        };
        inner.ended.cancel();
        if cut {
            tracing::warn!(left.connections, left.work, "the drain ran out of time");
        }
        left
    }

    /// Runs `connection` to its end, or to the end of a drain.
    pub(crate) fn spawn_connection(&self, connection: impl Future<Output = ()> + Send + 'static) {
        let ended = self.0.ended.clone();
        // Boxed, because each future around it would have room for it again.
        let connection = Box::pin(connection);
        self.0.connections.spawn(async move {
            ended.run_until_cancelled(connection).await;
        });
    }

    /// Runs `work` to its end, and whatever is still owed after it; for at most [`Work::LEASE`] each.
    ///
    /// Returns whether there is room for it; it is dropped otherwise, as a crash would.
    ///
    /// # Panics
    /// Outside a runtime.
    pub fn run(&self, work: Work) -> bool {
        self.spawn(work).is_some()
    }

    fn spawn(&self, work: Work) -> Option<JoinHandle<Option<DeviceResponse>>> {
        let Some(room) = Room::take(&self.0) else {
            tracing::warn!("too much work in flight: left to a later poll");
            return None;
        };
        let this = self.clone();
        Some(self.0.work.spawn(async move {
            let bounded = tokio::time::timeout(Work::LEASE, work);
            let ended = this.0.ended.run_until_cancelled(bounded).await;
            drop(room);
            let Reply { response, work } = ended.and_then(Result::ok)?;
            work.map(|owed| this.run(owed));
            Some(response)
        }))
    }
}

impl Default for Tasks {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tasks")
            .field("connections", &self.connections())
            .field("work", &self.work())
            .field("draining", &self.is_draining())
            .finish()
    }
}

/// The place of one piece of work within the limit; given back when dropped, by a panic too.
struct Room(Arc<Inner>);

impl Room {
    fn take(inner: &Arc<Inner>) -> Option<Self> {
        let taken = inner
            .room
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| {
                left.checked_sub(1)
            });
        taken.is_ok().then(|| Self(Arc::clone(inner)))
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.0.room.fetch_add(1, Ordering::AcqRel);
    }
}

/// Runs the work of `reply` to its end in any case, and waits for it up to `grace`.
///
/// What is done by then is the answer; otherwise `reply.response` is. This is the one place where
/// "assigning" may become "assigned" at once. What is owed even after the answer, such as cleaning
/// the place that the device has left, is run and never waited for.
///
/// * `grace`: zero means that the work is never waited for, however soon it is done: every
///   registration takes two steps.
///
/// The work is polled once before anything else. If that ends it, no task is spawned and no timer
/// set. Otherwise it runs in `tasks`, for at most [`Work::LEASE`], and goes on when this future is
/// dropped.
pub async fn settle(tasks: &Tasks, reply: Reply, grace: Duration) -> DeviceResponse {
    let Reply { response, work } = reply;
    let Some(mut work) = work else {
        return response;
    };
    let running = match poll_once(&mut work) {
        Some(Poll::Ready(newer)) => {
            newer.work.map(|owed| tasks.run(owed));
            return if grace.is_zero() {
                response
            } else {
                newer.response
            };
        }
        Some(Poll::Pending) => tasks.spawn(work),
        None => None,
    };
    match running {
        Some(running) if !grace.is_zero() => match tokio::time::timeout(grace, running).await {
            Ok(Ok(Some(newer))) => newer,
            // It takes longer, gave up, or panicked: what was true before is true still.
            Ok(Ok(None) | Err(_)) | Err(_) => response,
        },
        _ => response,
    }
}

/// Returns `None` if the work panicked; it is not to be polled again.
///
/// Nobody is woken for what happens before the next poll: that follows at once, in a task.
fn poll_once(work: &mut Work) -> Option<Poll<Reply>> {
    let mut context = Context::from_waker(Waker::noop());
    // Whatever the panic left half done is dropped unseen.
    let polled = catch_unwind(AssertUnwindSafe(|| Pin::new(work).poll(&mut context)));
    if polled.is_err() {
        tracing::error!("work panicked; a later poll takes the operation up");
    }
    polled.ok()
}
