//! How many connections are taken, for how long, and how they end.
#![cfg(any(feature = "aws-lc", feature = "ring"))]
#![allow(clippy::unwrap_used, reason = "a test that fails says so")]

mod common;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use common::{Bench, HOME, Identity, VERSIONS, converse, providers};
use dps_core::api::{DeviceResponse, Reply, Work};
use dps_core::error::{Reason, ServiceError};
use dps_transport::{ByteStream, Drained, Peer, Protocol, Tasks, bind, bind_shared, settle};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;

const PATIENCE: Duration = Duration::from_secs(3600);

#[tokio::test(start_paused = true)]
async fn a_handshake_that_does_not_begin_is_cut() {
    let bench = Bench::new(&providers()[0]);
    let (mut near, far) = tokio::io::duplex(1024);
    let began = Instant::now();
    assert!(bench.listener.admit(far, HOME));
    assert_eq!(near.read(&mut [0; 16]).await.unwrap(), 0);
    assert_eq!(began.elapsed(), Duration::from_secs(10));
    assert_eq!(bench.tasks.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_trickles_is_cut_as_soon() {
    let bench = Bench::new(&providers()[0]);
    let (mut near, far) = tokio::io::duplex(1024);
    let began = Instant::now();
    assert!(bench.listener.admit(far, HOME));
    // A record of 512 bytes that would take 512 seconds.
    near.write_all(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc])
        .await
        .unwrap();
    while near.write_all(&[0x03]).await.is_ok() {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(began.elapsed() <= Duration::from_secs(11));
    assert!(bench.peers.is_empty());
}

#[tokio::test]
async fn when_all_places_are_taken_the_next_is_closed_and_the_others_are_served() {
    let bench = Bench::new(&providers()[0]).limited(|limits| limits.connections = 2);
    let first = bench.exchange(bench.client(VERSIONS[1])).await.unwrap();
    let mut second = bench.exchange(bench.client(VERSIONS[1])).await.unwrap();
    assert!(bench.exchange(bench.client(VERSIONS[1])).await.is_err());

    second.write_all(b"still").await.unwrap();
    second.read_exact(&mut [0; 5]).await.unwrap();
    drop(first);
    while bench.tasks.connections() > 1 {
        tokio::task::yield_now().await;
    }
    assert!(bench.exchange(bench.client(VERSIONS[1])).await.is_ok());
}

#[tokio::test]
async fn one_address_cannot_shut_out_another() {
    let bench = Bench::new(&providers()[0]).limited(|limits| limits.connections_per_address = 2);
    let from = |text: &str| text.parse::<IpAddr>().unwrap();
    let mut held: Vec<DuplexStream> = Vec::new();
    let mut admit = |address: &str| {
        let (near, far) = tokio::io::duplex(1024);
        held.push(near);
        bench.listener.admit(far, from(address))
    };
    assert!(admit("2001:db8::1"));
    assert!(admit("2001:db8::2"));
    assert!(!admit("2001:db8::3"), "the same network of 64 bits");
    assert!(admit("2001:db8:0:1::1"));
    assert!(admit("192.0.2.1"));
    assert!(admit("::ffff:192.0.2.1"));
    assert!(!admit("192.0.2.1"));
    assert!(admit("192.0.2.2"));
}

#[tokio::test]
async fn devices_come_through_real_sockets_on_one_port() {
    let bench = Bench::new(&providers()[0]);
    let sockets = bind_shared(SocketAddr::from((HOME, 0)), 2).unwrap();
    let address = sockets[0].local_addr().unwrap();
    let serving: Vec<_> = sockets
        .into_iter()
        .map(|socket| {
            let listener = bench.listener.clone();
            tokio::spawn(async move { listener.serve(socket).await })
        })
        .collect();
    let device = Identity::new("press-1");
    for _ in 0..8 {
        for version in VERSIONS {
            let io = TcpStream::connect(address).await.unwrap();
            let (client, _) = bench.client_of(version, &device);
            converse(io, client).await.unwrap();
        }
    }
    let drained = bench.tasks.drain(PATIENCE).await;
    assert_eq!((drained.connections, drained.work), (0, 0));
    for served in serving {
        served.await.unwrap().unwrap();
    }
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_drain_answers_what_is_in_flight_and_takes_nothing_new() {
    let slow = Arc::new(Slow::default());
    let bench = bench_of(Arc::clone(&slow) as Arc<dyn Protocol>);
    let socket = bind(SocketAddr::from((HOME, 0))).unwrap();
    let address = socket.local_addr().unwrap();
    let listener = bench.listener.clone();
    let serving = tokio::spawn(async move { listener.serve(socket).await });

    let io = TcpStream::connect(address).await.unwrap();
    let conversing = tokio::spawn(converse(io, bench.client(VERSIONS[1])));
    slow.asked.acquire().await.unwrap().forget();

    let tasks = bench.tasks.clone();
    let draining = tokio::spawn(async move { tasks.drain(PATIENCE).await });
    bench.tasks.draining().await;
    let (_near, far) = tokio::io::duplex(1024);
    assert!(!bench.listener.admit(far, HOME));
    assert!(!draining.is_finished());

    slow.answer.add_permits(1);
    conversing.await.unwrap().unwrap();
    assert_eq!(
        draining.await.unwrap(),
        Drained {
            connections: 0,
            work: 0
        }
    );
    serving.await.unwrap().unwrap();
    // The work that the connection left behind was finished, too.
    assert_eq!(slow.worked.available_permits(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_drain_cuts_off_what_does_not_end_in_time() {
    let slow = Arc::new(Slow::default());
    let bench = bench_of(Arc::clone(&slow) as Arc<dyn Protocol>);
    let (near, far) = tokio::io::duplex(16 * 1024);
    bench.listener.admit(far, HOME);
    let stuck = tokio::spawn(converse(near, bench.client(VERSIONS[1])));
    slow.asked.acquire().await.unwrap().forget();
    // A handshake that has not ended is let go at once.
    let (_near, far) = tokio::io::duplex(16 * 1024);
    bench.listener.admit(far, HOME);
    assert_eq!(bench.tasks.connections(), 2);

    let began = Instant::now();
    let drained = bench.tasks.drain(Duration::from_secs(20)).await;
    assert_eq!(began.elapsed(), Duration::from_secs(20));
    assert_eq!((drained.connections, drained.work), (1, 0));
    assert!(stuck.await.unwrap().is_err());
    assert_eq!(bench.tasks.connections(), 0);
}

#[tokio::test]
async fn a_protocol_that_panics_takes_nobody_with_it() {
    let bench = bench_of(Arc::new(Panics)).limited(|limits| limits.connections = 1);
    for _ in 0..3 {
        assert!(bench.exchange(bench.client(VERSIONS[1])).await.is_err());
        while bench.tasks.connections() > 0 {
            tokio::task::yield_now().await;
        }
    }
}

fn bench_of(protocol: Arc<dyn Protocol>) -> Bench {
    let (_, peers) = mpsc::unbounded_channel();
    Bench::with(&providers()[0], protocol, peers)
}

/// Answers one request when it is told to, and owes work after it.
#[derive(Debug)]
struct Slow {
    asked: Semaphore,
    answer: Semaphore,
    worked: Arc<Semaphore>,
}

impl Default for Slow {
    fn default() -> Self {
        Self {
            asked: Semaphore::new(0),
            answer: Semaphore::new(0),
            worked: Arc::new(Semaphore::new(0)),
        }
    }
}

#[async_trait]
impl Protocol for Slow {
    async fn serve(&self, mut io: Box<dyn ByteStream>, _: Peer, tasks: Tasks) {
        let mut request = [0; 5];
        if io.read_exact(&mut request).await.is_err() {
            return;
        }
        self.asked.add_permits(1);
        self.answer.acquire().await.unwrap().forget();
        let response = DeviceResponse::Error(ServiceError::new(Reason::Throttled));
        let worked = Arc::clone(&self.worked);
        let done = Reply::from(response.clone());
        let work = Work::new(async move {
            tokio::task::yield_now().await;
            worked.add_permits(1);
            done
        });
        let reply = Reply {
            response,
            work: Some(work),
        };
        settle(&tasks, reply, Duration::ZERO).await;
        let _ = io.write_all(&request).await;
        let _ = io.shutdown().await;
    }
}

#[derive(Debug)]
struct Panics;

#[async_trait]
impl Protocol for Panics {
    #[allow(clippy::panic, reason = "that is what it is for")]
    async fn serve(&self, _: Box<dyn ByteStream>, _: Peer, _: Tasks) {
        panic!("on purpose");
    }
}
