//! A service that keeps everything in one file, and is killed.
//!
//! ```text
//! cargo run --release --example durable
//! cargo run --release --example durable -- dps.redb    # the same file again and again
//! ```
//!
//! Starts the service in a process of its own, and lets devices register over HTTPS. Half-way, while others are about
//! to be told where they belong, the process is ended by SIGKILL, and another is started on the same file. Shows
//! that whoever was told a hub is still there, and that the others have only had to ask again. A registration that
//! was under way goes on when its lease is over, half a minute later.
//!
//! Corners it cuts: hubs are fakes; the devices live in this process, all behind one address.
#![allow(clippy::print_stdout, reason = "a program that reports to people")]

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use clap::Parser;
use dps_core::store::{BoxError, Store};
use dps_examples::device::Device;
use dps_examples::factory::{Directory, Told, admin, assigned, devices};
use dps_examples::node::{Node, serve, write_certificate};
use dps_examples::place::Place;
use futures_util::{StreamExt, stream};

const DEVICES: usize = 100;

/// How many devices register at a time.
const AT_A_TIME: usize = 16;

/// Provisions devices on a service that is killed half-way, and shows what is left.
#[derive(Debug, Parser)]
#[command(name = "durable")]
struct Arguments {
    /// The file with the records; one in a temporary folder, unless said.
    file: Option<PathBuf>,
    /// Serve from it, with the certificate in this folder: what this program starts itself with.
    #[arg(long, hide = true, value_name = "FOLDER", requires = "file")]
    serve: Option<PathBuf>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, BoxError> {
    let arguments = Arguments::parse();
    let folder = tempfile::tempdir()?;
    let file = match arguments.file {
        Some(file) => file,
        None => folder.path().join("dps.redb"),
    };
    if let Some(certificate) = arguments.serve {
        serve(open(&file).await?, &certificate).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let directory = Directory::new(write_certificate(folder.path())?);
    let start = || {
        let words: [OsString; 3] = ["--serve".into(), folder.path().into(), (&file).into()];
        Node::start(words)
    };

    println!("Records are kept in {}", file.display());
    let store = open(&file).await?;
    let devices = devices(&admin(store)?, DEVICES).await?;
    let mut node = start()?;
    directory.set([&node])?;
    println!(
        "  process {} serves from it; {DEVICES} devices register, {AT_A_TIME} at a time",
        node.id()
    );

    let mut outcomes = stream::iter(&devices)
        .map(async |device| (device, directory.provision(device, 0).await))
        .buffer_unordered(AT_A_TIME);
    let mut told = Vec::new();
    while told.len() < DEVICES / 2
        && let Some((device, outcome)) = outcomes.next().await
    {
        told.push((device, outcome?));
    }
    node.kill()?;
    let (half, began) = (told.len(), Instant::now());
    println!("  killed when {half} of them had been told a hub");
    println!(
        "  {} of these {half} are in the file",
        there(&file, &told).await?
    );
    node = start()?;
    directory.set([&node])?;
    let took = began.elapsed().as_millis();
    println!(
        "  process {} serves from it, {took} ms after the kill",
        node.id()
    );
    while let Some((device, outcome)) = outcomes.next().await {
        told.push((device, outcome?));
    }
    node.kill()?;

    let again = told.iter().filter(|(_, told)| told.tries > 1).count();
    println!("  {again} devices had to ask again\n");
    let there = there(&file, &told).await?;
    println!("{there} of {DEVICES} devices assigned, each where it was told");
    Ok(if there == DEVICES {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// How many of them are, by the file, where they were told. No other process may have it open.
async fn there(file: &Path, told: &[(&Device, Told)]) -> Result<usize, BoxError> {
    let admin = admin(open(file).await?)?;
    let mut count = 0;
    for (device, told) in told {
        let hub = assigned(&admin, device).await?;
        count += usize::from(hub.is_some_and(|hub| hub == told.hub));
    }
    Ok(count)
}

async fn open(file: &Path) -> Result<Arc<dyn Store>, BoxError> {
    Place::file(file).open().await
}
