//! One end of a link: ours.

use std::borrow::Cow;

use dps_transport::device_json::MAX_BODY_BYTES;

use super::put;
use crate::codec::{Attach, Detach, ErrorInfo, Role, Transfer};

/// The largest message that is taken, in bytes: a body, and some room for what is around it.
pub(super) const MAX_MESSAGE_BYTES: usize = MAX_BODY_BYTES + 4096;

/// How many messages a peer may send before the first of them has been settled. Our choice: devices
/// ask one thing at a time.
pub(super) const MAX_CREDIT: u32 = 8;

/// Names a link of a connection, also when it is gone and its handle taken by another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LinkId {
    pub(super) channel: u16,
    pub(super) handle: u32,
    serial: u32,
}

#[derive(Debug)]
pub(super) struct Link {
    pub(super) id: LinkId,
    pub(super) name: Box<str>,
    pub(super) state: State,
    pub(super) end: End,
}

#[derive(Debug)]
pub(super) enum State {
    /// Nobody has agreed to it; with the frame that says so.
    Asked(Box<[u8]>),
    Attached,
    /// We have ended it, and wait for the peer to do so.
    Detached,
}

/// What our end does.
#[derive(Debug)]
pub(super) enum End {
    Receiver(Receiver),
    Sender(Sender),
}

#[derive(Debug, Default)]
pub(super) struct Receiver {
    pub(super) delivery_count: u32,
    pub(super) credit: u32,
    /// Messages that have not been settled.
    pub(super) held: u32,
    partial: Option<Partial>,
}

/// A message whose end is still to come.
#[derive(Debug)]
struct Partial {
    delivery: u32,
    settled: bool,
    bytes: Vec<u8>,
}

#[derive(Debug, Default)]
pub(super) struct Sender {
    pub(super) delivery_count: u32,
    pub(super) credit: u32,
    /// Whether the peer wants its messages settled.
    pub(super) settled: bool,
    /// Whether the peer wants its credit used now, or gone.
    pub(super) drain: bool,
    /// Whether it has to be told that its credit is gone.
    pub(super) owes: bool,
}

/// What a transfer made of a message.
#[derive(Debug)]
pub(super) enum Received<'a> {
    /// There is more to come, or nothing will.
    Nothing,
    /// Its number, whether it is settled, and all of it.
    Whole(u32, bool, Cow<'a, [u8]>),
    /// The link has to be ended, with this condition.
    TooMuch(&'static str),
}

impl Link {
    /// A link that a peer wants. `attach` has been judged by the session.
    pub(super) fn asked(attach: &Attach<'_>, channel: u16, serial: u32) -> Self {
        let end = match attach.role.other() {
            Role::Receiver => End::Receiver(Receiver {
                delivery_count: attach.initial_delivery_count.unwrap_or(0),
                ..Receiver::default()
            }),
            // 1: settled.
            Role::Sender => End::Sender(Sender {
                settled: attach.snd_settle_mode == Some(1),
                ..Sender::default()
            }),
        };
        let answer = Attach {
            role: attach.role.other(),
            // What we receive we settle at once, whoever else would like to be the first.
            rcv_settle_mode: attach
                .rcv_settle_mode
                .filter(|_| matches!(end, End::Sender(_))),
            // uamqp refuses a sender without one (azure-uamqp-c `src/link.c`).
            initial_delivery_count: matches!(end, End::Sender(_)).then_some(0),
            max_message_size: Some(MAX_MESSAGE_BYTES as u64),
            properties: None,
            ..attach.clone()
        };
        let mut frame = Vec::new();
        put(channel, &answer, &mut frame);
        Self {
            id: LinkId {
                channel,
                handle: attach.handle,
                serial,
            },
            name: Box::from(attach.name),
            state: State::Asked(frame.into()),
            end,
        }
    }

    pub(super) const fn role(&self) -> Role {
        match self.end {
            End::Receiver(_) => Role::Receiver,
            End::Sender(_) => Role::Sender,
        }
    }

    /// Whether something may be sent or received.
    pub(super) const fn is_attached(&self) -> bool {
        matches!(self.state, State::Attached)
    }

    pub(super) const fn is_detached(&self) -> bool {
        matches!(self.state, State::Detached)
    }

    pub(super) fn accept(&mut self, out: &mut Vec<u8>) {
        if let State::Asked(frame) = &self.state {
            out.extend(frame);
            self.state = State::Attached;
        }
    }

    /// Ends the link. One that nobody has agreed to is attached first, with nothing at its other end
    /// [2.6.3].
    pub(super) fn detach(&mut self, error: &ErrorInfo<'_>, out: &mut Vec<u8>) {
        let LinkId {
            channel, handle, ..
        } = self.id;
        match self.state {
            State::Asked(_) => {
                let attach = Attach {
                    name: &self.name,
                    handle,
                    role: self.role(),
                    initial_delivery_count: matches!(self.end, End::Sender(_)).then_some(0),
                    ..Attach::default()
                };
                put(channel, &attach, out);
            }
            State::Attached => {}
            State::Detached => return,
        }
        self.state = State::Detached;
        if let End::Receiver(receiver) = &mut self.end {
            receiver.partial = None;
        }
        let error = Some(error.clone());
        put(
            channel,
            &Detach {
                handle,
                closed: true,
                error,
            },
            out,
        );
    }
}

impl Receiver {
    /// How many bytes wait for the rest of their message.
    pub(super) fn assembling(&self) -> usize {
        self.partial
            .as_ref()
            .map_or(0, |partial| partial.bytes.len())
    }

    /// Takes a part of a message, or all of it. `elsewhere` is how many bytes wait for the rest of their
    /// message on other links.
    pub(super) fn take<'a>(
        &mut self,
        transfer: &Transfer<'_>,
        payload: &'a [u8],
        elsewhere: usize,
    ) -> Received<'a> {
        let Some(mut partial) = self.partial.take() else {
            return self.take_first(transfer, payload, elsewhere);
        };
        if transfer
            .delivery_id
            .is_some_and(|id| id != partial.delivery)
        {
            return Received::TooMuch("amqp:not-allowed");
        }
        if transfer.aborted {
            self.held -= 1;
            return Received::Nothing;
        }
        if partial.bytes.len() + payload.len() + elsewhere > MAX_MESSAGE_BYTES {
            return Received::TooMuch("amqp:link:message-size-exceeded");
        }
        partial.bytes.extend(payload);
        partial.settled |= transfer.settled.unwrap_or(false);
        if transfer.more {
            self.partial = Some(partial);
            return Received::Nothing;
        }
        Received::Whole(partial.delivery, partial.settled, partial.bytes.into())
    }

    fn take_first<'a>(
        &mut self,
        transfer: &Transfer<'_>,
        payload: &'a [u8],
        elsewhere: usize,
    ) -> Received<'a> {
        let Some(delivery) = transfer.delivery_id else {
            return Received::TooMuch("amqp:invalid-field");
        };
        if self.credit == 0 {
            return Received::TooMuch("amqp:link:transfer-limit-exceeded");
        }
        self.credit -= 1;
        self.delivery_count = self.delivery_count.wrapping_add(1);
        if transfer.aborted {
            return Received::Nothing;
        }
        if payload.len() + elsewhere > MAX_MESSAGE_BYTES {
            return Received::TooMuch("amqp:link:message-size-exceeded");
        }
        self.held += 1;
        let settled = transfer.settled.unwrap_or(false);
        if transfer.more {
            self.partial = Some(Partial {
                delivery,
                settled,
                bytes: payload.to_vec(),
            });
            return Received::Nothing;
        }
        Received::Whole(delivery, settled, payload.into())
    }
}
