//! One connection, from its first byte to its end.
//!
//! It is either *awake*, in the hands of hyper, or *parked* (see [`crate::parked`]). It starts parked,
//! wakes with the first byte of a request, and is parked again when it has been idle for a while.

use std::convert::Infallible;
use std::future::{Future, poll_fn, ready};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use dps_core::error::{Reason, ServiceError};
use dps_transport::{ByteStream, Peer, Protocol, Tasks};
use http::header::CONNECTION;
use http::{HeaderMap, HeaderValue, Request};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, sleep, timeout};

use crate::limits::Limits;
use crate::parked::{Resumed, next_bytes};
use crate::reply::Answer;
use crate::transport::{Answered, Http};
use crate::websocket::{Upgrade, WebSocket};

/// How long a peer may take to accept the end of a connection.
const FAREWELL: Duration = Duration::from_secs(1);

/// Serves one connection to its end.
pub(crate) async fn serve(http: Http, io: Box<dyn ByteStream>, peer: Peer, tasks: Tasks) {
    let limits = *http.limits();
    let activity = Activity::default();
    let requests = Requests(Arc::new(Served {
        http,
        peer,
        tasks: tasks.clone(),
        activity: activity.clone(),
        upgraded: OnceLock::new(),
    }));
    let mut draining = pin!(tasks.draining());
    let unproven_end = Instant::now() + limits.timeouts.first_request;
    let mut parked = (io, Bytes::new());
    loop {
        let (mut io, mut early) = parked;
        if tasks.is_draining() {
            return farewell(io).await;
        }
        if early.is_empty() {
            // Even with nothing in it, what hyper hands out keeps its whole buffer.
            drop(std::mem::take(&mut early));
            let patience = if activity.proven() {
                limits.timeouts.idle
            } else {
                unproven_end.saturating_duration_since(Instant::now())
            };
            let woken = tokio::select! {
                biased;
                () = &mut draining => Err(()),
                bytes = next_bytes(&mut io) => bytes.map_err(drop),
                () = sleep(patience) => Err(()),
            };
            early = match woken {
                Ok(bytes) if !bytes.is_empty() => bytes,
                _ => return farewell(io).await,
            };
        }
        let awake = Awake {
            requests: &requests,
            limits: &limits,
            unproven_end,
        };
        // Boxed, so that a parked connection does not keep room for it.
        let end = Box::pin(awake.run(io, early, draining.as_mut())).await;
        match end {
            End::Gone => return,
            End::Parked(io, early) => parked = (io, early),
            End::Upgraded(resumed, protocol) => {
                let Served { peer, tasks, .. } = &*requests.0;
                let (peer, tasks) = (peer.clone(), tasks.clone());
                let io = Box::new(WebSocket::new(resumed));
                return protocol.serve(io, peer, tasks).await;
            }
            End::Slow(mut io) => {
                let late = requests.0.late_head().await;
                let _ = timeout(FAREWELL, io.write_all(&late)).await;
                return farewell(io).await;
            }
        }
    }
}

async fn farewell(mut io: Box<dyn ByteStream>) {
    let _ = timeout(FAREWELL, io.shutdown()).await;
}

/// How a connection stopped being awake.
enum End {
    /// It is over.
    Gone,
    /// It is idle; the bytes are the beginning of a next request.
    Parked(Box<dyn ByteStream>, Bytes),
    /// It is a WebSocket from now on.
    Upgraded(Resumed, Arc<dyn Protocol>),
    /// The head of its first request did not come in time.
    Slow(Box<dyn ByteStream>),
}

struct Awake<'a> {
    requests: &'a Requests,
    limits: &'a Limits,
    unproven_end: Instant,
}

impl Awake<'_> {
    /// Lets hyper have the connection until it ends, or has been idle from one look to the next.
    ///
    /// Taking it out of hyper loses nothing: no request is being answered, because `Requests` would
    /// know; no answer waits to be written, because it has been flushed since; and what was read of a
    /// next request is handed out with it.
    async fn run(
        self,
        io: Box<dyn ByteStream>,
        early: Bytes,
        mut draining: Pin<&mut impl Future<Output = ()>>,
    ) -> End {
        let activity = &self.requests.0.activity;
        let began = Instant::now();
        let before = activity.requests();
        let io = TokioIo::new(Resumed {
            early,
            io,
            activity: activity.clone(),
        });
        let mut connection = http1::Builder::new()
            .header_read_timeout(None)
            .max_header_size(self.limits.head_bytes)
            .max_buf_size(self.limits.head_bytes.max(8 * 1024))
            .serve_connection(io, self.requests.clone());
        let mut rest = self.limits.rest.max(Duration::from_millis(50));
        rest = rest.min(self.limits.timeouts.request);
        let mut look = pin!(sleep(rest));
        let mut last = Look {
            requests: before,
            phase: Phase::Idle,
            unsent: None,
        };
        let mut leaving = false;
        let verdict = poll_fn(|cx| {
            loop {
                if Pin::new(&mut connection).poll(cx).is_ready() {
                    return Poll::Ready(Verdict::Gone);
                }
                let now = Instant::now();
                if !leaving && draining.as_mut().poll(cx).is_ready() {
                    leaving = true;
                } else if look.as_mut().poll(cx).is_ready() {
                    look.as_mut().reset(now + rest);
                    let waited = now.duration_since(began) >= self.limits.timeouts.request;
                    let nothing_yet = activity.requests() == before;
                    match last.again(activity, now, self.limits) {
                        // What came is the beginning of a head, or we would have been called.
                        Verdict::Park if nothing_yet && waited => {
                            return Poll::Ready(Verdict::Slow);
                        }
                        Verdict::Park if nothing_yet => {}
                        Verdict::Stay => {}
                        verdict => return Poll::Ready(verdict),
                    }
                    leaving = leaving || (!activity.proven() && now >= self.unproven_end);
                } else {
                    return Poll::Pending;
                }
                if leaving {
                    Pin::new(&mut connection).graceful_shutdown();
                }
            }
        })
        .await;
        let upgraded = self.requests.0.upgraded.get().cloned();
        if matches!(verdict, Verdict::Gone) && upgraded.is_none() {
            return End::Gone;
        }
        let parts = connection.into_parts();
        let mut resumed = parts.io.into_inner();
        if let Some(protocol) = upgraded {
            resumed.early = Bytes::copy_from_slice(&parts.read_buf);
            return End::Upgraded(resumed, protocol);
        }
        let io = resumed.io;
        match verdict {
            Verdict::Slow => End::Slow(io),
            // A copy: even an empty one would keep hyper's buffer.
            _ => End::Parked(io, Bytes::copy_from_slice(&parts.read_buf)),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Stay,
    Park,
    Slow,
    Gone,
}

/// What was seen at the last look.
struct Look {
    requests: u64,
    phase: Phase,
    /// Since when an answer waits to be taken by the peer.
    unsent: Option<Instant>,
}

impl Look {
    fn again(&mut self, activity: &Activity, now: Instant, limits: &Limits) -> Verdict {
        let (requests, phase) = (activity.requests(), activity.phase());
        let quiet = self.requests == requests && self.phase == phase;
        (self.requests, self.phase) = (requests, phase);
        let since = self.unsent.take();
        match phase {
            Phase::Idle if quiet => Verdict::Park,
            Phase::Answered | Phase::Ending | Phase::Last => {
                let since = since.filter(|_| quiet).unwrap_or(now);
                self.unsent = Some(since);
                if now.duration_since(since) < limits.timeouts.request {
                    Verdict::Stay
                } else {
                    Verdict::Gone
                }
            }
            Phase::Idle | Phase::Busy => Verdict::Stay,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing is to be answered.
    Idle = 0,
    /// A request is being answered.
    Busy = 1,
    /// The answer is made but perhaps not yet sent.
    Answered = 2,
    /// The answer is made to a request that was not read to its end: hyper closes when it is sent, and
    /// nothing that follows may be taken for a request.
    Ending = 3,
    /// As `Answered`, but hyper shuts the connection down as soon as it has flushed the answer.
    Last = 4,
}

/// What a connection is doing, as seen from above hyper and from below it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Activity(Arc<Counts>);

/// One task writes and reads these; they are atomic so that it may move between threads.
#[derive(Debug, Default)]
struct Counts {
    phase: AtomicU8,
    requests: AtomicU64,
    proven: AtomicBool,
}

impl Activity {
    fn asked(&self) {
        self.0.phase.store(Phase::Busy as u8, Relaxed);
        self.0.requests.fetch_add(1, Relaxed);
    }

    fn answered(&self, answered: &Answered, last: bool) {
        let phase = match (answered.whole, last) {
            (true, false) => Phase::Answered,
            (true, true) => Phase::Last,
            (false, _) => Phase::Ending,
        };
        self.0.phase.store(phase as u8, Relaxed);
        if answered.proven {
            self.0.proven.store(true, Relaxed);
        }
    }

    /// Everything that was written has been handed to the peer's system.
    pub(crate) fn flushed(&self) {
        if self.phase() == Phase::Answered {
            self.0.phase.store(Phase::Idle as u8, Relaxed);
        }
    }

    /// A shutdown follows at once on the next flush, and will send what is to be flushed.
    pub(crate) fn is_last(&self) -> bool {
        self.phase() == Phase::Last
    }

    fn phase(&self) -> Phase {
        match self.0.phase.load(Relaxed) {
            0 => Phase::Idle,
            1 => Phase::Busy,
            2 => Phase::Answered,
            3 => Phase::Ending,
            _ => Phase::Last,
        }
    }

    fn requests(&self) -> u64 {
        self.0.requests.load(Relaxed)
    }

    fn proven(&self) -> bool {
        self.0.proven.load(Relaxed)
    }
}

/// What hyper calls.
#[derive(Clone)]
struct Requests(Arc<Served>);

struct Served {
    http: Http,
    peer: Peer,
    tasks: Tasks,
    activity: Activity,
    /// What is spoken once the answer is out; then there are no more requests.
    upgraded: OnceLock<Arc<dyn Protocol>>,
}

impl Service<Request<Incoming>> for Requests {
    type Response = Answer;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Answer, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let served = Arc::clone(&self.0);
        served.activity.asked();
        let last = asks_to_close(request.headers());
        if let Some(upgrade) = served.http.upgrade(&request) {
            let answered = served.upgrade(upgrade, request.body().is_end_stream());
            return Box::pin(ready(Ok(served.done(answered, last))));
        }
        // Two futures, so that neither keeps room for the other.
        if served.http.is_for_operators(&request) {
            return Box::pin(async move {
                let answered = served.http.answer_operator(request, &served.peer).await;
                Ok(served.done(answered, last))
            });
        }
        Box::pin(async move {
            let Served {
                http, peer, tasks, ..
            } = &*served;
            let answered = http.answer_device(request, peer, tasks).await;
            Ok(served.done(answered, last))
        })
    }
}

/// Whether hyper will close when this is answered.
fn asks_to_close(headers: &HeaderMap) -> bool {
    let close = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"close");
    headers.get(CONNECTION).is_some_and(close)
}

impl Served {
    /// * `last`: whether hyper will close when this is answered.
    fn done(&self, mut answered: Answered, last: bool) -> Answer {
        // An answer that hands the stream over is not the last that is sent on it.
        let last = last && self.upgraded.get().is_none();
        if last {
            // hyper would say so too; said here, it holds for sure that hyper closes.
            let headers = answered.answer.headers_mut();
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        self.activity.answered(&answered, last);
        answered.answer
    }

    /// Answers a wish to speak over a WebSocket. The peer has proven nothing by it.
    ///
    /// * `whole`: whether the request has been read to its end.
    fn upgrade(&self, upgrade: Upgrade, whole: bool) -> Answered {
        if let Some(protocol) = upgrade.protocol {
            let _ = self.upgraded.set(protocol);
        }
        Answered {
            answer: upgrade.answer,
            proven: false,
            whole,
        }
    }

    /// The answer to a head that did not come in time, as bytes: hyper has none for it.
    async fn late_head(&self) -> Vec<u8> {
        let error = ServiceError::new(Reason::RequestTimeout);
        let (head, body) = self.http.stamp().error(&error).into_parts();
        let body = body.collect().await.map(|whole| whole.to_bytes());
        let body = body.unwrap_or_default();
        let mut out = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\n".to_vec();
        for (name, value) in &head.headers {
            for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                out.extend_from_slice(part);
            }
        }
        out.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
        out.extend_from_slice(&body);
        out
    }
}
