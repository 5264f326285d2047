//! One AMQP connection as the side that is connected to, without I/O: frames in, events out; decisions
//! in, frames out.
//!
//! It knows the rules of connections, sessions and links, and nothing of devices. Channels and handles
//! are numbered as the peer numbers its own.

mod deliveries;
mod fault;
mod handle;
mod link;
mod proof;
mod session;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::time::Duration;

use self::deliveries::{Current, Outbox};
pub(crate) use self::fault::Fault;
pub(crate) use self::link::LinkId;
pub(crate) use self::proof::MAX_CHALLENGE_BYTES;
use self::session::Session;
use crate::codec::{
    Close, Composite, DecodeError, ErrorInfo, Frame, FrameKind, MIN_MAX_FRAME_BYTES, Map, Outcome,
    Performative, Role, SaslFrame, Transfer, decode_frame, encode_empty, encode_frame,
};

/// The largest frame we take of a peer that is trusted, in bytes; what the service says
/// (Azure/azure-iot-sdk-c issue 815).
const MAX_FRAME_BYTES: u32 = 65_536;

/// The largest frame we take of others. Our choice: what they send until they are trusted has some
/// hundred bytes.
const MAX_UNTRUSTED_FRAME_BYTES: usize = 4096;

/// The largest frame of SASL we take, in bytes. The standard has 512, which we keep to; but C# names the
/// device in it twice beside the key of its TPM, and does not count (`SaslTpmHandler.cs`).
const MAX_SASL_FRAME_BYTES: usize = 1024;

/// What the application has to know, and mostly to decide about.
#[derive(Debug)]
pub(crate) enum Event<'a> {
    /// The peer has chosen how to prove who it is. Nothing more may be taken until
    /// [`Engine::challenge`] or [`Engine::outcome`].
    SaslInit {
        mechanism: &'a str,
        response: Option<&'a [u8]>,
    },
    /// It has answered a challenge; the same holds.
    SaslResponse(&'a [u8]),
    /// It wants a link: [`Engine::accept`] or [`Engine::refuse`].
    Attach {
        link: LinkId,
        /// Of its end, which is not ours to make up.
        address: Option<&'a str>,
        properties: Map<'a>,
    },
    /// It has sent a message: [`Engine::settle`].
    Message {
        delivery: Delivery,
        bytes: Cow<'a, [u8]>,
    },
}

/// One message that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub(crate) link: LinkId,
    id: u32,
    /// Whether the sender does not want to know what becomes of it.
    pub(crate) settled: bool,
}

/// Where a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The peer's eight bytes are to come.
    Header {
        proven: bool,
    },
    /// Its choice of a mechanism is.
    Mechanism,
    /// A challenge is out.
    Challenge,
    /// A proof is being judged.
    Judging,
    /// Its `open` is to come.
    Opening,
    Open,
    /// Our `close` is out, and its is to come.
    Closing,
    Over,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Engine<'a> {
    container_id: &'a str,
    mechanisms: &'static [&'static str],
    idle: Duration,
    phase: Phase,
    trusted: bool,
    /// The largest frame the peer takes.
    max_frame: usize,
    /// How long the peer waits to hear of us.
    peer_idle: Option<Duration>,
    sessions: Vec<Session>,
    outbox: Outbox,
    out: Vec<u8>,
    /// Links so far, so that no two are the same.
    links: u32,
    fault: Option<Fault>,
}

impl<'a> Engine<'a> {
    /// * `container_id`: our name.
    /// * `mechanisms`: how a peer can prove who it is, if it wants to before the connection begins.
    /// * `idle`: after how long without a frame somebody will end the connection.
    pub(crate) const fn new(
        container_id: &'a str,
        mechanisms: &'static [&'static str],
        idle: Duration,
    ) -> Self {
        Self {
            container_id,
            mechanisms,
            idle,
            phase: Phase::Header { proven: false },
            trusted: false,
            max_frame: MIN_MAX_FRAME_BYTES,
            peer_idle: None,
            sessions: Vec::new(),
            outbox: Outbox::new(),
            out: Vec::new(),
            links: 0,
            fault: None,
        }
    }

    /// Takes a frame from the beginning of `bytes`; with what it says, how many bytes it was. If it was
    /// none, there is more of it to come, or nothing may be taken.
    pub(crate) fn take<'b>(&mut self, bytes: &'b [u8]) -> (usize, Option<Event<'b>>) {
        let most = match self.phase {
            Phase::Over | Phase::Judging => return (0, None),
            Phase::Header { proven } => return (self.take_header(bytes, proven), None),
            Phase::Mechanism | Phase::Challenge => MAX_SASL_FRAME_BYTES,
            _ if self.trusted => MAX_FRAME_BYTES as usize,
            _ => MAX_UNTRUSTED_FRAME_BYTES,
        };
        match decode_frame(bytes, most) {
            Ok(None) => (0, None),
            Ok(Some((frame, length))) => {
                let event = self.frame(frame).unwrap_or_else(|fault| {
                    self.fail(fault);
                    None
                });
                (length, event)
            }
            Err(error) => {
                self.fail(error.into());
                // Nobody knows where the next one begins.
                self.abandon();
                (0, None)
            }
        }
    }

    /// Takes frames of any size that we have announced from here on.
    pub(crate) const fn trust(&mut self) {
        self.trusted = true;
    }

    /// Agrees to a link.
    pub(crate) fn accept(&mut self, link: LinkId) {
        let out = &mut self.out;
        if let Some(session) = session(&mut self.sessions, link.channel) {
            session.accept(link, out);
        }
        self.flush();
    }

    /// Ends a link, whether or not it was agreed to.
    pub(crate) fn refuse(&mut self, link: LinkId, error: &ErrorInfo<'_>) {
        if let Some(session) = session(&mut self.sessions, link.channel) {
            session.detach(link, error, &mut self.out);
        }
    }

    /// Whether a link is still there.
    pub(crate) fn has(&self, link: LinkId) -> bool {
        let mut sessions = self.sessions.iter();
        sessions.any(|session| session.channel == link.channel && session.has(link))
    }

    /// Tells the peer what became of its message, and lets it send another.
    pub(crate) fn settle(&mut self, delivery: Delivery, outcome: Outcome<'_>) {
        if let Some(session) = session(&mut self.sessions, delivery.link.channel) {
            session.settle(delivery, outcome, &mut self.out);
        }
        self.flush();
    }

    /// Sends a message as soon as the peer has a link that takes one.
    pub(crate) fn send(&mut self, message: Vec<u8>) {
        self.outbox.push(message);
        self.flush();
    }

    /// Ends the connection.
    pub(crate) fn close(&mut self, error: Option<ErrorInfo<'_>>) {
        match self.phase {
            Phase::Opening => self.open(),
            Phase::Open => {}
            Phase::Closing => return,
            _ => {
                self.phase = Phase::Over;
                return;
            }
        }
        // The SDK for Node.js waits in vain for the end of a session that goes down with its connection
        // (azure-iot-amqp-base `amqp.js`).
        for session in self.sessions.iter_mut().filter(|one| !one.is_ending()) {
            session.end(error.as_ref(), &mut self.out);
        }
        self.put(0, &Close { error });
        self.phase = Phase::Closing;
        self.drop_sessions();
    }

    /// Waits for the peer no longer.
    pub(crate) fn abandon(&mut self) {
        self.phase = Phase::Over;
        self.drop_sessions();
    }

    /// Says that we are alive.
    pub(crate) fn beat(&mut self) {
        if self.is_open() {
            encode_empty(&mut self.out);
        }
    }

    /// Within what time the peer has to hear of us.
    pub(crate) const fn peer_idle(&self) -> Option<Duration> {
        self.peer_idle
    }

    pub(crate) fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// Whether we have said our last word.
    pub(crate) const fn is_closing(&self) -> bool {
        matches!(self.phase, Phase::Closing | Phase::Over)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    /// What the peer did wrong, if that ended the connection.
    pub(crate) const fn fault(&self) -> Option<Fault> {
        self.fault
    }

    /// Whether more waits to be sent than should.
    pub(crate) fn is_congested(&self) -> bool {
        self.outbox.is_full()
    }

    /// Whether there is nothing that waits to be sent.
    pub(crate) fn is_quiet(&self) -> bool {
        self.outbox.is_empty()
    }

    /// How many bytes wait: for the rest of their messages, and to be sent.
    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        let assembling: usize = self.sessions.iter().map(Session::assembling).sum();
        assembling + self.outbox.bytes()
    }

    pub(crate) const fn output(&self) -> &Vec<u8> {
        &self.out
    }

    pub(crate) fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    fn frame<'b>(&mut self, frame: Frame<'b>) -> Result<Option<Event<'b>>, Fault> {
        match (self.phase, frame.kind) {
            (Phase::Mechanism | Phase::Challenge, FrameKind::Sasl) => {
                self.proof(SaslFrame::read(frame.body)?).map(Some)
            }
            (Phase::Opening | Phase::Open | Phase::Closing, FrameKind::Amqp { channel }) => {
                if frame.body.is_empty() {
                    return Ok(None);
                }
                self.performative(channel, Performative::read(frame.body)?)
            }
            _ => Err(DecodeError::FrameKind.into()),
        }
    }

    /// Sends what can be sent now, and lets the peer send as much as there is room for.
    fn flush(&mut self) {
        if self.phase == Phase::Open {
            self.outbox
                .flush(&mut self.sessions, self.max_frame, &mut self.out);
            let waiting = !self.outbox.has_begun_all();
            for session in &mut self.sessions {
                session.drain(waiting, &mut self.out);
                if !self.outbox.is_full() {
                    session.grant(&mut self.out);
                }
            }
        }
    }

    fn fail(&mut self, fault: Fault) {
        self.fault = Some(fault);
        match self.phase {
            Phase::Opening | Phase::Open => self.close(Some(fault.error())),
            _ => self.phase = Phase::Over,
        }
    }

    fn drop_sessions(&mut self) {
        self.sessions = Vec::new();
        self.outbox = Outbox::new();
    }

    fn put<'b>(&mut self, channel: u16, performative: &impl Composite<'b>) {
        put(channel, performative, &mut self.out);
    }
}

fn session(sessions: &mut [Session], channel: u16) -> Option<&mut Session> {
    sessions
        .iter_mut()
        .find(|session| session.channel == channel)
}

/// Writes a frame.
fn put<'b>(channel: u16, performative: &impl Composite<'b>, out: &mut Vec<u8>) {
    encode_frame(FrameKind::Amqp { channel }, out, |writer| {
        performative.put(writer)
    });
}

/// Writes the next frame of a message.
fn put_transfer(current: &mut Current, max_frame: usize, out: &mut Vec<u8>) {
    // More than the frame's header and the transfer before the message take.
    const AROUND: usize = 64;
    let rest = &current.message[current.sent..];
    let part = &rest[..rest.len().min(max_frame - AROUND)];
    let tag = current.delivery.to_be_bytes();
    let transfer = Transfer {
        handle: current.link.handle,
        delivery_id: Some(current.delivery),
        delivery_tag: Some(&tag),
        message_format: Some(0),
        settled: Some(current.settled),
        more: part.len() < rest.len(),
        ..Transfer::default()
    };
    let channel = current.link.channel;
    encode_frame(FrameKind::Amqp { channel }, out, |writer| {
        Performative::Transfer(transfer, part).put(writer);
    });
    current.sent += part.len();
}

impl Role {
    const fn other(self) -> Self {
        match self {
            Self::Sender => Self::Receiver,
            Self::Receiver => Self::Sender,
        }
    }
}
