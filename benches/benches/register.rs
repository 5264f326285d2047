//! A registration within the process: the service without a network, beside a loop written by hand.
//!
//! `cargo bench --bench register [-- first enrollments]`: both parts, or those named.

#![allow(clippy::future_not_send, reason = "one thread")]
#![allow(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use dps_benches::bare::Bare;
use dps_benches::inside::{Inside, Run, alternate};
use dps_benches::process::resident_bytes;
use dps_benches::visits::scattered;
use dps_benches::{Bench, bench_main, table, world};
use dps_core::Provisioner;
use dps_core::api::DeviceHello;
use dps_core::attest::Evidence;
use dps_core::id::ApiVersion;
use dps_core::store::Store;
use dps_store_memory::MemoryStore;
use dps_testkit::run::block_on;

fn main() {
    bench_main(&[], async |bench, _| {
        if bench.wants("first") {
            beside_by_hand(bench);
        }
        if bench.wants("enrollments") {
            by_enrollments(bench);
        }
        Ok(())
    })
}

/// At most so many times what the loop takes.
const MOST: f64 = 4.0;

fn beside_by_hand(bench: &Bench) {
    let (devices, rounds) = if bench.quick() { (500, 1) } else { (20_000, 9) };
    let hellos: Vec<DeviceHello> = (0..devices).map(world::hello).collect();
    let mut all = [
        Inside {
            label: "the loop by hand".to_owned(),
            prepare: Box::new(|| by_hand(hellos.clone())),
        },
        Inside {
            label: "Provisioner".to_owned(),
            prepare: Box::new(|| ours(hellos.clone())),
        },
    ];
    let found = alternate(&mut all, rounds);
    table::title(
        "A first registration by a group's symmetric key, within the process",
        &format!(
            "Fixed: memory store, {} hubs that answer at once, {devices} devices into a store that has none,\n\
             one thread; the request is parsed already. The loop by hand derives and verifies (three HMACs),\n\
             looks up, chooses once, encodes the same two records and commits twice to the same store.",
            world::HUBS
        ),
    );
    table::costs("registration", &found);
    table::multiple(&found[1], &found[0], MOST);
}

fn filled() -> Arc<dyn Store> {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let groups = [world::key_group()];
    block_on(world::fill(&store, &world::instance(None), &groups, 0));
    store
}

fn by_hand(hellos: Vec<DeviceHello>) -> Run<'static> {
    let mut bare = block_on(Bare::new(filled()));
    let times = hellos.len() as u64;
    Box::new(move || {
        block_on(async {
            for hello in &hellos {
                if let Some(Evidence::Sas { token }) = &hello.evidence {
                    bare.register(&hello.registration, token).await;
                }
            }
        });
        (times, Box::new((bare, hellos)))
    })
}

fn ours(hellos: Vec<DeviceHello>) -> Run<'static> {
    let service = world::service(&filled());
    run(service, hellos)
}

fn run(service: Provisioner, hellos: Vec<DeviceHello>) -> Run<'static> {
    let times = hellos.len() as u64;
    Box::new(move || {
        let version = ApiVersion::usual();
        block_on(async {
            for hello in hellos {
                world::register(&service, hello, &version).await;
            }
        });
        (times, Box::new(service))
    })
}

/// What a large number of individual enrollments costs: in time and in memory.
fn by_enrollments(bench: &Bench) {
    let (many, rounds) = if bench.quick() {
        (5_000, 1)
    } else {
        (1_000_000, 7)
    };
    let (small, _) = enrolled(1_000);
    let (large, memory) = enrolled(many);
    let mut all = [
        again("1,000", small, 1_000),
        again("1,000,000", large, many),
    ];
    if bench.quick() {
        all[1].label = format!("{many} (quick)");
    }
    let found = alternate(&mut all, rounds);
    table::title(
        "A device registers again and stays: few individual enrollments and many",
        "Fixed: symmetric keys, memory store, all devices known, they come in no visible order.",
    );
    table::costs("registration", &found);
    table::multiple(&found[1], &found[0], 2.0);
    println!(
        "resident memory: {} bytes for each enrollment, {} for each registration",
        memory[0], memory[1]
    );
}

/// A service with so many individual enrollments, all of them registered, and what each took.
fn enrolled(count: u64) -> (Provisioner, [u64; 2]) {
    let me = std::process::id();
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let before = resident_bytes(me);
    block_on(world::fill(&store, &world::instance(None), &[], count));
    let filled = resident_bytes(me);
    let service = world::service(&store);
    block_on(async {
        for n in 0..count {
            world::register(&service, world::hello(n), &ApiVersion::usual()).await;
        }
    });
    let known = resident_bytes(me);
    let each = |more: u64, less: u64| more.saturating_sub(less) / count;
    (service, [each(filled, before), each(known, filled)])
}

fn again(label: &str, service: Provisioner, count: u64) -> Inside<'static> {
    const TURN: u64 = 20_000;
    let turn = if count < 10_000 && count > 1_000 {
        1_000
    } else {
        TURN
    };
    let next = Rc::new(RefCell::new(scattered(u64::MAX / 7919, count)));
    Inside {
        label: format!("{label} enrollments"),
        prepare: Box::new(move || {
            let devices: Vec<_> = next.borrow_mut().by_ref().take(turn as usize).collect();
            let hellos = devices.into_iter().map(world::hello).collect();
            run(service.clone(), hellos)
        }),
    }
}
