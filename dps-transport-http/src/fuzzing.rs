//! Entry points for fuzzing; not part of the API.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use bytes::Bytes;
use dps_core::id::TrackingId;
use dps_core::time::Timestamp;
use dps_transport::{ByteStream, Peer, Protocol, Tasks};
use http::header::{SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_PROTOCOL};
use http::{HeaderMap, Method, Request};
use http_body_util::Empty;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use crate::address::Address;
use crate::reply::Stamp;
use crate::websocket::{WebSocket, WebSockets};

/// Reads a method, path and query as the address of a request; says whether it is one.
#[must_use]
pub fn is_address(method: &Method, path: &str, query: Option<&str>) -> bool {
    Address::read(method, path, query).is_ok()
}

/// What becomes of the wish for a WebSocket that speaks MQTT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// It is a request like any other.
    None,
    /// With this status.
    Refused(u16),
    /// With the proof and the subprotocol.
    Granted(String, String),
}

/// Reads the headers of a `GET` as the wish for a WebSocket.
#[must_use]
pub fn upgrade(headers: HeaderMap) -> Wish {
    let mut spoken = WebSockets::default();
    spoken.insert("mqtt", Arc::new(Silent));
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.headers_mut() = headers;
    let stamp = || Stamp {
        id: TrackingId::from_random([0; 16]),
        now: Timestamp(0),
    };
    let Some(upgrade) = spoken.upgrade(&request, stamp) else {
        return Wish::None;
    };
    if upgrade.protocol.is_none() {
        return Wish::Refused(upgrade.answer.status().as_u16());
    }
    let said = |name| {
        let value = upgrade.answer.headers().get(name)?;
        Some(value.to_str().ok()?.to_owned())
    };
    Wish::Granted(
        said(SEC_WEBSOCKET_ACCEPT).unwrap_or_default(),
        said(SEC_WEBSOCKET_PROTOCOL).unwrap_or_default(),
    )
}

#[derive(Debug)]
struct Silent;

#[async_trait]
impl Protocol for Silent {
    async fn serve(&self, _: Box<dyn ByteStream>, _: Peer, _: Tasks) {}
}

/// What came of a WebSocket whose server gives back what it hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Echoed {
    /// The payload of the peer's messages.
    pub heard: Vec<u8>,
    /// All that was written to the connection.
    pub told: Vec<u8>,
    /// How reading ended.
    pub end: Result<(), io::ErrorKind>,
}

/// Reads `pieces` as what a peer sends after the upgrade, until it is done.
///
/// * `at_once`: how many bytes the reader asks for, and the peer takes, at a time; not 0.
///
/// Between any two pieces the connection has nothing to read, and between any two writes it takes
/// nothing.
#[must_use]
pub fn echo<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, at_once: usize) -> Echoed {
    let told = Arc::<Mutex<Vec<u8>>>::default();
    let pipe = Pipe {
        pieces: pieces.into_iter().map(<[u8]>::to_vec).collect(),
        told: Arc::clone(&told),
        at_once,
        reads: false,
        takes: false,
    };
    let mut heard = Vec::new();
    let mut socket = WebSocket::new(pipe);
    let end = finish(async {
        let mut room = vec![0; at_once];
        let end = loop {
            let length = match socket.read(&mut room).await {
                Ok(0) => break Ok(()),
                Ok(length) => length,
                Err(error) => break Err(error.kind()),
            };
            heard.extend_from_slice(&room[..length]);
            let written = async {
                socket.write_all(&room[..length]).await?;
                socket.flush().await
            };
            if let Err(error) = written.await {
                break Err(error.kind());
            }
        };
        let shut = socket.shutdown().await;
        end.and_then(|()| shut.map_err(|error| error.kind()))
    });
    let told = std::mem::take(&mut *told.lock().unwrap_or_else(PoisonError::into_inner));
    Echoed { heard, told, end }
}

/// Polls until it is done; what is pending here will not be for long.
fn finish<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
    }
}

/// A connection that hesitates at each step.
struct Pipe {
    pieces: VecDeque<Vec<u8>>,
    told: Arc<Mutex<Vec<u8>>>,
    at_once: usize,
    /// Whether it has hesitated.
    reads: bool,
    takes: bool,
}

impl AsyncRead for Pipe {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(mut piece) = self.pieces.pop_front() else {
            return Poll::Ready(Ok(()));
        };
        self.reads = !self.reads;
        if self.reads {
            self.pieces.push_front(piece);
            return Poll::Pending;
        }
        let rest = piece.split_off(piece.len().min(buf.remaining()));
        buf.put_slice(&piece);
        if !rest.is_empty() {
            self.pieces.push_front(rest);
            // Hesitates between pieces, not within.
            self.reads = true;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.takes = !self.takes;
        if self.takes {
            return Poll::Pending;
        }
        let taken = buf.len().min(self.at_once);
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.extend_from_slice(&buf[..taken]);
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
