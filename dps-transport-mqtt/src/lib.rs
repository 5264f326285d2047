//! MQTT 3.1.1 for devices: register, and ask after an operation.
//!
//! [`Mqtt`] renders and parses, and asks a [`DeviceApi`](dps_core::api::DeviceApi) for all that matters.
//! It is a [`Protocol`](dps_transport::Protocol), to be served by a listener of `dps-transport` (port
//! 8883), or over WebSockets by whoever unwraps them.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use dps_core::api::DeviceApi;
//! use dps_transport_mqtt::Mqtt;
//!
//! fn devices(api: Arc<dyn DeviceApi>) -> Mqtt {
//!     Mqtt::new(api).with_grace(Duration::from_millis(100))
//! }
//! ```
//!
//! It starts no listener, knows no TLS, and keeps nothing from one connection to the next. It is no
//! broker: devices cannot hear each other, and nothing is retained.
//!
//! # What it answers
//!
//! A device says who it is in CONNECT, by its client identifier and the user name
//! `{scope}/registrations/{id}/api-version={version}`, and proves it once a connection, by a token as
//! password or by the certificate of its connection. By a TPM it cannot: CONNECT has no room for a challenge,
//! and the service has no such way either. It subscribes to `$dps/registrations/res/#`, and
//! publishes, in quality 0 or 1:
//!
//! | topic | answer |
//! |---|---|
//! | `$dps/registrations/PUT/iotdps-register/?$rid={rid}` | the operation |
//! | `$dps/registrations/GET/iotdps-get-operationstatus/?$rid={rid}&operationId={operation}` | the operation |
//!
//! Answers come on `$dps/registrations/res/{status}/?$rid={rid}[&retry-after={seconds}]`: 200 with what
//! is final, 202 while it goes on, and otherwise an error as JSON: `errorCode`, `trackingId`, `message`,
//! `timestampUtc`.
//!
//! # What it refuses
//!
//! - Another protocol than MQTT 3.1.1: return code 1.
//! - A client identifier that is not the one in the user name: return code 5.
//! - A device that cannot prove itself is told so as the service does it: it is connected, and each of
//!   its requests, five at the most within a minute, is answered with 401.
//! - Other subscriptions: return code 0x80.
//! - Other topics, quality 2, retained messages, payloads over 96 KiB, a second CONNECT, and whatever is
//!   no packet: the connection is closed.

#[cfg(feature = "__fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod packet;
mod query;
mod session;
mod topic;
mod transport;
mod user_name;

pub use self::transport::Mqtt;
