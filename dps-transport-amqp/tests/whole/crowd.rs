//! Every kind of bad peer at once, over AMQP and in WebSockets, and devices that register all the same.

use dps_transport::Peer;
use dps_transport_http::Http;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::common::*;
use crate::site::*;
use crate::websocket;

/// How many of each kind.
const EACH: usize = 10;

fn stranger() -> Peer {
    Peer::anonymous([198, 51, 100, 9].into())
}

/// A list in a list in a list, as deep as a frame holds.
fn deep() -> Vec<u8> {
    let mut frame = b"\0\0\x10\0\x02\0\0\0\0\x53\x12".to_vec();
    while frame.len() < 4000 {
        let left = u32::try_from(4096 - frame.len() - 5).unwrap();
        frame.push(0xd0);
        frame.extend(left.to_be_bytes());
        frame.extend([0, 0, 0, 1]);
    }
    frame.resize(4096, 0x45);
    frame
}

/// What bad peers say in AMQP before anybody believes them; nothing is also something.
fn sayings() -> Vec<Vec<u8>> {
    let plain = plain(&name("press-9"), "no token");
    let opened = |more: &[u8]| [AMQP, &open(), &begin(), more].concat();
    let proving = |more: &[u8]| [SASL, more].concat();
    let request = transfer(0, &register(b"{}"));
    vec![
        Vec::new(),
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc".to_vec(),
        vec![0xff; 4096],
        b"AMQP".to_vec(),
        b"AMQP\0\0\x09\x01".to_vec(),
        AMQP.to_vec(),
        SASL.to_vec(),
        proving(&plain),
        proving(&plain[..20]),
        proving(&plain.repeat(3)),
        proving(&open()),
        proving(&ALIVE.repeat(10)),
        proving(&sasl(0x41, vec![symbol("EXTERNAL")])),
        proving(&sasl(0x41, vec![symbol("PLAIN")])),
        proving(&sasl(0x41, vec![symbol("PLAIN"), V::Binary(vec![0; 600])])),
        [AMQP, &plain].concat(),
        [AMQP, &open()].concat(),
        [AMQP, &open(), &open()].concat(),
        [AMQP, &open(), &ALIVE.repeat(100_000)].concat(),
        [AMQP, &open_with(V::UInt(1), V::Null)].concat(),
        [AMQP, &open_with(V::Null, V::UInt(1))].concat(),
        [AMQP, &deep()].concat(),
        opened(&deep()),
        opened(b"\xff\xff\xff\xff"),
        opened(b"\0\0\0\0"),
        opened(&begin()),
        opened(&request),
        opened(&attach(0, "nobody")),
        opened(&attach(0, &name("press-9"))),
        opened(&attach(0, &name("press-9"))[..30]),
        opened(&attach(u32::MAX, &name("press-9"))),
        opened(&credit(1)),
        opened(&frame(0x16, vec![V::UInt(0)])),
        opened(&frame(0x1f, Vec::new())),
        opened(&frame(0x15, [V::Bool(true), V::UInt(0)].to_vec())),
    ]
}

/// What a device that is believed can say, and must not.
fn demands() -> Vec<Vec<u8>> {
    let request = |id| transfer(id, &register(b"{}"));
    let part = |id, more| transfer_part(id, &[b' '; 10_000], more);
    vec![
        (0..1000).flat_map(request).collect(),
        (0..1000).flat_map(|id| transfer(id, b"{}")).collect(),
        (0..1000).flat_map(|_| begin()).collect(),
        [part(0, true), close()].concat(),
        part(0, true).repeat(100),
        attach(0, &name("press-1")),
        (2..1000)
            .flat_map(|handle| attach(handle, &name("press-1")))
            .collect(),
        credit(u32::MAX).repeat(10_000),
        request(0)[..20].to_vec(),
        [SASL, AMQP].concat(),
    ]
}

/// Says all it can, and then neither reads nor leaves.
fn misbehave(mut io: DuplexStream, said: Vec<u8>) {
    tokio::spawn(async move {
        let _ = io.write_all(&said).await;
        std::future::pending::<()>().await;
    });
}

#[tokio::test(start_paused = true)]
async fn devices_register_while_every_kind_of_bad_peer_misbehaves() {
    let site = Site::open().await;
    for id in ["press-1", "press-2", "greedy-1"] {
        site.put(&individual(id, keys(1))).await;
    }
    let amqp = site.amqp.clone().over_websockets();
    let http = Http::new(site.api.clone()).websocket(SUBPROTOCOL, std::sync::Arc::new(amqp));
    let began = Instant::now();
    // They are there before the crowd comes, and after.
    let mut early = site.with_key("press-1", &key(1)).await;
    let mut bad = Vec::new();
    let mut greedy = Vec::new();
    for demand in demands() {
        let line = site.with_key("greedy-1", &key(1)).await;
        misbehave(line.io, demand);
        greedy.push(line.served);
    }
    for _ in 0..EACH {
        for said in sayings() {
            let line = Line::with_room(&site.amqp, stranger(), &site.tasks, 4096);
            misbehave(line.io, said.clone());
            bad.push(line.served);
            let (io, served) = websocket::upgraded(&http, stranger(), &site.tasks).await;
            misbehave(io, websocket::frame(0x82, &said));
            bad.push(served);
        }
    }
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(early.register().await.word(), "assigned");
    let mut late = site.with_key("press-1", &key(1)).await;
    assert_eq!(late.register().await.word(), "assigned");
    let mut in_frames = websocket::line(&http, peer(), &site.tasks).await;
    let token = site.token("press-2", &key(1));
    in_frames.greet(&greeting(&name("press-2"), &token)).await;
    assert_eq!(in_frames.register().await.word(), "assigned");
    assert_eq!(began.elapsed().as_secs(), 0, "nobody had to wait");
    // Nobody is kept for ever: not who is silent, not who does not read.
    all_end(bad).await;
    assert!(began.elapsed().as_secs() <= 62, "{:?}", began.elapsed());
    assert_eq!(early.register().await.word(), "assigned");
    all_end(greedy).await;
    assert!(began.elapsed().as_secs() <= 362, "{:?}", began.elapsed());
    assert!(site.hubs_of("press-9").is_empty());
}

async fn all_end(served: Vec<JoinHandle<()>>) {
    for served in served {
        served.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_after_which_nothing_is_said_ends_at_its_limit() {
    let site = Site::open().await;
    let amqp = site.amqp.clone().over_websockets();
    let http = Http::new(site.api.clone()).websocket(SUBPROTOCOL, std::sync::Arc::new(amqp));
    let began = Instant::now();
    let (mut io, served) = websocket::upgraded(&http, stranger(), &site.tasks).await;
    let mut rest = Vec::new();
    io.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, b"\x88\x02\x03\xe8");
    served.await.unwrap();
    assert_eq!(began.elapsed().as_secs(), 30);
}
