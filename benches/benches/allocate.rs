//! Choosing a hub, beside the hashing alone.
//!
//! `cargo bench --bench allocate`

#![allow(clippy::future_not_send, reason = "one thread")]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

use dps_benches::inside::{Inside, alternate};
use dps_benches::{bench_main, table, world};
use dps_core::allocate::{AllocationRequest, Policy, choose};
use dps_core::id::{OperationId, RegistrationId};
use dps_core::instance::LinkedHub;
use sha2::{Digest, Sha256};

fn main() {
    bench_main(&[], async |bench, _| {
        let (times, rounds) = if bench.quick() {
            (1_000, 1)
        } else {
            (50_000, 9)
        };
        let devices: Vec<RegistrationId> = (0..1_000).map(world::registration).collect();
        let (scope, group) = (world::scope(), world::key_group());
        let operation = OperationId::from_random([0; 24]);
        let origin = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let linked = [3, 10, 50].map(world::hubs);
        let offered: Vec<Vec<&LinkedHub>> =
            linked.iter().map(|hubs| hubs.iter().collect()).collect();
        let (scope, group, operation) = (&scope, &group, &operation);
        let device = |n: u64| &devices[usize::try_from(n).unwrap_or(0) % devices.len()];
        let device = &device;
        let mut all = Vec::new();
        for hubs in offered.iter().map(Vec::as_slice) {
            let hashing = format!("bare: {} times SHA-256", hubs.len());
            all.push(Inside::repeat(&hashing, times, move |n| {
                for hub in hubs {
                    let names = [scope.as_str(), hub.name.as_str(), device(n).as_str()];
                    let mut hasher = Sha256::new();
                    names.iter().for_each(|name| hasher.update(name));
                    black_box(hasher.finalize());
                }
            }));
            let choosing = format!("hashed, {} hubs", hubs.len());
            all.push(Inside::repeat(&choosing, times, move |n| {
                let request =
                    AllocationRequest::new(scope, operation, device(n), group, hubs, origin);
                black_box(choose(Policy::Hashed, &request, &[]).is_ok());
            }));
        }
        let found = alternate(&mut all, rounds);
        table::title(
            "A hub, chosen by weight",
            "Fixed: equal weights, 1,000 devices in turn.",
        );
        table::costs("choice", &found);
        Ok(())
    })
}
