//! The device's side against a simulator: keys, activation, signatures.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    unreachable_pub,
    reason = "a test that fails says so"
)]

mod activation;
mod another_tpm;
mod keys;
