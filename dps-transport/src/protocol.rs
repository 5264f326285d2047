//! What is spoken on a connection.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{Peer, Tasks};

/// Bytes in both directions: a TLS stream, a WebSocket, or a pipe in a test.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> ByteStream for T {}

/// What is spoken on a connection: HTTP, MQTT or AMQP.
#[async_trait]
pub trait Protocol: Debug + Send + Sync + 'static {
    /// Serves one connection to its end.
    ///
    /// * `io`: past the TLS handshake.
    /// * `peer`: what the handshake told.
    /// * `tasks`: outlives the connection. The implementation ends soon after
    ///   [`Tasks::draining`] resolves: requests in flight are answered, new ones are not taken.
    ///
    /// What is written may wait in `io` until it is flushed, shut down or read from: an implementation
    /// flushes before it waits for anything else. It shuts `io` down when it is done, and drops it
    /// then: dropping alone sends no `close_notify`, and the peer's system hears of the end when `io`
    /// is dropped.
    ///
    /// The future is dropped where it stands when the drain's time is up.
    async fn serve(&self, io: Box<dyn ByteStream>, peer: Peer, tasks: Tasks);
}

/// How long a protocol waits for its peer. Each `Protocol` takes one in its constructor.
///
/// The defaults are ours. A longer wait costs a connection's memory for as long (about 15 kB).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// From the end of the handshake to the first request of a proven device; 60 s.
    pub first_request: Duration,
    /// From the first byte of a request to its last; 30 s.
    pub request: Duration,
    /// Without a request, after the first one; 5 min.
    ///
    /// Devices that poll come back within seconds; the C SDK does not connect again if it finds the
    /// connection closed between two polls (`prov_transport_http_client.c`).
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            first_request: Duration::from_secs(60),
            request: Duration::from_secs(30),
            idle: Duration::from_secs(300),
        }
    }
}
