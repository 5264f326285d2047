//! Connections over a pipe, on a clock that stands still unless nothing else is left to do.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails says so"
)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use dps_core::api::{
    Authentication, DeviceApi, DeviceHello, DeviceRequest, DeviceResponse, Reply, Session,
    Transport, Work,
};
use dps_core::error::{Reason, ServiceError};
use dps_core::id::ApiVersion;
use dps_testkit::Scripted;
use dps_testkit::scripted::believe;
use dps_transport::{Tasks, Timeouts};
use dps_transport_amqp::Amqp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::common::*;

const NAME: &str = "0neS/registrations/Press-1";

fn hello() -> Vec<u8> {
    greeting(NAME, "token")
}

fn error(reason: Reason) -> DeviceResponse {
    DeviceResponse::Error(ServiceError::new(reason))
}

fn busy() -> Amqp {
    Amqp::new(Arc::new(Scripted::answering(error(Reason::Throttled))))
}

/// Believes everybody; answers when it is let.
#[derive(Debug)]
struct Slow {
    gate: Semaphore,
    calls: AtomicUsize,
}

impl Slow {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            gate: Semaphore::new(0),
            calls: AtomicUsize::new(0),
        })
    }
}

#[async_trait]
impl DeviceApi for Slow {
    async fn authenticate(&self, hello: DeviceHello) -> Authentication {
        believe(&hello)
    }

    async fn call(&self, _: &Session, _: &ApiVersion, _: DeviceRequest) -> Reply {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.gate.acquire().await.unwrap().forget();
        error(Reason::Throttled).into()
    }
}

async fn greeted(amqp: &Amqp) -> Line {
    let mut line = Line::open(amqp, peer(), &Tasks::new());
    line.greet(&hello()).await;
    line
}

#[tokio::test(start_paused = true)]
async fn a_device_asks_and_says_goodbye() {
    let mut line = greeted(&busy()).await;
    let problem = line.ask(&register(b"{}")).await.unwrap_err();
    assert_eq!(
        problem.condition,
        "com.microsoft:device-container-throttled"
    );
    assert_eq!(problem.code(), 429_001);
    assert!(problem.text.contains("timestampUtc"));
    line.send(&close()).await;
    assert_eq!(line.receive().await, Told::Close(None));
    line.closes().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_known_leaves_in_one_write() {
    let mut line = Line::open(&busy(), peer(), &Tasks::new());
    line.send(&hello()).await;
    let mut bytes = vec![0; 4096];
    let length = line.io.read(&mut bytes).await.unwrap();
    assert_eq!(&bytes[..5], b"AMQP\x03");
    assert!(length > 300, "{length}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_on_which_nothing_is_said_ends_at_its_limit() {
    let began = Instant::now();
    let line = Line::open(&busy(), peer(), &Tasks::new());
    line.closes().await;
    assert_eq!(began.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn a_device_may_be_silent_for_five_minutes() {
    let mut line = greeted(&busy()).await;
    let began = Instant::now();
    assert!(matches!(line.receive().await, Told::End(_)));
    let told = line.receive().await;
    let Told::Close(Some(problem)) = told else {
        panic!("not closed: {told:?}");
    };
    assert_eq!(problem.condition, "amqp:resource-limit-exceeded");
    assert_eq!(began.elapsed().as_secs(), 300);
    line.closes().await;
    assert_eq!(began.elapsed().as_secs(), 301, "its close is waited for");
}

#[tokio::test(start_paused = true)]
async fn timeouts_can_be_set_and_are_announced() {
    let mut timeouts = Timeouts::default();
    timeouts.idle = Duration::from_secs(20);
    let mut line = Line::open(&busy().with_timeouts(timeouts), peer(), &Tasks::new());
    line.send(&hello()).await;
    loop {
        match line.receive().await {
            Told::Open(open) => break assert_eq!(*open.at(4), V::UInt(10_000)),
            Told::Closed => panic!("no open"),
            _ => {}
        }
    }
    let began = Instant::now();
    line.rest().await;
    assert_eq!(began.elapsed().as_secs(), 21);
}

#[tokio::test(start_paused = true)]
async fn a_device_that_wants_to_hear_of_us_does() {
    let slow = Slow::new();
    let amqp = Amqp::new(Arc::clone(&slow) as Arc<dyn DeviceApi>);
    let mut line = Line::open(&amqp, peer(), &Tasks::new());
    let open = open_with(V::Null, V::UInt(4000));
    let all = [
        SASL,
        &plain(NAME, "token"),
        AMQP,
        &open,
        &begin(),
        &attach(0, NAME),
        &attach(1, NAME),
        &credit(10),
    ];
    line.greet(&all.concat()).await;
    line.send(&transfer(0, &register(b"{}"))).await;
    let began = Instant::now();
    let mut beats = 0;
    let problem = loop {
        match line.receive().await {
            Told::Alive => beats += 1,
            Told::Flow => {}
            Told::Rejected(_, problem) => break problem,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(problem.code(), 503_000, "an answer may take so long");
    assert_eq!(began.elapsed().as_secs(), 10);
    assert!((4..=5).contains(&beats), "{beats}");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_its_answers_is_let_go() {
    let mut line = Line::with_room(&busy(), peer(), &Tasks::new(), 512);
    line.greet(&hello()).await;
    let began = Instant::now();
    for id in 0..1000 {
        let request = transfer(id, &register(b"{}"));
        if line.io.write_all(&request).await.is_err() {
            break;
        }
    }
    line.served.await.unwrap();
    assert_eq!(began.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_requests_are_answered_to_who_reads() {
    let mut line = greeted(&busy()).await;
    for _ in 0..1000 {
        assert_eq!(line.register_fails().await, 429_001);
    }
}

#[tokio::test(start_paused = true)]
async fn requests_beyond_the_bound_wait_in_the_pipe() {
    let slow = Slow::new();
    let amqp = Amqp::new(Arc::clone(&slow) as Arc<dyn DeviceApi>);
    let mut line = Line::with_room(&amqp, peer(), &Tasks::new(), 512);
    line.greet(&hello()).await;
    let mut sent = 0;
    let write = async {
        for id in 0..1000 {
            line.io
                .write_all(&transfer(id, &register(b"{}")))
                .await
                .unwrap();
            sent += 1;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(5), write).await;
    assert!(waited.is_err(), "the pipe is full");
    assert!(sent < 100, "{sent}");
    assert_eq!(slow.calls.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn large_answers_do_not_hold_up_what_was_read_already() {
    let large = ServiceError::new(Reason::Throttled).with_message("x".repeat(20_000));
    let api = Scripted::answering(DeviceResponse::Error(large));
    let mut line = greeted(&Amqp::new(Arc::new(api))).await;
    let requests: Vec<u8> = (0..8)
        .flat_map(|id| transfer(id, &register(b"{}")))
        .collect();
    line.send(&requests).await;
    for id in 0..8 {
        assert_eq!(line.answer(id).await.unwrap_err().code(), 429_001);
    }
}

#[tokio::test(start_paused = true)]
async fn an_open_connection_is_drained_at_once_and_told_why() {
    let tasks = Tasks::new();
    let mut line = Line::open(&busy(), peer(), &tasks);
    line.greet(&hello()).await;
    let began = Instant::now();
    let _ = tasks.drain(Duration::from_secs(60)).await;
    let told = line.rest().await;
    let Some(Told::Close(Some(problem))) = told.last() else {
        panic!("not closed: {told:?}");
    };
    assert_eq!(problem.condition, "amqp:connection:forced");
    assert_eq!(began.elapsed(), Duration::ZERO);
    Line::open(&busy(), peer(), &tasks).closes().await;
}

#[tokio::test(start_paused = true)]
async fn a_drain_answers_what_was_taken_and_takes_nothing_more() {
    let (slow, tasks) = (Slow::new(), Tasks::new());
    let amqp = Amqp::new(Arc::clone(&slow) as Arc<dyn DeviceApi>);
    let mut line = Line::open(&amqp, peer(), &tasks);
    line.greet(&hello()).await;
    line.send(&transfer(0, &register(b"{}"))).await;
    while slow.calls.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    let _ = tasks.drain(Duration::from_secs(60)).await;
    line.send(&transfer(1, &register(b"{}"))).await;
    tokio::task::yield_now().await;
    slow.gate.add_permits(9);
    assert_eq!(line.answer(0).await.unwrap_err().code(), 429_001);
    let told = line.rest().await;
    assert!(
        matches!(told[..], [Told::End(_), Told::Close(Some(_))]),
        "{told:?}"
    );
    line.closes().await;
    assert_eq!(slow.calls.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_done_within_the_grace_is_the_answer() {
    let api = || {
        Scripted::new(|_, _, _| Reply {
            response: error(Reason::Throttled),
            work: Some(Work::new(async {
                tokio::time::sleep(Duration::from_millis(100)).await;
                error(Reason::Internal).into()
            })),
        })
    };
    for (grace, code) in [(0, 429_001), (50, 429_001), (200, 500_001)] {
        let amqp = Amqp::new(Arc::new(api())).with_grace(Duration::from_millis(grace));
        let mut line = greeted(&amqp).await;
        assert_eq!(line.register_fails().await, code, "{grace}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_cannot_be_judged_now_is_told_by_the_outcome() {
    for (reason, outcome) in [
        (Reason::Unavailable, 4),
        (Reason::Throttled, 4),
        (Reason::Unauthorized, 1),
    ] {
        let amqp = Amqp::new(Arc::new(Scripted::refusing(ServiceError::new(reason))));
        let mut line = Line::open(&amqp, peer(), &Tasks::new());
        line.send(&hello()).await;
        let names = vec![symbol("PLAIN"), symbol("TPM")];
        assert_eq!(
            line.rest().await,
            [
                Told::Header(3),
                Told::Mechanisms(names),
                Told::Outcome(outcome)
            ]
        );
        line.closes().await;
    }
}

#[tokio::test(start_paused = true)]
async fn operators_see_which_way_a_device_came() {
    for (over_websockets, transport) in [(false, Transport::Amqp), (true, Transport::AmqpWs)] {
        let api = Scripted::answering(error(Reason::Throttled)).judging(move |hello| {
            assert_eq!(hello.origin.transport, transport);
            believe(hello)
        });
        let mut amqp = Amqp::new(Arc::new(api));
        if over_websockets {
            amqp = amqp.over_websockets();
        }
        greeted(&amqp).await;
    }
}

#[tokio::test(start_paused = true)]
async fn two_devices_do_not_hear_each_other() {
    let slow = Slow::new();
    let amqp = Amqp::new(Arc::clone(&slow) as Arc<dyn DeviceApi>);
    let (mut first, mut second) = (greeted(&amqp).await, greeted(&amqp).await);
    first.send(&transfer(0, &register(b"{}"))).await;
    tokio::task::yield_now().await;
    slow.gate.add_permits(1);
    assert_eq!(first.answer(0).await.unwrap_err().code(), 429_001);
    second.send(&close()).await;
    assert_eq!(second.rest().await, [Told::Close(None)]);
}

#[tokio::test(start_paused = true)]
async fn others_are_served_while_strangers_misbehave() {
    let (amqp, tasks) = (busy(), Tasks::new());
    let mut good = Line::open(&amqp, peer(), &tasks);
    good.greet(&hello()).await;
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[SASL, b"\0\0\x02\x01\x02\x01\0\0"].concat(),
        &[AMQP, b"\xff\xff\xff\xff"].concat(),
        &[AMQP, b"\0\0\0\x01"].concat(),
        &[SASL, &plain(NAME, "token"), SASL].concat(),
        &[AMQP, &transfer(0, b"{}")].concat(),
    ] {
        let mut line = Line::open(&amqp, peer(), &tasks);
        line.send(bytes).await;
        line.rest().await;
        line.closes().await;
        assert_eq!(good.register_fails().await, 429_001);
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_is_gone_ends_its_connection() {
    let line = greeted(&busy()).await;
    drop(line.io);
    line.served.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_small() {
    let tasks = Tasks::new();
    let (_ours, theirs) = tokio::io::duplex(64);
    let amqp = busy();
    let future = dps_transport::Protocol::serve(&amqp, Box::new(theirs), peer(), tasks);
    let size = size_of_val(&*future);
    assert!(size < 2048, "{size} bytes");
}
