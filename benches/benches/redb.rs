//! The store in one file: durable registrations beside redb alone, and many enrollments.
//!
//! `cargo bench --bench redb [-- registrations many]`: both parts, or those named. It writes into the folder for temporary
//! files (`TMPDIR`); on a disk, or the figures mean nothing. `DPS_BENCH_ENROLLMENTS` says how many enrollments
//! the second part has, instead of 1,000,000.

#![allow(clippy::future_not_send, reason = "one thread")]
#![allow(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use dps_benches::measure::Spread;
use dps_benches::process::{cpu_time, own_cpu_time};
use dps_benches::visits::{device_id, scattered};
use dps_benches::{Bench, bench_main, table, world};
use dps_core::Provisioner;
use dps_core::api::DeviceHello;
use dps_core::id::ApiVersion;
use dps_core::store::{
    Change, Expect, Key, Page, Scan, Shard, Store, StoreError, Table, Version, Versioned, Write,
};
use dps_store_memory::MemoryStore;
use dps_store_redb::RedbStore;
use dps_testkit::run::block_on;
use parking_lot::Mutex;
use redb::backends::FileBackend;
use redb::{BackendError, Database, StorageBackend, TableDefinition};
use tokio::task::LocalSet;

/// Devices at once.
const DEVICES: usize = 64;

/// What the caches may hold, ours and redb's.
const CACHE: usize = 1 << 30;

fn main() {
    bench_main(&[], async |bench, set| {
        if bench.wants("registrations") {
            registrations(bench, set).await?;
        }
        if bench.wants("many") {
            // Where no runtime is: it would have a future give way that nobody polls again.
            let (quick, folder) = (bench.quick(), bench.folder());
            let measured = thread::scope(|threads| threads.spawn(|| many(quick, folder)).join());
            measured.expect("no panic")?;
        }
        Ok(())
    })
}

/// At least this part of what redb does alone.
const LEAST: f64 = 0.8;

async fn registrations(bench: &Bench, set: &LocalSet) -> io::Result<()> {
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
struct Run {
    rate: f64,
    /// Of the thread that writes, in microseconds for each registration.
    cpu: f64,
    /// Of each registration.
    took: Vec<Duration>,
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

/// A store whose thread runs on the servers' CPU, and which counts its syncs.
fn open(bench: &Bench, path: &Path, syncs: &Arc<AtomicU64>) -> io::Result<RedbStore> {
    let file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?;
    let backend = Counting {
        file: FileBackend::new(file).map_err(io::Error::other)?,
        syncs: Arc::clone(syncs),
    };
    let open = || {
        bench.move_to_server_cpu();
        RedbStore::builder()
            .with_cache_bytes(CACHE)
            .open_backend(backend)
    };
    let opened = thread::scope(|threads| threads.spawn(open).join());
    opened.expect("no panic").map_err(io::Error::other)
}

/// Enrolls devices: in memory, from where the records are copied.
async fn enroll(store: &RedbStore, count: u64) -> Result<(), StoreError> {
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

/// All records of a table, a page at a time.
struct Pages(Option<Scan>);

impl Pages {
    fn of(table: Table) -> Self {
        Self(Some(Scan {
            scope: world::scope(),
            table,
            prefix: "".into(),
            after: None,
            limit: 1000,
        }))
    }

    async fn next(
        &mut self,
        store: &dyn Store,
    ) -> Result<Option<Vec<(Arc<str>, Versioned)>>, StoreError> {
        let Some(mut scan) = self.0.take() else {
            return Ok(None);
        };
        let page = store.scan(&scan).await?;
        if page.more {
            scan.after = page.records.last().map(|(id, _)| Arc::clone(id));
            self.0 = Some(scan);
        }
        Ok(Some(page.records))
    }
}

async fn register(set: &LocalSet, service: &Provisioner, hellos: Vec<DeviceHello>) -> Run {
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

/// redb by itself.
struct Alone {
    label: &'static str,
    database: Database,
    /// One table by key, instead of the tables that our store has.
    plain: bool,
    numbers: HashMap<Vec<u8>, u64>,
    /// Registrations a second, and CPU time of each in microseconds.
    turns: Vec<[f64; 2]>,
}

const PLAIN: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("plain");
const INDEX: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("index");
const VALUES: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("values");

/// What a commit does, down to the bytes of our own file.
struct Step {
    key: Vec<u8>,
    value: Vec<u8>,
    number: Option<u64>,
    new: bool,
}

impl Alone {
    async fn new(bench: &Bench, store: &RedbStore, plain: bool) -> io::Result<Self> {
        let (label, name) = if plain {
            ("redb alone, one table by key", "plain.redb")
        } else {
            ("redb alone, with the tables of our store", "alone.redb")
        };
        let path = bench.folder().join(name);
        let mut builder = Database::builder();
        builder.set_cache_size(CACHE);
        let mut alone = Self {
            label,
            database: builder.create(path).map_err(io::Error::other)?,
            plain,
            numbers: HashMap::new(),
            turns: Vec::new(),
        };
        for table in Table::ALL {
            let mut pages = Pages::of(table);
            while let Some(records) = pages.next(store).await.map_err(io::Error::other)? {
                let steps = records.iter();
                let steps = steps.map(|(id, found)| alone.step(table, id, &found.value));
                let steps = steps.collect();
                alone.write(&[steps]);
            }
        }
        Ok(alone)
    }

    fn step(&mut self, table: Table, id: &str, value: &[u8]) -> Step {
        let scope = world::scope();
        let scope = scope.folded().as_bytes();
        let key = [&[table as u8, 11], scope, id.as_bytes()].concat();
        let value = [&[0; 12], value].concat();
        let next = self.numbers.len() as u64;
        let new = !self.numbers.contains_key(&key);
        let small = value.len() <= 12 + 96;
        let number = (!small).then(|| *self.numbers.entry(key.clone()).or_insert(next));
        Step {
            key,
            value,
            number,
            new: new || small,
        }
    }

    /// One transaction.
    fn write(&self, commits: &[Vec<Step>]) {
        let transaction = self.database.begin_write().expect("a transaction");
        if self.plain {
            let mut plain = transaction.open_table(PLAIN).expect("a table");
            for step in commits.iter().flatten() {
                plain.insert(&*step.key, &*step.value).expect("room");
            }
        } else {
            let mut index = transaction.open_table(INDEX).expect("a table");
            let mut values = transaction.open_table(VALUES).expect("a table");
            for step in commits.iter().flatten() {
                let Some(number) = step.number else {
                    index.insert(&*step.key, &*step.value).expect("room");
                    continue;
                };
                if step.new {
                    let mut entry = [0; 13];
                    entry[..8].copy_from_slice(&number.to_le_bytes());
                    index.insert(&*step.key, &entry[..]).expect("room");
                }
                values.insert(number, &*step.value).expect("room");
            }
        }
        transaction.commit().expect("a commit");
    }

    /// Registrations a second, and CPU time of each in microseconds.
    fn repeat(&mut self, bench: &Bench, commits: &[Commit], batch: usize, turn: usize) -> [f64; 2] {
        let commits: Vec<Vec<Step>> = commits
            .iter()
            .map(|writes| {
                writes
                    .iter()
                    .map(|(table, id, value)| self.step(*table, id, value))
                    .collect()
            })
            .collect();
        let write = || {
            bench.move_to_server_cpu();
            let (from, cpu) = (Instant::now(), own_cpu_time());
            commits
                .chunks(batch)
                .for_each(|commits| self.write(commits));
            let turn = turn as f64;
            let cpu = (own_cpu_time() - cpu).as_secs_f64();
            [turn / from.elapsed().as_secs_f64(), cpu * 1e6 / turn]
        };
        thread::scope(|threads| threads.spawn(write).join()).expect("no panic")
    }
}

/// What a commit puts.
type Commit = Vec<(Table, Arc<str>, Bytes)>;

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

/// A file that counts how often it is synced.
#[derive(Debug)]
struct Counting {
    file: FileBackend,
    syncs: Arc<AtomicU64>,
}

type Bound = std::ops::Bound<u64>;

impl StorageBackend for Counting {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.syncs.fetch_add(1, Ordering::SeqCst);
        self.file.sync_data()
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write(offset, data)
    }
    fn close(&self) -> io::Result<()> {
        self.file.close()
    }
    fn try_lock_range(&self, start: Bound, end: Bound) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }
    fn unlock_range(&self, start: Bound, end: Bound) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }
}

/// What it takes to write one page and to sync it.
fn one_sync(bench: &Bench, times: u64) -> io::Result<Vec<Duration>> {
    let file = File::create(bench.folder().join("sync"))?;
    let page = [1; 4096];
    file.write_all_at(&[0; 1 << 20], 0)?;
    file.sync_all()?;
    (0..times)
        .map(|n| {
            let from = Instant::now();
            file.write_all_at(&page, n % 256 * 4096)?;
            file.sync_data()?;
            Ok(from.elapsed())
        })
        .collect()
}

/// At most so many times what a lookup takes among few.
const MOST: f64 = 4.0;

fn many(quick: bool, folder: &Path) -> io::Result<()> {
    let asked = std::env::var("DPS_BENCH_ENROLLMENTS")
        .ok()
        .and_then(|count| count.parse().ok());
    let (few, many) = if quick {
        (1_000, 5_000)
    } else {
        (10_000, asked.unwrap_or(1_000_000))
    };
    let [few, many] = [few, many].map(|count| Enrolled::new(folder, count));
    let (few, many) = (few?, many?);
    let (times, rounds) = if quick { (200, 1) } else { (20_000, 5) };
    let mut found = Vec::new();
    for round in 0..=rounds {
        let [few, many] = [&few, &many].map(|one| at(&one.look_up(times, round), 0.5));
        if round > 0 {
            found.push((few, many));
        }
    }
    table::title(
        "Many individual enrollments in one file",
        "Fixed: enrollments by key, made in the order of their ids. A lookup is what a device's registration reads: its enrollment,\n\
         its registration (there is none), and the epoch; at random, the file in memory as far as the system keeps it.",
    );
    for one in [&few, &many] {
        let count = one.count;
        println!(
            "{count} enrollments: {} bytes each in the file; opened in {:.0} ms, after a crash or with a check in {:.0} ms; backup in {:.1} s, {} bytes each",
            one.bytes / count,
            one.opened.as_secs_f64() * 1e3,
            one.checked.as_secs_f64() * 1e3,
            one.backup.as_secs_f64(),
            one.backup_bytes / count,
        );
    }
    let few_micros = Spread::of(found.iter().map(|(few, _)| few * 1e3));
    let many_micros = Spread::of(found.iter().map(|(_, many)| many * 1e3));
    println!(
        "a lookup takes {:.1} µs in the middle among {}, {:.1} µs among {}",
        few_micros.median, few.count, many_micros.median, many.count
    );
    let ratio = Spread::of(found.iter().map(|(few, many)| many / few));
    let word = if ratio.median <= MOST {
        "holds"
    } else {
        "MISSED"
    };
    println!(
        "that is {:.2} [{:.2}-{:.2}] times as much; at most {MOST:.2}: {word}",
        ratio.median, ratio.least, ratio.greatest
    );
    Ok(())
}

/// A store with so many enrollments.
struct Enrolled {
    count: u64,
    store: RedbStore,
    bytes: u64,
    opened: Duration,
    checked: Duration,
    backup: Duration,
    backup_bytes: u64,
}

impl Enrolled {
    fn new(folder: &Path, count: u64) -> io::Result<Self> {
        let path = folder.join(format!("{count}.redb"));
        let builder = RedbStore::builder().with_cache_bytes(CACHE);
        let open = || builder.open(&path).map_err(io::Error::other);
        let store = open()?;
        let shared: Arc<dyn Store> = Arc::new(store.clone());
        block_on(world::fill(&shared, &world::instance(None), &[], 1));
        drop(shared);
        // One enrollment as it is stored, and all others like it.
        let sample = block_on(store.get_many(&[key(Table::Enrollment, &device_id(0))]));
        let sample = sample
            .map_err(io::Error::other)?
            .into_iter()
            .next()
            .flatten();
        let sample = sample.expect("it was enrolled").value;
        let ids: Vec<u64> = (1..count).collect();
        for some in ids.chunks(10_000) {
            let writes: Vec<_> = some
                .iter()
                .map(|n| Write {
                    table: Table::Enrollment,
                    id: device_id(*n).into(),
                    expect: Expect::Absent,
                    change: Change::Put(sample.clone()),
                })
                .collect();
            block_on(store.commit(&shard(), &writes)).map_err(io::Error::other)?;
        }
        drop(store);
        let bytes = fs::metadata(&path)?.len();
        let from = Instant::now();
        let checked = builder.clone().with_check(true).open(&path);
        drop(checked.map_err(io::Error::other)?);
        let checked = from.elapsed();
        let from = Instant::now();
        let store = open()?;
        let opened = from.elapsed();
        let copy = PathBuf::from(format!("{}.copy", path.display()));
        let from = Instant::now();
        store.backup(&copy).map_err(io::Error::other)?;
        let backup = from.elapsed();
        let backup_bytes = fs::metadata(&copy)?.len();
        fs::remove_file(&copy)?;
        Ok(Self {
            count,
            store,
            bytes,
            opened,
            checked,
            backup,
            backup_bytes,
        })
    }

    fn look_up(&self, times: u64, round: u64) -> Vec<Duration> {
        let ids = (0..times).map(|n| (n + round * times).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20);
        ids.map(|n| {
            let id = device_id(n % self.count);
            let mut epoch = key(Table::Instance, "epoch");
            epoch.shard.slot = 0;
            let keys = [
                key(Table::Enrollment, &id),
                key(Table::Registration, &id),
                epoch,
            ];
            let from = Instant::now();
            let found = block_on(self.store.get_many(&keys));
            let took = from.elapsed();
            assert!(matches!(found.as_deref(), Ok([Some(_), None, Some(_)])));
            took
        })
        .collect()
    }
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
