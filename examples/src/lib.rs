//! What the examples share, so that each of them can be about one thing.

mod amqp;
pub mod config;
pub mod device;
pub mod factory;
mod link;
mod mqtt;
pub mod node;
pub mod place;
pub mod server;

/// Compiles the programs in the README.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
