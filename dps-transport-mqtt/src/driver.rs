//! One connection: reads, asks, writes, and keeps the time.

use std::future::{Future, poll_fn};
use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use dps_core::api::{self, Authentication, DeviceResponse};
use dps_core::error::{Reason, ServiceError};
use dps_transport::{ByteStream, Peer, Tasks, settle};
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, sleep_until, timeout};

use crate::session::{Question, Session};
use crate::transport::Parts;

/// How long a peer may take to accept the end of a connection.
const FAREWELL: Duration = Duration::from_secs(1);

/// How long we take for an answer at the most; then it is 503. The SDKs for Node.js and Python give up
/// after 30 s.
const ANSWER: Duration = Duration::from_secs(10);

/// How much is read at a time.
const CHUNK: usize = 4096;

/// Serves one connection to its end.
pub(crate) async fn serve(parts: &Parts, io: Box<dyn ByteStream>, peer: Peer, tasks: Tasks) {
    let session = Session::new(peer, parts.transport, parts.timeouts, parts);
    let mut connection = Connection {
        parts,
        tasks: &tasks,
        io,
        session,
        began: Instant::now(),
        proven: None,
    };
    connection.run().await;
    if let Some(end) = connection.session.end() {
        tracing::debug!(%end, "an MQTT connection is over");
    }
    let _ = timeout(FAREWELL, connection.io.shutdown()).await;
}

struct Connection<'a> {
    parts: &'a Parts,
    tasks: &'a Tasks,
    io: Box<dyn ByteStream>,
    session: Session<'a>,
    began: Instant,
    proven: Option<Arc<api::Session>>,
}

/// An answer on its way.
type Asking<'a> = Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;

enum Answer {
    Judged(Authentication),
    Told(DeviceResponse),
}

impl<'a> Connection<'a> {
    async fn run(&mut self) {
        let mut draining = pin!(self.tasks.draining());
        let mut leaving = self.tasks.is_draining();
        let mut asking: Option<Asking<'a>> = None;
        loop {
            if self.advance(&mut asking).await.is_err() || self.session.end().is_some() {
                return;
            }
            if leaving && asking.is_none() && self.session.is_quiet() {
                return;
            }
            let now = self.now();
            let deadline = self.session.deadline();
            let deadline = deadline.map_or(Duration::from_secs(3600), |at| at.saturating_sub(now));
            let wants_bytes = self.session.wants_bytes() && !leaving;
            tokio::select! {
                biased;
                answer = wait(&mut asking) => {
                    asking = None;
                    self.hear(answer);
                }
                // What comes now is not taken any more; what has been taken is answered.
                () = &mut draining, if !leaving => leaving = true,
                read = read(&mut self.io, &mut self.session, self.began), if wants_bytes => {
                    if !matches!(read, Ok(1..)) {
                        return;
                    }
                }
                () = sleep_until(Instant::now() + deadline) => self.session.expire(self.now()),
            }
        }
    }

    /// Goes as far as can be without waiting for the device API or for bytes.
    ///
    /// What is answered at once leaves in one write with what it answers to.
    async fn advance(&mut self, asking: &mut Option<Asking<'a>>) -> io::Result<()> {
        loop {
            if asking.is_none()
                && let Some(question) = self.session.question()
            {
                let mut future = self.ask(question);
                match poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await {
                    Poll::Ready(answer) => {
                        self.hear(answer);
                        continue;
                    }
                    Poll::Pending => *asking = Some(future),
                }
            }
            let output = self.session.take_output();
            if output.is_empty() {
                return Ok(());
            }
            let written = async {
                self.io.write_all(&output).await?;
                self.io.flush().await
            };
            // A device that does not read its answers is gone, or worse.
            timeout(self.parts.timeouts.request, written)
                .await
                .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
            self.session.resume(self.now());
        }
    }

    fn ask(&self, question: Question) -> Asking<'a> {
        let (parts, tasks) = (self.parts, self.tasks);
        match question {
            Question::Authenticate(hello) => Box::pin(async move {
                let verdict = timeout(ANSWER, parts.api.authenticate(hello)).await;
                Answer::Judged(verdict.unwrap_or_else(|_| Authentication::Denied(unavailable())))
            }),
            Question::Call(version, request) => {
                let proven = self.proven.clone();
                Box::pin(async move {
                    let Some(session) = proven else {
                        return Answer::Told(error(Reason::Unauthorized));
                    };
                    let call = async {
                        let reply = parts.api.call(&session, &version, request).await;
                        settle(tasks, reply, parts.grace).await
                    };
                    let response = timeout(ANSWER, call).await;
                    Answer::Told(response.unwrap_or_else(|_| DeviceResponse::Error(unavailable())))
                })
            }
        }
    }

    fn hear(&mut self, answer: Answer) {
        let now = self.now();
        match answer {
            Answer::Told(response) => self.session.answered(&response, now),
            Answer::Judged(authentication) => {
                let verdict = match authentication {
                    Authentication::Accepted(session) => {
                        self.proven = Some(Arc::new(session));
                        Ok(())
                    }
                    Authentication::Denied(error) => Err(error),
                    // There is no way to ask for a proof over MQTT.
                    Authentication::Challenge { .. } => {
                        Err(ServiceError::new(Reason::Unauthorized))
                    }
                    other => {
                        tracing::error!(?other, "an outcome that MQTT cannot tell");
                        Err(ServiceError::new(Reason::Internal))
                    }
                };
                self.session.judged(verdict, now);
            }
        }
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }
}

fn unavailable() -> ServiceError {
    ServiceError::new(Reason::Unavailable)
}

fn error(reason: Reason) -> DeviceResponse {
    DeviceResponse::Error(ServiceError::new(reason))
}

async fn wait(asking: &mut Option<Asking<'_>>) -> Answer {
    match asking {
        Some(asking) => asking.as_mut().await,
        None => std::future::pending().await,
    }
}

/// Hands what comes next to `session`, and says how much it was; none means that the peer is done.
async fn read(
    io: &mut Box<dyn ByteStream>,
    session: &mut Session<'_>,
    began: Instant,
) -> io::Result<usize> {
    poll_fn(|cx| {
        // On the stack, so that waiting holds nothing.
        let mut room = [const { MaybeUninit::uninit() }; CHUNK];
        let mut buf = ReadBuf::uninit(&mut room);
        ready!(Pin::new(&mut *io).poll_read(cx, &mut buf))?;
        session.receive(buf.filled(), began.elapsed());
        Poll::Ready(Ok(buf.filled().len()))
    })
    .await
}
