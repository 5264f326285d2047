//! One AMQP connection as the side that is connected to, without I/O: frames in, events out; decisions
//! in, frames out.
//!
//! It knows the rules of connections, sessions and links, and nothing of devices. Channels and handles
//! are numbered as the peer numbers its own.

mod deliveries;
mod fault;
mod link;
mod session;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::time::Duration;

use self::deliveries::{Current, Outbox};
pub(crate) use self::fault::Fault;
pub(crate) use self::link::LinkId;
use self::session::Session;
use crate::codec::{
    Close, Composite, DecodeError, ErrorInfo, Frame, FrameKind, Header, Layer, MIN_MAX_FRAME_BYTES,
    Map, Open, Outcome, Performative, Role, SaslCode, SaslFrame, Symbols, Transfer, decode_frame,
    encode_empty, encode_frame,
};

/// The largest frame we take of a peer that is trusted, in bytes; what the service says
/// (Azure/azure-iot-sdk-c issue 815).
const MAX_FRAME_BYTES: u32 = 65_536;

/// The largest frame we take of others. Our choice: what they send until they are trusted has some
/// hundred bytes.
const MAX_UNTRUSTED_FRAME_BYTES: usize = 4096;

/// The largest challenge: what a frame of SASL has room for.
pub(crate) const MAX_CHALLENGE_BYTES: usize = MIN_MAX_FRAME_BYTES - 25;

/// The highest number of a channel, and with it how many sessions there may be. Our choice: devices
/// have one.
const MAX_CHANNEL: u16 = 3;

/// The shortest time after which a peer may want to hear of us. Our choice.
const SHORTEST_IDLE: Duration = Duration::from_secs(1);

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
            Phase::Mechanism | Phase::Challenge => MIN_MAX_FRAME_BYTES,
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

    fn take_header(&mut self, bytes: &[u8], proven: bool) -> usize {
        match Header::decode(bytes) {
            Ok(None) => 0,
            Ok(Some(Header(layer))) => {
                self.header(layer, proven);
                Header::LENGTH
            }
            Err(error) => {
                // The peer is told what is spoken here [2.2].
                self.out.extend(Header(Layer::Amqp).encode());
                self.fail(error.into());
                0
            }
        }
    }

    /// Asks the peer, whose proof is being judged, to answer this first: at most
    /// [`MAX_CHALLENGE_BYTES`].
    pub(crate) fn challenge(&mut self, challenge: &[u8]) {
        if challenge.len() > MAX_CHALLENGE_BYTES {
            tracing::error!("a challenge that does not fit into a frame");
            return self.outcome(SaslCode::SysTemp);
        }
        if self.phase == Phase::Judging {
            self.phase = Phase::Challenge;
            self.sasl(&SaslFrame::Challenge(challenge));
        }
    }

    /// Tells the peer what became of its proof.
    pub(crate) fn outcome(&mut self, code: SaslCode) {
        if self.phase == Phase::Judging {
            self.sasl(&SaslFrame::Outcome(code as u8));
            self.phase = match code {
                SaslCode::Ok => Phase::Header { proven: true },
                SaslCode::Auth | SaslCode::SysTemp => Phase::Over,
            };
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

    fn header(&mut self, layer: Layer, proven: bool) {
        // Whoever has proven itself is told what is spoken now [2.2].
        let spoken = if proven { Layer::Amqp } else { layer };
        self.out.extend(Header(spoken).encode());
        match layer {
            Layer::Amqp => self.phase = Phase::Opening,
            Layer::Sasl if proven => self.fail(Fault::connection("a second proof")),
            Layer::Sasl => {
                self.sasl(&SaslFrame::Mechanisms(Symbols::Ours(self.mechanisms)));
                self.phase = Phase::Mechanism;
            }
        }
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

    fn proof<'b>(&mut self, frame: SaslFrame<'b>) -> Result<Event<'b>, Fault> {
        let event = match (self.phase, frame) {
            (
                Phase::Mechanism,
                SaslFrame::Init {
                    mechanism,
                    initial_response,
                },
            ) => Event::SaslInit {
                mechanism,
                response: initial_response,
            },
            (Phase::Challenge, SaslFrame::Response(response)) => Event::SaslResponse(response),
            _ => return Err(Fault::connection("a SASL frame out of turn")),
        };
        self.phase = Phase::Judging;
        Ok(event)
    }

    fn performative<'b>(
        &mut self,
        channel: u16,
        performative: Performative<'b>,
    ) -> Result<Option<Event<'b>>, Fault> {
        match (self.phase, performative) {
            (Phase::Opening, Performative::Open(open)) => self.opened(&open)?,
            (Phase::Opening, _) => return Err(Fault::connection("a frame before open")),
            (Phase::Closing, Performative::Close(_)) => self.phase = Phase::Over,
            (Phase::Closing, _) => {}
            (_, Performative::Open(_)) => return Err(Fault::connection("a second open")),
            (_, Performative::Close(_)) => {
                self.put(0, &Close::default());
                self.phase = Phase::Over;
                self.drop_sessions();
            }
            (_, Performative::Begin(begin)) => {
                if channel > MAX_CHANNEL || session(&mut self.sessions, channel).is_some() {
                    return Err(Fault::connection("a channel that is in use, or too high"));
                }
                let session = Session::begin(channel, &begin, &mut self.out)?;
                // Devices have one.
                self.sessions.reserve_exact(1);
                self.sessions.push(session);
            }
            (_, Performative::End(_)) => {
                let session = session(&mut self.sessions, channel).ok_or(NO_SESSION)?;
                session.ended(&mut self.out);
                self.sessions.retain(|session| session.channel != channel);
                self.flush();
            }
            (_, performative) => return self.within(channel, performative),
        }
        Ok(None)
    }

    /// What belongs to a session.
    fn within<'b>(
        &mut self,
        channel: u16,
        performative: Performative<'b>,
    ) -> Result<Option<Event<'b>>, Fault> {
        let assembling: usize = self.sessions.iter().map(Session::assembling).sum();
        let session = session(&mut self.sessions, channel).ok_or(NO_SESSION)?;
        if session.is_ending() {
            // It has been ended, and does not know yet.
            return Ok(None);
        }
        let out = &mut self.out;
        let event = match performative {
            Performative::Attach(attach) => {
                self.links = self.links.wrapping_add(1);
                session.attach(&attach, self.links, out)
            }
            Performative::Flow(flow) => session.flow(&flow, out).map(|()| None),
            Performative::Transfer(transfer, payload) => {
                session.transfer(&transfer, payload, assembling, out)
            }
            Performative::Disposition(disposition) => {
                session.disposition(&disposition, out);
                Ok(None)
            }
            Performative::Detach(detach) => session.detached(&detach, out).map(|()| None),
            _ => Err(Fault::connection("a frame that no session takes")),
        };
        let event = match event {
            Err(fault) if fault.is_of_session() => {
                session.end(Some(&fault.error()), out);
                None
            }
            event => event?,
        };
        self.flush();
        Ok(event)
    }

    fn opened(&mut self, open: &Open<'_>) -> Result<(), Fault> {
        self.open();
        let max_frame = open.max_frame_size.unwrap_or(u32::MAX).min(MAX_FRAME_BYTES) as usize;
        if max_frame < MIN_MAX_FRAME_BYTES {
            return Err(DecodeError::Value.into());
        }
        self.max_frame = max_frame;
        // 0 says the same as nothing.
        let idle = open.idle_time_out.filter(|&millis| millis > 0);
        self.peer_idle = idle.map(|millis| Duration::from_millis(millis.into()));
        if self.peer_idle.is_some_and(|idle| idle < SHORTEST_IDLE) {
            return Err(Fault::IMPATIENT);
        }
        Ok(())
    }

    fn open(&mut self) {
        // Half of what we wait, as the standard has it [2.4.5].
        let idle = u32::try_from(self.idle.as_millis() / 2).unwrap_or(u32::MAX);
        let open = Open {
            container_id: self.container_id,
            max_frame_size: Some(MAX_FRAME_BYTES),
            channel_max: Some(MAX_CHANNEL),
            idle_time_out: Some(idle),
            ..Open::default()
        };
        self.put(0, &open);
        self.phase = Phase::Open;
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

    fn sasl(&mut self, frame: &SaslFrame<'_>) {
        encode_frame(FrameKind::Sasl, &mut self.out, |writer| frame.put(writer));
    }
}

const NO_SESSION: Fault = Fault::connection("a frame for a session that has not begun");

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
