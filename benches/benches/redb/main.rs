//! The store in one file: durable registrations beside redb alone, what sealing costs them, and many enrollments.
//!
//! `cargo bench --bench redb [-- registrations sealed many]`: all parts, or those named. It writes into the folder for
//! temporary files (`TMPDIR`); that has to be on a disk, or the figures mean nothing. `DPS_BENCH_ENROLLMENTS` says how
//! many enrollments the last part has, instead of 1,000,000.

#![allow(clippy::future_not_send, reason = "one thread")]
#![allow(clippy::print_stdout, reason = "a benchmark prints its result")]
#![allow(
    clippy::cast_precision_loss,
    reason = "counts of one run are far below 2^53"
)]

mod alone;
mod disk;
mod many;
mod registrations;
mod sealed;

use std::thread;
use std::time::Duration;

use dps_benches::{bench_main, world};
use dps_core::store::{Key, Shard, Table};

/// What the caches may hold, ours and redb's: all of a file of this benchmark.
const CACHE: usize = 8 << 30;

fn main() {
    bench_main(&[], async |bench, set| {
        if bench.wants("registrations") {
            registrations::run(bench, set).await?;
        }
        if bench.wants("sealed") {
            sealed::run(bench, set).await?;
        }
        if bench.wants("many") {
            // Where no runtime is: it would have a future give way that nobody polls again.
            let (quick, folder) = (bench.quick(), bench.folder());
            let measured =
                thread::scope(|threads| threads.spawn(|| many::run(quick, folder)).join());
            measured.expect("no panic")?;
        }
        Ok(())
    })
}

/// In milliseconds, what so large a part of all took at most.
fn at(took: &[Duration], part: f64) -> f64 {
    let mut took = took.to_vec();
    took.sort_unstable();
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a place in the list"
    )]
    let place = ((took.len() - 1) as f64 * part) as usize;
    took[place].as_secs_f64() * 1e3
}

fn shard() -> Shard {
    Shard {
        scope: world::scope(),
        slot: 1,
    }
}

fn key(table: Table, id: &str) -> Key {
    Key {
        shard: shard(),
        table,
        id: id.into(),
    }
}
