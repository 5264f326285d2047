//! Registrations kept in PostgreSQL, beside the best statements that a bare client could send for the same rows.
//!
//! `cargo bench --bench postgres [-- many one statements]`: all parts, or those named. Needs PostgreSQL's own programs.

#![allow(clippy::future_not_send, reason = "one thread")]
#![allow(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dps_benches::measure::{Figures, Window};
use dps_benches::process::{cpu_time, waited_for_cpu};
use dps_benches::{Bench, bench_main, rows, table, world};
use dps_core::Provisioner;
use dps_core::id::ApiVersion;
use dps_core::store::Store;
use dps_store_postgres::{Config, PostgresStore};
use dps_testkit::postgres::{Server, ServerError};
use tokio::task::LocalSet;

/// Devices that register at once.
const AT_ONCE: u64 = 64;
/// Registrations that are there before anybody comes.
const THERE: u64 = 300_000;

fn main() {
    bench_main(&[], async |bench, set| {
        let server = match Server::options()
            .with_setting("shared_buffers", "1GB")
            .with_setting("max_wal_size", "8GB")
            // Its processes come and go, and take their CPU time along.
            .with_setting("autovacuum", "off")
            .start()
        {
            Ok(server) => server,
            Err(ServerError::Missing) => {
                println!("skipped: {}", ServerError::Missing);
                return Ok(());
            }
            Err(error) => return Err(io::Error::other(error)),
        };
        if let Some(pid) = server.pid() {
            bench.pin_to_server_cpu(pid);
        }
        let place = Place::new(server, bench).await;
        if bench.wants("many") {
            many(bench, set, &place).await?;
        }
        if bench.wants("one") {
            one(bench, set, &place).await?;
        }
        if bench.wants("statements") {
            statements(bench, set, &place).await?;
        }
        Ok(())
    })
}

/// A server, a database that is filled, and numbers of devices that nobody has used.
struct Place {
    server: Server,
    url: String,
    next: AtomicU64,
}

impl Place {
    async fn new(server: Server, bench: &Bench) -> Self {
        let url = server.database().expect("a database");
        PostgresStore::migrate(&config(&url)).await.expect("tables");
        let store = connect(&url).await;
        world::fill(&store, &world::instance(None), &[world::key_group()], 0).await;
        let there = bench.distinct(THERE);
        server.psql_in(&url, &rows::filling(there)).expect("rows");
        server
            .psql_in(&url, "VACUUM ANALYZE dps_record")
            .expect("statistics");
        Self {
            server,
            url,
            next: AtomicU64::new(1_000_000),
        }
    }
}

fn config(url: &str) -> Config {
    Config::parse(url).expect("the server's own URL")
}

async fn connect(url: &str) -> Arc<dyn Store> {
    Arc::new(PostgresStore::connect(config(url)).await.expect("a store"))
}

/// Whoever registers devices, so many at once.
enum Who {
    Ours(Rc<Provisioner>),
    Bare(Vec<Rc<rows::Bare>>, usize),
}

struct Contestant {
    label: String,
    who: Who,
    at_once: u64,
}

async fn many(bench: &Bench, set: &LocalSet, place: &Place) -> io::Result<()> {
    let all = [
        bare(place, "bare: 32 a statement, 2 in flight", 2, 32).await,
        bare(place, "bare: 16 connections, 1 a statement", 16, 1).await,
        ours(place, AT_ONCE).await,
    ];
    let found = alternate(bench, set, place, &all, (5, 6_400)).await?;
    table::title(
        "First registrations in PostgreSQL, 64 devices at once",
        &format!(
            "Fixed: PostgreSQL in a process of its own, fsync on, {} registrations there already, a group's\n\
             symmetric key, hubs that answer at once; {}.\n\
             A bare client sends what the store is asked for (a read of three records, two commits) for 32\n\
             devices in each statement, and computes nothing.",
            bench.distinct(THERE),
            bench.pinning()
        ),
    );
    table::costs("registration", &found);
    table::verdict(&found[2], &found[0], 0.70);
    seen(&found[2], &found[0]);
    Ok(())
}

async fn one(bench: &Bench, set: &LocalSet, place: &Place) -> io::Result<()> {
    let all = [
        bare(place, "bare: one after the other", 1, 1).await,
        ours(place, 1).await,
    ];
    // Many short windows: what a disk takes for one sync varies more than anything that is compared here.
    let found = alternate(bench, set, place, &all, (40, 200)).await?;
    table::title(
        "First registrations in PostgreSQL, one device after the other",
        "Fixed: as above, but nobody else is there; statements are prepared.",
    );
    table::costs("registration", &found);
    table::verdict(&found[1], &found[0], 0.85);
    seen(&found[1], &found[0]);
    Ok(())
}

fn seen(ours: &Figures, other: &Figures) {
    let pairs = ours.windows.iter().zip(&other.windows);
    let ratio =
        dps_benches::measure::Spread::of(pairs.map(|(mine, theirs)| mine.rate / theirs.rate));
    println!(
        "rate seen by the clients: {:.2} [{:.2}-{:.2}] of {}'s\n",
        ratio.median, ratio.least, ratio.greatest, other.label
    );
}

async fn bare(place: &Place, label: &str, tasks: usize, devices: usize) -> Contestant {
    let mut all = Vec::new();
    for _ in 0..tasks {
        all.push(Rc::new(rows::Bare::connect(&place.url).await));
    }
    let at_once = (tasks * devices) as u64;
    Contestant {
        label: label.to_owned(),
        who: Who::Bare(all, devices),
        at_once,
    }
}

async fn ours(place: &Place, at_once: u64) -> Contestant {
    let label = "Provisioner on PostgresStore".to_owned();
    Contestant {
        label,
        who: service(&place.url).await,
        at_once,
    }
}

async fn service(url: &str) -> Who {
    Who::Ours(Rc::new(world::service(&connect(url).await)))
}

/// Lets `contestant` register so many devices, or some more.
async fn register(set: &LocalSet, place: &Place, contestant: &Contestant, count: u64) -> u64 {
    let left = Rc::new(AtomicU64::new(count));
    let mut tasks = Vec::new();
    match &contestant.who {
        Who::Ours(service) => {
            let first = place.next.fetch_add(count, Ordering::Relaxed);
            for _ in 0..contestant.at_once {
                let (left, service) = (Rc::clone(&left), Rc::clone(service));
                tasks.push(set.spawn_local(async move {
                    let version = ApiVersion::usual();
                    while let Some(nth) = take(&left, 1) {
                        world::register(&service, world::hello(first + nth), &version).await;
                    }
                }));
            }
        }
        Who::Bare(clients, devices) => {
            let size = *devices as u64;
            let first = place.next.fetch_add(count + size, Ordering::Relaxed);
            for client in clients {
                let (left, client) = (Rc::clone(&left), Rc::clone(client));
                tasks.push(set.spawn_local(async move {
                    while let Some(nth) = take(&left, size) {
                        client.register(first + nth, size).await;
                    }
                }));
            }
        }
    }
    for task in tasks {
        task.await.expect("no registration fails");
    }
    count
}

fn take(left: &AtomicU64, size: u64) -> Option<u64> {
    let less = |now: u64| (now >= size).then(|| now - size);
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
        .ok()
        .map(|now| now - size)
}

/// Lets them take turns, and reads what the server and its processes spent.
///
/// * `windows`: how many each of them gets, and how many devices register in one.
async fn alternate(
    bench: &Bench,
    set: &LocalSet,
    place: &Place,
    all: &[Contestant],
    windows: (usize, u64),
) -> io::Result<Vec<Figures>> {
    let pid = place
        .server
        .pid()
        .ok_or_else(|| io::Error::other("the server is gone"))?;
    let figures = |one: &Contestant| Figures {
        label: one.label.clone(),
        windows: Vec::new(),
        failed: 0,
    };
    let mut found: Vec<_> = all.iter().map(figures).collect();
    let (rounds, devices) = if bench.quick() { (1, 40) } else { windows };
    for round in 0..=rounds {
        for (one, figures) in all.iter().zip(&mut found) {
            let count = devices.next_multiple_of(one.at_once);
            let (from, cpu, waited) = (Instant::now(), cpu_time(pid), waited_for_cpu(pid));
            let done = register(set, place, one, count).await as f64;
            let passed = from.elapsed().as_secs_f64();
            let cpu = cpu_time(pid).saturating_sub(cpu).as_secs_f64();
            let waited = waited_for_cpu(pid).saturating_sub(waited).as_secs_f64();
            if round > 0 {
                figures.windows.push(Window {
                    cpu_micros: cpu * 1e6 / done,
                    rate: done / passed,
                    busy: cpu / passed,
                    waited: waited / passed,
                });
            }
        }
    }
    Ok(found)
}

/// How many statements the server saw for each registration; each is a round trip of its own.
async fn statements(bench: &Bench, set: &LocalSet, place: &Place) -> io::Result<()> {
    let mut lines = Vec::new();
    for at_once in [1, AT_ONCE] {
        let count = at_once * bench.distinct(100);
        // What opening and closing takes is not counted.
        let idle = transactions(set, place, at_once, 0).await?;
        let busy = transactions(set, place, at_once, count).await?;
        lines.push((at_once, (busy - idle) as f64 / count as f64));
    }
    table::title(
        "Statements for each first registration, each of them a transaction and a round trip",
        "Fixed: a database of its own, a group's symmetric key.",
    );
    for (at_once, statements) in lines {
        println!("{at_once} devices at once: {statements:.2}");
    }
    Ok(())
}

/// Transactions of one store from its opening to its end, in a database of its own.
async fn transactions(set: &LocalSet, place: &Place, at_once: u64, count: u64) -> io::Result<i64> {
    let url = place.server.database().map_err(io::Error::other)?;
    PostgresStore::migrate(&config(&url))
        .await
        .map_err(io::Error::other)?;
    let store = connect(&url).await;
    world::fill(&store, &world::instance(None), &[world::key_group()], 0).await;
    drop(store);
    let (_, name) = url
        .split('?')
        .next()
        .unwrap_or_default()
        .rsplit_once('/')
        .unwrap_or_default();
    let ask = |question: String| {
        let answer = place.server.psql(&question).map_err(io::Error::other)?;
        answer.parse::<i64>().map_err(io::Error::other)
    };
    let until = async |connected: i64| {
        let question = format!("SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}'");
        while ask(question.clone())? != connected {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok::<(), io::Error>(())
    };
    until(0).await?;
    let transactions = format!("SELECT xact_commit FROM pg_stat_database WHERE datname = '{name}'");
    let before = ask(transactions.clone())?;
    let contestant = Contestant {
        label: String::new(),
        who: service(&url).await,
        at_once,
    };
    until(8).await?;
    register(set, place, &contestant, 1).await;
    register(set, place, &contestant, count).await;
    drop(contestant);
    until(0).await?;
    Ok(ask(transactions)? - before)
}
