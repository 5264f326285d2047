//! What the service decides, through its public API: over a store and hubs in memory, with a clock
//! that is set by hand.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    unreachable_pub,
    reason = "a test that fails says so"
)]

mod admin;
mod allocation;
mod common;
mod control;
mod credentials;
mod hook;
mod matching;
mod operations;
mod operators;
mod refusals;
mod reprovision;
mod secrets;
mod sessions;
mod spelling;
mod sweeping;
mod tpm;
mod waiting;
