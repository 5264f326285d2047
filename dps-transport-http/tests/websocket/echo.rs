//! A protocol that gives back what it gets, and a WebSocket to it.

use std::io;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use dps_transport::{ByteStream, Peer, Protocol, Tasks};
use dps_transport_http::Http;
use futures_util::{SinkExt, StreamExt};
use http::{Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::protocol::Message;

use crate::common::{Script, Wire};

/// Gives back what it gets until its peer is done; keeps who came, and how it ended.
#[derive(Debug, Default)]
pub(crate) struct Echo {
    pub(crate) peers: Mutex<Vec<Peer>>,
    pub(crate) ends: Mutex<Vec<io::Result<()>>>,
}

#[async_trait]
impl Protocol for Echo {
    async fn serve(&self, mut io: Box<dyn ByteStream>, peer: Peer, tasks: Tasks) {
        self.peers.lock().unwrap().push(peer);
        let end = tokio::select! {
            () = tasks.draining() => Ok(()),
            end = echo(&mut io) => end,
        };
        self.ends.lock().unwrap().push(end);
        let _ = io.shutdown().await;
    }
}

async fn echo(io: &mut Box<dyn ByteStream>) -> io::Result<()> {
    let mut buffer = [0; 1000];
    loop {
        let length = io.read(&mut buffer).await?;
        if length == 0 {
            return Ok(());
        }
        io.write_all(&buffer[..length]).await?;
        io.flush().await?;
    }
}

impl Echo {
    /// Serves it as `mqtt`, beside the device API.
    pub(crate) fn served() -> (Arc<Self>, Http) {
        let echo = Arc::new(Self::default());
        let (_, http) = Script::assigning_all().served();
        let http = http.websocket("mqtt", Arc::clone(&echo) as Arc<dyn Protocol>);
        (echo, http)
    }

    pub(crate) fn has_come(&self) -> usize {
        self.peers.lock().unwrap().len()
    }

    /// What the one connection ended with, if it was an error.
    pub(crate) fn fault(&self) -> Option<String> {
        let ends = self.ends.lock().unwrap();
        assert_eq!(ends.len(), 1);
        ends[0].as_ref().err().map(ToString::to_string)
    }
}

/// The request of a client, on `path`.
pub(crate) fn wish(path: &str, subprotocol: &str) -> Request<()> {
    Request::builder()
        .uri(format!("wss://dps.test{path}"))
        .header("host", "dps.test:443")
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", generate_key())
        .header("sec-websocket-protocol", subprotocol)
        .body(())
        .unwrap()
}

/// The same as bytes, with its key fixed; `change` goes over each line.
pub(crate) fn raw_wish(change: impl Fn(&str) -> Option<String>) -> String {
    let lines = [
        "GET /$iothub/websocket HTTP/1.1",
        "Host: dps.test:443",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Protocol: MQTT",
    ];
    let kept: Vec<_> = lines.into_iter().filter_map(change).collect();
    format!("{}\r\n\r\n", kept.join("\r\n"))
}

pub(crate) type Socket<S = DuplexStream> = WebSocketStream<S>;

/// Upgrades a connection in memory.
pub(crate) async fn open(http: &Http) -> (Socket, Response<Option<Vec<u8>>>) {
    let wire = Wire::to(http);
    let wish = wish("/$iothub/websocket", "mqtt");
    tokio_tungstenite::client_async(wish, wire.io)
        .await
        .unwrap()
}

/// Reads binary frames until `length` bytes have come.
pub(crate) async fn read<S: ByteStream>(socket: &mut Socket<S>, length: usize) -> Vec<u8> {
    let mut heard = Vec::new();
    while heard.len() < length {
        match socket.next().await.unwrap().unwrap() {
            Message::Binary(more) => heard.extend_from_slice(&more),
            other => panic!("{other:?}"),
        }
    }
    heard
}

/// Says something and hears it again.
pub(crate) async fn is_echoed<S: ByteStream>(socket: &mut Socket<S>, what: &[u8]) {
    let message = Message::binary(what.to_vec());
    let (said, heard) = {
        let (mut sink, mut stream) = socket.split();
        let listen = async {
            let mut heard = Vec::new();
            while heard.len() < what.len() {
                match stream.next().await.unwrap().unwrap() {
                    Message::Binary(more) => heard.extend_from_slice(&more),
                    other => panic!("{other:?}"),
                }
            }
            heard
        };
        tokio::join!(sink.send(message), listen)
    };
    said.unwrap();
    assert!(heard == what, "{} bytes came back changed", what.len());
}

/// A connection upgraded by hand.
pub(crate) async fn upgraded(http: &Http) -> Wire {
    let mut wire = Wire::to(http);
    wire.write(&raw_wish(|line| Some(line.to_owned()))).await;
    let head = read_head(&mut wire).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    wire
}

pub(crate) async fn read_head(wire: &mut Wire) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(wire.io.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// A frame as a client sends it; with `first` as its first byte.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    let mut out = head(first, payload.len() as u64, mask);
    out.extend(payload.iter().zip(mask.iter().cycle()).map(|(b, m)| b ^ m));
    out
}

pub(crate) fn head(first: u8, length: u64, mask: [u8; 4]) -> Vec<u8> {
    let mut out = vec![first];
    match length {
        0..=125 => out.push(0x80 | length as u8),
        126..=0xffff => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            out.push(0x80 | 127);
            out.extend_from_slice(&length.to_be_bytes());
        }
    }
    out.extend_from_slice(&mask);
    out
}
