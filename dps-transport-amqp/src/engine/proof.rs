//! What comes before a connection: which protocol is spoken, and who speaks it.

use super::{Engine, Event, Fault, Phase};
use crate::codec::{
    FrameKind, Header, Layer, MIN_MAX_FRAME_BYTES, SaslCode, SaslFrame, Symbols, encode_frame,
};

/// The largest challenge: what a frame of SASL has room for.
pub(crate) const MAX_CHALLENGE_BYTES: usize = MIN_MAX_FRAME_BYTES - 25;

impl Engine<'_> {
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

    pub(super) fn take_header(&mut self, bytes: &[u8], proven: bool) -> usize {
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

    pub(super) fn proof<'b>(&mut self, frame: SaslFrame<'b>) -> Result<Event<'b>, Fault> {
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

    fn sasl(&mut self, frame: &SaslFrame<'_>) {
        encode_frame(FrameKind::Sasl, &mut self.out, |writer| frame.put(writer));
    }
}
