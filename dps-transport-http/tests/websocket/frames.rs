//! What is spoken when all goes well.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::protocol::Message;

use crate::echo::*;

#[tokio::test(start_paused = true)]
async fn messages_of_every_size_go_through() {
    let (_, http) = Echo::served();
    let (mut socket, _) = open(&http).await;
    for length in [1, 125, 126, 127, 0xffff, 0x1_0000, 128 * 1024] {
        let what: Vec<u8> = (0..length).map(|nth| (nth % 251) as u8).collect();
        is_echoed(&mut socket, &what).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_empty_message_says_nothing() {
    let (_, http) = Echo::served();
    let (mut socket, _) = open(&http).await;
    socket.send(Message::binary(Vec::new())).await.unwrap();
    is_echoed(&mut socket, b"something").await;
}

#[tokio::test(start_paused = true)]
async fn a_fragmented_message_with_pings_between_is_read_through() {
    let (_, http) = Echo::served();
    let mut wire = upgraded(&http).await;
    for (first, part) in [
        (0x02, &b"one "[..]),
        (0x89, b"are you there"),
        (0x00, b""),
        (0x00, b"two "),
        (0x8a, b"unasked"),
        (0x80, b"three"),
    ] {
        wire.io.write_all(&frame(first, part)).await.unwrap();
        if part.is_empty() || first == 0x8a {
            continue;
        }
        let mut heard = vec![0; 2 + part.len()];
        wire.io.read_exact(&mut heard).await.unwrap();
        let answer = if first == 0x89 { 0x8a } else { 0x82 };
        assert_eq!(heard[..2], [answer, part.len() as u8]);
        assert_eq!(&heard[2..], part);
    }
}

#[tokio::test(start_paused = true)]
async fn a_ping_is_answered_while_nothing_else_is_said() {
    let (_, http) = Echo::served();
    let (mut socket, _) = open(&http).await;
    for payload in [vec![], b"x".to_vec(), vec![7; 125]] {
        socket
            .send(Message::Ping(payload.clone().into()))
            .await
            .unwrap();
        let answer = timeout(Duration::from_secs(1), socket.next()).await;
        let answer = answer.unwrap().unwrap().unwrap();
        assert_eq!(answer, Message::Pong(payload.into()));
    }
}

#[tokio::test(start_paused = true)]
async fn unsolicited_pongs_are_ignored() {
    let (_, http) = Echo::served();
    let (mut socket, _) = open(&http).await;
    for _ in 0..100 {
        let pong = Message::Pong(b"alive".to_vec().into());
        socket.send(pong).await.unwrap();
    }
    is_echoed(&mut socket, b"hello").await;
}

#[tokio::test(start_paused = true)]
async fn a_close_is_answered_and_read_as_the_end() {
    let (echo, http) = Echo::served();
    let (mut socket, _) = open(&http).await;
    is_echoed(&mut socket, b"hello").await;
    socket.close(None).await.unwrap();
    let end = socket.next().await;
    assert!(
        matches!(end, None | Some(Ok(Message::Close(None)))),
        "{end:?}"
    );
    assert!(socket.next().await.is_none());
    assert_eq!(echo.fault(), None);
}

#[tokio::test(start_paused = true)]
async fn a_drain_closes_with_a_close_frame() {
    let (_, http) = Echo::served();
    let mut wire = upgraded(&http).await;
    let _ = wire.tasks.drain(Duration::from_secs(1)).await;
    assert_eq!(wire.rest().await, [0x88, 2, 0x03, 0xe8]);
}

#[tokio::test(start_paused = true)]
async fn a_websocket_is_not_an_idle_http_connection() {
    let (_, http) = Echo::served();
    let (mut socket, _) = open(&http).await;
    sleep(Duration::from_secs(3600)).await;
    is_echoed(&mut socket, b"still here").await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn frames_may_be_cut_anywhere(
        messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..6),
        fragment in 1_usize..200,
        piece in 1_usize..100,
    ) {
        let mut bytes = Vec::new();
        for message in &messages {
            let parts: Vec<_> = message.chunks(fragment).collect();
            for (nth, part) in parts.iter().enumerate() {
                let last = if nth + 1 == parts.len() { 0x80 } else { 0 };
                let code = if nth == 0 { 2 } else { 0 };
                bytes.extend(frame(last | code, part));
                bytes.extend(frame(0x8a, b"?"));
            }
        }
        let said = messages.concat();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let (_, http) = Echo::served();
            let mut wire = upgraded(&http).await;
            for piece in bytes.chunks(piece) {
                wire.io.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
            let mut socket = tokio_tungstenite::WebSocketStream::from_raw_socket(
                wire.io,
                tokio_tungstenite::tungstenite::protocol::Role::Client,
                None,
            ).await;
            let heard = read(&mut socket, said.len()).await;
            assert_eq!(heard, said);
        });
    }
}
