//! What a registration costs, beside the least that it could cost.
//!
//! A benchmark starts each server as a process of its own, pinned to one CPU, and drives all of them
//! with the same client, pinned to another. The figure is the CPU time the *server* spent for each
//! unit of work, read from the kernel, so it does not depend on who keeps whom waiting. Servers that
//! are compared run in alternation within one run: compare figures of one table, never of two runs.
//!
//! * [`bench_main`] is the `main` of a benchmark: it starts the roles, pins, and cleans up.
//! * [`server`] holds our server and those to compare it with: the tightest rustls server we know how to write,
//!   hyper over rustls with a constant answer, and the nginx and mosquitto of the distribution.
//! * [`world`] is the service that is measured, without a server around it.
//! * [`visits`] says who comes, [`client`] is the load, [`table`] prints.
//! * [`measure`], [`idle`] and [`inside`] are the three experiments; the last needs no server.
//!
//! Names of parts may follow `--`, as each benchmark says. With `--quick`, or `DPS_BENCH_QUICK=1`, or without the `--bench` that Cargo passes, everything runs
//! once and briefly: that proves that the benchmark works, and its figures mean nothing.

#![allow(
    clippy::future_not_send,
    reason = "client and servers live on one thread each"
)]
#![allow(
    clippy::print_stdout,
    clippy::panic,
    reason = "a benchmark prints its result and stops at the first thing that is wrong"
)]

pub mod bare;
pub mod client;
pub mod frames;
pub mod idle;
pub mod inside;
pub mod measure;
pub mod packets;
pub mod pki;
pub mod process;
pub mod rows;
mod run;
pub mod server;
pub mod table;
pub mod visits;
pub mod world;

pub use run::{Bench, bench_main};
