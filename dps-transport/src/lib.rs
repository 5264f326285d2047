//! What the device transports share: accepting connections, TLS, limits, and draining.
//!
//! A [`Listener`] accepts, finishes TLS, and hands each connection with its [`Peer`] to one
//! [`Protocol`]: HTTP, MQTT or AMQP. [`settle`] runs what a reply still owes. [`FailureLimit`] stands
//! in front of the [`DeviceApi`](dps_core::api::DeviceApi), and [`Logging`] takes its events.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::panic,
        reason = "a test that fails says so"
    )
)]

pub mod device_json;
mod failure_limit;
mod limits;
mod listener;
mod logging;
mod peer;
mod prefix;
mod protocol;
mod tasks;
mod tls;

pub use self::failure_limit::FailureLimit;
pub use self::limits::Limits;
pub use self::listener::{Listener, bind, bind_shared};
pub use self::logging::Logging;
pub use self::peer::Peer;
pub use self::protocol::{ByteStream, Protocol, Timeouts};
pub use self::tasks::{Drained, Tasks, settle};
pub use self::tls::{CipherOrder, ServerTls, TlsError, TlsProvider};
