//! WebSockets on a connection that began as HTTP: what is agreed on, what is spoken, and what strangers
//! try. The client is tungstenite, or a hand that writes bytes.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[path = "../common/mod.rs"]
mod common;

mod bad_input;
mod echo;
mod frames;
mod secure;
mod upgrade;
