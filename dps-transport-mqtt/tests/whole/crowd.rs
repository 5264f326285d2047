//! Every kind of bad peer at once, over MQTT and in WebSockets, and devices that register all the same.

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

fn user(id: &str) -> String {
    format!("{SCOPE}/registrations/{id}/api-version=2019-03-31")
}

/// What bad peers say in MQTT; nothing is also something.
fn sayings() -> Vec<Vec<u8>> {
    let hello = connect("press-9", &user("press-9"), Some("no token"), 0);
    let request = publish(&format!("{REGISTER}a"), b"{}");
    let subscribed = [hello.clone(), subscribe(RESPONSES, 1)].concat();
    let then = |more: &[u8]| [&subscribed[..], more].concat();
    let topic = |topic: &str| then(&publish(topic, b"{}"));
    let mut quality_2 = publish(&format!("{REGISTER}a"), b"{}");
    quality_2[0] = 0x34;
    vec![
        Vec::new(),
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc".to_vec(),
        vec![0xff; 4096],
        b"\x10\xff\xff\xff\x7f".to_vec(),
        then(b"\x32\xff\xff\xff\x7f"),
        then(&publish(
            &format!("{REGISTER}a"),
            &vec![b' '; 96 * 1024 + 1],
        )),
        connect("press-9", &user("press-9"), Some(&"a".repeat(4096)), 0),
        connect("press-8", &user("press-9"), Some("no token"), 0),
        connect("press-9", "nonsense", Some("no token"), 0),
        request.clone(),
        [&hello[..], &hello].concat(),
        hello[..20].to_vec(),
        hello.clone(),
        then(&request[..10]),
        then(&subscribe("#", 1)),
        topic("devices/press-9/messages/events/"),
        topic("$dps/registrations/PUT/iotdps-register/"),
        topic(&format!("{REGISTER}#")),
        then(&quality_2),
        then(&request.repeat(1000)),
        then(&PING.repeat(100_000)),
    ]
}

/// What bad peers say in WebSockets, past the upgrade.
fn framings() -> Vec<Vec<u8>> {
    use crate::websocket::{frame, head};
    let mut said: Vec<_> = sayings().iter().map(|said| frame(0x82, said)).collect();
    said.extend([
        frame(0x81, b"hello"),
        frame(0x01, b"hello"),
        b"\x82\x05hello".to_vec(),
        head(0x82, u64::MAX),
        head(0x82, 128 * 1024),
        frame(0x80, b"of nothing"),
        frame(0x09, b"ping"),
        frame(0x89, &[7; 125]).repeat(10_000),
        [frame(0x02, b""), frame(0x82, b"x")].concat(),
        frame(0x88, b"x"),
        vec![0x82],
    ]);
    said
}

/// A device that is believed, asks a thousand times, and reads nothing.
async fn greedy(site: &Site, id: &str) -> JoinHandle<()> {
    let line = site.with_key(id, &key(1)).await;
    let requests = publish(&format!("{REGISTER}a"), b"{}").repeat(1000);
    misbehave(line.io, requests);
    line.served
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
    let mqtt = site.mqtt.clone().over_websockets();
    let http = Http::new(site.api.clone()).websocket("mqtt", std::sync::Arc::new(mqtt));
    let began = Instant::now();
    // They are there before the crowd comes, and after.
    let mut early = site.with_key("press-1", &key(1)).await;
    let mut bad = vec![greedy(&site, "greedy-1").await];
    for _ in 0..EACH {
        for said in sayings() {
            let line = Line::with_room(&site.mqtt, stranger(), &site.tasks, 4096);
            misbehave(line.io, said);
            bad.push(line.served);
        }
        for said in framings() {
            let (io, served) = websocket::upgraded(&http, stranger(), &site.tasks).await;
            misbehave(io, said);
            bad.push(served);
        }
        for offer in ["AMQPWSB10", "mqttv3.1", ""] {
            let (io, served) = websocket::plain(&http, stranger(), &site.tasks);
            misbehave(io, websocket::wish(offer).into_bytes());
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
    in_frames
        .greet(&connect("press-2", &user("press-2"), Some(&token), 0))
        .await;
    assert_eq!(in_frames.register().await.word(), "assigned");
    assert_eq!(began.elapsed().as_secs(), 0, "nobody had to wait");
    // Nobody is kept for ever: not who is silent, not who does not read.
    for served in bad {
        served.await.unwrap();
    }
    assert!(began.elapsed().as_secs() <= 62, "{:?}", began.elapsed());
    assert_eq!(early.register().await.word(), "assigned");
    assert!(site.hubs_of("press-9").is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_that_is_not_followed_by_connect_ends_at_its_limit() {
    let site = Site::open().await;
    let mqtt = site.mqtt.clone().over_websockets();
    let http = Http::new(site.api.clone()).websocket("mqtt", std::sync::Arc::new(mqtt));
    let began = Instant::now();
    let (mut io, served) = websocket::upgraded(&http, stranger(), &site.tasks).await;
    let mut rest = Vec::new();
    io.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, b"\x88\x02\x03\xe8");
    served.await.unwrap();
    assert_eq!(began.elapsed().as_secs(), 30);
}
