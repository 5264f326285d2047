//! AMQP 1.0 for devices: register, and ask after an operation.
//!
//! [`Amqp`] renders and parses, and asks a [`DeviceApi`](dps_core::api::DeviceApi) for all that matters.
//! It is a [`Protocol`](dps_transport::Protocol), to be served by a listener of `dps-transport` (port
//! 5671), or over WebSockets by whoever unwraps them.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use dps_core::api::DeviceApi;
//! use dps_transport_amqp::Amqp;
//!
//! fn devices(api: Arc<dyn DeviceApi>) -> Amqp {
//!     Amqp::new(api).with_grace(Duration::from_millis(100))
//! }
//! ```
//!
//! It starts no listener, knows no TLS, and keeps nothing from one connection to the next. It is no
//! broker: devices cannot hear each other.
//!
//! # What it answers
//!
//! A device with a symmetric key says who it is by SASL PLAIN: `{scope}/registrations/{id}` and a token.
//! One with a certificate needs no SASL, or takes EXTERNAL; its first link says who it is. One with a TPM
//! takes the mechanism TPM: it shows its two keys, unwraps what it is sent, and signs a token with it.
//!
//! Links have the address `{scope}/registrations/{id}`, alone, with a slash before it, or as the path of a
//! URL, and may say their version by the property `com.microsoft:api-version`. The device sends on one of
//! them and is answered on another:
//!
//! | application property | answer |
//! |---|---|
//! | `iotdps-operation-type` = `iotdps-register` | the operation |
//! | `iotdps-operation-type` = `iotdps-get-operationstatus`, `iotdps-operation-id` = the operation | the operation |
//!
//! An answer is one data section of JSON, with the correlation-id of the request, and the delay as
//! `retry-after` and `Retry-After` while the operation goes on. A request that cannot be done is
//! *rejected*; the description of its error is the JSON that a device is told over HTTP.
//!
//! # What it refuses
//!
//! - A device that cannot prove itself, or says what has no place in its mechanism: by the outcome 1 of
//!   SASL; one with a certificate by the end of its link and connection, with `amqp:unauthorized-access`.
//! - Links to other devices, and to other things than addresses: by their end.
//! - More than four sessions, four links in each, eight messages at a time that have not been answered,
//!   and messages over 100 KiB.
//! - Whatever is no AMQP, or AMQP out of turn: the session or the connection is closed, with an error.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::panic,
        reason = "a test that fails says so"
    )
)]

mod address;
mod codec;
mod conversation;
mod engine;
#[cfg(feature = "__fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod sasl;
#[cfg(test)]
mod testing;
mod transport;

pub use self::transport::Amqp;
