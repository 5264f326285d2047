//! Devices, MQTT, and the whole service behind it.
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
mod life;
mod service;
mod site;
mod websocket;
