//! Pages of the lists that operators ask for, with few records and with many.
//!
//! `cargo bench --bench admin [-- enrollments registrations]`: both parts, or those named.

#![allow(clippy::future_not_send, reason = "one thread")]

use std::cell::Cell;
use std::hint::black_box;
use std::sync::Arc;

use dps_benches::inside::{Inside, alternate};
use dps_benches::{Bench, bench_main, table, world};
use dps_core::admin::Admin;
use dps_core::admin::query::{Listing, Position, Query};
use dps_core::id::{ApiVersion, GroupId};
use dps_core::store::Store;
use dps_store_memory::MemoryStore;
use dps_testkit::run::block_on;

/// Records of a page.
const PAGE: u32 = 100;

/// What a page of many may cost beside one of a thousand.
const MOST: f64 = 1.2;

const FILTER: &str = "SELECT * WHERE registrationId != 'nobody' AND provisioningStatus = 'enabled'";

fn main() {
    bench_main(&[], async |bench, _| {
        if bench.wants("enrollments") {
            let filled = [1_000, many(bench)].map(enrolled);
            let kinds = [
                ("enrollments", Listing::Enrollments, ""),
                ("enrollments, filtered", Listing::Enrollments, FILTER),
            ];
            measure(bench, &filled, &kinds, "individual enrollments");
        }
        if bench.wants("registrations") {
            let filled = [1_000, many(bench)].map(registered);
            let group = GroupId::parse("by-key").expect("a valid id");
            let kinds = [
                ("a group's", Listing::RegistrationsOf(group), ""),
                ("all", Listing::Registrations, ""),
            ];
            measure(bench, &filled, &kinds, "registrations");
        }
        Ok(())
    })
}

fn many(bench: &Bench) -> u64 {
    if bench.quick() { 2_000 } else { 1_000_000 }
}

fn measure(bench: &Bench, filled: &[Filled; 2], kinds: &[(&str, Listing, &str); 2], what: &str) {
    let (times, rounds) = if bench.quick() { (20, 1) } else { (1_000, 7) };
    let mut all = Vec::new();
    for (label, listing, text) in kinds {
        let query = Query::parse(listing.clone(), text).expect("a query");
        for scattered in [false, true] {
            for one in filled {
                let (query, positions) = (query.clone(), one.positions(&query));
                // A client goes through a list page by page; operators together do not.
                let (step, how) = if scattered {
                    (7919, ", anywhere")
                } else {
                    (1, "")
                };
                let next = Cell::new(0);
                let unit = move |_| {
                    let at = next.replace(next.get() + step) % positions.len();
                    let found = one.page(&query, positions[at].as_ref());
                    assert_eq!(black_box(found), PAGE as usize);
                };
                let label = format!("{label}, {}{how}", one.count);
                all.push(Inside::repeat(&label, times, unit));
            }
        }
    }
    let found = alternate(&mut all, rounds);
    table::title(
        &format!("A page of {what}"),
        "Fixed: pages of 100, one after the other or from anywhere in no visible order, over the store in\n\
         memory, by symmetric keys; the number says how many records the list has. The first page, which\n\
         sorts what was written, is not counted.",
    );
    table::costs("page", &found);
    for pair in found.chunks(2) {
        if let [few, many] = pair {
            table::multiple(many, few, MOST);
        }
    }
}

/// An instance with so many records in each of its lists.
struct Filled {
    admin: Admin,
    count: u64,
}

fn enrolled(count: u64) -> Filled {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    block_on(world::fill(&store, &world::instance(None), &[], count));
    let admin = Admin::new(store, world::scope());
    Filled { admin, count }
}

fn registered(count: u64) -> Filled {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let groups = [world::key_group()];
    block_on(world::fill(&store, &world::instance(None), &groups, 0));
    let service = world::service(&store);
    let version = ApiVersion::usual();
    for n in 0..count {
        black_box(block_on(world::register(
            &service,
            world::hello(n),
            &version,
        )));
    }
    let admin = Admin::new(store, world::scope());
    Filled { admin, count }
}

impl Filled {
    /// How many records a page has from there on.
    fn page(&self, query: &Query, from: Option<&Position>) -> usize {
        block_on(async {
            match query.listing() {
                Listing::Enrollments | Listing::Groups => {
                    let page = self.admin.entries(query, from, PAGE).await;
                    page.expect("a page").items.len()
                }
                _ => {
                    let page = self.admin.registrations(query, from, PAGE).await;
                    page.expect("a page").items.len()
                }
            }
        })
    }

    /// Where the pages begin.
    fn positions(&self, query: &Query) -> Vec<Option<Position>> {
        let lasts = (1..self.count / u64::from(PAGE)).map(|nth| nth * u64::from(PAGE) - 1);
        let positions = lasts.map(|n| Position::after(query.listing(), &world::registration(n)));
        [None].into_iter().chain(positions.map(Some)).collect()
    }
}
