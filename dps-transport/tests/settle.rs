//! Work is run to its end in any case; how long it is waited for is another matter.
#![allow(clippy::unwrap_used, reason = "a test that fails says so")]

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dps_core::api::{DeviceResponse, Reply, Work};
use dps_core::error::{Reason, ServiceError};
use dps_transport::{Drained, Tasks, settle};
use tokio::time::{Instant, sleep};

const GRACE: Duration = Duration::from_millis(250);
const NEVER: Duration = Duration::ZERO;

fn answer(reason: Reason) -> DeviceResponse {
    DeviceResponse::Error(ServiceError::new(reason))
}

fn reason(response: &DeviceResponse) -> Reason {
    match response {
        DeviceResponse::Error(error) => error.reason(),
        _ => unreachable!("the tests answer errors only"),
    }
}

/// "Unavailable" now; "Throttled" when the work is done, which `done` counts.
fn owed(delay: Duration, done: &Arc<AtomicUsize>) -> Reply {
    let done = Arc::clone(done);
    owing(async move {
        if !delay.is_zero() {
            sleep(delay).await;
        }
        done.fetch_add(1, Ordering::Relaxed);
        answer(Reason::Throttled).into()
    })
}

fn owing(work: impl Future<Output = Reply> + Send + 'static) -> Reply {
    Reply {
        response: answer(Reason::Unavailable),
        work: Some(Work::new(work)),
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_done_within_the_grace_is_the_answer() {
    let instant = Duration::ZERO;
    let soon = Duration::from_millis(249);
    let late = Duration::from_millis(251);
    for (delay, grace, expected, waited) in [
        (instant, GRACE, Reason::Throttled, Duration::ZERO),
        (soon, GRACE, Reason::Throttled, soon),
        (late, GRACE, Reason::Unavailable, GRACE),
        (instant, NEVER, Reason::Unavailable, Duration::ZERO),
        (soon, NEVER, Reason::Unavailable, Duration::ZERO),
    ] {
        let (tasks, done) = (Tasks::new(), Arc::default());
        let began = Instant::now();
        let response = settle(&tasks, owed(delay, &done), grace).await;
        assert_eq!(reason(&response), expected, "{delay:?} {grace:?}");
        // The timer counts whole milliseconds and rounds up.
        let over = began.elapsed() - waited;
        assert!(over <= Duration::from_millis(1), "{delay:?} {grace:?}");
        assert_eq!(tasks.drain(Duration::from_secs(60)).await, NOTHING);
        assert_eq!(done.load(Ordering::Relaxed), 1, "{delay:?} {grace:?}");
    }
}

const NOTHING: Drained = Drained {
    connections: 0,
    work: 0,
};

#[tokio::test]
async fn a_reply_that_owes_nothing_is_the_answer() {
    let reply = Reply::from(answer(Reason::Throttled));
    let response = settle(&Tasks::new(), reply, GRACE).await;
    assert_eq!(reason(&response), Reason::Throttled);
}

#[tokio::test]
async fn work_that_is_done_at_once_takes_no_task() {
    let (tasks, done) = (Tasks::with_limit(0), Arc::default());
    let response = settle(&tasks, owed(Duration::ZERO, &done), GRACE).await;
    assert_eq!(reason(&response), Reason::Throttled);
}

#[tokio::test(start_paused = true)]
async fn work_goes_on_when_nobody_waits_any_more() {
    let (tasks, done) = (Tasks::new(), Arc::default());
    let reply = owed(Duration::from_secs(5), &done);
    let waiting = settle(&tasks, reply, Duration::from_secs(20));
    // The connection goes away in the middle.
    let gone = tokio::time::timeout(Duration::from_secs(1), waiting).await;
    assert!(gone.is_err());
    assert_eq!((tasks.work(), done.load(Ordering::Relaxed)), (1, 0));
    sleep(Duration::from_secs(5)).await;
    assert_eq!((tasks.work(), done.load(Ordering::Relaxed)), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn what_is_owed_after_the_answer_is_run_but_not_waited_for() {
    for first in [Duration::ZERO, Duration::from_millis(10)] {
        for grace in [NEVER, GRACE] {
            let (tasks, done) = (Tasks::new(), Arc::new(AtomicUsize::new(0)));
            let cleaning = owed(Duration::from_secs(3), &done);
            let reply = owing(async move {
                if !first.is_zero() {
                    sleep(first).await;
                }
                Reply {
                    response: answer(Reason::Throttled),
                    work: cleaning.work,
                }
            });
            let began = Instant::now();
            let response = settle(&tasks, reply, grace).await;
            assert!(began.elapsed() < GRACE);
            let expected = if grace.is_zero() {
                Reason::Unavailable
            } else {
                Reason::Throttled
            };
            assert_eq!(reason(&response), expected);
            assert_eq!(tasks.drain(Duration::from_secs(60)).await, NOTHING);
            assert_eq!(done.load(Ordering::Relaxed), 1);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn work_that_hangs_is_given_up_when_its_lease_ends() {
    let tasks = Tasks::new();
    let response = settle(&tasks, owing(pending()), GRACE).await;
    assert_eq!(reason(&response), Reason::Unavailable);
    sleep(Work::LEASE - GRACE * 2).await;
    assert_eq!(tasks.work(), 1);
    sleep(GRACE * 2).await;
    assert_eq!(tasks.work(), 0);
}

#[tokio::test(start_paused = true)]
#[allow(clippy::panic, reason = "that is what is tested")]
async fn work_that_panics_takes_nobody_with_it() {
    let tasks = Tasks::with_limit(1);
    for delay in [Duration::ZERO, Duration::from_millis(10)] {
        for grace in [NEVER, GRACE] {
            let reply = owing(async move {
                if !delay.is_zero() {
                    sleep(delay).await;
                }
                panic!("on purpose");
            });
            let response = settle(&tasks, reply, grace).await;
            assert_eq!(reason(&response), Reason::Unavailable);
            sleep(delay * 2).await;
            assert_eq!(tasks.work(), 0);
        }
    }
    // Its place is free again.
    let done = Arc::default();
    let response = settle(&tasks, owed(Duration::from_millis(10), &done), GRACE).await;
    assert_eq!(reason(&response), Reason::Throttled);
}

#[tokio::test(start_paused = true)]
async fn work_beyond_the_limit_is_left_to_a_later_poll() {
    let (tasks, done) = (Tasks::with_limit(2), Arc::default());
    for _ in 0..5 {
        settle(&tasks, owed(Duration::from_secs(1), &done), NEVER).await;
    }
    assert_eq!(tasks.work(), 2);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(done.load(Ordering::Relaxed), 2);
    settle(&tasks, owed(Duration::from_secs(1), &done), NEVER).await;
    assert_eq!(tasks.work(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_drain_counts_the_work_it_cuts_off() {
    let tasks = Tasks::new();
    for _ in 0..3 {
        settle(&tasks, owing(pending()), NEVER).await;
    }
    let drained = tasks.drain(Duration::from_secs(5)).await;
    assert_eq!((drained.connections, drained.work), (0, 3));
    tasks.ended().await;
}
