//! Failing beneath the store.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dps_core::hub::HubLinker;
use dps_core::registration::Status;
use dps_core::store::{Key, Page, Scan, Shard, Store, StoreError, Version, Versioned, Write};
use parking_lot::RwLock;

use super::scenario::Scenario;
use super::world::{Broken, Told, World};
use super::{Assembly, Make};

/// What a store stands on, and how it fails.
///
/// One sweep uses it from several places, but one after the other.
pub trait Beneath: Debug + Send + Sync {
    /// Forgets everything; a store without records.
    fn fresh(&self) -> Arc<dyn Store>;

    /// In how many ways it fails.
    fn ways(&self) -> usize;

    /// Fails in this way, counted from 0, at the `nth` effect from now on, counted from 1.
    fn arm(&self, nth: usize, way: usize);

    /// Whether it has failed.
    fn has_failed(&self) -> bool;

    /// Fails no more, and gives the store with what is left. It may be the same store, if that lives on.
    ///
    /// # Errors
    /// Says why there is none.
    fn again(&self) -> Result<Arc<dyn Store>, String>;
}

/// Sweeps over the failures of what is beneath a store, in place of those of the process.
///
/// ```ignore
/// dps_testkit::fault_sweep!(Fragile::new(MyDisk::new(), || Arc::new(FakeHubs::new())));
/// ```
#[derive(Debug)]
pub struct Fragile<B, H> {
    beneath: Standing<B>,
    hubs: H,
}

/// Keeps the store that is open now, so that it can be replaced behind those who use it.
#[derive(Debug)]
struct Standing<B> {
    beneath: B,
    store: Arc<Switch>,
}

impl<B: Beneath, H: Fn() -> Arc<dyn HubLinker>> Fragile<B, H> {
    /// A sweep over what is beneath, with fresh hubs each time.
    pub fn new(beneath: B, hubs: H) -> Self {
        let store = Arc::new(Switch(RwLock::new(beneath.fresh())));
        Self {
            beneath: Standing { beneath, store },
            hubs,
        }
    }
}

impl<B: Beneath, H: Fn() -> Arc<dyn HubLinker>> Make for Fragile<B, H> {
    fn make(&self) -> Assembly {
        self.beneath.fresh();
        Assembly {
            store: Arc::clone(&self.beneath.store) as _,
            hubs: (self.hubs)(),
        }
    }

    fn beneath(&self) -> Option<&dyn Beneath> {
        Some(&self.beneath)
    }
}

impl<B: Beneath> Beneath for Standing<B> {
    fn fresh(&self) -> Arc<dyn Store> {
        let fresh = self.beneath.fresh();
        self.store.turn(Arc::clone(&fresh));
        fresh
    }

    fn ways(&self) -> usize {
        self.beneath.ways()
    }

    fn arm(&self, nth: usize, way: usize) {
        self.beneath.arm(nth, way);
    }

    fn has_failed(&self) -> bool {
        self.beneath.has_failed()
    }

    fn again(&self) -> Result<Arc<dyn Store>, String> {
        let again = self.beneath.again()?;
        self.store.turn(Arc::clone(&again));
        Ok(again)
    }
}

/// A store behind which another can be put.
#[derive(Debug)]
struct Switch(RwLock<Arc<dyn Store>>);

impl Switch {
    fn turn(&self, store: Arc<dyn Store>) {
        let before = std::mem::replace(&mut *self.0.write(), store);
        drop(before);
    }

    fn now(&self) -> Arc<dyn Store> {
        Arc::clone(&self.0.read())
    }
}

#[async_trait]
impl Store for Switch {
    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Versioned>>, StoreError> {
        self.now().get_many(keys).await
    }

    async fn commit(&self, shard: &Shard, writes: &[Write]) -> Result<Version, StoreError> {
        self.now().commit(shard, writes).await
    }

    async fn scan(&self, scan: &Scan) -> Result<Page, StoreError> {
        self.now().scan(scan).await
    }
}

/// Fails at every effect of one register, in every way, and goes on by polling and by registering again.
pub(super) fn sweep_beneath(
    credential: &str,
    make: &dyn Make,
    beneath: &dyn Beneath,
    scenario: &Scenario<'_>,
) -> Result<(), Broken> {
    for nth in 1.. {
        let mut lived = false;
        for way in 0..beneath.ways() {
            for by_polling in [true, false] {
                let world = World::new(make.make());
                (scenario.before)(&world);
                beneath.arm(nth, way);
                let heard = world.listen(credential);
                let failed = beneath.has_failed();
                lived |= !failed;
                let ended = beneath.again().and_then(|_| {
                    check_heard(&world, &heard)?;
                    world.check_promise()?;
                    if failed {
                        world.clock.advance(Duration::from_secs(1));
                    }
                    let operations = heard.iter().rev().find_map(|told| told.operation.clone());
                    let told = world.recover(credential, operations.filter(|_| by_polling))?;
                    world.sweep()?;
                    world.check_end(&told)?;
                    (scenario.end)(&world, &told)
                });
                ended.map_err(|broken| {
                    format!(
                        "{broken}\nfailed: {failed}, at effect {nth} in way {way}; heard: {heard:?}"
                    )
                })?;
            }
        }
        if lived {
            return match nth > 2 {
                true => Ok(()),
                false => Err("there was nothing to fail at".into()),
            };
        }
    }
    Ok(())
}

/// What the device was told before is in the store.
fn check_heard(world: &World, heard: &[Told]) -> Result<(), Broken> {
    let Some(last) = heard.iter().rev().find(|told| told.operation.is_some()) else {
        return Ok(());
    };
    let stored = world.recorded();
    if stored != last.operation {
        return Err(format!(
            "the device was told of {last:?}, the store has {stored:?}"
        ));
    }
    let state = last.state.as_ref();
    let told = state.filter(|state| state.status == Status::Assigned);
    let told = told.and_then(|state| Some(&state.assignment.as_ref()?.place));
    match told.is_some() && told != world.assigned().as_ref() {
        true => Err(format!(
            "the store has forgotten that the device was told {told:?}"
        )),
        false => Ok(()),
    }
}
