//! What the device transports share: accepting connections, TLS, limits, and draining.

pub mod device_json;
mod peer;
mod protocol;
mod tasks;

pub use self::peer::Peer;
pub use self::protocol::{ByteStream, Protocol, Timeouts};
pub use self::tasks::{Drained, Tasks, settle};
