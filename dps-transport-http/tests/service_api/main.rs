//! The whole service as operators meet it: TLS over sockets, HTTP, and a store in memory. Only the clock
//! is set by hand.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    unreachable_pub,
    reason = "a test that fails says so"
)]

mod access;
mod attestation;
mod bulk;
mod certificates;
#[path = "../described/mod.rs"]
mod described;
mod entries;
mod hubs;
mod instance;
mod issuers;
mod lists;
mod official;
mod openapi;
mod operator;
mod policies;
mod proofs;
mod races;
mod refused;
mod registrations;
mod rules;
mod site;
mod traced;
mod why;
