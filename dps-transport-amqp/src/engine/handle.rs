//! What becomes of each performative.

use std::time::Duration;

use super::session::Session;
use super::{Engine, Event, Fault, MAX_FRAME_BYTES, Phase, session};
use crate::codec::{Close, DecodeError, MIN_MAX_FRAME_BYTES, Open, Performative};

/// The highest number of a channel, and with it how many sessions there may be. Our choice: devices
/// have one.
const MAX_CHANNEL: u16 = 3;

/// The shortest time after which a peer may want to hear of us. Our choice.
const SHORTEST_IDLE: Duration = Duration::from_secs(1);

const NO_SESSION: Fault = Fault::connection("a frame for a session that has not begun");

impl Engine<'_> {
    pub(super) fn performative<'b>(
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

    pub(super) fn open(&mut self) {
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
}
