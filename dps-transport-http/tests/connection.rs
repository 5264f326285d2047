//! How a connection behaves over time, on a paused clock.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use std::time::Duration;

use common::*;
use dps_core::api::{Authentication, DeviceResponse, Reply, Work};
use dps_core::error::{Reason, ServiceError};
use dps_core::registration::Phase;
use dps_transport::{Protocol, Tasks};
use dps_transport_http::{Http, Limits};
use tokio::io::{AsyncWriteExt, BufWriter};
use tokio::time::{Instant, sleep, timeout};

fn assigning_all() -> Http {
    Script::assigning_all().served().1
}

/// Long enough for an idle connection to be parked.
const A_WHILE: Duration = Duration::from_secs(10);

#[tokio::test(start_paused = true)]
async fn an_answer_has_a_length_a_date_and_a_reason_and_leaves_the_connection_open() {
    let mut wire = Wire::to(&assigning_all());
    for _ in 0..3 {
        let told = wire.ask(&raw("PUT", REGISTER, "{}")).await;
        assert_eq!(told.status, 202);
        assert!(told.header("date").is_some());
        for absent in ["transfer-encoding", "connection", "content-encoding"] {
            assert_eq!(told.header(absent), None);
        }
    }
    assert!(!wire.served.is_finished());
}

#[tokio::test(start_paused = true)]
async fn whoever_asks_to_close_is_told_so_once_and_is_answered_before_the_end() {
    for close in ["close", "Close"] {
        let mut wire = Wire::to(&assigning_all());
        let put = raw("PUT", REGISTER, "{}");
        let put = put.replacen("\r\n", &format!("\r\nconnection: {close}\r\n"), 1);
        let told = wire.ask(&put).await;
        assert_eq!(told.status, 202);
        let said: Vec<_> = told.headers.get_all("connection").iter().collect();
        assert_eq!(said, ["close"]);
        assert!(wire.rest().await.is_empty());
        wire.served.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn answers_leave_a_stream_that_keeps_what_is_not_flushed() {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let (http, tasks) = (assigning_all(), Tasks::new());
    let connection = tasks.clone();
    let served = tokio::spawn(async move {
        let far = BufWriter::new(far);
        http.serve(Box::new(far), peer(), connection).await;
    });
    let mut wire = Wire {
        io: near,
        served,
        tasks,
    };
    let put = raw("PUT", REGISTER, "{}");
    assert_eq!(wire.ask(&put).await.status, 202);
    let last = put.replacen("\r\n", "\r\nconnection: close\r\n", 1);
    assert_eq!(wire.ask(&last).await.status, 202);
    assert!(wire.rest().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_register_and_a_poll_with_a_body_share_a_connection() {
    let mut wire = Wire::to(&assigning_all());
    assert_eq!(wire.ask(&raw("PUT", REGISTER, "{}")).await.status, 202);
    assert_eq!(wire.ask(&raw("GET", POLL, "{}")).await.status, 200);
    assert_eq!(wire.ask(&raw("GET", POLL, "")).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn errors_leave_the_connection_open() {
    let mut wire = Wire::to(&assigning_all());
    assert_eq!(wire.ask(&raw("PUT", "/nowhere", "{}")).await.status, 404);
    assert_eq!(wire.ask(&raw("GET", REGISTER, "{}")).await.status, 405);
    assert_eq!(wire.ask(&raw("PUT", REGISTER, "{")).await.status, 400);
    assert_eq!(wire.ask(&raw("PUT", REGISTER, "{}")).await.status, 202);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_was_parked_goes_on() {
    let mut wire = Wire::to(&assigning_all());
    for _ in 0..20 {
        assert_eq!(wire.ask(&raw("GET", POLL, "{}")).await.status, 200);
        sleep(A_WHILE).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_may_come_in_two_pieces_around_the_time_of_parking() {
    let mut wire = Wire::to(&assigning_all());
    let next = raw("GET", POLL, "{}");
    for cut in [1, 10, next.len() - 4, next.len() - 1] {
        wire.write(&raw("PUT", REGISTER, "{}")).await;
        wire.write(&next[..cut]).await;
        assert_eq!(wire.read().await.status, 202);
        sleep(A_WHILE).await;
        wire.write(&next[cut..]).await;
        assert_eq!(wire.read().await.status, 200, "cut at {cut}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_may_come_long_after_its_head() {
    let mut wire = Wire::to(&assigning_all());
    let put = raw("PUT", REGISTER, r#"{"payload":1}"#);
    let (head, body) = put.split_at(put.len() - 13);
    wire.write(head).await;
    sleep(A_WHILE).await;
    assert_eq!(wire.ask(body).await.status, 202);
}

#[tokio::test(start_paused = true)]
async fn requests_sent_ahead_are_answered_in_order() {
    let mut wire = Wire::to(&assigning_all());
    let mut all = String::new();
    for _ in 0..20 {
        all += &raw("PUT", REGISTER, "{}");
        all += &raw("GET", POLL, "");
        all += &raw("GET", "/nowhere", "{}");
    }
    wire.write(&all).await;
    for _ in 0..20 {
        for status in [202, 200, 404] {
            assert_eq!(wire.read().await.status, status);
        }
    }
    sleep(A_WHILE).await;
    assert_eq!(wire.ask(&raw("GET", POLL, "")).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_not_lost_on_a_peer_that_takes_it_late() {
    let mut wire = Wire::with_pipe(&assigning_all(), 16);
    let put = raw("PUT", REGISTER, "{}");
    wire.write(&put).await;
    sleep(A_WHILE).await;
    assert_eq!(wire.read().await.status, 202);
    assert_eq!(wire.ask(&put).await.status, 202);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_never_takes_its_answer_is_given_up() {
    let mut wire = Wire::with_pipe(&assigning_all(), 16);
    wire.write(&raw("PUT", REGISTER, "{}")).await;
    let ended = timeout(Duration::from_secs(40), &mut wire.served).await;
    assert!(ended.is_ok());
}

async fn life_after(wire: &mut Wire) -> Duration {
    let began = Instant::now();
    assert!(wire.rest().await.is_empty());
    began.elapsed()
}

#[tokio::test(start_paused = true)]
async fn a_proven_device_may_be_idle_for_five_minutes() {
    let mut wire = Wire::to(&assigning_all());
    wire.ask(&raw("PUT", REGISTER, "{}")).await;
    sleep(Duration::from_secs(299)).await;
    assert_eq!(wire.ask(&raw("GET", POLL, "")).await.status, 200);
    let life = life_after(&mut wire).await;
    assert!((300..305).contains(&life.as_secs()), "{life:?}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_on_which_nobody_proves_anything_ends_after_a_minute() {
    let mut silent = Wire::to(&assigning_all());
    assert_eq!(life_after(&mut silent).await.as_secs(), 60);
    let mut asking = Wire::to(&Script::refusing(unauthorized).served().1);
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(55) {
        let told = asking.ask(&raw("PUT", REGISTER, "{}")).await;
        assert_eq!(told.status, 401);
        sleep(Duration::from_secs(1)).await;
    }
    let life = life_after(&mut asking).await + Duration::from_secs(55);
    assert!(life <= Duration::from_secs(63), "{life:?}");
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_idle_connections_at_once() {
    let http = assigning_all();
    let (mut new, mut awake, mut parked) = (Wire::to(&http), Wire::to(&http), Wire::to(&http));
    parked.ask(&raw("PUT", REGISTER, "{}")).await;
    sleep(A_WHILE).await;
    awake.ask(&raw("PUT", REGISTER, "{}")).await;
    for wire in [&mut new, &mut awake, &mut parked] {
        let tasks = wire.tasks.clone();
        let drained = tokio::spawn(async move { tasks.drain(A_WHILE).await });
        assert_eq!(life_after(wire).await, Duration::ZERO);
        assert_eq!(drained.await.unwrap().connections, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_lets_a_request_in_flight_have_its_answer() {
    let (script, http) = Script::saying(|session, request| {
        let later = answer(session, request, Phase::Done);
        Reply {
            response: answer(session, request, waiting()),
            work: Some(Work::new(async move {
                sleep(Duration::from_secs(1)).await;
                later.into()
            })),
        }
    })
    .served();
    let mut wire = Wire::to(&http.with_grace(Duration::from_secs(2)));
    wire.write(&raw("PUT", REGISTER, "{}")).await;
    while script.calls.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    let tasks = wire.tasks.clone();
    tokio::spawn(async move { tasks.drain(A_WHILE).await });
    let told = wire.read().await;
    assert_eq!(told.json()["status"], "assigned");
    assert_eq!(told.header("connection"), Some("close"));
    assert!(wire.rest().await.is_empty());
    wire.served.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_asks_to_close_is_obeyed() {
    let mut wire = Wire::to(&assigning_all());
    let put = raw("PUT", REGISTER, "{}").replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n");
    let told = wire.ask(&put).await;
    assert_eq!(told.header("connection"), Some("close"));
    assert!(wire.rest().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_closes_while_idle_ends_the_connection() {
    let mut wire = Wire::to(&assigning_all());
    wire.ask(&raw("PUT", REGISTER, "{}")).await;
    sleep(A_WHILE).await;
    wire.io.shutdown().await.unwrap();
    assert!(wire.rest().await.is_empty());
    timeout(Duration::from_secs(2), wire.served)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn nothing_interim_is_sent_unasked() {
    let mut wire = Wire::to(&assigning_all());
    let put = raw("PUT", REGISTER, "{}");
    let (head, body) = put.split_at(put.len() - 2);
    wire.write(head).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(wire.ask(body).await.status, 202);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_takes_too_long_is_503() {
    let http = Script::saying(|_, _| {
        let error = ServiceError::new(Reason::Internal);
        Reply {
            response: DeviceResponse::Error(error),
            work: Some(Work::new(std::future::pending())),
        }
    })
    .served()
    .1
    .with_grace(Duration::from_secs(25));
    let mut wire = Wire::to(&http);
    let began = Instant::now();
    let told = wire.ask(&raw("PUT", REGISTER, "{}")).await;
    assert_eq!((told.status, told.code()), (503, 503_000));
    assert_eq!(began.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn limits_can_be_changed() {
    let mut limits = Limits::default();
    limits.timeouts.first_request = Duration::from_secs(5);
    limits.body_bytes = 4;
    let http = assigning_all().with_limits(limits);
    let mut wire = Wire::to(&http);
    assert_eq!(life_after(&mut wire).await.as_secs(), 5);
    let told = ask(&http, request("PUT", REGISTER, "{   }")).await;
    assert_eq!(told.status, 413);
}

/// Challenges a device on a connection, and lets it take its time to sign.
async fn signed_after(delay: Duration) -> Option<u16> {
    let challenge = || Authentication::Challenge {
        authentication_key: vec![1],
    };
    let mut wire = Wire::to(&Script::refusing(challenge).served().1);
    let put = raw("PUT", REGISTER, "{}");
    let told = wire.ask(&put).await;
    assert_eq!((told.status, told.header("connection")), (401, None));
    sleep(delay).await;
    if wire.io.write_all(put.as_bytes()).await.is_err() {
        return None;
    }
    Some(wire.read().await.status)
}

#[tokio::test(start_paused = true)]
async fn a_connection_waits_for_a_tpm_that_is_slow_to_sign() {
    for seconds in [0, 12, 30, 55] {
        let status = signed_after(Duration::from_secs(seconds)).await;
        assert_eq!(status, Some(401), "{seconds}");
    }
    assert_eq!(signed_after(Duration::from_secs(62)).await, None);
}
