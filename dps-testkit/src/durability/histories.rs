//! Random histories with crashes in between, against a model.

use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::{Fixture, Life, Mortal as _};
use crate::store::histories::{Model, check_all, history, replay};

/// Two to four short lives each; the shortest history that goes wrong is shown.
pub fn any_history_with_crashes_agrees_with_a_model<F: Fixture>(fixture: &F) {
    let config = Config {
        cases: fixture.histories(),
        failure_persistence: None,
        ..Config::default()
    };
    let lives = prop::collection::vec(history(15), 2..5);
    let opened = Mutex::new(None);
    fixture.drive(Box::pin(async {
        let place = fixture.place().await;
        let store = Some(fixture.open(&place).await);
        *opened.lock() = Some(Life {
            fixture,
            place,
            store,
        });
    }));
    // All histories have one place, and each has a scope of its own.
    let mut life = opened.into_inner().expect("the fixture opens a store");
    let shared = Mutex::new(&mut life);
    let histories = AtomicUsize::new(0);
    let agree = TestRunner::new(config).run(&lives, |lives| {
        let scope = format!("h{}", histories.fetch_add(1, Ordering::Relaxed));
        let outcome = Mutex::new(Ok(()));
        let mut held = shared.lock();
        let life = &mut **held;
        fixture.drive(Box::pin(async {
            let mut model = Model::default();
            for steps in &lives {
                let mut done = replay(life.store(), &scope, steps, &mut model).await;
                if done.is_ok() {
                    life.crash().await;
                    done = check_all(life.store(), &scope, &model).await;
                }
                if done.is_err() {
                    *outcome.lock() = done;
                    return;
                }
            }
        }));
        outcome.into_inner()
    });
    fixture.drive(Box::pin(async { life.store = None }));
    assert!(
        agree.is_ok(),
        "the store and the model differ: {}",
        agree.map_or_else(|error| error.to_string(), |()| String::new())
    );
}
