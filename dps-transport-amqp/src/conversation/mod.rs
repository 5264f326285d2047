//! One device's conversation: who it is, what it asks, and what it is told.

mod answer;
mod identity;
mod request;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use dps_core::api::{DeviceHello, DeviceResponse, Origin, Transport};
use dps_core::attest::Evidence;
use dps_core::error::{Reason, ServiceError};
use dps_core::id::ApiVersion;
use dps_transport::device_json::MAX_BODY_BYTES;
use dps_transport::{Conversation, Peer, Question, Stamps, Timeouts, Verdict};

use self::identity::unauthorized;
use self::request::Waiting;
use crate::address::Name;
use crate::codec::{ErrorInfo, SaslCode};
use crate::engine::{Engine, Fault, LinkId};
use crate::sasl::{Mechanism, Offer, Step};

/// How many requests may wait for their answers while one is being found; then nothing more is read.
/// Our choice: devices ask one thing at a time.
const MAX_UNANSWERED: usize = 8;

/// How many bytes may wait to be written; then nothing more is read, and nothing asked.
const MAX_OUTPUT_BYTES: usize = 16 * 1024;

/// How long a peer may take to answer our `close`. Our choice.
const FAREWELL: Duration = Duration::from_secs(1);

/// One device's conversation.
pub(crate) struct Session<'a> {
    peer: Peer,
    transport: Transport,
    timeouts: Timeouts,
    stamps: &'a dyn Stamps,
    engine: Engine<'a>,
    /// The beginning of a frame, or frames that wait for their turn.
    input: Vec<u8>,
    offer: Offer,
    mechanism: Option<Box<dyn Mechanism>>,
    standing: Standing,
    /// What its links said of the version of their requests.
    versions: Vec<(LinkId, ApiVersion)>,
    unanswered: VecDeque<Waiting>,
    unanswered_bytes: usize,
    /// Whether a question is out.
    asked: bool,
    now: Duration,
    last_received: Duration,
    last_sent: Duration,
    /// Since when there is the beginning of a frame, without the rest.
    partial_since: Option<Duration>,
    closing_since: Option<Duration>,
    late: bool,
}

/// Why a conversation is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum End {
    #[error("the device said goodbye")]
    Goodbye,
    #[error(transparent)]
    Fault(Fault),
    #[error("the device is not believed")]
    Unproven,
    #[error("nothing came in time")]
    Late,
}

/// How a device stands with us.
enum Standing {
    /// It has not said who it is.
    Unknown,
    /// It has, and nobody has judged it; with the link that waits for it, if it is not SASL that does.
    Unjudged(Name, Option<Evidence>, Option<(LinkId, ApiVersion)>),
    Proven(Name),
    /// It is not believed; its connection is ending.
    Denied,
}

impl<'a> Session<'a> {
    pub(crate) fn new(
        peer: Peer,
        transport: Transport,
        timeouts: Timeouts,
        container_id: &'a str,
        stamps: &'a dyn Stamps,
    ) -> Self {
        let offer = Offer::ours(!peer.chain.is_empty());
        Self {
            peer,
            transport,
            timeouts,
            stamps,
            engine: Engine::new(container_id, offer.names, timeouts.idle),
            input: Vec::new(),
            offer,
            mechanism: None,
            standing: Standing::Unknown,
            versions: Vec::new(),
            unanswered: VecDeque::new(),
            unanswered_bytes: 0,
            asked: false,
            now: Duration::ZERO,
            last_received: Duration::ZERO,
            last_sent: Duration::ZERO,
            partial_since: None,
            closing_since: None,
            late: false,
        }
    }

    /// Why it is over, or would be now.
    pub(crate) fn end(&self) -> End {
        match self.engine.fault() {
            Some(fault) => End::Fault(fault),
            None if self.late => End::Late,
            None if matches!(self.standing, Standing::Denied) => End::Unproven,
            None => End::Goodbye,
        }
    }

    /// Takes frames from the beginning of `bytes`, and says how much they were.
    fn take(&mut self, bytes: &[u8], now: Duration) -> usize {
        self.now = now;
        let mut used = 0;
        while self.wants_bytes() && used < bytes.len() {
            let (length, event) = self.engine.take(&bytes[used..]);
            if length == 0 {
                break;
            }
            used += length;
            self.last_received = now;
            self.partial_since = None;
            if let Some(event) = event {
                self.handle(event);
            }
        }
        let partial = used < bytes.len() && self.wants_bytes();
        self.partial_since = partial.then(|| self.partial_since.unwrap_or(now));
        self.after();
        used
    }

    /// What has to be done after anything has happened.
    fn after(&mut self) {
        if !self.engine.output().is_empty() {
            self.last_sent = self.now;
        }
        if self.engine.is_closing() {
            self.closing_since.get_or_insert(self.now);
            self.unanswered = VecDeque::new();
            self.unanswered_bytes = 0;
        }
    }

    /// When the peer has to hear of us.
    fn beat_at(&self) -> Option<Duration> {
        let idle = self.engine.peer_idle().filter(|_| self.engine.is_open())?;
        Some(self.last_sent + idle / 2)
    }

    /// Until when something has to come.
    fn end_at(&self) -> Option<Duration> {
        if let Some(since) = self.closing_since {
            return Some(since + FAREWELL);
        }
        // Questions have their own limit.
        if self.asked {
            return None;
        }
        let silent = match self.standing {
            Standing::Proven(_) => self.last_received.saturating_add(self.timeouts.idle),
            _ => {
                let step = self.last_received.saturating_add(self.timeouts.request);
                step.min(self.timeouts.first_request)
            }
        };
        let whole = self.partial_since.unwrap_or(Duration::MAX);
        Some(silent.min(whole.saturating_add(self.timeouts.request)))
    }
}

impl Conversation for Session<'_> {
    fn receive(&mut self, bytes: &[u8], now: Duration) {
        if self.input.is_empty() {
            let used = self.take(bytes, now);
            self.input.extend(&bytes[used..]);
        } else {
            self.input.extend(bytes);
            self.resume(now);
        }
    }

    fn resume(&mut self, now: Duration) {
        let mut input = std::mem::take(&mut self.input);
        let used = self.take(&input, now);
        if used < input.len() {
            input.drain(..used);
            self.input = input;
        }
    }

    fn wants_bytes(&self) -> bool {
        let busy =
            self.unanswered.len() >= MAX_UNANSWERED || self.unanswered_bytes >= MAX_BODY_BYTES;
        !self.engine.is_over()
            && !matches!(self.standing, Standing::Unjudged(..))
            && self.engine.output().len() < MAX_OUTPUT_BYTES
            // Nothing but an answer makes room, and one is on its way.
            && !busy
    }

    fn question(&mut self) -> Option<Question> {
        while !self.asked && self.engine.output().len() < MAX_OUTPUT_BYTES {
            if let Standing::Unjudged(name, evidence, _) = &mut self.standing {
                self.asked = true;
                return Some(Question::Authenticate(DeviceHello {
                    scope: name.scope.clone(),
                    registration: name.registration.clone(),
                    evidence: evidence.take(),
                    operation: None,
                    origin: Origin {
                        address: self.peer.address,
                        ingress: self.peer.ingress.clone(),
                        transport: self.transport,
                    },
                }));
            }
            let Standing::Proven(name) = &self.standing else {
                return None;
            };
            let waiting = self.unanswered.front()?;
            let question = if self.engine.is_congested() {
                // It asks and asks, and takes no answers.
                Err(ServiceError::new(Reason::Throttled))
            } else {
                waiting.question(&name.registration)
            };
            match question {
                Ok(question) => {
                    self.asked = true;
                    return Some(question);
                }
                Err(error) => {
                    self.tell(&DeviceResponse::Error(error));
                    self.after();
                }
            }
        }
        None
    }

    fn judged(&mut self, verdict: Verdict, now: Duration) {
        self.asked = false;
        self.now = now;
        self.last_received = now;
        let standing = std::mem::replace(&mut self.standing, Standing::Unknown);
        let Standing::Unjudged(name, _, waiting) = standing else {
            self.standing = standing;
            return;
        };
        if matches!(verdict, Verdict::Believed) {
            self.standing = Standing::Proven(name);
            // Nobody asks for them again, and they are what is largest here.
            self.peer.chain = Arc::default();
            self.engine.trust();
        }
        match (waiting, verdict) {
            (Some((link, version)), Verdict::Believed) => self.agree(link, version),
            (Some((link, _)), Verdict::Denied(error)) => self.dismiss(link, &error),
            (Some((link, _)), Verdict::Challenge(_)) => self.dismiss(link, &unauthorized()),
            (None, verdict) => {
                let step = self
                    .mechanism
                    .as_mut()
                    .map(|chosen| chosen.judged(&verdict));
                self.step(step.unwrap_or(Step::Outcome(SaslCode::Auth)));
            }
        }
        self.resume(now);
    }

    fn answered(&mut self, response: &DeviceResponse, now: Duration) {
        self.asked = false;
        self.now = now;
        self.last_received = now;
        self.tell(response);
        self.resume(now);
    }

    fn take_output(&mut self) -> Vec<u8> {
        self.engine.take_output()
    }

    fn deadline(&self) -> Option<Duration> {
        match (self.beat_at(), self.end_at()) {
            (Some(beat), Some(end)) => Some(beat.min(end)),
            (beat, end) => beat.or(end),
        }
    }

    fn expire(&mut self, now: Duration) {
        self.now = now;
        if self
            .closing_since
            .is_some_and(|since| since + FAREWELL <= now)
        {
            self.engine.abandon();
        } else if self.end_at().is_some_and(|end| end <= now) {
            self.late = true;
            let error =
                ErrorInfo::new("amqp:resource-limit-exceeded", Some("nothing came in time"));
            self.engine.close(Some(error));
        } else if self.beat_at().is_some_and(|beat| beat <= now) {
            self.engine.beat();
        }
        self.after();
    }

    fn is_quiet(&self) -> bool {
        self.unanswered.is_empty()
            && self.engine.is_quiet()
            && !matches!(self.standing, Standing::Unjudged(..))
    }

    fn leave(&mut self) {
        let error = ErrorInfo::new("amqp:connection:forced", Some("the service ends"));
        self.engine.close(Some(error));
        self.after();
    }

    fn is_over(&self) -> bool {
        self.engine.is_over()
    }
}
