//! How much and how long.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use dps_transport::Timeouts;
use dps_transport::device_json::MAX_BODY_BYTES;
use tokio::time::timeout;

/// What one connection may take. The defaults suit every device SDK.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// The largest body of a request, in bytes. Default 96 KiB, the service's own limit. A larger one
    /// lets strangers have more of our memory.
    pub body_bytes: usize,
    /// The largest head of a request (request line and headers), in bytes. Default 16 KiB, at least
    /// 8 KiB. A connection holds up to twice as much while it reads one. Mounted elsewhere, the
    /// server there has its own.
    pub head_bytes: usize,
    /// How long the peer is waited for. `request` counts for the head, to within [`Limits::rest`],
    /// and anew for the body; mounted elsewhere, for the body only.
    ///
    /// `idle` is long because the SDK for C cannot connect anew between register and poll
    /// (`prov_transport_http_client.c`), and takes a retry-after of up to 5 minutes.
    pub timeouts: Timeouts,
    /// How long we take for an answer at the most; then it is 503. Default 10 s: the SDKs for Node.js
    /// and Python give up after 30 s.
    pub answer: Duration,
    /// After how long an idle connection gives its buffers back. Default 100 ms, at least 50 ms. A
    /// longer one costs memory, a shorter one time for connections that are asked again.
    pub rest: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: MAX_BODY_BYTES,
            head_bytes: 16 * 1024,
            timeouts: Timeouts::default(),
            answer: Duration::from_secs(10),
            rest: Duration::from_millis(100),
        }
    }
}

/// Waits for `future`, but no longer than that; `None` if it takes longer.
///
/// It is pinned by the caller, so that there is room for it once.
pub(crate) async fn within<F: Future + ?Sized>(
    time: Duration,
    mut future: Pin<&mut F>,
) -> Option<F::Output> {
    // Most are done at once, and a timer is not for nothing.
    let first = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await;
    match first {
        Poll::Ready(done) => Some(done),
        Poll::Pending => timeout(time, future).await.ok(),
    }
}
