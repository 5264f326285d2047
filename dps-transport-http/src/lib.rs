//! HTTP for devices: register, ask after an operation, look a registration up. And for operators: the
//! service API, in [`service`].
//!
//! [`Http`] renders and parses, and asks a [`DeviceApi`](dps_core::api::DeviceApi) for all that matters.
//! It is two things at once:
//!
//! - a [`tower::Service`] for any place in an axum or hyper server that there is already. The server
//!   has to put the connection's [`Peer`](dps_transport::Peer) into the extensions of each request;
//!   a listener of `dps-transport` knows it. It is never read from a header, where anybody could
//!   write it. Keep-alive, time limits of a connection and draining are then that server's.
//! - a [`Protocol`](dps_transport::Protocol), to be served by a listener of `dps-transport`.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use dps_core::api::DeviceApi;
//! use dps_transport_http::Http;
//!
//! fn devices(api: Arc<dyn DeviceApi>) -> Http {
//!     Http::new(api).with_grace(Duration::from_millis(100))
//! }
//! ```
//!
//! It starts no listener, knows no TLS, and keeps nothing between requests.
//!
//! # What it answers
//!
//! | request | answer |
//! |---|---|
//! | `PUT /{scope}/registrations/{id}/register` | 202 with the operation, whatever became of it |
//! | `GET /{scope}/registrations/{id}/operations/{operation}` | 202 while it goes on, 200 at its end |
//! | `POST /{scope}/registrations/{id}` | 200 with the registration |
//!
//! Each with `?api-version=`. A device proves itself with each request, by a token in `Authorization`
//! or by the certificate of its connection. One that shows the keys of its TPM in a body, and no token,
//! is answered 401 with a key that this TPM alone can unwrap: `message`, `keyName`, `authenticationKey`.
//! It asks again with a token that it has signed with that key, which is then good for its polls, too;
//! the keys beside it may be left out. The connection outlasts such a 401.
//!
//! Errors are JSON: `errorCode`, `trackingId`, `message`, `timestampUtc`. Paths that belong to operators
//! are not found, unless [`Http::with_service`] says who serves them.
//!
//! # WebSockets
//!
//! A `GET` with `Upgrade: websocket` on any path becomes a byte stream for another
//! [`Protocol`](dps_transport::Protocol): see [`Http::websocket`].

mod address;
mod body;
mod connection;
mod evidence;
#[cfg(feature = "__fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod limits;
mod parked;
mod reply;
pub mod service;
mod transport;
mod websocket;

pub use self::limits::Limits;
pub use self::transport::Http;

/// What is served to devices over HTTP, as an OpenAPI document, version 3.1, in JSON. What is served to
/// operators is [`service::OPENAPI`].
pub const OPENAPI: &str = include_str!("../openapi/device.json");
