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
use dps_transport_mqtt::Mqtt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::common::*;

const USER: &str = "0neS/registrations/Press-1/api-version=2019-03-31";

fn hello(keep_alive: u16) -> Vec<u8> {
    connect("Press-1", USER, Some("token"), keep_alive)
}

fn error(reason: Reason) -> DeviceResponse {
    DeviceResponse::Error(ServiceError::new(reason))
}

fn busy() -> Mqtt {
    Mqtt::new(Arc::new(Scripted::answering(error(Reason::Throttled))))
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

#[tokio::test(start_paused = true)]
async fn a_device_registers_and_says_goodbye() {
    let mut line = Line::open(&busy(), peer(), &Tasks::new());
    line.greet(&hello(0)).await;
    let answer = line.register().await;
    assert_eq!(answer.topic, "$dps/registrations/res/429/?$rid=r1");
    assert_eq!(answer.code(), 429_001);
    assert!(answer.body["timestampUtc"].is_string());
    line.send(DISCONNECT).await;
    line.closes().await;
}

#[tokio::test(start_paused = true)]
async fn an_acknowledgement_and_its_answer_leave_in_one_write() {
    let mut line = Line::open(&busy(), peer(), &Tasks::new());
    line.greet(&hello(0)).await;
    line.send(&publish(&format!("{REGISTER}a"), b"{}")).await;
    let mut bytes = vec![0; 4096];
    let length = line.io.read(&mut bytes).await.unwrap();
    assert_eq!(bytes[..4], [0x40, 2, 0, 7]);
    assert_eq!(bytes[4], 0x32);
    assert!(length > 100);
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_connect_ends_at_its_limit() {
    let began = Instant::now();
    let line = Line::open(&busy(), peer(), &Tasks::new());
    line.closes().await;
    assert_eq!(began.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn a_device_without_keep_alive_may_be_silent_for_five_minutes() {
    let mut line = Line::open(&busy(), peer(), &Tasks::new());
    line.greet(&hello(0)).await;
    let began = Instant::now();
    line.closes().await;
    assert_eq!(began.elapsed().as_secs(), 300);
}

#[tokio::test(start_paused = true)]
async fn a_half_open_peer_is_let_go_after_one_and_a_half_times_its_keep_alive() {
    let mut line = Line::open(&busy(), peer(), &Tasks::new());
    line.greet(&hello(60)).await;
    tokio::time::advance(Duration::from_secs(80)).await;
    line.send(PING).await;
    assert_eq!(line.receive().await, Told::PingResp);
    let began = Instant::now();
    line.closes().await;
    assert_eq!(began.elapsed().as_secs(), 90);
}

#[tokio::test(start_paused = true)]
async fn timeouts_can_be_set() {
    let mut timeouts = Timeouts::default();
    timeouts.idle = Duration::from_secs(2);
    let mut line = Line::open(&busy().with_timeouts(timeouts), peer(), &Tasks::new());
    line.greet(&hello(0)).await;
    let began = Instant::now();
    line.closes().await;
    assert_eq!(began.elapsed().as_secs(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_its_answers_is_let_go() {
    let mut line = Line::with_room(&busy(), peer(), &Tasks::new(), 512);
    line.greet(&hello(0)).await;
    let began = Instant::now();
    let request = publish(&format!("{REGISTER}a"), b"{}");
    for _ in 0..1000 {
        if line.io.write_all(&request).await.is_err() {
            break;
        }
    }
    line.served.await.unwrap();
    assert_eq!(began.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_requests_are_answered_to_who_reads() {
    let mut line = Line::with_room(&busy(), peer(), &Tasks::new(), 512);
    line.greet(&hello(0)).await;
    let (mut reader, mut writer) = tokio::io::split(line.io);
    let writing = tokio::spawn(async move {
        for n in 0..1000 {
            let request = publish_once(&format!("{REGISTER}{n}"), b"{}");
            writer.write_all(&request).await.unwrap();
        }
        writer
    });
    let mut all = Vec::new();
    while String::from_utf8_lossy(&all).matches("429001").count() < 1000 {
        let mut some = [0; 4096];
        let length = reader.read(&mut some).await.unwrap();
        assert!(length > 0);
        all.extend_from_slice(&some[..length]);
    }
    let writer = writing.await.unwrap();
    let text = String::from_utf8_lossy(&all);
    for n in [0, 1, 998, 999] {
        assert!(text.contains(&format!("/?$rid={n}")), "{n}");
    }
    drop((reader, writer));
}

#[tokio::test(start_paused = true)]
async fn large_answers_do_not_hold_up_what_was_read_already() {
    let large = ServiceError::new(Reason::Throttled).with_message("x".repeat(20_000));
    let api = Scripted::answering(DeviceResponse::Error(large));
    let mut line = Line::open(&Mqtt::new(Arc::new(api)), peer(), &Tasks::new());
    line.greet(&hello(0)).await;
    let requests: Vec<u8> = (0..20)
        .flat_map(|n| publish_once(&format!("{REGISTER}{n}"), b"{}"))
        .collect();
    line.send(&requests).await;
    for n in 0..20 {
        let topic = format!("$dps/registrations/res/429/?$rid={n}");
        assert_eq!(line.answer().await.topic, topic);
    }
}

#[tokio::test(start_paused = true)]
async fn requests_beyond_the_bound_wait_in_the_pipe() {
    let slow = Slow::new();
    let mqtt = Mqtt::new(Arc::clone(&slow) as Arc<dyn DeviceApi>);
    let mut line = Line::with_room(&mqtt, peer(), &Tasks::new(), 512);
    line.greet(&hello(0)).await;
    let mut sent = 0;
    let request = publish_once(&format!("{REGISTER}a"), b"{}");
    let write = async {
        for _ in 0..1000 {
            line.io.write_all(&request).await.unwrap();
            sent += 1;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(5), write).await;
    assert!(waited.is_err(), "the pipe is full");
    assert!(sent < 100, "{sent}");
    assert_eq!(slow.calls.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_takes_too_long_is_503() {
    let mqtt = Mqtt::new(Slow::new());
    let mut line = Line::open(&mqtt, peer(), &Tasks::new());
    line.greet(&hello(1)).await;
    let began = Instant::now();
    let answer = line.register().await;
    assert_eq!(answer.code(), 503_000);
    assert_eq!(began.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_ping_is_answered_while_a_request_is_not() {
    let slow = Slow::new();
    let mqtt = Mqtt::new(Arc::clone(&slow) as Arc<dyn DeviceApi>);
    let mut line = Line::open(&mqtt, peer(), &Tasks::new());
    line.greet(&hello(0)).await;
    line.send(&publish(&format!("{REGISTER}a"), b"{}")).await;
    assert_eq!(line.receive().await, Told::PubAck(7));
    line.send(PING).await;
    assert_eq!(line.receive().await, Told::PingResp);
    slow.gate.add_permits(1);
    assert_eq!(line.answer().await.code(), 429_001);
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_idle_connections_at_once() {
    let tasks = Tasks::new();
    let mut line = Line::open(&busy(), peer(), &tasks);
    line.greet(&hello(0)).await;
    let began = Instant::now();
    let _ = tasks.drain(Duration::from_secs(60)).await;
    line.closes().await;
    assert_eq!(began.elapsed(), Duration::ZERO);
    Line::open(&busy(), peer(), &tasks).closes().await;
}

#[tokio::test(start_paused = true)]
async fn a_drain_answers_what_was_taken_and_takes_nothing_more() {
    let (slow, tasks) = (Slow::new(), Tasks::new());
    let mqtt = Mqtt::new(Arc::clone(&slow) as Arc<dyn DeviceApi>);
    let mut line = Line::open(&mqtt, peer(), &tasks);
    line.greet(&hello(0)).await;
    line.send(&publish(&format!("{REGISTER}a"), b"{}")).await;
    assert_eq!(line.receive().await, Told::PubAck(7));
    let _ = tasks.drain(Duration::from_secs(60)).await;
    line.send(&publish(&format!("{REGISTER}b"), b"{}")).await;
    tokio::task::yield_now().await;
    slow.gate.add_permits(9);
    assert_eq!(
        line.answer().await.topic,
        "$dps/registrations/res/429/?$rid=a"
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
        let mqtt = Mqtt::new(Arc::new(api())).with_grace(Duration::from_millis(grace));
        let mut line = Line::open(&mqtt, peer(), &Tasks::new());
        line.greet(&hello(0)).await;
        assert_eq!(line.register().await.code(), code, "{grace}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_cannot_be_judged_is_told_on_the_topic() {
    for (reason, status) in [(Reason::Unavailable, 503), (Reason::Throttled, 429)] {
        let refusal = ServiceError::new(reason).with_retry_after(Duration::from_secs(9));
        let mqtt = Mqtt::new(Arc::new(Scripted::refusing(refusal)));
        let mut line = Line::open(&mqtt, peer(), &Tasks::new());
        line.greet(&hello(0)).await;
        let topic = format!("$dps/registrations/res/{status}/?$rid=r1&retry-after=9");
        assert_eq!(line.register().await.topic, topic);
    }
}

#[tokio::test(start_paused = true)]
async fn a_challenge_is_a_refusal_because_mqtt_cannot_tell_it() {
    let api = Scripted::answering(error(Reason::Internal)).judging(|_| Authentication::Challenge {
        authentication_key: vec![1],
    });
    let mut line = Line::open(&Mqtt::new(Arc::new(api)), peer(), &Tasks::new());
    line.greet(&hello(0)).await;
    assert_eq!(line.register().await.code(), 401_002);
}

#[tokio::test(start_paused = true)]
async fn a_refused_device_ends_after_a_minute() {
    let refusal = ServiceError::new(Reason::Unauthorized);
    let mqtt = Mqtt::new(Arc::new(Scripted::refusing(refusal)));
    let began = Instant::now();
    let mut line = Line::open(&mqtt, peer(), &Tasks::new());
    line.greet(&hello(600)).await;
    line.closes().await;
    assert_eq!(began.elapsed().as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn operators_see_which_way_a_device_came() {
    for (over_websockets, transport) in [(false, Transport::Mqtt), (true, Transport::MqttWs)] {
        let api = Scripted::answering(error(Reason::Throttled)).judging(move |hello| {
            assert_eq!(hello.origin.transport, transport);
            believe(hello)
        });
        let mut mqtt = Mqtt::new(Arc::new(api));
        if over_websockets {
            mqtt = mqtt.over_websockets();
        }
        let mut line = Line::open(&mqtt, peer(), &Tasks::new());
        line.greet(&hello(0)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn others_are_served_while_strangers_misbehave() {
    let (mqtt, tasks) = (busy(), Tasks::new());
    let mut good = Line::open(&mqtt, peer(), &tasks);
    good.greet(&hello(0)).await;
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"\x30\xff\xff\xff\x7f",
        b"\x10\xff\xff\xff\x7f",
        b"\xc0\0",
        &publish(&format!("{REGISTER}a"), b"{}"),
    ] {
        let mut line = Line::open(&mqtt, peer(), &tasks);
        line.send(bytes).await;
        line.closes().await;
        assert_eq!(good.register().await.code(), 429_001);
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_is_gone_ends_its_connection() {
    let mut line = Line::open(&busy(), peer(), &Tasks::new());
    line.greet(&hello(0)).await;
    drop(line.io);
    line.served.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_small() {
    let tasks = Tasks::new();
    let (_ours, theirs) = tokio::io::duplex(64);
    let mqtt = busy();
    let future = dps_transport::Protocol::serve(&mqtt, Box::new(theirs), peer(), tasks);
    let size = size_of_val(&*future);
    assert!(size < 2048, "{size} bytes");
}
