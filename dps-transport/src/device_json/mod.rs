//! The JSON bodies that devices send and are sent, the same over HTTP, MQTT and AMQP.

mod request;
mod response;

pub use self::request::{DeviceRegistration, MAX_BODY_BYTES};
pub use self::response::{
    challenge, error, etag, operation, registration, short_seconds, whole_seconds,
};
