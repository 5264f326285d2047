//! Bad days: files that cannot be opened, disks that fail, bits that flip; and files of earlier versions.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails says so"
)]

mod disk;
mod flips;
mod golden;
mod histories;
mod opening;
mod trouble;
