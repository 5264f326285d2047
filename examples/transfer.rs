//! Copies the records of tenants from one store to another.
//!
//! ```text
//! cargo run --release --example transfer -- redb:dps.redb postgres://dps@db.example.net/dps --scope 0ne00000001
//! ```
//!
//! Shows [`Transfer`] of `dps-core` with stores of three kinds, sealed or not, and progress on a terminal. What is written
//! here is all that it takes to move: from a file to a database, from plain to sealed records, and back.
#![allow(clippy::print_stdout, reason = "a program that reports to people")]

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use dps_core::id::IdScope;
use dps_core::store::{BoxError, Store};
use dps_core::transfer::{Progress, Transfer};
use dps_examples::place::{Place, sealed, with_causes};
use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};

/// Copies all records of the tenants that are named, and then compares them.
///
/// Stop the services that write to either store first: what is written meanwhile may be missed, which the comparison
/// tells. Versions are not copied, so tags (ETag) that operators hold are stale afterwards.
///
/// Ends with status 0 if both stores have the same records of these tenants, with 2 if --compare has found that they
/// have not, and with 1 if it could not go on.
#[derive(Debug, Parser)]
#[command(name = "transfer", after_help = HELP)]
struct Arguments {
    /// The store to read.
    #[arg(value_parser = Place::parse)]
    from: Place,
    /// The store to write. It may have other tenants, and none of these unless --replace is said.
    #[arg(value_parser = Place::parse)]
    to: Place,
    /// The ID scope of a tenant. Say it once for each.
    #[arg(long, required = true, value_parser = IdScope::parse)]
    scope: Vec<IdScope>,
    /// The file with the keys that records of the first store are sealed with.
    #[arg(long, value_name = "FILE")]
    from_keys: Option<PathBuf>,
    /// The file with the keys to seal records of the second store with.
    #[arg(long, value_name = "FILE")]
    to_keys: Option<PathBuf>,
    /// Replace what differs, and delete what the first store does not have; for a copy that was interrupted, too.
    #[arg(long)]
    replace: bool,
    /// Only count what would be written.
    #[arg(long)]
    compare: bool,
}

const HELP: &str = "Stores:

  redb:FILE                     one file, as `path` in the configuration of serve; no other process may have it open
  postgres://USER@HOST/DATABASE a database; the variable PGPASSWORD may have its password";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(&Arguments::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(2),
        Err(error) => {
            eprintln!("transfer: {}", with_causes(&*error));
            ExitCode::FAILURE
        }
    }
}

/// Whether the stores have the same records now.
async fn run(arguments: &Arguments) -> Result<bool, BoxError> {
    let from = open(&arguments.from, arguments.from_keys.as_deref(), true).await?;
    let to = open(
        &arguments.to,
        arguments.to_keys.as_deref(),
        arguments.compare,
    )
    .await?;
    let transfer = Transfer::new(&*from, &*to);
    let transfer = if arguments.replace {
        transfer.replacing()
    } else {
        transfer
    };
    let mut same = true;
    for scope in &arguments.scope {
        let (spinner, began) = (spinner(), Instant::now());
        let mut tell = |now: &Progress| {
            let copying = !arguments.compare && !now.checking;
            let doing = if copying { "copied" } else { "compared" };
            let (count, bytes) = (HumanCount(now.seen), HumanBytes(now.bytes));
            spinner.set_message(format!("{scope}: {count} records {doing}, {bytes}"));
        };
        let done = if arguments.compare {
            transfer.compare(scope, &mut tell).await?
        } else {
            transfer.run(scope, &mut tell).await?
        };
        spinner.finish_and_clear();
        let (took, seen) = (began.elapsed().as_secs_f64(), HumanCount(done.seen));
        let [missing, different, surplus] =
            [done.missing, done.different, done.surplus].map(HumanCount);
        if arguments.compare {
            println!(
                "{scope}: of {seen} records {missing} are missing in the second store and {different} different; it has {surplus} others ({took:.1} s)"
            );
            same &= done.differing() == 0;
        } else {
            println!(
                "{scope}: {missing} records copied, {different} replaced, {surplus} deleted; both stores have the same {seen} now ({took:.1} s)"
            );
        }
    }
    Ok(same)
}

/// Opens a store, and does not make a file that has to be there.
async fn open(
    place: &Place,
    keys: Option<&Path>,
    must_be_there: bool,
) -> Result<Arc<dyn Store>, BoxError> {
    if let Place::File(file) = place
        && must_be_there
        && !file.path.exists()
    {
        return Err(format!("{}: there is no such file", file.path.display()).into());
    }
    let store = place.open().await?;
    match keys {
        Some(keys) => sealed(store, keys),
        None => Ok(store),
    }
}

/// Something that moves, if somebody watches. How many records there are, no store says.
fn spinner() -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let spinner = ProgressBar::new_spinner();
    spinner.enable_steady_tick(Duration::from_millis(200));
    match ProgressStyle::with_template("{spinner} {msg}, {elapsed}") {
        Ok(style) => spinner.with_style(style),
        Err(_) => spinner,
    }
}
