//! What is agreed on before the first frame.

use std::time::Duration;

use tokio::time::sleep;

use crate::common::*;
use crate::echo::*;

#[tokio::test(start_paused = true)]
async fn an_upgrade_is_answered_with_the_proof_of_the_rfc_and_the_offer_as_it_was_spelt() {
    let (_, http) = Echo::served();
    for offer in ["MQTT", "mqtt", "Mqtt"] {
        let mut wire = Wire::to(&http);
        let wish = raw_wish(|line| Some(line.replace(": MQTT", &format!(": {offer}"))));
        wire.write(&wish).await;
        let head = read_head(&mut wire).await;
        assert!(
            head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"),
            "{head}"
        );
        for line in [
            "upgrade: websocket",
            "connection: Upgrade",
            "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
            &format!("sec-websocket-protocol: {offer}"),
        ] {
            assert!(head.contains(&format!("\r\n{line}\r\n")), "{line}\n{head}");
        }
        for absent in ["content-length", "transfer-encoding", "content-type"] {
            assert!(!head.contains(absent), "{head}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn any_path_will_do() {
    let (echo, http) = Echo::served();
    let paths = [
        "/",
        "/mqtt",
        "/$iothub/websocket",
        "/%24iothub/websocket",
        "/$iothub/websocket?iothub-no-client-cert=true",
        "/0neS/registrations/Press-1/register",
    ];
    for path in paths {
        let wire = Wire::to(&http);
        let client = tokio_tungstenite::client_async(wish(path, "mqtt"), wire.io).await;
        is_echoed(&mut client.unwrap().0, b"hello").await;
    }
    assert_eq!(echo.has_come(), paths.len());
}

#[tokio::test(start_paused = true)]
async fn the_first_offer_that_is_spoken_here_is_taken() {
    let (_, http) = Echo::served();
    for (offers, taken) in [
        (vec!["mqttv3.1, MQTT ,mqtt"], "MQTT"),
        (vec!["AMQPWSB10", "mqtt"], "mqtt"),
    ] {
        let mut wire = Wire::to(&http);
        let lines = offers
            .iter()
            .map(|o| format!("Sec-WebSocket-Protocol: {o}"));
        let lines = lines.collect::<Vec<_>>().join("\r\n");
        let wish = raw_wish(|line| match line.contains("Protocol") {
            true => Some(lines.clone()),
            false => Some(line.to_owned()),
        });
        wire.write(&wish).await;
        let head = read_head(&mut wire).await;
        let line = format!("sec-websocket-protocol: {taken}\r\n");
        assert!(head.contains(&line), "{head}");
    }
}

/// Asks in vain; returns the answer. The connection goes on.
async fn refused(change: impl Fn(&str) -> Option<String>) -> Told {
    let (echo, http) = Echo::served();
    let mut wire = Wire::to(&http);
    let told = wire.ask(&raw_wish(change)).await;
    let kind = told.header("content-type");
    assert_eq!(kind, Some("application/json; charset=utf-8"));
    assert_eq!(u64::from(told.status), told.code() / 1000);
    if told.header("connection") != Some("close") {
        assert_eq!(wire.ask(&raw("PUT", REGISTER, "{}")).await.status, 202);
    }
    assert_eq!(echo.has_come(), 0);
    told
}

async fn refused_without(name: &str) -> Told {
    refused(|line| (!line.starts_with(name)).then(|| line.to_owned())).await
}

async fn refused_with(from: &str, to: &str) -> Told {
    refused(|line| Some(line.replace(from, to))).await
}

#[tokio::test(start_paused = true)]
async fn another_version_is_told_the_right_one() {
    for told in [
        refused_with("Version: 13", "Version: 8").await,
        refused_with("Version: 13", "Version: 013").await,
        refused_without("Sec-WebSocket-Version").await,
    ] {
        assert_eq!((told.status, told.code()), (426, 426_000));
        assert_eq!(told.header("sec-websocket-version"), Some("13"));
        assert_eq!(told.header("upgrade"), Some("websocket"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_missing_key_is_said() {
    for told in [
        refused_without("Sec-WebSocket-Key").await,
        refused_with("dGhlIHNhbXBsZSBub25jZQ==", "").await,
    ] {
        assert_eq!((told.status, told.code()), (400, 400_004));
        assert!(told.message().contains("sec-websocket-key"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_missing_or_unknown_subprotocol_is_said() {
    for told in [
        refused_without("Sec-WebSocket-Protocol").await,
        refused_with(": MQTT", ": mqttv3.1").await,
        refused_with(": MQTT", ": AMQPWSB10").await,
        refused_with(": MQTT", ": ").await,
        refused_with(": MQTT", ": mqtt mqtt").await,
    ] {
        assert_eq!((told.status, told.code()), (400, 400_004));
        assert!(told.message().contains("sec-websocket-protocol"));
    }
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_that_no_proxy_would_pass_on_is_refused() {
    for told in [
        refused_without("Connection").await,
        refused_with("Connection: Upgrade", "Connection: keep-alive").await,
    ] {
        assert_eq!((told.status, told.code()), (400, 400_004));
    }
    let http = Echo::served().1;
    let with_body = raw_wish(|line| Some(line.replace("Host:", "Content-Length: 5\r\nHost:")));
    assert_eq!(Wire::to(&http).ask(&with_body).await.status, 400);
    let mut wire = Wire::to(&http);
    let old = raw_wish(|line| Some(line.replace("HTTP/1.1", "HTTP/1.0")));
    wire.write(&old).await;
    let head = read_head(&mut wire).await;
    assert!(head.starts_with("HTTP/1.0 400 "), "{head}");
}

#[tokio::test(start_paused = true)]
async fn other_upgrades_and_other_methods_are_requests_like_any_other() {
    let (_, http) = Echo::served();
    let mut wire = Wire::to(&http);
    let h2c = raw_wish(|line| Some(line.replace(": websocket", ": h2c")));
    assert_eq!(wire.ask(&h2c).await.status, 404);
    let put = raw("PUT", REGISTER, "{}").replace("\r\n\r\n", "\r\nUpgrade: websocket\r\n\r\n");
    assert_eq!(wire.ask(&put).await.status, 202);
    let (_, without) = Script::assigning_all().served();
    let plain = raw_wish(|line| Some(line.to_owned()));
    assert_eq!(Wire::to(&without).ask(&plain).await.status, 404);
}

#[tokio::test(start_paused = true)]
async fn a_connection_may_be_upgraded_after_requests_and_after_it_was_parked() {
    let (echo, http) = Echo::served();
    let mut wire = Wire::to(&http);
    assert_eq!(wire.ask(&raw("PUT", REGISTER, "{}")).await.status, 202);
    sleep(Duration::from_secs(10)).await;
    let wish = wish("/", "mqtt");
    let client = tokio_tungstenite::client_async(wish, wire.io).await;
    is_echoed(&mut client.unwrap().0, b"hello").await;
    assert_eq!(echo.has_come(), 1);
}

#[tokio::test(start_paused = true)]
async fn frames_sent_along_with_the_upgrade_are_not_lost() {
    let (_, http) = Echo::served();
    let mut wire = Wire::to(&http);
    let mut all = raw_wish(|line| Some(line.to_owned())).into_bytes();
    all.extend(frame(0x82, b"at once"));
    tokio::io::AsyncWriteExt::write_all(&mut wire.io, &all)
        .await
        .unwrap();
    read_head(&mut wire).await;
    let mut heard = [0; 9];
    tokio::io::AsyncReadExt::read_exact(&mut wire.io, &mut heard)
        .await
        .unwrap();
    assert_eq!(&heard, b"\x82\x07at once");
}

#[tokio::test(start_paused = true)]
async fn an_http_that_speaks_two_protocols_tells_them_apart() {
    let (mqtt, http) = Echo::served();
    let amqp = std::sync::Arc::new(Echo::default());
    let http = http.websocket("AMQPWSB10", amqp.clone());
    let wire = Wire::to(&http);
    let wish = wish("/", "amqpwsb10");
    let client = tokio_tungstenite::client_async(wish, wire.io).await;
    is_echoed(&mut client.unwrap().0, b"hello").await;
    assert_eq!((mqtt.has_come(), amqp.has_come()), (0, 1));
}
