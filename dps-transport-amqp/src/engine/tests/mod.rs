mod faults;
mod links;
mod messages;
mod opening;

use super::link::MAX_MESSAGE_BYTES;
use super::proof::MAX_CHALLENGE_BYTES;
use super::*;
use crate::codec::{Attach, Flow, SaslCode, Symbols};
use crate::testing::*;

const SECOND: Duration = Duration::from_secs(1);

/// An engine, and the peer that talks to it.
struct Wire {
    engine: Engine<'static>,
    input: Vec<u8>,
}

/// What the application has to know.
#[derive(Debug, PartialEq)]
enum Heard {
    Init(String, Option<Vec<u8>>),
    Response(Vec<u8>),
    Attach(LinkId, Option<String>),
    Message(Delivery, Vec<u8>),
}

impl Wire {
    fn new() -> Self {
        Self {
            engine: Engine::new("us", &["EXTERNAL", "PLAIN"], 300 * SECOND),
            input: Vec::new(),
        }
    }

    /// One whose peer has begun a connection, and is trusted.
    fn open() -> Self {
        Self::opened_by(&open())
    }

    fn opened_by(open: &[u8]) -> Self {
        let mut wire = Self::new();
        assert_eq!(wire.send(&[AMQP, open].concat()), []);
        assert_eq!(wire.told(), ["AMQP 0", "open"]);
        wire.engine.trust();
        wire
    }

    /// One with a session.
    fn begun() -> Self {
        Self::begun_with(None, 2048)
    }

    fn begun_with(max_frame_size: Option<u32>, window: u32) -> Self {
        let mut wire = Self::opened_by(&open_with(max_frame_size, None));
        wire.send(&begin_with(0, window));
        assert_eq!(wire.told(), ["begin for 0"]);
        wire
    }

    /// One with a link on which the peer sends, as handle 0, and one on which it receives, as handle 1.
    fn linked() -> Self {
        let mut wire = Self::begun();
        wire.link(0, Role::Sender);
        wire.link(1, Role::Receiver);
        wire
    }

    /// Attaches, and agrees.
    fn link(&mut self, handle: u32, role: Role) -> LinkId {
        self.link_by(&attach(handle, role, "here"))
    }

    fn link_by(&mut self, attach: &[u8]) -> LinkId {
        let heard = self.send(attach);
        let [Heard::Attach(link, Some(address))] = &heard[..] else {
            panic!("no link: {heard:?}");
        };
        assert_eq!(address, "here");
        self.engine.accept(*link);
        let told = self.told();
        assert!(told[0].starts_with("attach "), "{told:?}");
        *link
    }

    fn send(&mut self, bytes: &[u8]) -> Vec<Heard> {
        self.input.extend(bytes);
        let mut heard = Vec::new();
        loop {
            let (used, event) = self.engine.take(&self.input);
            let event = event.map(|event| match event {
                Event::SaslInit {
                    mechanism,
                    response,
                } => Heard::Init(mechanism.to_owned(), response.map(<[u8]>::to_vec)),
                Event::SaslResponse(response) => Heard::Response(response.to_vec()),
                Event::Attach { link, address, .. } => {
                    Heard::Attach(link, address.map(str::to_owned))
                }
                Event::Message { delivery, bytes } => Heard::Message(delivery, bytes.into_owned()),
            });
            self.input.drain(..used);
            if used == 0 {
                return heard;
            }
            heard.extend(event);
        }
    }

    /// The one message that `bytes` are.
    fn message(&mut self, bytes: &[u8]) -> (Delivery, Vec<u8>) {
        match <[Heard; 1]>::try_from(self.send(bytes)) {
            Ok([Heard::Message(delivery, bytes)]) => (delivery, bytes),
            other => panic!("no message: {other:?}"),
        }
    }

    /// Sends what is refused, and says how.
    fn refused(&mut self, bytes: &[u8]) -> Vec<String> {
        assert_eq!(self.send(bytes), []);
        self.told()
    }

    fn told(&mut self) -> Vec<String> {
        words(&self.engine.take_output())
    }
}
