//! What every [`Store`] owes, one test a duty. A store that outlives its process also owes
//! [`durability`](crate::durability).
//!
//! ```
//! use std::sync::Arc;
//! use dps_core::store::Store;
//! use dps_testkit::store::{self, Fixture};
//! # use dps_store_memory::MemoryStore;
//!
//! struct Memory;
//!
//! #[async_trait::async_trait]
//! impl Fixture for Memory {
//!     type Guard = ();
//!     async fn open(&self) -> ((), Arc<dyn Store>) {
//!         ((), Arc::new(MemoryStore::new()))
//!     }
//! }
//!
//! store::conformance!(Memory);
//! ```

pub mod commits;
pub mod dropped;
pub mod histories;
pub(crate) mod make;
pub mod names;
pub mod reads;
pub mod scans;
mod sealed;
pub mod workers;

use std::sync::Arc;

use async_trait::async_trait;
use dps_core::store::Store;
use parking_lot::Mutex;

pub use self::sealed::Sealed;
use crate::run::{Duty, block_on, duty_functions};
#[doc(inline)]
pub use crate::store_conformance as conformance;
#[doc(inline)]
pub use crate::store_durability as durability;

/// Opens stores for the suite.
#[async_trait]
pub trait Fixture: Sync {
    /// What has to live as long as a store: a folder, a database. Its drop cleans up.
    type Guard: Send;

    /// A fresh store without records, and its guard.
    async fn open(&self) -> (Self::Guard, Arc<dyn Store>);

    /// Runs a duty to its end. A store that needs a runtime runs it inside one; it is called from
    /// several threads at once.
    fn drive(&self, duty: Duty<'_>) {
        block_on(duty);
    }
}

/// Makes one `#[test]` of each duty of a store. Takes an expression whose value is a
/// [`Fixture`](crate::store::Fixture).
///
/// Put it into a module of its own where several stores are tested in one file.
#[macro_export]
macro_rules! store_conformance {
    ($fixture:expr) => {
        $crate::__store_duties! { [$crate::__duty_tests] store $fixture }
    };
}

/// The one list of duties.
#[doc(hidden)]
#[macro_export]
macro_rules! __store_duties {
    ([$($then:tt)+] $($args:tt)*) => {
        $($then)+! { [$($args)*]
            alone {
                commits:
                    each_expectation_holds_where_it_should_and_nowhere_else
                    a_refused_commit_writes_nothing
                    a_value_that_is_too_large_is_refused_with_all_that_goes_with_it
                    a_kept_record_guards_the_others_and_stays_as_it_is
                    a_conflict_names_the_first_record_that_is_not_as_expected
                    every_record_put_takes_the_returned_version
                    versions_never_repeat_not_even_after_a_delete
                    a_commit_may_span_tables_and_forty_records
                    a_commit_without_writes_succeeds_and_changes_nothing
                    a_commit_may_put_delete_and_keep_at_once
                    deleting_what_is_not_there_is_no_error;
                dropped:
                    a_dropped_commit_has_happened_whole_or_not
                    what_is_dropped_blocks_nobody;
                reads:
                    a_commit_is_seen_by_the_next_read
                    get_many_answers_in_the_order_of_the_keys
                    a_thousand_keys_are_read_at_once
                    every_byte_comes_back
                    an_empty_value_is_a_record
                    a_value_may_have_one_mebibyte
                    scopes_never_see_each_other
                    a_scope_is_the_same_in_any_case
                    tables_are_apart
                    ids_that_begin_alike_are_apart;
                names:
                    an_id_may_have_any_character_but_nul
                    a_prefix_may_end_with_any_character
                    long_ids_are_apart_whichever_character_differs;
                scans:
                    a_scan_is_ordered_by_bytes_over_all_slots
                    a_scan_keeps_to_its_prefix
                    a_scan_begins_after_any_id_there_or_not
                    a_page_has_at_most_its_limit_and_says_whether_more_follow
                    a_page_may_have_a_thousand_records
                    a_scan_sees_versions_and_values_as_they_are
                    what_was_deleted_is_not_scanned
                    pages_give_each_record_exactly_once
                    paging_under_inserts_and_deletes_gives_what_stays_exactly_once;
            }
            together {
                workers:
                    five_workers_with_ten_increments_each_make_fifty
                    of_many_who_create_a_record_one_succeeds
                    of_many_who_delete_a_record_one_succeeds
                    commits_of_different_records_of_a_shard_all_succeed
                    commits_of_the_same_records_in_any_order_all_succeed
                    two_records_written_together_are_never_seen_half_changed;
                histories:
                    any_history_agrees_with_a_model;
            }
        }
    };
}

crate::__store_duties! { [duty_functions] alone }

fn alone<F: Fixture>(fixture: &F, duty: impl for<'a> FnOnce(&'a dyn Store) -> Duty<'a> + Send) {
    fixture.drive(Box::pin(async move {
        let (guard, store) = fixture.open().await;
        duty(&*store).await;
        drop(store);
        drop(guard);
    }));
}

/// Opens a store for duties that drive several futures.
fn open<F: Fixture>(fixture: &F) -> (F::Guard, Arc<dyn Store>) {
    let opened = Mutex::new(None);
    fixture.drive(Box::pin(async {
        let fresh = fixture.open().await;
        *opened.lock() = Some(fresh);
    }));
    opened.into_inner().expect("the fixture opens a store")
}
