//! Durable registrations: the service on our store, turn by turn with redb alone.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use dps_benches::measure::Spread;
use dps_benches::process::{cpu_time, own_cpu_time};
use dps_benches::visits::scattered;
use dps_benches::{Bench, table, world};
use dps_core::Provisioner;
use dps_core::api::DeviceHello;
use dps_core::id::ApiVersion;
use dps_core::store::{
    Change, Expect, Key, Page, Scan, Shard, Store, StoreError, Table, Version, Versioned, Write,
};
use dps_store_memory::MemoryStore;
use dps_store_redb::RedbStore;
use parking_lot::Mutex;
use tokio::task::LocalSet;

use crate::alone::{Alone, Pages};
use crate::disk::{one_sync, open};
use crate::{at, shard};

/// Devices at once.
pub(crate) const DEVICES: usize = 64;

/// At least this part of what redb does alone.
const LEAST: f64 = 0.8;

pub(crate) async fn run(bench: &Bench, set: &LocalSet) -> io::Result<()> {
    let (enrolled, turn, rounds) = if bench.quick() {
        (1_000, 128, 1)
    } else {
        (300_000, 25_000, 5)
    };
    let path = bench.folder().join("ours.redb");
    let syncs = Arc::new(AtomicU64::new(0));
    let store = open(bench, &path, &syncs)?;
    let recording = Arc::new(Recording {
        store: store.clone(),
        commits: Mutex::default(),
    });
    let shared: Arc<dyn Store> = recording.clone();
    enroll(&store, enrolled).await.map_err(io::Error::other)?;
    // All begin with the same file.
    let mut alone = Vec::new();
    for plain in [true, false] {
        alone.push(Alone::new(bench, &store, plain).await?);
    }
    let service = world::service(&shared);
    let devices: Vec<u64> = scattered(enrolled, enrolled).collect();
    let mut turns = devices.chunks_exact(turn);
    let mut ours = Vec::new();
    for round in 0..=rounds {
        let devices = turns.next().expect("enough devices");
        let hellos: Vec<_> = devices.iter().copied().map(world::hello).collect();
        recording.commits.lock().clear();
        let before = syncs.load(Ordering::SeqCst);
        let run = register(set, &service, hellos).await;
        let commits = std::mem::take(&mut *recording.commits.lock());
        let synced = syncs.load(Ordering::SeqCst) - before;
        let batch = commits.len() / usize::try_from(synced).unwrap_or(1).max(1);
        for one in &mut alone {
            let figures = one.repeat(bench, &commits, batch.max(1), turn);
            if round > 0 {
                one.turns.push(figures);
            }
        }
        if round > 0 {
            ours.push((run, batch));
        }
    }
    let one_sync = one_sync(bench, if bench.quick() { 50 } else { 2_000 })?;
    table::title(
        "Durable registrations in one file",
        &format!(
            "Fixed: {enrolled} devices with individual enrollments by key, each registers for the first time, in no visible\n\
             order; {DEVICES} at once; two commits each; the thread that writes on one CPU, the service and its devices on another.\n\
             redb alone: a loop in one thread that writes the same keys and values, as many to a transaction as our\n\
             store did in the same round, and asks and answers nobody. Turn by turn, {turn} registrations each."
        ),
    );
    let batches = Spread::of(ours.iter().map(|(_, batch)| *batch as f64));
    println!(
        "commits to a sync, on average: {:.0} [{:.0}-{:.0}]",
        batches.median, batches.least, batches.greatest
    );
    let line = |label: &str, turns: &mut dyn Iterator<Item = [f64; 2]>| {
        let turns: Vec<_> = turns.collect();
        let [rate, cpu] = [0, 1].map(|at| Spread::of(turns.iter().map(|turn| turn[at])));
        println!(
            "{label}: {:.0} registrations/s [{:.0}-{:.0}], CPU of the thread that writes {:.1} µs each [{:.1}-{:.1}]",
            rate.median, rate.least, rate.greatest, cpu.median, cpu.least, cpu.greatest
        );
    };
    for one in &alone {
        line(one.label, &mut one.turns.iter().copied());
    }
    let turns = ours.iter().map(|(run, _)| [run.rate, run.cpu]);
    line("ours, through the service", &mut { turns });
    let p = |part: f64| Spread::of(ours.iter().map(|(run, _)| at(&run.took, part))).median;
    println!(
        "a registration takes {:.1} ms in the middle, {:.1} ms for 99 of 100; one sync of 4 KiB: {:.2} ms and {:.2} ms",
        p(0.5),
        p(0.99),
        at(&one_sync, 0.5),
        at(&one_sync, 0.99)
    );
    let pairs = || ours.iter().zip(&alone[1].turns);
    let beside = Spread::of(pairs().map(|((run, _), alone)| run.rate / alone[0]));
    let cpu = Spread::of(pairs().map(|((run, _), alone)| alone[1] / run.cpu));
    let word = if beside.median >= LEAST {
        "holds"
    } else {
        "MISSED"
    };
    println!(
        "ours does {:.2} [{:.2}-{:.2}] of {}; at least {LEAST:.2}: {word}\n\
         by the CPU of the thread that writes alone it would do {:.2} [{:.2}-{:.2}]: that is the figure on a busy machine",
        beside.median,
        beside.least,
        beside.greatest,
        alone[1].label,
        cpu.median,
        cpu.least,
        cpu.greatest
    );
    Ok(())
}

/// What came of one turn.
pub(crate) struct Run {
    /// Registrations a second.
    pub(crate) rate: f64,
    /// Of the thread that writes, in microseconds for each registration.
    pub(crate) cpu: f64,
    /// Of each registration.
    took: Vec<Duration>,
}

/// Enrolls devices: in memory, from where the records are copied.
pub(crate) async fn enroll(store: &dyn Store, count: u64) -> Result<(), StoreError> {
    let memory: Arc<dyn Store> = Arc::new(MemoryStore::new());
    world::fill(&memory, &world::instance(None), &[], count).await;
    for table in Table::ALL {
        let mut pages = Pages::of(table);
        while let Some(records) = pages.next(&*memory).await? {
            let writes = records.into_iter().map(|(id, found)| Write {
                table,
                id,
                expect: Expect::Absent,
                change: Change::Put(found.value),
            });
            store.commit(&shard(), &writes.collect::<Vec<_>>()).await?;
        }
    }
    Ok(())
}

/// Registers them all.
pub(crate) async fn register(
    set: &LocalSet,
    service: &Provisioner,
    hellos: Vec<DeviceHello>,
) -> Run {
    let count = hellos.len();
    let waiting = Rc::new(std::cell::RefCell::new(hellos));
    let took = Rc::new(std::cell::RefCell::new(Vec::with_capacity(count)));
    let others = || cpu_time(std::process::id()).saturating_sub(own_cpu_time());
    let (from, cpu) = (Instant::now(), others());
    let mut tasks = Vec::new();
    for _ in 0..DEVICES {
        let (waiting, took, service) = (Rc::clone(&waiting), Rc::clone(&took), service.clone());
        tasks.push(set.spawn_local(async move {
            let version = ApiVersion::usual();
            loop {
                let Some(hello) = waiting.borrow_mut().pop() else {
                    return;
                };
                let from = Instant::now();
                world::register(&service, hello, &version).await;
                took.borrow_mut().push(from.elapsed());
            }
        }));
    }
    for task in tasks {
        task.await.expect("no panic");
    }
    let rate = count as f64 / from.elapsed().as_secs_f64();
    let cpu = others().saturating_sub(cpu).as_secs_f64() * 1e6 / count as f64;
    let took = took.take();
    Run { rate, cpu, took }
}

/// What a commit puts.
pub(crate) type Commit = Vec<(Table, Arc<str>, Bytes)>;

/// Keeps what was put, commit by commit.
#[derive(Debug)]
struct Recording {
    store: RedbStore,
    commits: Mutex<Vec<Commit>>,
}

#[async_trait]
impl Store for Recording {
    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Versioned>>, StoreError> {
        self.store.get_many(keys).await
    }
    async fn commit(&self, shard: &Shard, writes: &[Write]) -> Result<Version, StoreError> {
        let put = writes.iter().filter_map(|write| match &write.change {
            Change::Put(value) => Some((write.table, Arc::clone(&write.id), value.clone())),
            _ => None,
        });
        self.commits.lock().push(put.collect());
        self.store.commit(shard, writes).await
    }
    async fn scan(&self, scan: &Scan) -> Result<Page, StoreError> {
        self.store.scan(scan).await
    }
}
