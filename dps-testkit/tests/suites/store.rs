//! The store suite finds what is wrong with a store.

mod flawed;

use std::sync::Arc;

use async_trait::async_trait;
use dps_core::store::{Store, Table};
use dps_testkit::store::{Fixture, all};

use self::flawed::{Flaw, Flawed};
use crate::{failed, must_fail, named};

#[async_trait]
impl Fixture for Flaw {
    type Guard = ();

    async fn open(&self) -> ((), Arc<dyn Store>) {
        ((), Arc::new(Flawed::new(*self)))
    }
}

fn fails(flaw: Flaw, duties: &[&str]) {
    must_fail(all(), &flaw, duties);
}

#[test]
fn a_store_without_flaws_fails_nothing() {
    assert_eq!(failed(all(), &Flaw::None), [""; 0]);
    // Tables the suite goes through.
    assert_eq!(Table::ALL.len(), 9);
}

#[test]
fn flaws_of_commits_are_found() {
    let history = "any_history_agrees_with_a_model";
    let matrix = "each_expectation_holds_where_it_should_and_nowhere_else";
    let atomic = "a_refused_commit_writes_nothing";
    fails(
        Flaw::WritesBeforeItChecks,
        &[
            atomic,
            history,
            "every_record_put_takes_the_returned_version",
        ],
    );
    fails(Flaw::ForgetsAbsent, &[matrix, atomic, history]);
    fails(
        Flaw::TakesAnyVersion,
        &[
            matrix,
            history,
            "versions_never_repeat_not_even_after_a_delete",
        ],
    );
    fails(
        Flaw::ConflictNamesTheLast,
        &["a_conflict_names_the_first_record_that_is_not_as_expected"],
    );
    fails(
        Flaw::PutsWhatIsKept,
        &[
            "a_commit_may_put_delete_and_keep_at_once",
            "a_kept_record_guards_the_others_and_stays_as_it_is",
            history,
        ],
    );
}

#[test]
fn flaws_about_sizes_are_found() {
    let large = "a_value_that_is_too_large_is_refused_with_all_that_goes_with_it";
    fails(Flaw::WritesWhatIsNotTooLarge, &[large]);
    fails(Flaw::CallsTooLargeAConflict, &[large]);
    fails(Flaw::TakesWhatIsTooLarge, &[large]);
    fails(
        Flaw::RefusesNoWrites,
        &["a_commit_without_writes_succeeds_and_changes_nothing"],
    );
    fails(
        Flaw::CutsIds,
        &["long_ids_are_apart_whichever_character_differs"],
    );
    fails(
        Flaw::ReadsFiveHundred,
        &["a_thousand_keys_are_read_at_once"],
    );
    fails(
        Flaw::CountsToAThousand,
        &["a_page_may_have_a_thousand_records"],
    );
}

#[test]
fn flaws_about_names_are_found() {
    let characters = "an_id_may_have_any_character_but_nul";
    let ends = "a_prefix_may_end_with_any_character";
    fails(Flaw::SortsAsUtf16, &[characters]);
    fails(
        Flaw::TakesPrefixForAPattern,
        &[characters, "a_scan_keeps_to_its_prefix"],
    );
    fails(Flaw::EndsPrefixAtTheNextCharacter, &[ends]);
}

#[test]
fn flaws_of_what_is_dropped_are_found() {
    fails(
        Flaw::CommitsInTwoHalves,
        &["a_dropped_commit_has_happened_whole_or_not"],
    );
    fails(
        Flaw::StaysLockedWhenDropped,
        &["what_is_dropped_blocks_nobody"],
    );
}

#[test]
fn a_store_that_refuses_neighbours_is_found() {
    fails(
        Flaw::RefusesNeighbours,
        &[
            "commits_of_different_records_of_a_shard_all_succeed",
            "commits_of_the_same_records_in_any_order_all_succeed",
        ],
    );
}

#[test]
fn a_store_that_checks_and_writes_in_two_steps_is_found() {
    let together = [
        "five_workers_with_ten_increments_each_make_fifty",
        "of_many_who_create_a_record_one_succeeds",
        "of_many_who_delete_a_record_one_succeeds",
        "two_records_written_together_are_never_seen_half_changed",
    ];
    let failed = failed(named(all(), &together), &Flaw::ChecksThenWrites);
    assert!(!failed.is_empty(), "no race was found");
}

#[test]
fn flaws_of_reads_are_found() {
    fails(
        Flaw::AnswersSorted,
        &["get_many_answers_in_the_order_of_the_keys"],
    );
    fails(
        Flaw::CutsValues,
        &["every_byte_comes_back", "a_value_may_have_one_mebibyte"],
    );
    fails(Flaw::MixesScopes, &["scopes_never_see_each_other"]);
    fails(Flaw::FoldsIds, &["ids_that_begin_alike_are_apart"]);
}

#[test]
fn flaws_of_scans_are_found() {
    let pages = "pages_give_each_record_exactly_once";
    let limit = "a_page_has_at_most_its_limit_and_says_whether_more_follow";
    fails(
        Flaw::ScansDescending,
        &["a_scan_is_ordered_by_bytes_over_all_slots"],
    );
    fails(Flaw::IgnoresPrefix, &["a_scan_keeps_to_its_prefix"]);
    fails(Flaw::ForgetsMore, &[limit, pages]);
    fails(Flaw::SaysMoreAtTheEnd, &[limit]);
    fails(Flaw::SkipsSlots, &[pages]);
    fails(Flaw::IncludesAfter, &[pages]);
}
