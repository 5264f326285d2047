//! Operators over HTTPS, and devices that register while operators write.
//!
//! `cargo bench --bench operators [-- get pages writes]`: all parts, or those named.

#![allow(clippy::future_not_send, reason = "the client is one thread")]

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use dps_benches::client::{Load, Unit, Visits, body_length};
use dps_benches::inside::{self, Inside};
use dps_benches::measure::{Contestant, TASKS, alternate};
use dps_benches::server::{Spawned, hyper, ours};
use dps_benches::visits::operators::{listing, reading};
use dps_benches::visits::scattered;
use dps_benches::{Bench, bench_main, table, world};
use dps_core::admin::Admin;
use dps_core::admin::query::Listing;
use dps_core::api::DeviceHello;
use dps_core::enrollment::{Attestation, Enrollment, Subject};
use dps_core::id::{ApiVersion, GroupId, SecretBytes};
use dps_core::store::Store;
use dps_store_memory::MemoryStore;
use dps_testkit::run::block_on;
use tokio::task::LocalSet;

fn main() {
    let roles: &[(&str, dps_benches::server::Role)] =
        &[("hyper", hyper::serve), ("operators", ours::operators)];
    bench_main(roles, async |bench, set| {
        if bench.wants("get") {
            beside_a_constant(bench, set).await?;
        }
        if bench.wants("pages") {
            pages(bench, set).await?;
        }
        if bench.wants("writes") {
            while_operators_write(bench);
        }
        Ok(())
    })
}

/// What the answer of each server must contain.
const ENTRY: &[u8] = br#""etag":"#;
const CONSTANT: &[u8] = br#""status":"#;
const REGISTRATION: &[u8] = br#""status":"assigned""#;

/// The part of the rate of a constant answer that reading an enrollment must reach.
const LEAST: f64 = 0.6;

/// What a page of many may cost beside one of a thousand.
const MOST: f64 = 1.2;

/// The part of the undisturbed rate that registrations must reach.
const UNDISTURBED: f64 = 0.8;

async fn beside_a_constant(bench: &Bench, set: &LocalSet) -> io::Result<()> {
    let many = bench.distinct(100_000);
    let mut all = Vec::new();
    let mut bytes = String::new();
    for (tls, how, count) in [
        (true, "TLS 1.3", 1_000),
        (false, "plain TCP", 1_000),
        (true, "TLS 1.3", many),
    ] {
        let enrollments = count.to_string();
        let option = ("tls", if tls { "true" } else { "false" });
        let ours = bench.start("operators", &[("enrollments", &enrollments), option])?;
        let first = reading([0], tls, true)(0);
        bytes = body_length(ours.port(), &first, ENTRY).await?.to_string();
        let visits = reading(scattered(count, count), tls, false);
        if count == 1_000 {
            let options = [("body", &*bytes), ("status", "200"), option];
            let constant = bench.start("hyper", &options)?;
            let label = format!("hyper, constant answer, {how}");
            all.push(asking(&label, &constant, &visits, CONSTANT));
        }
        let label = format!("ours, {how}, {count} enrollments");
        all.push(asking(&label, &ours, &visits, ENTRY));
    }
    let figures = alternate(set, &all, bench.pace()).await?;
    table::title(
        "GET of an individual enrollment on a connection that is kept",
        &format!(
            "Fixed: enrollments by symmetric key without registrations, read in no visible order; memory\n\
             store; body of {bytes} bytes; {TASKS} at once; {}.",
            bench.pinning()
        ),
    );
    table::costs("request", &figures);
    table::verdict(&figures[1], &figures[0], LEAST);
    table::verdict(&figures[3], &figures[2], LEAST);
    table::verdict(&figures[4], &figures[0], LEAST);
    Ok(())
}

async fn pages(bench: &Bench, set: &LocalSet) -> io::Result<()> {
    let group = GroupId::parse("by-key").expect("a valid id");
    let kinds = [
        (
            Listing::Enrollments,
            "enrollments",
            ENTRY,
            "individual enrollments",
        ),
        (
            Listing::RegistrationsOf(group),
            "members",
            REGISTRATION,
            "a group's registrations",
        ),
    ];
    for (list, option, wanted, what) in kinds {
        let mut all = Vec::new();
        let counts = [1_000, if bench.quick() { 5_000 } else { 1_000_000 }];
        let mut servers = Vec::new();
        for count in counts {
            servers.push((
                count,
                bench.start("operators", &[(option, &count.to_string())])?,
            ));
        }
        let mut bytes = 0;
        for (step, how) in [(1, ""), (7919, ", anywhere")] {
            for (count, server) in &servers {
                let visits = |close| listing(&list, (PAGE, *count), step, close);
                // The first scan sorts what was written, and is not counted.
                bytes = body_length(server.port(), &visits(true)(0), wanted).await?;
                let label = format!("{count}{how}");
                all.push(asking(&label, server, &visits(false), wanted));
            }
        }
        let figures = alternate(set, &all, bench.pace()).await?;
        table::title(
            &format!("A page of {what} over HTTPS, on a connection that is kept"),
            &format!(
                "Fixed: pages of {PAGE}, about {bytes} bytes, one after the other or from anywhere in no visible\n\
                 order; symmetric keys; memory store; the number says how many records the list has;\n\
                 {TASKS} at once; {}.",
                bench.pinning()
            ),
        );
        table::costs("page", &figures);
        for pair in figures.chunks(2) {
            if let [few, many] = pair {
                table::multiple(many, few, MOST);
            }
        }
    }
    Ok(())
}

/// Records of a page.
const PAGE: u64 = 100;

fn asking(label: &str, server: &Rc<Spawned>, visits: &Visits, wanted: &'static [u8]) -> Contestant {
    Contestant {
        label: label.to_owned(),
        server: Rc::clone(server),
        load: Load {
            port: server.port(),
            tasks: TASKS,
            unit: Unit::Request,
            visits: Rc::clone(visits),
            wanted,
        },
    }
}

/// Groups of the instance, none of which any of the devices belongs to.
const GROUPS: u64 = 100;

/// How often a group changes.
const PACE: Duration = Duration::from_millis(100);

fn while_operators_write(bench: &Bench) {
    let (devices, turn, rounds) = if bench.quick() {
        (1_000, 500, 1)
    } else {
        (100_000, 80_000, 9)
    };
    let (alone, entries, groups) = (world(devices), world(devices), world(devices));
    let written: Vec<_> = scattered(devices, devices).map(world::individual).collect();
    let changed: Vec<_> = (0..GROUPS).map(group).collect();
    let rewrite = Writer::new(Arc::clone(&entries), written, None);
    let change = Writer::new(Arc::clone(&groups), changed, Some(PACE));
    let mut all = [
        registering("nobody writes", bench, &alone, (devices, turn), None),
        registering(
            "entries are rewritten",
            bench,
            &entries,
            (devices, turn),
            Some(&rewrite),
        ),
        registering(
            "groups change",
            bench,
            &groups,
            (devices, turn),
            Some(&change),
        ),
    ];
    let found = inside::alternate(&mut all, rounds);
    table::title(
        "A device registers again and stays, while an operator writes",
        &format!(
            "Fixed: {devices} individual enrollments by symmetric key, {GROUPS} groups; memory store; within the\n\
             process. One thread registers; the operator has a thread on another core, and rewrites the\n\
             enrollments of the same devices as fast as it can, or a group each {} ms. Counted is the thread\n\
             that registers: what the operator takes away from it by locks, conflicts, caches and reading\n\
             the groups anew. What the operator's own work takes is not in it.",
            PACE.as_millis()
        ),
    );
    table::costs("registration", &found);
    for writer in [&rewrite, &change] {
        writer.told();
    }
    for disturbed in &found[1..] {
        table::verdict(disturbed, &found[0], UNDISTURBED);
    }
}

fn world(devices: u64) -> Arc<dyn Store> {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let groups: Vec<_> = (0..GROUPS).map(group).collect();
    block_on(world::fill(
        &store,
        &world::instance(None),
        &groups,
        devices,
    ));
    let service = world::service(&store);
    for n in 0..devices {
        block_on(world::register(
            &service,
            world::hello(n),
            &ApiVersion::usual(),
        ));
    }
    store
}

fn group(n: u64) -> Enrollment {
    let id = GroupId::parse(&format!("line-{n:03}")).expect("a valid id");
    let key = |kind: u8| {
        let mut key = vec![kind; 64];
        key[..8].copy_from_slice(&n.to_le_bytes());
        SecretBytes::new(key)
    };
    Enrollment {
        subject: Subject::Group { id },
        attestation: Attestation::SymmetricKey {
            primary: key(1),
            secondary: key(2),
        },
        ..world::key_group()
    }
}

fn registering<'a>(
    label: &str,
    bench: &'a Bench,
    store: &Arc<dyn Store>,
    (devices, turn): (u64, u64),
    writer: Option<&'a Writer>,
) -> Inside<'a> {
    let service = world::service(store);
    let next = Cell::new(0);
    Inside {
        label: label.to_owned(),
        prepare: Box::new(move || {
            let from = next.replace(next.get() + turn);
            let numbers = (from..from + turn).map(|n| n * 7907 % devices);
            let hellos: Vec<DeviceHello> = numbers.map(world::hello).collect();
            let service = service.clone();
            Box::new(move || {
                let version = ApiVersion::usual();
                let register = || {
                    for hello in hellos {
                        block_on(world::register(&service, hello, &version));
                    }
                };
                match writer {
                    Some(writer) => writer.meanwhile(bench, register),
                    None => register(),
                }
                (turn, Box::new(()))
            })
        }),
    }
}

/// An operator who writes one entry after the other.
struct Writer {
    admin: Admin,
    entries: Vec<Enrollment>,
    pace: Option<Duration>,
    written: AtomicU64,
    nanoseconds: AtomicU64,
}

impl Writer {
    fn new(store: Arc<dyn Store>, entries: Vec<Enrollment>, pace: Option<Duration>) -> Self {
        Self {
            admin: Admin::new(store, world::scope()),
            entries,
            pace,
            written: AtomicU64::new(0),
            nanoseconds: AtomicU64::new(0),
        }
    }

    /// Writes on another core for as long as `register` takes.
    fn meanwhile(&self, bench: &Bench, register: impl FnOnce()) {
        let (ready, stop) = (AtomicBool::new(false), AtomicBool::new(false));
        thread::scope(|scope| {
            let operator = scope.spawn(|| {
                bench.move_to_server_cpu();
                ready.store(true, Ordering::Release);
                let from = Instant::now();
                while !stop.load(Ordering::Relaxed) {
                    self.write();
                    if let Some(pace) = self.pace {
                        thread::park_timeout(pace);
                    }
                }
                let passed = u64::try_from(from.elapsed().as_nanos()).unwrap_or(0);
                self.nanoseconds.fetch_add(passed, Ordering::Relaxed);
            });
            while !ready.load(Ordering::Acquire) {
                thread::sleep(Duration::from_millis(1));
            }
            register();
            stop.store(true, Ordering::Relaxed);
            operator.thread().unpark();
        });
    }

    fn write(&self) {
        let nth = self.written.fetch_add(1, Ordering::Relaxed);
        let at = usize::try_from(nth).unwrap_or(0) % self.entries.len();
        let entry = &self.entries[at];
        let done = match entry.group() {
            Some(_) => block_on(self.admin.put_group(entry)),
            None => block_on(self.admin.put_enrollment(entry)),
        };
        done.expect("a sound entry");
    }

    #[allow(
        clippy::cast_precision_loss,
        reason = "counts of one run are far below 2^53"
    )]
    #[allow(clippy::print_stdout, reason = "a benchmark prints its result")]
    fn told(&self) {
        let count = self.written.load(Ordering::Relaxed) as f64;
        let seconds = self.nanoseconds.load(Ordering::Relaxed) as f64 / 1e9;
        let what = if self.pace.is_some() {
            "groups"
        } else {
            "enrollments"
        };
        println!("the operator wrote {:.0} {what} a second", count / seconds);
    }
}
