//! Many enrollments: size, opening, lookups.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dps_benches::measure::Spread;
use dps_benches::visits::device_id;
use dps_benches::{table, world};
use dps_core::store::{Change, Expect, Store, Table, Write};
use dps_store_redb::RedbStore;
use dps_testkit::run::block_on;

use crate::{CACHE, at, key, shard};

/// At most so many times what a lookup takes among few.
const MOST: f64 = 4.0;

pub(crate) fn run(quick: bool, folder: &Path) -> io::Result<()> {
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
         its registration (there is none), and the epoch; at random, with a cache that holds the whole file.",
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
    let many = many.with_usual_cache()?;
    many.look_up(times, 0);
    let usual = Spread::of((1..=rounds).map(|round| at(&many.look_up(times, round), 0.5) * 1e3));
    println!(
        "with the cache that it has unless asked for another, and the rest in the system's: {:.1} µs",
        usual.median
    );
    Ok(())
}

/// A store with so many enrollments.
struct Enrolled {
    count: u64,
    path: PathBuf,
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
            path,
            store,
            bytes,
            opened,
            checked,
            backup,
            backup_bytes,
        })
    }

    /// The same file, opened as by somebody who says nothing about its cache.
    fn with_usual_cache(self) -> io::Result<Self> {
        drop(self.store);
        let store = RedbStore::open(&self.path).map_err(io::Error::other)?;
        Ok(Self { store, ..self })
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
