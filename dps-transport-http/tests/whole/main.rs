//! The whole service as devices meet it: TLS over sockets, HTTP, the provisioner, a store and hubs in
//! memory. Only the clock is set by hand.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    unreachable_pub,
    reason = "a test that fails says so"
)]

mod credentials;
mod crowd;
#[path = "../described/mod.rs"]
mod described;
mod device;
mod hubs;
mod life;
mod openapi;
mod site;
mod tpm;
