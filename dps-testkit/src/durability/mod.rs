//! What a [`Store`] owes that outlives its process, one test a duty; beside those of [`store`](crate::store).
//!
//! ```ignore
//! use std::sync::Arc;
//! use dps_core::store::Store;
//! use dps_testkit::{durability, store};
//!
//! struct InOneFile;
//!
//! #[async_trait::async_trait]
//! impl durability::Fixture for InOneFile {
//!     type Place = tempfile::TempDir;
//!     async fn place(&self) -> Self::Place {
//!         tempfile::tempdir().unwrap()
//!     }
//!     async fn open(&self, place: &Self::Place) -> Arc<dyn Store> {
//!         Arc::new(MyStore::open(place.path().join("records")).unwrap())
//!     }
//! }
//!
//! store::durability!(InOneFile);
//! ```

pub mod acknowledged;
pub mod histories;
mod sealed;
pub mod unanswered;

use std::sync::Arc;

use async_trait::async_trait;
use dps_core::store::Store;

pub use self::sealed::SealedPlace;
use crate::run::{Duty, block_on, duty_functions};

/// Opens stores again and again in the same place.
#[async_trait]
pub trait Fixture: Sync {
    /// What outlives the store: a folder, a database. Its drop cleans up.
    type Place: Send + Sync;

    /// A fresh place without records.
    async fn place(&self) -> Self::Place;

    /// The store in this place, with all that was committed there.
    async fn open(&self, place: &Self::Place) -> Arc<dyn Store>;

    /// Ends the store as roughly as the fixture can: without saying goodbye, or by killing the server
    /// behind it, or with a loss of what was not yet on the disk. Commits may still be under way.
    async fn crash(&self, place: &Self::Place, store: Arc<dyn Store>) {
        let _ = place;
        drop(store);
    }

    /// How many random histories are tried, each with up to three crashes. Fewer where a crash takes long.
    fn histories(&self) -> u32 {
        25
    }

    /// Runs a duty to its end. A store that needs a runtime runs it inside one.
    fn drive(&self, duty: Duty<'_>) {
        block_on(duty);
    }
}

/// Makes one `#[test]` of each duty of a store that outlives its process. Takes an expression whose value is a
/// [`durability::Fixture`](crate::durability::Fixture).
///
/// Put it into a module of its own where several stores are tested in one file.
#[macro_export]
macro_rules! store_durability {
    ($fixture:expr) => {
        $crate::__durability_duties! { [$crate::__duty_tests] durability $fixture }
    };
}

/// The one list of duties.
#[doc(hidden)]
#[macro_export]
macro_rules! __durability_duties {
    ([$($then:tt)+] $($args:tt)*) => {
        $($then)+! { [$($args)*]
            alone {
                acknowledged:
                    every_commit_is_there_after_each_crash
                    what_was_deleted_stays_deleted_after_a_crash
                    large_and_many_records_survive_together
                    versions_never_repeat_across_crashes
                    expectations_hold_across_a_crash
                    a_scan_goes_on_after_a_crash
                    crashes_in_a_row_change_nothing;
                unanswered:
                    a_commit_dropped_in_a_crash_has_happened_whole_or_not
                    of_many_commits_at_once_those_acknowledged_survive;
            }
            together {
                histories:
                    any_history_with_crashes_agrees_with_a_model;
            }
        }
    };
}

crate::__durability_duties! { [duty_functions] alone }

/// A store that can be made to crash.
#[async_trait]
trait Mortal: Send {
    /// The store, as it is open now.
    fn store(&self) -> &dyn Store;

    /// Ends it, and opens it again.
    async fn crash(&mut self);
}

struct Life<'f, F: Fixture> {
    fixture: &'f F,
    place: F::Place,
    store: Option<Arc<dyn Store>>,
}

#[async_trait]
impl<F: Fixture> Mortal for Life<'_, F> {
    fn store(&self) -> &dyn Store {
        self.store.as_deref().expect("it is open between crashes")
    }

    async fn crash(&mut self) {
        let store = self.store.take().expect("it is open between crashes");
        self.fixture.crash(&self.place, store).await;
        self.store = Some(self.fixture.open(&self.place).await);
    }
}

fn alone<F: Fixture>(
    fixture: &F,
    duty: impl for<'a> FnOnce(&'a mut dyn Mortal) -> Duty<'a> + Send,
) {
    fixture.drive(Box::pin(async move {
        let place = fixture.place().await;
        let store = Some(fixture.open(&place).await);
        let mut life = Life {
            fixture,
            place,
            store,
        };
        duty(&mut life).await;
        // The store goes before its place.
        life.store = None;
    }));
}
