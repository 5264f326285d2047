//! Queries of operators, and positions in their lists.
#![no_main]

use dps_core::admin::query::{Listing, MAX_QUERY_BYTES, Position, Query};
use dps_core::id::GroupId;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let group = GroupId::parse("presses").expect("a valid id");
    for listing in [
        Listing::Enrollments,
        Listing::Groups,
        Listing::Registrations,
        Listing::RegistrationsOf(group),
    ] {
        check(&listing, text);
        // What follows the word is where the grammar is.
        check(&listing, &format!("SELECT * WHERE {text}"));
        if let Ok(position) = Position::parse(&listing, text) {
            assert_eq!(position.to_string(), text);
        }
    }
});

/// A query that was taken is the same when it is written and read again.
fn check(listing: &Listing, text: &str) {
    match Query::parse(listing.clone(), text) {
        Ok(query) => {
            let written = query.to_string();
            if written.len() <= MAX_QUERY_BYTES {
                let again = Query::parse(listing.clone(), &written).expect("it was a query");
                assert_eq!(again.filter(), query.filter());
                assert_eq!(again.to_string(), written);
            }
        }
        Err(error) => {
            assert!(text.to_ascii_lowercase().contains("where"));
            assert!(error.at <= text.len() && error.to_string().is_ascii());
        }
    }
}
