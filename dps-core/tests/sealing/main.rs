//! Sealing at rest and moving between stores, through the public API, over the store in memory.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    unreachable_pub,
    reason = "a test that fails says so"
)]

mod cache;
mod common;
mod outages;
mod rotation;
mod transfer;
mod values;
