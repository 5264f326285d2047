//! Three nodes on one PostgreSQL, one of which is killed.
//!
//! ```text
//! cargo run --release --example cluster
//! cargo run --release --example cluster -- postgres://me@db.example.net/empty
//! ```
//!
//! Starts a PostgreSQL server in a temporary folder (Debian: `apt-get install postgresql`), or takes the database that
//! is named, and three processes of the service on it, which share nothing else and do not know of each other. Devices
//! register over HTTPS, each with the next node, which chooses a hub for it at random. Half-way one node is ended by
//! SIGKILL. Its devices ask again, elsewhere; a registration that it had under way is ended by another node when the
//! lease is over, half a minute later. At last each device registers once more, with any node, and has to be told the
//! hub that it was told first.
//!
//! Corners it cuts: hubs are fakes, of which each node has its own; the devices live in this process.
#![allow(clippy::print_stdout, reason = "a program that reports to people")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use dps_core::store::BoxError;
use dps_examples::device::Device;
use dps_examples::factory::{Directory, Told, admin, assigned, devices};
use dps_examples::node::{Node, serve, write_certificate};
use dps_examples::place::Place;
use dps_testkit::postgres::Server;
use futures_util::{Stream, StreamExt, stream};

const NODES: usize = 3;
const DEVICES: usize = 300;

/// How many devices register at a time.
const AT_A_TIME: usize = 24;

/// Provisions devices on three nodes, of which one is killed half-way.
#[derive(Debug, Parser)]
#[command(name = "cluster")]
struct Arguments {
    /// A database; one on a server that is started for the purpose, unless said.
    url: Option<String>,
    /// Serve from it, with the certificate in this folder: what this program starts itself with.
    #[arg(long, hide = true, value_name = "FOLDER", requires = "url")]
    serve: Option<PathBuf>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, BoxError> {
    let arguments = Arguments::parse();
    if let (Some(folder), Some(url)) = (&arguments.serve, &arguments.url) {
        let place = Place::database(url)?;
        serve(place.open().await?, folder).await?;
        return Ok(ExitCode::SUCCESS);
    }
    // It ends with this process.
    let mut server = None;
    let url = match arguments.url {
        Some(url) => url,
        None => server.insert(Server::start()?).database()?,
    };
    run(&url).await
}

async fn run(url: &str) -> Result<ExitCode, BoxError> {
    let folder = tempfile::tempdir()?;
    let directory = Directory::new(write_certificate(folder.path())?);
    let admin = admin(Place::database(url)?.open().await?)?;
    let devices = devices(&admin, DEVICES).await?;
    let node = |_| Node::start(["--serve".as_ref(), folder.path(), Path::new(url)]);
    let mut nodes: Vec<_> = (0..NODES).map(node).collect::<Result<_, _>>()?;
    directory.set(&nodes)?;
    println!("{NODES} nodes on one database");
    for node in &nodes {
        println!("  process {} serves https://{}", node.id(), node.address);
    }

    println!("{DEVICES} devices register, {AT_A_TIME} at a time");
    let mut told = BTreeMap::new();
    let mut again = 0;
    let mut outcomes = register(&directory, &devices, 0);
    while let Some((device, outcome)) = outcomes.next().await {
        let outcome = outcome?;
        again += usize::from(outcome.tries > 1);
        told.insert(&device.registration, outcome.hub);
        if told.len() == DEVICES / 2 {
            // Whoever sends devices to nodes does not hear of it.
            nodes[1].kill()?;
            println!(
                "  process {} is killed when half of them have a hub",
                nodes[1].id()
            );
        }
    }
    println!("  {again} of them had to ask again");

    let mut outcomes = register(&directory, &devices, 1);
    let mut same = 0;
    while let Some((device, outcome)) = outcomes.next().await {
        same += usize::from(told.get(&device.registration) == Some(&outcome?.hub));
    }
    println!("Each registers once more, with another node: {same} are told the same hub");

    let (mut there, mut hubs) = (0, BTreeMap::new());
    for device in &devices {
        let hub = assigned(&admin, device).await?;
        there += usize::from(hub.is_some() && hub.as_ref() == told.get(&device.registration));
        *hubs.entry(hub.unwrap_or_default()).or_insert(0) += 1;
    }
    for (hub, count) in hubs {
        println!("  {count:>3} at {hub}");
    }
    println!("{there} of {DEVICES} devices assigned, each to one hub");
    Ok(if there == DEVICES && same == DEVICES {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Lets all of them register, each with the next node; the first with the `first` one.
fn register<'a>(
    directory: &'a Directory,
    devices: &'a [Device],
    first: usize,
) -> impl Stream<Item = (&'a Device, Result<Told, BoxError>)> + Unpin {
    Box::pin(
        stream::iter(devices.iter().enumerate())
            .map(move |(nth, device)| async move {
                (device, directory.provision(device, nth + first).await)
            })
            .buffer_unordered(AT_A_TIME),
    )
}
