//! The process that is killed.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, Once};
use std::thread;

use async_trait::async_trait;
use dps_core::store::{Key, Page, Scan, Shard, Store, StoreError, Version, Versioned, Write};
use dps_store_redb::RedbStore;
use dps_testkit::outage::{Journal, Town};
use dps_testkit::run::{Dice, block_on};

use crate::lazy::Lazy;

/// Where the child finds what it is to do.
pub(crate) const CHILD: &str = "DPS_KILL_CHILD";

/// What the child says when a device has been told its hub.
pub(crate) const READY: &str = "a device has registered";

/// So many devices register at once, each of them one of several.
const AT_ONCE: usize = 32;
const EACH: usize = 6;

/// One life of the process.
pub(crate) struct Life {
    pub(crate) folder: PathBuf,
    pub(crate) round: u64,
    pub(crate) seed: u64,
    /// Whether the store answers before it syncs.
    pub(crate) lies: bool,
}

impl Life {
    pub(crate) fn journal(&self) -> PathBuf {
        self.folder.join("journal")
    }

    pub(crate) fn records(&self) -> PathBuf {
        self.folder.join("dps.redb")
    }

    /// How many commits had begun and not returned when it died.
    pub(crate) fn commits_under_way(&self) -> u64 {
        let path = self.folder.join("commits");
        let noted = std::fs::read(&path).unwrap_or_default();
        let begun = noted.iter().filter(|note| **note == b'+').count();
        let _ = std::fs::remove_file(path);
        (2 * begun - noted.len()) as u64
    }

    fn read(text: &str) -> Self {
        let mut parts = text.splitn(4, ' ');
        let mut number = || parts.next().unwrap().parse().unwrap();
        let (round, seed, lies) = (number(), number(), number() == 1);
        Self {
            folder: parts.next().unwrap().into(),
            round,
            seed,
            lies,
        }
    }
}

impl fmt::Display for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lies = u8::from(self.lies);
        write!(
            f,
            "{} {} {lies} {}",
            self.round,
            self.seed,
            self.folder.display()
        )
    }
}

/// Whether this process is the one to be killed.
pub(crate) fn is_meant() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// Registers devices until it is killed. Whatever goes wrong ends it early, which the parent notices.
pub(crate) fn live() {
    let life = Life::read(&std::env::var(CHILD).unwrap());
    // Should the parent die first.
    thread::spawn(|| {
        let _ = std::io::stdin().read_line(&mut String::new());
        std::process::exit(0);
    });
    let store = match life.lies {
        true => RedbStore::builder()
            .open_backend(Lazy::open(&life.records()))
            .unwrap(),
        false => RedbStore::open(life.records()).unwrap(),
    };
    let notes = OpenOptions::new()
        .append(true)
        .create(true)
        .open(life.folder.join("commits"))
        .unwrap();
    let journal = Arc::new(Journal::open(life.journal()).unwrap());
    // What was under way when the last one died is nobody's any more.
    journal.advance(std::time::Duration::from_secs(61));
    let town = Town::new(Arc::new(Noted { store, notes }), journal, life.seed);
    block_on(town.set_up(life.round.is_multiple_of(2))).unwrap();
    let ready = Once::new();
    thread::scope(|scope| {
        for nth in 0..AT_ONCE {
            let mut dice = Dice::new(life.seed ^ nth as u64);
            let (town, ready) = (&town, &ready);
            scope.spawn(move || {
                loop {
                    let device = nth * EACH + dice.place(EACH);
                    if let Err(why) = block_on(town.register(device)) {
                        println!("{why}");
                        std::process::exit(1);
                    }
                    ready.call_once(|| println!("{READY}"));
                }
            });
        }
    });
}

/// Notes when a commit begins and when it returns.
#[derive(Debug)]
struct Noted {
    store: RedbStore,
    notes: File,
}

#[async_trait]
impl Store for Noted {
    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Versioned>>, StoreError> {
        self.store.get_many(keys).await
    }

    async fn commit(&self, shard: &Shard, writes: &[Write]) -> Result<Version, StoreError> {
        (&self.notes).write_all(b"+").unwrap();
        let outcome = self.store.commit(shard, writes).await;
        (&self.notes).write_all(b"-").unwrap();
        outcome
    }

    async fn scan(&self, scan: &Scan) -> Result<Page, StoreError> {
        self.store.scan(scan).await
    }
}
