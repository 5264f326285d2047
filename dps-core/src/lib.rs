//! core
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::panic,
        reason = "a test that fails says so"
    )
)]

mod accept;
pub mod admin;
pub mod allocate;
pub mod api;
pub mod attest;
pub mod certificate;
pub mod crypto;
pub mod enrollment;
pub mod error;
pub mod event;
pub mod hub;
pub mod id;
pub mod instance;
pub mod json;
mod matching;
mod provisioner;
mod record;
pub mod registration;
mod session;
mod snapshot;
pub mod store;
pub mod tenant;
pub mod time;
pub mod trace;
pub mod twin;

pub use provisioner::{
    CALL_DEADLINE, ConfigError, Provisioner, ProvisionerBuilder, Sweep, SweepError,
};
