//! A client's end of a WebSocket, written by hand; also for the tests of other protocols in it.

use dps_transport::{Peer, Protocol, Tasks};
use dps_transport_http::Http;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;

use crate::common::{Line, SUBPROTOCOL};

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// The head of a client's frame, with `first` as its first byte.
pub fn head(first: u8, length: u64) -> Vec<u8> {
    let mut out = vec![first];
    match u16::try_from(length) {
        Ok(short @ 0..126) => out.push(0x80 | short as u8),
        Ok(middle) => {
            out.push(0x80 | 126);
            out.extend(middle.to_be_bytes());
        }
        Err(_) => {
            out.push(0x80 | 127);
            out.extend(length.to_be_bytes());
        }
    }
    out.extend(MASK);
    out
}

pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = head(first, payload.len() as u64);
    out.extend(payload.iter().zip(MASK.iter().cycle()).map(|(b, m)| b ^ m));
    out
}

/// The wish for a WebSocket, with `subprotocol` as its offer.
pub fn wish(subprotocol: &str) -> String {
    format!(
        "GET /$iothub/websocket HTTP/1.1\r\nHost: dps.test\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Protocol: {subprotocol}\r\n\r\n"
    )
}

/// A connection to `http` on which nothing has been said.
pub fn plain(http: &Http, peer: Peer, tasks: &Tasks) -> (DuplexStream, JoinHandle<()>) {
    let (io, theirs) = tokio::io::duplex(4096);
    let (http, tasks) = (http.clone(), tasks.clone());
    let served = tokio::spawn(async move { http.serve(Box::new(theirs), peer, tasks).await });
    (io, served)
}

/// A connection that has been upgraded.
pub async fn upgraded(http: &Http, peer: Peer, tasks: &Tasks) -> (DuplexStream, JoinHandle<()>) {
    let (mut io, served) = plain(http, peer, tasks);
    io.write_all(wish(SUBPROTOCOL).as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(io.read_u8().await.unwrap());
    }
    assert!(answer.starts_with(b"HTTP/1.1 101 "));
    (io, served)
}

/// A line through a WebSocket: what is written to it goes out in frames.
pub async fn line(http: &Http, peer: Peer, tasks: &Tasks) -> Line {
    let (outer, served) = upgraded(http, peer, tasks).await;
    let (io, inner) = tokio::io::duplex(4096);
    let (mut from_server, mut to_server) = tokio::io::split(outer);
    let (mut from_device, mut to_device) = tokio::io::split(inner);
    tokio::spawn(async move {
        let mut some = [0; 100];
        while let Ok(length @ 1..) = from_device.read(&mut some).await {
            let frame = frame(0x82, &some[..length]);
            to_server.write_all(&frame).await.unwrap();
        }
    });
    tokio::spawn(async move {
        while let Ok(0x82) = from_server.read_u8().await {
            let length = match from_server.read_u8().await.unwrap() {
                126 => usize::from(from_server.read_u16().await.unwrap()),
                short => usize::from(short),
            };
            let mut payload = vec![0; length];
            from_server.read_exact(&mut payload).await.unwrap();
            to_device.write_all(&payload).await.unwrap();
        }
    });
    Line::new(io, served)
}
