//! One device's conversation.

mod answer;
mod handle;
mod hello;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;

use dps_core::api::{DeviceHello, DeviceRequest, DeviceResponse, Transport};
use dps_core::error::{Reason, ServiceError};
use dps_core::id::{ApiVersion, OperationId, RegistrationId};
use dps_transport::device_json::{DeviceRegistration, MAX_BODY_BYTES};
use dps_transport::{Conversation, Peer, Question, Stamps, Timeouts, Verdict};

use crate::packet::{DecodeError, Packet, QoS, Stage, decode, encode};

/// How many requests may wait for their answers; then nothing more is read. Our choice: devices ask
/// one thing at a time.
const MAX_UNANSWERED: usize = 8;

/// How many bytes of answers may wait to be written; then nothing more is read, and nothing asked.
const MAX_OUTPUT_BYTES: usize = 16 * 1024;

/// How many requests a device may make that is not believed. Our choice.
const MAX_UNPROVEN: u8 = 5;

/// Why a conversation is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum End {
    #[error("the device said goodbye")]
    Goodbye,
    #[error(transparent)]
    Packet(#[from] DecodeError),
    #[error("the client identifier and the user name do not agree")]
    Identity,
    #[error("{0}")]
    Forbidden(&'static str),
    #[error("the device is not believed")]
    Unproven,
    #[error("nothing came in time")]
    Late,
}

/// One device's conversation.
pub(crate) struct Session<'a> {
    peer: Peer,
    transport: Transport,
    timeouts: Timeouts,
    stamps: &'a dyn Stamps,
    /// The beginning of a packet, or packets that wait for their turn.
    input: Vec<u8>,
    output: Vec<u8>,
    standing: Standing,
    /// Whether CONNECT has been answered.
    connected: bool,
    keep_alive: Duration,
    /// Requests that a device may still make without being believed.
    unproven_left: u8,
    /// In which quality the device wants its answers.
    subscribed: Option<QoS>,
    unanswered: VecDeque<Waiting>,
    unanswered_bytes: usize,
    /// Whether a question is out.
    asked: bool,
    last_id: u16,
    last_packet: Duration,
    /// Since when there is the beginning of a packet, without the rest.
    partial_since: Option<Duration>,
    end: Option<End>,
}

/// How a device stands with us.
enum Standing {
    /// It has not said who it is.
    Unknown,
    /// It has, and nobody has judged it.
    Unjudged(DeviceHello, ApiVersion),
    Proven(RegistrationId, ApiVersion),
    Denied {
        error: ServiceError,
        /// What to ask again, if the error was not about the device, once it has been told.
        again: Option<(DeviceHello, ApiVersion)>,
        told: bool,
    },
}

/// A request without its answer.
struct Waiting {
    rid: String,
    what: Result<What, ServiceError>,
}

enum What {
    /// With its body; it is read when its turn comes.
    Register(Box<[u8]>),
    Poll(OperationId),
}

impl<'a> Session<'a> {
    pub(crate) fn new(
        peer: Peer,
        transport: Transport,
        timeouts: Timeouts,
        stamps: &'a dyn Stamps,
    ) -> Self {
        Self {
            peer,
            transport,
            timeouts,
            stamps,
            input: Vec::new(),
            output: Vec::new(),
            standing: Standing::Unknown,
            connected: false,
            keep_alive: timeouts.idle,
            unproven_left: MAX_UNPROVEN,
            subscribed: None,
            unanswered: VecDeque::new(),
            unanswered_bytes: 0,
            asked: false,
            last_id: 0,
            last_packet: Duration::ZERO,
            partial_since: None,
            end: None,
        }
    }

    /// Why the conversation is over, if it is. What is in the output is still to be written.
    pub(crate) const fn end(&self) -> Option<End> {
        self.end
    }

    /// Takes packets from the beginning of `bytes`, and says how much they were.
    fn take(&mut self, bytes: &[u8], now: Duration) -> usize {
        let mut used = 0;
        let mut partial = false;
        while self.wants_bytes() && used < bytes.len() {
            let stage = match self.standing {
                Standing::Unknown => Stage::First,
                _ => Stage::Later,
            };
            match decode(&bytes[used..], stage) {
                Ok(Some((packet, length))) => {
                    used += length;
                    self.last_packet = now;
                    self.partial_since = None;
                    self.handle(packet);
                }
                Ok(None) => {
                    partial = true;
                    break;
                }
                Err(error) => {
                    if error == DecodeError::Protocol && stage == Stage::First {
                        self.refuse_connection(1);
                    }
                    self.end = Some(error.into());
                }
            }
        }
        self.partial_since = partial.then(|| self.partial_since.unwrap_or(now));
        used
    }

    fn send(&mut self, packet: &Packet<'_>) {
        if let Err(error) = encode(packet, &mut self.output) {
            tracing::error!(%error, "an answer cannot be sent");
        }
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
        self.end.is_none()
            && !matches!(self.standing, Standing::Unjudged(..))
            && self.unanswered.len() < MAX_UNANSWERED
            && self.unanswered_bytes < MAX_BODY_BYTES
            && self.output.len() < MAX_OUTPUT_BYTES
            && (self.unproven_left > 0 || matches!(self.standing, Standing::Proven(..)))
    }

    fn question(&mut self) -> Option<Question> {
        while !self.asked && self.end.is_none() && self.output.len() < MAX_OUTPUT_BYTES {
            match &mut self.standing {
                Standing::Unknown => return None,
                Standing::Unjudged(hello, _) => {
                    self.asked = true;
                    return Some(Question::Authenticate(hello.clone()));
                }
                Standing::Denied { error, again, told } => {
                    if self.unanswered.is_empty() {
                        if self.unproven_left == 0 {
                            self.end = Some(End::Unproven);
                        }
                        return None;
                    }
                    if let Some((hello, version)) = again.take_if(|_| *told) {
                        self.standing = Standing::Unjudged(hello, version);
                        continue;
                    }
                    *told = true;
                    let response = DeviceResponse::Error(error.clone());
                    self.tell(&response);
                }
                Standing::Proven(registration, version) => {
                    let request = match &self.unanswered.front()?.what {
                        Ok(What::Register(body)) => DeviceRegistration::parse(body, registration)
                            .map(|sent| DeviceRequest::Register {
                                payload: sent.payload,
                            }),
                        Ok(What::Poll(operation)) => Ok(DeviceRequest::OperationStatus {
                            operation: operation.clone(),
                        }),
                        Err(error) => Err(error.clone()),
                    };
                    match request {
                        Ok(request) => {
                            self.asked = true;
                            return Some(Question::Call(version.clone(), request));
                        }
                        Err(error) => self.tell(&DeviceResponse::Error(error)),
                    }
                }
            }
        }
        None
    }

    fn judged(&mut self, verdict: Verdict, now: Duration) {
        self.asked = false;
        let standing = std::mem::replace(&mut self.standing, Standing::Unknown);
        let Standing::Unjudged(hello, version) = standing else {
            self.standing = standing;
            return;
        };
        if !self.connected {
            self.accept_connection();
        }
        self.standing = match verdict {
            Verdict::Believed => Standing::Proven(hello.registration, version),
            Verdict::Denied(error) => Standing::Denied {
                again: (error.reason() != Reason::Unauthorized).then_some((hello, version)),
                error,
                told: false,
            },
            // There is no way to ask for a proof over MQTT.
            Verdict::Challenge(_) => Standing::Denied {
                error: ServiceError::new(Reason::Unauthorized),
                again: None,
                told: false,
            },
        };
        self.last_packet = now;
        self.resume(now);
    }

    fn answered(&mut self, response: &DeviceResponse, now: Duration) {
        self.asked = false;
        self.tell(response);
        self.last_packet = now;
        self.resume(now);
    }

    fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    fn deadline(&self) -> Option<Duration> {
        if self.asked || self.end.is_some() {
            return None;
        }
        let silent = match self.standing {
            Standing::Unknown => self.timeouts.request.min(self.timeouts.first_request),
            Standing::Unjudged(..) | Standing::Denied { .. } => self.timeouts.first_request,
            Standing::Proven(..) => self.last_packet.saturating_add(self.keep_alive),
        };
        let whole = self.partial_since.unwrap_or(Duration::MAX);
        Some(silent.min(whole.saturating_add(self.timeouts.request)))
    }

    fn expire(&mut self, now: Duration) {
        if self.deadline().is_some_and(|deadline| deadline <= now) {
            self.end = Some(End::Late);
        }
    }

    fn is_quiet(&self) -> bool {
        self.unanswered.is_empty() && !matches!(self.standing, Standing::Unjudged(..))
    }

    fn leave(&mut self) {
        // A server of MQTT has no word for it.
    }

    fn is_over(&self) -> bool {
        self.end.is_some()
    }
}

impl Waiting {
    fn bytes(&self) -> usize {
        match &self.what {
            Ok(What::Register(body)) => body.len(),
            _ => 0,
        }
    }
}
