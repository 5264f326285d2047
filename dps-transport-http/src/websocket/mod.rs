//! Other protocols inside a connection that began as HTTP (RFC 6455).
//!
//! Devices behind firewalls that let nothing but port 443 pass speak MQTT and AMQP this way.
//!
//! The framing is our own, because of what a connection costs: payloads go from the connection to
//! their reader without being gathered first, so that nothing is held for an idle peer, and nothing
//! for a stranger who announces 128 KiB and sends them slowly. Tests hold it against tungstenite.

mod frame;
mod stream;
mod upgrade;

pub(crate) use self::stream::WebSocket;
pub(crate) use self::upgrade::{Upgrade, WebSockets};
