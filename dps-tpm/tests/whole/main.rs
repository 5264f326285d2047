//! Devices with a TPM each, and the whole service: the client of this crate on one side, all transports, the
//! provisioner, a store and hubs in memory on the other.
#![cfg(feature = "client")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    unreachable_pub,
    reason = "a test that fails says so"
)]

mod change;
mod crowd;
mod nonsense;
mod refusal;
mod registration;
mod site;
