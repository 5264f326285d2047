//! Duties among several threads.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

use dps_core::hub::TwinPlan;
use parking_lot::Mutex;

use super::{Bench, Fixture, twin};

const ROUNDS: usize = 20;

fn open<F: Fixture>(fixture: &F) -> (F::Guard, Bench) {
    let opened = Mutex::new(None);
    fixture.drive(Box::pin(async {
        let fresh = fixture.open().await;
        *opened.lock() = Some(fresh);
    }));
    opened.into_inner().expect("the fixture opens a linker")
}

/// Creating it and giving it its twin is one effect, so that a crash between the two cannot leave a
/// device that `IfNew` then passes by.
pub fn a_new_device_is_never_seen_without_its_twin<F: Fixture>(fixture: &F) {
    let (guard, bench) = open(fixture);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            fixture.drive(Box::pin(async {
                let link = bench.link("whole", TwinPlan::IfNew(twin("whole")));
                for _ in 0..ROUNDS {
                    bench.put(&bench.one, &link).await;
                    bench.remove(&bench.one, "whole").await;
                }
                done.store(true, Ordering::SeqCst);
            }));
        });
        scope.spawn(|| {
            fixture.drive(Box::pin(async {
                while !done.load(Ordering::SeqCst) {
                    if let Some(found) = bench.read(&bench.one, "whole").await {
                        assert_eq!(found.twin, twin("whole"), "seen between two effects");
                    }
                }
            }));
        });
    });
    drop(guard);
}

/// Two nodes may work on one operation; the hub still has one device, and nobody fails.
pub fn of_several_who_link_a_device_one_creates_it<F: Fixture>(fixture: &F) {
    let (guard, bench) = open(fixture);
    let created: Vec<AtomicU32> = (0..ROUNDS).map(|_| AtomicU32::new(0)).collect();
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                fixture.drive(Box::pin(async {
                    for (round, created) in created.iter().enumerate() {
                        let name = format!("race-{round}");
                        let link = bench.link(&name, TwinPlan::IfNew(twin("first")));
                        if bench.put(&bench.one, &link).await.created {
                            created.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                }));
            });
        }
    });
    for (round, created) in created.iter().enumerate() {
        let created = created.load(Ordering::SeqCst);
        assert_eq!(created, 1, "who created the device of round {round}");
    }
    drop(guard);
}
