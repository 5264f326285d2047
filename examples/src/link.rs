//! What the packets of a simulated device go over: TLS, or a WebSocket within.

use std::net::SocketAddr;

use dps_core::store::BoxError;
use futures_util::{SinkExt, StreamExt};
use hyper::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::protocol::Message;

use crate::device::{Proof, Service};

pub(crate) struct Link {
    stream: Stream,
    /// What has come and has not been read yet.
    pub(crate) come: Vec<u8>,
}

enum Stream {
    Tls(Box<TlsStream<TcpStream>>),
    WebSocket(Box<WebSocketStream<TlsStream<TcpStream>>>),
}

impl Link {
    /// Connects to `address`, or to a WebSocket of the HTTPS port if that is `None`.
    ///
    /// * `protocol`: what is spoken in the WebSocket.
    pub(crate) async fn open(
        service: &Service,
        address: Option<SocketAddr>,
        protocol: &str,
        proof: &Proof,
    ) -> Result<Self, BoxError> {
        let stream = match address {
            Some(address) => Stream::Tls(Box::new(service.dial(address, Some(proof)).await?)),
            None => Stream::WebSocket(Box::new(upgraded(service, protocol, proof).await?)),
        };
        let come = Vec::new();
        Ok(Self { stream, come })
    }

    pub(crate) async fn send(&mut self, bytes: Vec<u8>) -> Result<(), BoxError> {
        match &mut self.stream {
            Stream::Tls(stream) => {
                stream.write_all(&bytes).await?;
                stream.flush().await?;
            }
            Stream::WebSocket(socket) => socket.send(Message::binary(bytes)).await?,
        }
        Ok(())
    }

    /// Waits until more has come.
    pub(crate) async fn more(&mut self) -> Result<(), BoxError> {
        match &mut self.stream {
            Stream::Tls(stream) => {
                if stream.read_buf(&mut self.come).await? == 0 {
                    return Err("the connection has ended".into());
                }
            }
            Stream::WebSocket(socket) => match socket.next().await.ok_or("the end")?? {
                Message::Binary(more) => self.come.extend_from_slice(&more),
                Message::Close(_) => return Err("the connection has ended".into()),
                _ => {}
            },
        }
        Ok(())
    }
}

async fn upgraded(
    service: &Service,
    protocol: &str,
    proof: &Proof,
) -> Result<WebSocketStream<TlsStream<TcpStream>>, BoxError> {
    let stream = service.dial(service.address, Some(proof)).await?;
    let host = service.host.to_str();
    let wish = Request::builder()
        .uri(format!("wss://{host}/$iothub/websocket"))
        .header("host", host.as_ref())
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", generate_key())
        .header("sec-websocket-protocol", protocol)
        .body(())?;
    Ok(tokio_tungstenite::client_async(wish, stream).await?.0)
}
