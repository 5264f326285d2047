//! What becomes of each packet.

use std::time::Duration;

use dps_core::error::{Reason, ServiceError};

use super::hello::{Hello, hello};
use super::{End, Session, Standing, Waiting, What};
use crate::packet::{Connect, Delivery, Packet, Publish, QoS, Requested};
use crate::topic::{Action, Asked, RESPONSES};

impl Session<'_> {
    pub(super) fn handle(&mut self, packet: Packet<'_>) {
        match packet {
            Packet::Connect(connect) => self.connect(&connect),
            Packet::Publish(publish) => self.publish(&publish),
            // Answers are sent once, whether or not they are acknowledged.
            Packet::PubAck { .. } => {}
            Packet::Subscribe { id, filters } => self.subscribe(id, filters),
            Packet::Unsubscribe { id, mut filters } => {
                if filters.any(|filter| filter == RESPONSES) {
                    self.subscribed = None;
                }
                self.send(&Packet::UnsubAck { id });
            }
            Packet::PingReq => self.send(&Packet::PingResp),
            Packet::Disconnect => self.end = Some(End::Goodbye),
            Packet::ConnAck { .. }
            | Packet::SubAck { .. }
            | Packet::UnsubAck { .. }
            | Packet::PingResp => self.forbid("a packet that only a server sends"),
        }
    }

    fn connect(&mut self, connect: &Connect<'_>) {
        if !matches!(self.standing, Standing::Unknown) {
            return self.forbid("a second CONNECT");
        }
        if connect.keep_alive > 0 {
            // [MQTT-3.1.2-24]
            self.keep_alive = Duration::from_secs(u64::from(connect.keep_alive)) * 3 / 2;
        }
        match hello(connect, &self.peer, self.transport) {
            Hello::Inconsistent => {
                self.refuse_connection(5);
                self.end = Some(End::Identity);
            }
            Hello::Nobody => {
                self.accept_connection();
                self.standing = Standing::Denied {
                    error: ServiceError::new(Reason::Unauthorized),
                    again: None,
                    told: false,
                };
            }
            Hello::Somebody(hello, version) => self.standing = Standing::Unjudged(hello, version),
        }
    }

    fn publish(&mut self, publish: &Publish<'_>) {
        if publish.retain {
            return self.forbid("a message to be retained");
        }
        let id = match publish.delivery {
            Delivery::AtMostOnce => None,
            Delivery::AtLeastOnce(id) => Some(id),
            Delivery::ExactlyOnce(_) => return self.forbid("a message of quality 2"),
        };
        let Some(asked) = Asked::read(publish.topic) else {
            return self.forbid("a message to a topic that is not ours, or without $rid");
        };
        // Before the answer: C# takes nothing else first (`ProvisioningChannelHandlerAdapter.cs`).
        if let Some(id) = id {
            self.send(&Packet::PubAck { id });
        }
        if !matches!(self.standing, Standing::Proven(..)) {
            self.unproven_left = self.unproven_left.saturating_sub(1);
        }
        // Whoever has not subscribed cannot be answered.
        if self.subscribed.is_some() {
            let what = asked.action.map(|action| match action {
                Action::Register => What::Register(Box::from(publish.payload)),
                Action::Poll(operation) => What::Poll(operation),
            });
            let waiting = Waiting {
                rid: asked.rid,
                what,
            };
            self.unanswered_bytes += waiting.bytes();
            self.unanswered.push_back(waiting);
        }
    }

    fn subscribe(&mut self, id: u16, filters: Requested<'_>) {
        let mut codes = Vec::new();
        for (filter, qos) in filters {
            if filter == RESPONSES {
                let granted = qos.min(QoS::AtLeastOnce);
                self.subscribed = Some(granted);
                codes.push(granted as u8);
            } else {
                codes.push(0x80);
            }
        }
        self.send(&Packet::SubAck { id, codes: &codes });
    }

    fn forbid(&mut self, what: &'static str) {
        self.end = Some(End::Forbidden(what));
    }

    /// Nothing is ever kept from one connection to the next, so no session is present.
    pub(super) fn accept_connection(&mut self) {
        self.connected = true;
        self.refuse_connection(0);
    }

    pub(super) fn refuse_connection(&mut self, code: u8) {
        self.send(&Packet::ConnAck {
            session_present: false,
            code,
        });
    }
}
