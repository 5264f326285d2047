//! Reads, asks, writes, and keeps the time.

use std::future::{Future, poll_fn};
use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use dps_core::api::{Authentication, DeviceApi, DeviceResponse, Session};
use dps_core::error::{Reason, ServiceError};
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, sleep_until, timeout};

use super::{ClockStamps, Conversation, Question, Stamps, Verdict};
use crate::{ByteStream, Tasks, Timeouts, settle};

/// How long a peer may take to accept the end of a connection.
const FAREWELL: Duration = Duration::from_secs(1);

/// How long we take for an answer at the most; then it is 503. The SDKs for Node.js and Python give up
/// after 30 s.
const ANSWER: Duration = Duration::from_secs(10);

/// How much is read at a time.
const CHUNK: usize = 4096;

/// How the conversations of a protocol are held.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Whom to ask.
    pub api: Arc<dyn DeviceApi>,
    /// How long an answer waits for what is still being done; see [`settle`].
    pub grace: Duration,
    /// How long a device is waited for; within [`Timeouts::request`] it accepts what it is sent.
    pub timeouts: Timeouts,
    /// What is written into errors.
    pub stamps: Arc<dyn Stamps>,
}

impl Terms {
    /// How long an answer waits unless said otherwise, over whatever transport. Our choice: most hubs
    /// answer within it, and nobody notices it.
    pub const DEFAULT_GRACE: Duration = Duration::from_millis(250);

    /// The usual terms.
    #[must_use]
    pub fn new(api: Arc<dyn DeviceApi>) -> Self {
        Self {
            api,
            grace: Self::DEFAULT_GRACE,
            timeouts: Timeouts::default(),
            stamps: Arc::new(ClockStamps::default()),
        }
    }

    /// Holds one conversation to its end, over `io`.
    ///
    /// An answer takes 10 s at the most; then it is 503.
    pub async fn hold(
        &self,
        conversation: &mut impl Conversation,
        io: Box<dyn ByteStream>,
        tasks: &Tasks,
    ) {
        let mut connection = Connection {
            terms: self,
            tasks,
            io,
            conversation,
            began: Instant::now(),
            proven: None,
        };
        connection.run().await;
        // What was written last goes out with the end.
        let _ = timeout(FAREWELL, connection.io.shutdown()).await;
    }
}

struct Connection<'a, C> {
    terms: &'a Terms,
    tasks: &'a Tasks,
    io: Box<dyn ByteStream>,
    conversation: &'a mut C,
    began: Instant,
    proven: Option<Arc<Session>>,
}

/// An answer on its way.
type Asking<'a> = Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;

enum Answer {
    Judged(Authentication),
    Told(DeviceResponse),
}

impl<'a, C: Conversation> Connection<'a, C> {
    async fn run(&mut self) {
        let mut draining = pin!(self.tasks.draining());
        let mut leaving = self.tasks.is_draining();
        let mut asking: Option<Asking<'a>> = None;
        let mut alarm = pin!(sleep_until(self.began + self.deadline()));
        loop {
            if leaving && asking.is_none() && self.conversation.is_quiet() {
                self.conversation.leave();
            }
            if self.advance(&mut asking).await.is_err() || self.conversation.is_over() {
                return;
            }
            if leaving && asking.is_none() && self.conversation.is_quiet() {
                return;
            }
            // A timer is set anew only if it would ring too late: mostly it is put off, and then it rings
            // once in vain instead of being moved each time.
            let due = self.began + self.deadline();
            if due < alarm.deadline() {
                alarm.as_mut().reset(due);
            }
            let wants_bytes = self.conversation.wants_bytes() && !leaving;
            tokio::select! {
                biased;
                answer = wait(&mut asking) => {
                    asking = None;
                    self.hear(answer);
                }
                // What comes now is not taken any more; what has been taken is answered.
                () = &mut draining, if !leaving => leaving = true,
                read = read(&mut self.io, self.conversation, self.began), if wants_bytes => {
                    if !matches!(read, Ok(1..)) {
                        return;
                    }
                }
                () = alarm.as_mut() => {
                    alarm.as_mut().reset(due);
                    self.conversation.expire(self.began.elapsed());
                }
            }
        }
    }

    /// Goes as far as can be without waiting for the device API or for bytes.
    ///
    /// What is answered at once leaves in one write with what it answers to.
    async fn advance(&mut self, asking: &mut Option<Asking<'a>>) -> io::Result<()> {
        loop {
            if asking.is_none()
                && let Some(question) = self.conversation.question()
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
            let output = self.conversation.take_output();
            if output.is_empty() {
                return Ok(());
            }
            // The last words leave in one piece with the end of the connection.
            let last = self.conversation.is_over();
            let written = async {
                self.io.write_all(&output).await?;
                if last { Ok(()) } else { self.io.flush().await }
            };
            // A device that does not read its answers is gone, or worse.
            timeout(self.terms.timeouts.request, written)
                .await
                .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
            if last {
                return Ok(());
            }
            self.conversation.resume(self.began.elapsed());
        }
    }

    fn ask(&self, question: Question) -> Asking<'a> {
        let (terms, tasks) = (self.terms, self.tasks);
        match question {
            Question::Authenticate(hello) => Box::pin(async move {
                let verdict = timeout(ANSWER, terms.api.authenticate(hello)).await;
                Answer::Judged(verdict.unwrap_or_else(|_| Authentication::Denied(unavailable())))
            }),
            Question::Call(version, request) => {
                let proven = self.proven.clone();
                Box::pin(async move {
                    let Some(session) = proven else {
                        return Answer::Told(error(Reason::Unauthorized));
                    };
                    let call = async {
                        let reply = terms.api.call(&session, &version, request).await;
                        settle(tasks, reply, terms.grace).await
                    };
                    let response = timeout(ANSWER, call).await;
                    Answer::Told(response.unwrap_or_else(|_| DeviceResponse::Error(unavailable())))
                })
            }
        }
    }

    fn hear(&mut self, answer: Answer) {
        let now = self.began.elapsed();
        match answer {
            Answer::Told(response) => self.conversation.answered(&response, now),
            Answer::Judged(authentication) => {
                let verdict = match authentication {
                    Authentication::Accepted(session) => {
                        self.proven = Some(Arc::new(session));
                        Verdict::Believed
                    }
                    Authentication::Denied(error) => Verdict::Denied(error),
                    Authentication::Challenge { authentication_key } => {
                        Verdict::Challenge(authentication_key)
                    }
                    other => {
                        tracing::error!(?other, "an outcome that a device cannot be told");
                        Verdict::Denied(ServiceError::new(Reason::Internal))
                    }
                };
                self.conversation.judged(verdict, now);
            }
        }
    }

    fn deadline(&self) -> Duration {
        self.conversation
            .deadline()
            .unwrap_or_else(|| self.began.elapsed() + Duration::from_secs(3600))
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

/// Hands what comes next to `conversation`, and says how much it was; none means that the peer is done.
async fn read(
    io: &mut Box<dyn ByteStream>,
    conversation: &mut impl Conversation,
    began: Instant,
) -> io::Result<usize> {
    poll_fn(|cx| {
        // On the stack, so that waiting holds nothing.
        let mut room = [const { MaybeUninit::uninit() }; CHUNK];
        let mut buf = ReadBuf::uninit(&mut room);
        ready!(Pin::new(&mut *io).poll_read(cx, &mut buf))?;
        conversation.receive(buf.filled(), began.elapsed());
        Poll::Ready(Ok(buf.filled().len()))
    })
    .await
}
