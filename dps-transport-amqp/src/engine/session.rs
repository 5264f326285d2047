//! One session: its windows, and its links.

use super::fault::Fault;
use super::link::{End, Link, LinkId, MAX_CREDIT, Received};
use super::{Delivery, Event, put};
use crate::codec::{
    Attach, Begin, Detach, Disposition, End as EndSession, ErrorInfo, Flow, Outcome, Role,
    Terminus, Transfer, Value,
};

/// How many frames with parts of messages a peer may send before we let it send more. Our choice: enough
/// for everything that credit allows, in frames of 4 KiB.
const WINDOW: u32 = 256;

/// The highest number of a handle, and with it how many links there may be. Our choice: devices have
/// two.
const MAX_HANDLE: u32 = 3;

#[derive(Debug)]
pub(super) struct Session {
    pub(super) channel: u16,
    /// Whether we have ended it, and wait for the peer to do so.
    ending: bool,
    next_incoming_id: u32,
    incoming_window: u32,
    next_outgoing_id: u32,
    /// How many frames with parts of messages the peer takes.
    remote_window: u32,
    next_delivery: u32,
    links: Vec<Link>,
}

impl Session {
    pub(super) fn begin(channel: u16, begin: &Begin, out: &mut Vec<u8>) -> Result<Self, Fault> {
        if begin.remote_channel.is_some() {
            return Err(Fault::connection(
                "an answer to a session that nobody began",
            ));
        }
        let answer = Begin {
            remote_channel: Some(channel),
            next_outgoing_id: 0,
            incoming_window: WINDOW,
            outgoing_window: WINDOW,
            handle_max: Some(MAX_HANDLE),
        };
        put(channel, &answer, out);
        Ok(Self {
            channel,
            ending: false,
            next_incoming_id: begin.next_outgoing_id,
            incoming_window: WINDOW,
            next_outgoing_id: 0,
            remote_window: begin.incoming_window,
            next_delivery: 0,
            links: Vec::new(),
        })
    }

    pub(super) const fn is_ending(&self) -> bool {
        self.ending
    }

    /// Ends the session.
    pub(super) fn end(&mut self, error: Option<&ErrorInfo<'_>>, out: &mut Vec<u8>) {
        self.ending = true;
        self.links = Vec::new();
        put(
            self.channel,
            &EndSession {
                error: error.cloned(),
            },
            out,
        );
    }

    /// The peer has ended the session.
    pub(super) fn ended(&self, out: &mut Vec<u8>) {
        if !self.ending {
            put(self.channel, &EndSession::default(), out);
        }
    }

    /// The peer wants a link.
    pub(super) fn attach<'b>(
        &mut self,
        attach: &Attach<'b>,
        serial: u32,
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'b>>, Fault> {
        if attach.handle > MAX_HANDLE {
            return Err(Fault::connection("a handle that is too high"));
        }
        if self
            .links
            .iter()
            .any(|link| link.id.handle == attach.handle)
        {
            return Err(Fault::session(
                "amqp:session:handle-in-use",
                "a handle that is in use",
            ));
        }
        let mut link = Link::asked(attach, self.channel, serial);
        // Names are of one direction: Qpid Proton gives both its links the same [2.6.1].
        let mut others = self.links.iter().filter(|other| !other.is_detached());
        let twice = others.any(|other| other.role() == link.role() && other.name == link.name);
        let (source, target) = (terminus(attach.source)?, terminus(attach.target)?);
        let theirs = match (link.role(), source, target) {
            (Role::Sender, Some(Terminus::Source(address)), _) => Ok(address),
            (Role::Receiver, _, Some(Terminus::Target(address))) => Ok(address),
            _ => Err("amqp:invalid-field"),
        };
        let theirs = theirs.and_then(|theirs| {
            if twice {
                Err("amqp:not-allowed")
            } else {
                Ok(theirs)
            }
        });
        let event = match theirs {
            Ok(address) => Some(Event::Attach {
                link: link.id,
                address,
                properties: attach.properties.unwrap_or_default(),
            }),
            Err(condition) => {
                link.detach(&ErrorInfo::new(condition, None), out);
                None
            }
        };
        if self.links.is_empty() {
            // Devices have two.
            self.links.reserve_exact(2);
        }
        self.links.push(link);
        Ok(event)
    }

    pub(super) fn accept(&mut self, id: LinkId, out: &mut Vec<u8>) {
        if let Some(link) = self.links.iter_mut().find(|link| link.id == id) {
            link.accept(out);
        }
    }

    pub(super) fn detach(&mut self, id: LinkId, error: &ErrorInfo<'_>, out: &mut Vec<u8>) {
        if let Some(link) = self.links.iter_mut().find(|link| link.id == id) {
            link.detach(error, out);
        }
    }

    pub(super) fn has(&self, id: LinkId) -> bool {
        self.links
            .iter()
            .any(|link| link.id == id && link.is_attached())
    }

    /// The peer has ended a link.
    pub(super) fn detached(&mut self, detach: &Detach<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
        let handle = detach.handle;
        let mut links = self.links.iter();
        let at = links
            .position(|link| link.id.handle == handle)
            .ok_or(NO_LINK)?;
        let link = self.links.swap_remove(at);
        if link.is_attached() {
            put(
                self.channel,
                &Detach {
                    handle,
                    closed: detach.closed,
                    error: None,
                },
                out,
            );
        }
        Ok(())
    }

    /// The peer says what it takes [2.5.6, 2.6.7].
    pub(super) fn flow(&mut self, flow: &Flow, out: &mut Vec<u8>) -> Result<(), Fault> {
        // Before it has seen our begin it knows of no number; ours begin with 0.
        let seen = flow.next_incoming_id.unwrap_or(0);
        let on_the_way = self.next_outgoing_id.wrapping_sub(seen);
        self.remote_window = flow.incoming_window.saturating_sub(on_the_way);
        let Some(handle) = flow.handle else {
            if flow.echo {
                put(self.channel, &self.window(), out);
            }
            return Ok(());
        };
        let mut links = self.links.iter_mut();
        let link = links.find(|link| link.id.handle == handle).ok_or(NO_LINK)?;
        if !link.is_attached() {
            return Ok(());
        }
        let id = link.id;
        if let End::Sender(sender) = &mut link.end {
            let seen = flow.delivery_count.unwrap_or(0);
            let on_the_way = sender.delivery_count.wrapping_sub(seen);
            let credit = flow.link_credit.unwrap_or(0);
            sender.credit = credit.saturating_sub(on_the_way);
            (sender.drain, sender.owes) = (flow.drain, flow.drain);
        }
        if flow.echo {
            self.link_flow(id, out);
        }
        Ok(())
    }

    /// Gives back the credit that a peer wants used or gone, unless something still waits to use it.
    pub(super) fn drain(&mut self, waiting: bool, out: &mut Vec<u8>) {
        for at in 0..self.links.len() {
            let link = &mut self.links[at];
            if let End::Sender(sender) = &mut link.end
                && sender.owes
                && !(waiting && sender.credit > 0)
            {
                sender.owes = false;
                sender.delivery_count = sender.delivery_count.wrapping_add(sender.credit);
                sender.credit = 0;
                let id = link.id;
                self.link_flow(id, out);
            }
        }
    }

    /// Takes a message, or a part of one. `assembling`: see [`Session::assembling`], over all sessions.
    pub(super) fn transfer<'b>(
        &mut self,
        transfer: &Transfer<'b>,
        payload: &'b [u8],
        assembling: usize,
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'b>>, Fault> {
        let Some(window) = self.incoming_window.checked_sub(1) else {
            return Err(Fault::session(
                "amqp:session:window-violation",
                "more than the window",
            ));
        };
        self.incoming_window = window;
        self.next_incoming_id = self.next_incoming_id.wrapping_add(1);
        if window < WINDOW / 2 {
            self.incoming_window = WINDOW;
            put(self.channel, &self.window(), out);
        }
        let mut links = self.links.iter_mut();
        let link = links
            .find(|link| link.id.handle == transfer.handle)
            .ok_or(NO_LINK)?;
        let attached = link.is_attached();
        let received = match &mut link.end {
            // What was on its way when the link was ended.
            _ if !attached => Received::Nothing,
            End::Sender(_) => Received::TooMuch("amqp:not-allowed"),
            End::Receiver(receiver) => {
                let elsewhere = assembling - receiver.assembling();
                receiver.take(transfer, payload, elsewhere)
            }
        };
        match received {
            Received::Nothing => Ok(None),
            Received::Whole(id, settled, bytes) => {
                let delivery = Delivery {
                    link: link.id,
                    id,
                    settled,
                };
                Ok(Some(Event::Message { delivery, bytes }))
            }
            Received::TooMuch(condition) => {
                link.detach(&ErrorInfo::new(condition, None), out);
                Ok(None)
            }
        }
    }

    /// How many bytes wait for the rest of their message.
    pub(super) fn assembling(&self) -> usize {
        let receivers = self.links.iter().filter_map(|link| match &link.end {
            End::Receiver(receiver) => Some(receiver.assembling()),
            End::Sender(_) => None,
        });
        receivers.sum()
    }

    /// The peer says what became of our messages. What it has not settled, it wants us to.
    pub(super) fn disposition(&self, disposition: &Disposition<'_>, out: &mut Vec<u8>) {
        let last = disposition.last.unwrap_or(disposition.first);
        // Numbers go round: what is behind by less than half of them has been.
        let sent = |id: u32| {
            let behind = self.next_delivery.wrapping_sub(id);
            (1..=u32::MAX / 2).contains(&behind)
        };
        let ours = disposition.role == Role::Receiver && sent(disposition.first) && sent(last);
        if ours && !disposition.settled && disposition.state.is_some() {
            let settled = Disposition {
                role: Role::Sender,
                first: disposition.first,
                last: disposition.last,
                settled: true,
                state: None,
            };
            put(self.channel, &settled, out);
        }
    }

    /// Says what became of a message.
    pub(super) fn settle(&mut self, delivery: Delivery, outcome: Outcome<'_>, out: &mut Vec<u8>) {
        let mut links = self.links.iter_mut();
        let Some(link) = links.find(|link| link.id == delivery.link) else {
            // With its link the message is gone, and its number may be another's.
            return;
        };
        if let End::Receiver(receiver) = &mut link.end {
            receiver.held = receiver.held.saturating_sub(1);
        }
        if !delivery.settled {
            let disposition = Disposition {
                role: Role::Receiver,
                first: delivery.id,
                last: None,
                settled: true,
                state: Some(outcome),
            };
            put(self.channel, &disposition, out);
        }
    }

    /// Lets the peer send messages, on links where it may send few.
    pub(super) fn grant(&mut self, out: &mut Vec<u8>) {
        for at in 0..self.links.len() {
            let link = &mut self.links[at];
            let attached = link.is_attached();
            if let End::Receiver(receiver) = &mut link.end
                && attached
                && receiver.credit + receiver.held <= MAX_CREDIT / 2
            {
                receiver.credit = MAX_CREDIT - receiver.held;
                let id = link.id;
                self.link_flow(id, out);
            }
        }
    }

    /// Begins a message on a link that takes one, if there is any, and gives it a number. With it,
    /// whether the message is settled.
    pub(super) fn start_delivery(&mut self) -> Option<(LinkId, u32, bool)> {
        if self.ending || self.remote_window == 0 {
            return None;
        }
        self.links.iter_mut().find_map(|link| {
            let attached = link.is_attached();
            match &mut link.end {
                End::Sender(sender) if attached && sender.credit > 0 => {
                    sender.credit -= 1;
                    sender.delivery_count = sender.delivery_count.wrapping_add(1);
                    let id = self.next_delivery;
                    self.next_delivery = id.wrapping_add(1);
                    Some((link.id, id, sender.settled))
                }
                _ => None,
            }
        })
    }

    /// Takes from the peer's window for one frame; `false` if nothing is left of it.
    pub(super) const fn take_window(&mut self) -> bool {
        let Some(left) = self.remote_window.checked_sub(1) else {
            return false;
        };
        self.remote_window = left;
        self.next_outgoing_id = self.next_outgoing_id.wrapping_add(1);
        true
    }

    #[cfg(test)]
    pub(super) const fn spend_window(&mut self) {
        self.incoming_window = 0;
    }

    /// Says how many messages a link may carry. uamqp wants both counts (azure-uamqp-c `src/link.c`).
    fn link_flow(&self, id: LinkId, out: &mut Vec<u8>) {
        let Some(link) = self.links.iter().find(|link| link.id == id) else {
            return;
        };
        let (delivery_count, credit, drain) = match &link.end {
            End::Receiver(receiver) => (receiver.delivery_count, receiver.credit, false),
            End::Sender(sender) => (sender.delivery_count, sender.credit, sender.drain),
        };
        let flow = Flow {
            handle: Some(id.handle),
            delivery_count: Some(delivery_count),
            link_credit: Some(credit),
            drain,
            ..self.window()
        };
        put(self.channel, &flow, out);
    }

    fn window(&self) -> Flow {
        Flow {
            next_incoming_id: Some(self.next_incoming_id),
            incoming_window: self.incoming_window,
            next_outgoing_id: self.next_outgoing_id,
            outgoing_window: WINDOW,
            ..Flow::default()
        }
    }
}

const NO_LINK: Fault = Fault::session(
    "amqp:session:unattached-handle",
    "a handle that is not attached",
);

fn terminus(value: Option<Value<'_>>) -> Result<Option<Terminus<'_>>, Fault> {
    value.map_or(Ok(None), |value| Terminus::of(value).map_err(Fault::from))
}
