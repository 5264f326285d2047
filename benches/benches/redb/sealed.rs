//! What sealing costs: the service on a plain file, turn by turn with the same on a sealed one.

use std::io::{self, Error};
use std::sync::Arc;

use dps_benches::measure::Spread;
use dps_benches::visits::scattered;
use dps_benches::{Bench, table, world};
use dps_core::Provisioner;
use dps_core::crypto::AWS_LC;
use dps_core::seal::SealedStore;
use dps_core::store::Store;
use dps_testkit::keys::FakeKeys;
use tokio::task::LocalSet;

use crate::disk::open;
use crate::registrations::{DEVICES, Run, enroll, register};

/// At least this part of what a plain file does.
const LEAST: f64 = 0.9;

struct Side {
    label: &'static str,
    service: Provisioner,
    runs: Vec<Run>,
}

impl Side {
    async fn new(label: &'static str, store: Arc<dyn Store>, enrolled: u64) -> io::Result<Self> {
        enroll(&store, enrolled).await.map_err(Error::other)?;
        Ok(Self {
            label,
            service: world::service(&store),
            runs: Vec::new(),
        })
    }
}

pub(crate) async fn run(bench: &Bench, set: &LocalSet) -> io::Result<()> {
    let (enrolled, turn, rounds) = if bench.quick() {
        (1_000, 128, 1)
    } else {
        (300_000, 12_500, 9)
    };
    let syncs = Arc::default();
    let plain = open(bench, &bench.folder().join("unsealed.redb"), &syncs)?;
    let sealed = open(bench, &bench.folder().join("sealed.redb"), &syncs)?;
    let sealed = SealedStore::new(sealed, Arc::new(FakeKeys::new()), AWS_LC);
    let sealed = sealed.map_err(Error::other)?;
    let mut sides = [
        Side::new("plain", Arc::new(plain), enrolled).await?,
        Side::new("sealed", Arc::new(sealed), enrolled).await?,
    ];
    let devices: Vec<u64> = scattered(enrolled, enrolled).collect();
    let mut turns = devices.chunks_exact(turn);
    for round in 0..=rounds {
        let devices = turns.next().expect("enough devices");
        // Neither is always the first after the other has filled the caches.
        sides.reverse();
        for side in &mut sides {
            let hellos = devices.iter().copied().map(world::hello).collect();
            let run = register(set, &side.service, hellos).await;
            if round > 0 {
                side.runs.push(run);
            }
        }
    }
    sides.sort_by_key(|side| side.label);
    table::title(
        "Durable registrations in one file, sealed",
        &format!(
            "Fixed: as above, but without redb alone; {DEVICES} devices at once. Turn by turn, {turn} registrations each."
        ),
    );
    for side in &sides {
        let rate = Spread::of(side.runs.iter().map(|run| run.rate));
        println!(
            "{}: {:.0} registrations/s [{:.0}-{:.0}]",
            side.label, rate.median, rate.least, rate.greatest
        );
    }
    let [plain, sealed] = &sides;
    let pairs = plain.runs.iter().zip(&sealed.runs);
    let beside = Spread::of(pairs.map(|(plain, sealed)| sealed.rate / plain.rate));
    let word = if beside.median >= LEAST {
        "holds"
    } else {
        "MISSED"
    };
    println!(
        "sealed does {:.2} [{:.2}-{:.2}] of plain; at least {LEAST:.2}: {word}",
        beside.median, beside.least, beside.greatest
    );
    Ok(())
}
