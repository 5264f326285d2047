//! What broken and hostile peers send: each is closed with the code for it, and others are served on.

use std::time::Duration;

use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use crate::echo::*;

/// Sends `bytes` after something harmless; returns the code that the connection is closed with.
async fn closed_after(bytes: &[u8]) -> u16 {
    let (echo, http) = Echo::served();
    let mut other = upgraded(&http).await;
    let mut wire = upgraded(&http).await;
    wire.io.write_all(&frame(0x82, b"ok")).await.unwrap();
    let mut heard = [0; 4];
    wire.io.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"\x82\x02ok");
    wire.io.write_all(bytes).await.unwrap();
    let rest = wire.rest().await;
    assert_eq!(rest[..2], [0x88, 2], "nothing but a close");
    assert_eq!(rest.len(), 4);
    drop(wire.io);
    wire.served.await.unwrap();
    assert!(echo.fault().is_some(), "the protocol is told");
    other.io.write_all(&frame(0x82, b"ok")).await.unwrap();
    other.io.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"\x82\x02ok", "others are served on");
    u16::from_be_bytes([rest[2], rest[3]])
}

#[tokio::test(start_paused = true)]
async fn a_text_frame_is_closed_with_1003() {
    assert_eq!(closed_after(&frame(0x81, b"hello")).await, 1003);
    assert_eq!(closed_after(&frame(0x01, b"hello")).await, 1003);
    assert_eq!(closed_after(&[0x81, 0x80 | 126]).await, 1003, "at once");
}

#[tokio::test(start_paused = true)]
async fn an_unmasked_frame_is_closed_with_1002() {
    assert_eq!(closed_after(b"\x82\x05hello").await, 1002);
    assert_eq!(closed_after(b"\x89\x00").await, 1002);
}

#[tokio::test(start_paused = true)]
async fn a_message_over_128_kib_is_closed_with_1009_before_it_has_come() {
    for length in [128 * 1024 + 1, u64::from(u32::MAX), u64::MAX] {
        assert_eq!(closed_after(&head(0x82, length, [0; 4])).await, 1009);
    }
}

#[tokio::test(start_paused = true)]
async fn fragments_count_together() {
    let (_, http) = Echo::served();
    let mut wire = upgraded(&http).await;
    let part = vec![7; 64 * 1024];
    let (mut reader, mut writer) = tokio::io::split(wire.io);
    let said = async {
        writer.write_all(&frame(0x02, &part)).await.unwrap();
        writer.write_all(&frame(0x00, &part)).await.unwrap();
        writer.write_all(&head(0x80, 1, [0; 4])).await.unwrap();
    };
    let mut heard = Vec::new();
    let (_, end) = tokio::join!(said, reader.read_to_end(&mut heard));
    end.unwrap();
    assert_eq!(heard[heard.len() - 4..], [0x88, 2, 0x03, 0xf1]);
    drop((reader, writer));
    (&mut wire.served).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn frames_against_the_rules_are_closed_with_1002() {
    for (what, bytes) in [
        ("a reserved kind", frame(0x83, b"")),
        ("a reserved control", frame(0x8b, b"")),
        ("an extension bit", frame(0xc2, b"x")),
        ("a continuation of nothing", frame(0x80, b"x")),
        ("a fragmented ping", frame(0x09, b"x")),
        ("a long ping", frame(0x89, &[0; 126])),
        ("a long close", frame(0x88, &[0; 126])),
        ("half a code in a close", frame(0x88, b"x")),
        ("a code that is none", frame(0x88, &999_u16.to_be_bytes())),
        (
            "a code never to be sent",
            frame(0x88, &1005_u16.to_be_bytes()),
        ),
        (
            "a message within a message",
            [frame(0x02, b""), frame(0x82, b"x")].concat(),
        ),
        ("MQTT without frames", b"\x10\x10\x00\x04MQTT".to_vec()),
    ] {
        assert_eq!(closed_after(&bytes).await, 1002, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_within_a_frame_is_an_error_and_between_frames_is_not() {
    for (cut, whole) in [(0, true), (8, false), (10, false), (11, true)] {
        let (echo, http) = Echo::served();
        let mut wire = upgraded(&http).await;
        let bytes = &frame(0x82, b"hello")[..cut];
        wire.io.write_all(bytes).await.unwrap();
        wire.io.shutdown().await.unwrap();
        timeout(Duration::from_secs(1), &mut wire.served)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(echo.fault().is_none(), whole, "cut at {cut}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_pings_without_reading_costs_nothing_and_loses_pongs() {
    let (_, http) = Echo::served();
    let mut wire = upgraded(&http).await;
    let ping = frame(0x89, &[7; 125]);
    for _ in 0..10_000 {
        wire.io.write_all(&ping).await.unwrap();
    }
    let mut pongs = 0;
    wire.io.write_all(&frame(0x88, b"")).await.unwrap();
    loop {
        let first = wire.io.read_u8().await.unwrap();
        let length = wire.io.read_u8().await.unwrap();
        wire.io
            .read_exact(&mut vec![0; length.into()])
            .await
            .unwrap();
        match first {
            0x8a => pongs += 1,
            _ => break,
        }
    }
    assert!((1..1000).contains(&pongs), "{pongs}");
}

#[tokio::test(start_paused = true)]
async fn a_faulty_peer_that_goes_on_sending_is_not_read_for_ever() {
    let (echo, http) = Echo::served();
    let mut wire = upgraded(&http).await;
    wire.io.write_all(&frame(0x81, b"text")).await.unwrap();
    let began = Instant::now();
    let mut sent = 0;
    while wire.io.write_all(&[0; 4096]).await.is_ok() {
        sent += 4096;
        assert!(sent < 2 * 1024 * 1024);
    }
    assert!(began.elapsed() < Duration::from_secs(5));
    wire.served.await.unwrap();
    assert!(echo.fault().is_some());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_bytes_make_it_panic_or_hang(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let (_, http) = Echo::served();
            let mut wire = upgraded(&http).await;
            wire.io.write_all(&bytes).await.unwrap();
            wire.io.shutdown().await.unwrap();
            let served = timeout(Duration::from_secs(60), &mut wire.served).await;
            served.unwrap().unwrap();
        });
    }
}
