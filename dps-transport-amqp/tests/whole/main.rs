//! Devices, AMQP, and the whole service behind it.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails says so"
)]

#[path = "../common/mod.rs"]
mod common;
mod credentials;
mod crowd;
mod fe2o3;
mod life;
#[path = "../../../dps-transport-mqtt/tests/whole/service.rs"]
mod service;
mod site;
mod tpm;
#[path = "../../../dps-transport-mqtt/tests/whole/websocket.rs"]
mod websocket;
