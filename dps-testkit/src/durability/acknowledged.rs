//! Duties about commits that returned.

use std::collections::BTreeSet;

use dps_core::store::{Expect, MAX_VALUE_BYTES, Scan, Table};

use super::Mortal;
use crate::store::make::{
    asking, commit, delete, ids, key, put, read, read_many, refused, shard, spread, text,
};

const TABLE: Table = Table::Registration;

/// With the version that its caller was told, for reads and for scans.
pub(super) async fn every_commit_is_there_after_each_crash(life: &mut dyn Mortal) {
    let mut versions = Vec::new();
    let mut keys = Vec::new();
    for nth in 0..12 {
        let here = spread("reopen", nth * 11);
        let id = format!("r{nth:02}");
        let writes = [
            put(TABLE, &id, Expect::Absent, format!("value {nth}")),
            put(Table::Member, &id, Expect::Absent, ""),
        ];
        versions.push(commit(life.store(), &here, &writes).await);
        keys.push(key(&here, TABLE, &id));
        life.crash().await;

        let found = read_many(life.store(), &keys).await;
        let page = life.store().scan(&asking("reopen", TABLE, 1000)).await;
        let page = page.expect("scans must succeed");
        assert_eq!(
            page.records.len(),
            keys.len(),
            "records after {nth} crashes"
        );
        for (at, (found, (id, scanned))) in found.iter().zip(&page.records).enumerate() {
            let found = found.as_ref().expect("a commit that returned is there");
            let value = format!("value {at}");
            assert_eq!(
                (found.version, &*found.value),
                (versions[at], value.as_bytes())
            );
            assert_eq!((&**id, scanned.version), (&*keys[at].id, versions[at]));
            assert_eq!(scanned.value, found.value);
        }
        let members = ids(life.store(), asking("reopen", Table::Member, 5)).await;
        assert_eq!(members.len(), keys.len());
    }
}

/// A delete is a commit like others.
pub(super) async fn what_was_deleted_stays_deleted_after_a_crash(life: &mut dyn Mortal) {
    let here = shard("deleted", 2);
    for round in 0..4 {
        let first = [
            put(TABLE, "gone", Expect::Absent, format!("{round}")),
            put(TABLE, "stays", Expect::Any, format!("{round}")),
        ];
        commit(life.store(), &here, &first).await;
        if round % 2 == 0 {
            life.crash().await;
        }
        commit(life.store(), &here, &[delete(TABLE, "gone", Expect::Any)]).await;
        life.crash().await;
        assert_eq!(text(life.store(), &here, TABLE, "gone").await, "(none)");
        assert_eq!(
            text(life.store(), &here, TABLE, "stays").await,
            format!("{round}")
        );
        assert_eq!(
            ids(life.store(), asking("deleted", TABLE, 1)).await,
            ["stays"]
        );
    }
}

/// A megabyte and forty small ones in one commit.
pub(super) async fn large_and_many_records_survive_together(life: &mut dyn Mortal) {
    let here = shard("large", 3);
    let large: Vec<u8> = (0..MAX_VALUE_BYTES).map(|nth| (nth % 251) as u8).collect();
    let mut writes: Vec<_> = (0..40_u8)
        .map(|nth| put(TABLE, &format!("s{nth:02}"), Expect::Absent, vec![nth; 700]))
        .collect();
    writes.push(put(Table::Group, "large", Expect::Absent, &large));
    let version = commit(life.store(), &here, &writes).await;
    for _ in 0..2 {
        life.crash().await;
        for (nth, write) in writes.iter().enumerate() {
            let found = read(life.store(), &here, write.table, &write.id).await;
            let found = found.expect("a commit that returned is there");
            assert_eq!(found.version, version);
            let wanted = if nth < 40 {
                vec![nth as u8; 700]
            } else {
                large.clone()
            };
            assert!(found.value == wanted, "{} has changed", write.id);
        }
    }
}

/// Not even when the last record with the last version was deleted before the crash.
pub(super) async fn versions_never_repeat_across_crashes(life: &mut dyn Mortal) {
    let here = shard("unique", 4);
    let mut seen = BTreeSet::new();
    for round in 0..10 {
        let mut last = None;
        for nth in 0..5 {
            let id = format!("{}", nth % 2);
            let version = commit(life.store(), &here, &[put(TABLE, &id, Expect::Any, "")]).await;
            assert!(seen.insert(version), "{version:?} was given twice");
            last = Some(id);
        }
        if round % 3 > 0 {
            let last = last.expect("five were put");
            commit(life.store(), &here, &[delete(TABLE, &last, Expect::Any)]).await;
        }
        if round % 3 > 1 {
            commit(life.store(), &here, &[delete(TABLE, "1", Expect::Any)]).await;
        }
        life.crash().await;
    }
}

/// Who slept through the crash is neither refused for it nor let in by it.
pub(super) async fn expectations_hold_across_a_crash(life: &mut dyn Mortal) {
    let here = shard("expect", 5);
    let mut expect = Expect::Absent;
    for round in 0..5 {
        let sum = [put(TABLE, "sum", expect, format!("{round}"))];
        let stale = expect;
        expect = Expect::Exactly(commit(life.store(), &here, &sum).await);
        life.crash().await;
        refused(life.store(), &here, &[put(TABLE, "sum", stale, "stale")]).await;
        refused(
            life.store(),
            &here,
            &[put(TABLE, "sum", Expect::Absent, "again")],
        )
        .await;
        assert_eq!(
            text(life.store(), &here, TABLE, "sum").await,
            format!("{round}")
        );
    }
    commit(life.store(), &here, &[delete(TABLE, "sum", expect)]).await;
    life.crash().await;
    refused(life.store(), &here, &[put(TABLE, "sum", expect, "late")]).await;
    let reborn = put(TABLE, "sum", Expect::Absent, "reborn");
    commit(life.store(), &here, &[reborn]).await;
    life.crash().await;
    refused(life.store(), &here, &[put(TABLE, "sum", expect, "late")]).await;
}

/// A place in a list is good in the next life.
pub(super) async fn a_scan_goes_on_after_a_crash(life: &mut dyn Mortal) {
    let names: Vec<String> = (0..30).map(|nth| format!("d{nth:02}")).collect();
    for (nth, name) in names.iter().enumerate() {
        let here = spread("pages", nth * 7);
        commit(
            life.store(),
            &here,
            &[put(TABLE, name, Expect::Absent, name)],
        )
        .await;
    }
    let mut seen = Vec::new();
    loop {
        let after = seen.last().map(|last: &String| last.as_str().into());
        let scan = Scan {
            after,
            ..asking("pages", TABLE, 7)
        };
        let page = life.store().scan(&scan).await.expect("scans must succeed");
        seen.extend(page.records.iter().map(|(id, _)| id.to_string()));
        if !page.more {
            break;
        }
        life.crash().await;
    }
    assert_eq!(seen, names);
    assert_eq!(ids(life.store(), asking("pages", TABLE, 1000)).await, names);
}

/// Also when nothing was done in between, and when there is nothing yet.
pub(super) async fn crashes_in_a_row_change_nothing(life: &mut dyn Mortal) {
    let here = shard("row", 6);
    for _ in 0..3 {
        life.crash().await;
    }
    assert_eq!(text(life.store(), &here, TABLE, "a").await, "(none)");
    let version = commit(life.store(), &here, &[put(TABLE, "a", Expect::Absent, "1")]).await;
    for _ in 0..3 {
        life.crash().await;
    }
    let found = read(life.store(), &here, TABLE, "a").await;
    assert_eq!(found.map(|found| found.version), Some(version));
}
