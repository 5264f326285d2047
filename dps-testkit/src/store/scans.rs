//! Duties of `scan`.

use std::collections::BTreeSet;
use std::sync::Arc;

use dps_core::store::{Expect, Scan, Store, Table};

use super::make::{asking, commit, delete, ids, put, spread};

const TABLE: Table = Table::Enrollment;

/// Fills one table of a scope, spread over the slots; ids come as they come.
async fn fill<'a>(store: &dyn Store, scope: &str, names: impl IntoIterator<Item = &'a str>) {
    for (nth, name) in names.into_iter().enumerate() {
        let here = spread(scope, nth * 5);
        commit(store, &here, &[put(TABLE, name, Expect::Absent, name)]).await;
    }
}

fn prefixed(scope: &str, prefix: &str, limit: u32) -> Scan {
    let prefix = prefix.into();
    let all = asking(scope, TABLE, limit);
    Scan { prefix, ..all }
}

/// Not by slot, not by the rules of a language.
pub async fn a_scan_is_ordered_by_bytes_over_all_slots(store: &dyn Store) {
    let mut names = [
        "b", "a", "z", "0", "9", "10", "-", ".", "_", ":", "a-b", "ab", "a.b", "a:b", "aa", "é",
        "ß", "%", "~", "b-1", "b-10", "b-2", "zz", "z-",
    ];
    fill(store, "order", names).await;
    names.sort_unstable();
    for limit in [1, 2, 3, 7, names.len() as u32, 1000] {
        let found = ids(store, asking("order", TABLE, limit)).await;
        assert_eq!(found, names, "with {limit} to a page");
    }
}

/// Also where the prefix holds characters that pattern languages know.
pub async fn a_scan_keeps_to_its_prefix(store: &dyn Store) {
    let names = [
        "g", "g/", "g/1", "g/2", "g/10", "g0", "h/1", "g%1", "g_1", "gx1", "G/1", "f/z",
    ];
    fill(store, "prefix", names).await;
    for prefix in ["g/", "g", "g%", "g_", "g/1", "h", "none", "g/10/", ""] {
        let mut wanted: Vec<_> = names
            .into_iter()
            .filter(|n| n.starts_with(prefix))
            .collect();
        wanted.sort_unstable();
        for limit in [1, 2, 100] {
            let found = ids(store, prefixed("prefix", prefix, limit)).await;
            assert_eq!(found, wanted, "ids that begin with {prefix:?}");
        }
    }
}

/// A position, not a record: what stood there may be gone, and need not have the prefix.
pub async fn a_scan_begins_after_any_id_there_or_not(store: &dyn Store) {
    let names = ["a", "b/1", "b/2", "b/4", "c"];
    fill(store, "after", names).await;
    for prefix in ["", "b/", "c", "x"] {
        for after in [
            "", "a", "b", "b/1", "b/1\u{1}", "b/3", "b/4", "b0", "c", "d",
        ] {
            let wanted: Vec<_> = names
                .into_iter()
                .filter(|name| name.starts_with(prefix) && *name > after)
                .collect();
            let after = Some(Arc::from(after));
            let scan = prefixed("after", prefix, 2);
            let found = ids(
                store,
                Scan {
                    after,
                    ..scan.clone()
                },
            )
            .await;
            assert_eq!(found, wanted, "{scan:?}");
        }
    }
}

/// `more` is exact: a page that ends with the last record says so.
pub async fn a_page_has_at_most_its_limit_and_says_whether_more_follow(store: &dyn Store) {
    let names: Vec<String> = (0..9).map(|nth| format!("p{nth}")).collect();
    fill(store, "limit", names.iter().map(String::as_str)).await;
    fill(store, "limit", ["q"]).await;
    for limit in 1..12 {
        let page = store.scan(&prefixed("limit", "p", limit)).await;
        let page = page.expect("scans must succeed");
        let wanted = names.len().min(limit as usize);
        assert_eq!(page.records.len(), wanted, "a page of {limit}");
        assert_eq!(page.more, wanted < names.len(), "more after {limit} of 9");
    }
    let page = store.scan(&asking("nowhere", TABLE, 5)).await;
    assert!(page.is_ok_and(|page| page.records.is_empty() && !page.more));
}

/// The most a page may hold, with one more behind it and with none.
pub async fn a_page_may_have_a_thousand_records(store: &dyn Store) {
    let names: Vec<String> = (0..1001).map(|nth| format!("t{nth:04}")).collect();
    for slot in 0..64 {
        let mine = names.iter().skip(slot).step_by(64);
        let writes: Vec<_> = mine
            .map(|name| put(TABLE, name, Expect::Absent, name))
            .collect();
        commit(store, &spread("thousand", slot), &writes).await;
    }
    for (left, more) in [(1001, true), (1000, false), (999, false)] {
        let page = store.scan(&asking("thousand", TABLE, 1000)).await;
        let page = page.expect("scans must succeed");
        assert_eq!(page.records.len(), left.min(1000), "of {left}");
        assert_eq!(page.more, more, "of {left}");
        let wanted = names.iter().map(String::as_str);
        assert!(
            page.records
                .iter()
                .map(|(id, _)| &**id)
                .eq(wanted.take(left.min(1000)))
        );
        let last = &names[left - 1];
        let gone = [delete(TABLE, last, Expect::Any)];
        commit(store, &spread("thousand", left - 1), &gone).await;
    }
}

/// A page is as good as a read.
pub async fn a_scan_sees_versions_and_values_as_they_are(store: &dyn Store) {
    fill(store, "values", ["a", "b"]).await;
    let here = spread("values", 0);
    let version = commit(store, &here, &[put(TABLE, "a", Expect::Any, "again")]).await;
    let page = store.scan(&asking("values", TABLE, 5)).await;
    let page = page.expect("scans must succeed");
    let (id, found) = &page.records[0];
    assert_eq!((&**id, &*found.value), ("a", b"again".as_slice()));
    assert_eq!(found.version, version);
    commit(
        store,
        &here,
        &[put(TABLE, "a", Expect::Exactly(found.version), "")],
    )
    .await;
}

/// Whatever else happened to the record before.
pub async fn what_was_deleted_is_not_scanned(store: &dyn Store) {
    fill(store, "deleted", ["a", "b", "c"]).await;
    let b = spread("deleted", 5);
    for round in 0..3 {
        commit(store, &b, &[delete(TABLE, "b", Expect::Any)]).await;
        assert_eq!(ids(store, asking("deleted", TABLE, 1)).await, ["a", "c"]);
        let value = format!("{round}");
        commit(store, &b, &[put(TABLE, "b", Expect::Absent, value)]).await;
        assert_eq!(
            ids(store, asking("deleted", TABLE, 2)).await,
            ["a", "b", "c"]
        );
    }
}

/// Over many records and pages of several sizes.
pub async fn pages_give_each_record_exactly_once(store: &dyn Store) {
    let mut names: Vec<String> = (0..500)
        .map(|nth| format!("d{}", nth * 7919 % 500))
        .collect();
    fill(store, "pages", names.iter().map(String::as_str)).await;
    names.sort_unstable();
    for limit in [1, 3, 64, 65, 100, 499, 500, 501, 1000] {
        let found = ids(store, asking("pages", TABLE, limit)).await;
        assert_eq!(found, names, "with {limit} to a page");
    }
}

/// What is there from the first page to the last comes once; what comes and goes, at most once.
pub async fn paging_under_inserts_and_deletes_gives_what_stays_exactly_once(store: &dyn Store) {
    let stays: Vec<String> = (0..120).map(|nth| format!("k{nth:03}")).collect();
    fill(store, "moving", stays.iter().map(String::as_str)).await;
    let mut ask = asking("moving", TABLE, 7);
    let mut seen = Vec::new();
    for round in 0.. {
        assert!(round < 1000, "pages must come to an end");
        let page = store.scan(&ask).await.expect("scans must succeed");
        seen.extend(page.records.iter().map(|(id, _)| id.to_string()));
        if !page.more {
            break;
        }
        ask.after = page.records.last().map(|(id, _)| Arc::clone(id));
        for place in ["a", "k0", "k050", "k1", "z"] {
            let here = spread("moving", round);
            let id = format!("{place}-{round}");
            commit(store, &here, &[put(TABLE, &id, Expect::Absent, "")]).await;
            if round > 0 {
                let here = spread("moving", round - 1);
                let gone = format!("{place}-{}", round - 1);
                commit(store, &here, &[delete(TABLE, &gone, Expect::Any)]).await;
            }
        }
    }
    assert!(
        seen.is_sorted_by(|a, b| a < b),
        "ids ascend over all pages, none twice"
    );
    let seen: BTreeSet<&String> = seen.iter().collect();
    for id in &stays {
        assert!(seen.contains(id), "{id} was there throughout");
    }
}
