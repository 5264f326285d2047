//! Operators with tokens of an OpenID provider of our own: HTTPS over sockets with a CA of its own. Tokens and keys
//! are made by `jsonwebtoken`. Only the clock is set by hand.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    unreachable_pub,
    reason = "a test that fails says so"
)]

mod access;
mod broken;
mod fetching;
mod forged;
mod provider;
mod signer;
mod site;
