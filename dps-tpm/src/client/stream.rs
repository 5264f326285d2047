//! What a connection is made of.

use std::fmt::Debug;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::error::Error;

/// Bytes in both directions.
pub trait Stream: AsyncRead + AsyncWrite + Debug + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Debug + Send + Unpin + 'static> Stream for T {}

/// How much is on its way between the two sides of a WebSocket at most.
const BUFFER_BYTES: usize = 16 * 1024;

/// What goes through a WebSocket for AMQP, at the path of device SDKs: azure-iot-sdk-node,
/// `provisioning/transport/amqp/src/amqp_ws.ts`.
pub(super) async fn websocket(
    stream: Box<dyn Stream>,
    host: &str,
) -> Result<Box<dyn Stream>, Error> {
    let broken = |error| Error::WebSocket(Box::new(error));
    let mut wish = format!("wss://{host}/$iothub/websocket")
        .into_client_request()
        .map_err(broken)?;
    let protocol = "AMQPWSB10".parse().expect("a header's value");
    wish.headers_mut()
        .insert("sec-websocket-protocol", protocol);
    let (socket, _) = tokio_tungstenite::client_async(wish, stream)
        .await
        .map_err(broken)?;
    let (near, far) = tokio::io::duplex(BUFFER_BYTES);
    tokio::spawn(carry(socket, far));
    Ok(Box::new(near))
}

/// Carries bytes until one of the two sides ends.
async fn carry(mut socket: WebSocketStream<Box<dyn Stream>>, mut bytes: DuplexStream) {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        tokio::select! {
            read = bytes.read(&mut buffer) => match read {
                Ok(0) | Err(_) => break,
                Ok(size) => {
                    let message = Message::binary(buffer[..size].to_vec());
                    if socket.send(message).await.is_err() {
                        break;
                    }
                }
            },
            come = socket.next() => match come {
                Some(Ok(Message::Binary(come))) => {
                    if bytes.write_all(&come).await.is_err() {
                        break;
                    }
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                _ => break,
            },
        }
    }
    // The other side may be gone.
    let _ = socket.close(None).await;
}
