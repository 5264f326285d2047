//! Duties of `commit`.

use std::collections::BTreeSet;

use bytes::Bytes;
use dps_core::store::{Change, Expect, MAX_STORED_BYTES, Store, StoreError, Table, Version};

use super::make::{commit, delete, keep, key, put, read, read_many, refused, shard, text, write};

const TABLE: Table = Table::Registration;

/// One byte more than a store takes, in front of, between and behind what would succeed, and beside what
/// would be a conflict.
pub async fn a_value_that_is_too_large_is_refused_with_all_that_goes_with_it(store: &dyn Store) {
    let here = shard("too-large", 3);
    let large = vec![b'x'; MAX_STORED_BYTES + 1];
    let ids = ["a", "b", "c"];
    for place in 0..ids.len() {
        let writes: Vec<_> = (0..ids.len())
            .map(|n| match n == place {
                true => put(TABLE, ids[n], Expect::Absent, &large),
                false => put(TABLE, ids[n], Expect::Absent, "small"),
            })
            .collect();
        let outcome = store.commit(&here, &writes).await;
        assert!(
            matches!(outcome, Err(StoreError::TooLarge { .. })),
            "a value of {} bytes must be refused as too large, not {outcome:?}",
            large.len()
        );
        for id in ids {
            let found = read(store, &here, TABLE, id).await;
            assert!(found.is_none(), "{id} must not have been written");
        }
    }
    for place in 0..2 {
        let mut writes = vec![keep(TABLE, "a", Expect::Exactly(Version(1)))];
        writes.insert(place, put(TABLE, "b", Expect::Absent, &large));
        let outcome = store.commit(&here, &writes).await;
        assert!(
            matches!(outcome, Err(StoreError::TooLarge { .. })),
            "trying again does not help, so it is no conflict: {outcome:?}"
        );
    }
}

/// There is nothing to refuse, and nothing to do.
pub async fn a_commit_without_writes_succeeds_and_changes_nothing(store: &dyn Store) {
    let here = shard("nothing", 9);
    commit(store, &here, &[]).await;
    let version = commit(store, &here, &[put(TABLE, "a", Expect::Absent, "1")]).await;
    commit(store, &here, &[]).await;
    let found = read(store, &here, TABLE, "a").await.expect("it was put");
    assert_eq!((found.version, &*found.value), (version, b"1".as_slice()));
}

/// Each part finds what was there before the commit, not what a part in front of it did.
pub async fn a_commit_may_put_delete_and_keep_at_once(store: &dyn Store) {
    let here = shard("mixed", 10);
    let first = [
        put(TABLE, "changed", Expect::Absent, "old"),
        put(TABLE, "deleted", Expect::Absent, "old"),
        put(TABLE, "kept", Expect::Absent, "old"),
        put(Table::Member, "deleted", Expect::Absent, "old"),
    ];
    let old = commit(store, &here, &first).await;
    let second = [
        keep(TABLE, "kept", Expect::Exactly(old)),
        delete(TABLE, "deleted", Expect::Exactly(old)),
        put(TABLE, "created", Expect::Absent, "new"),
        put(Table::Member, "deleted", Expect::Exactly(old), "new"),
        keep(Table::Member, "created", Expect::Absent),
        put(TABLE, "changed", Expect::Exactly(old), "new"),
        delete(Table::Member, "changed", Expect::Absent),
    ];
    let new = commit(store, &here, &second).await;
    for (table, id, value) in [
        (TABLE, "changed", Some((new, "new"))),
        (TABLE, "deleted", None),
        (TABLE, "kept", Some((old, "old"))),
        (TABLE, "created", Some((new, "new"))),
        (Table::Member, "deleted", Some((new, "new"))),
        (Table::Member, "created", None),
        (Table::Member, "changed", None),
    ] {
        let found = read(store, &here, table, id).await;
        let found = found.map(|found| (found.version, found.value));
        let value = value.map(|(version, value)| (version, Bytes::from_static(value.as_bytes())));
        assert_eq!(found, value, "{table:?} {id}");
    }
}

/// Put, delete and keep, each under every expectation, for a record that is there, one that was
/// written again, one that is gone and one that never was.
pub async fn each_expectation_holds_where_it_should_and_nowhere_else(store: &dyn Store) {
    let here = shard("matrix", 1);
    let changes = [
        ("put", Change::Put(Bytes::from_static(b"new"))),
        ("delete", Change::Delete),
        ("keep", Change::Keep),
    ];
    for (verb, change) in changes {
        for (state, written, deleted) in [
            ("never", 0, false),
            ("once", 1, false),
            ("twice", 2, false),
            ("gone", 1, true),
        ] {
            for (word, expectation) in ["any", "absent", "first", "last", "other"]
                .into_iter()
                .enumerate()
            {
                let id = format!("{verb}-{state}-{word}");
                let mut versions = Vec::new();
                for nth in 0..written {
                    let value = format!("{nth}");
                    let old = put(TABLE, &id, Expect::Any, value);
                    versions.push(commit(store, &here, &[old]).await);
                }
                if deleted {
                    commit(store, &here, &[delete(TABLE, &id, Expect::Any)]).await;
                }
                let now = versions.last().copied().filter(|_| !deleted);
                let elsewhere = put(TABLE, &format!("{id}-beside"), Expect::Any, "");
                let other = commit(store, &here, &[elsewhere]).await;
                let expect = match expectation {
                    "any" => Expect::Any,
                    "absent" => Expect::Absent,
                    "first" => Expect::Exactly(versions.first().copied().unwrap_or(other)),
                    "last" => Expect::Exactly(versions.last().copied().unwrap_or(other)),
                    _ => Expect::Exactly(other),
                };
                let holds = match expect {
                    Expect::Any => true,
                    Expect::Absent => now.is_none(),
                    Expect::Exactly(version) => now == Some(version),
                };
                let before = text(store, &here, TABLE, &id).await;
                let asked = write(TABLE, &id, expect, change.clone());
                let case = format!("{verb} of a record written {state}, expecting {expectation}");
                let outcome = store.commit(&here, &[asked]).await;
                assert_eq!(outcome.is_ok(), holds, "{case}: {outcome:?}");
                let after = match (&change, holds) {
                    (Change::Put(_), true) => "new".to_owned(),
                    (Change::Delete, true) => "(none)".to_owned(),
                    _ => before,
                };
                assert_eq!(text(store, &here, TABLE, &id).await, after, "{case}");
            }
        }
    }
}

/// Wherever in a commit the record stands that is not as expected.
pub async fn a_refused_commit_writes_nothing(store: &dyn Store) {
    let here = shard("atomic", 2);
    let first = [
        put(TABLE, "changed", Expect::Absent, "old"),
        put(TABLE, "deleted", Expect::Absent, "old"),
        put(Table::Member, "there", Expect::Absent, "old"),
    ];
    commit(store, &here, &first).await;
    for wrong in 0..4 {
        let mut writes = vec![
            put(TABLE, "changed", Expect::Any, "new"),
            delete(TABLE, "deleted", Expect::Any),
            put(TABLE, "created", Expect::Absent, "new"),
        ];
        writes.insert(wrong, put(Table::Member, "there", Expect::Absent, "new"));
        refused(store, &here, &writes).await;
        for (table, id, value) in [
            (TABLE, "changed", "old"),
            (TABLE, "deleted", "old"),
            (TABLE, "created", "(none)"),
            (Table::Member, "there", "old"),
        ] {
            let found = text(store, &here, table, id).await;
            assert_eq!(found, value, "{id}, with the conflict at place {wrong}");
        }
    }
}

/// A `Keep` is an expectation and nothing else.
pub async fn a_kept_record_guards_the_others_and_stays_as_it_is(store: &dyn Store) {
    let here = shard("keep", 3);
    let guard = commit(store, &here, &[put(TABLE, "guard", Expect::Any, "g")]).await;
    let exactly = Expect::Exactly(guard);
    let writes = [
        keep(TABLE, "guard", exactly),
        keep(TABLE, "nobody", Expect::Absent),
        put(TABLE, "one", Expect::Absent, "1"),
    ];
    commit(store, &here, &writes).await;
    let kept = read(store, &here, TABLE, "guard")
        .await
        .expect("it is kept");
    assert_eq!(kept.version, guard, "a kept record keeps its version");
    assert_eq!(kept.value, Bytes::from_static(b"g"));
    assert!(read(store, &here, TABLE, "nobody").await.is_none());

    commit(store, &here, &[put(TABLE, "guard", exactly, "h")]).await;
    let late = [
        put(TABLE, "two", Expect::Absent, "2"),
        keep(TABLE, "guard", exactly),
    ];
    refused(store, &here, &late).await;
    assert!(read(store, &here, TABLE, "two").await.is_none());
}

/// Callers tell from it what to read again.
pub async fn a_conflict_names_the_first_record_that_is_not_as_expected(store: &dyn Store) {
    let here = shard("names", 4);
    commit(store, &here, &[put(TABLE, "there", Expect::Any, "")]).await;
    let writes = [
        put(TABLE, "fine", Expect::Absent, ""),
        keep(Table::Member, "missing", Expect::Exactly(Version(1))),
        put(TABLE, "there", Expect::Absent, ""),
    ];
    let (table, id) = refused(store, &here, &writes).await;
    assert_eq!((table, &*id), (Table::Member, "missing"));
    let (table, id) = refused(store, &here, &writes[2..]).await;
    assert_eq!((table, &*id), (TABLE, "there"));
}

/// All records of a commit have one version, and it is what the caller is told.
pub async fn every_record_put_takes_the_returned_version(store: &dyn Store) {
    let here = shard("version", 5);
    let writes = [
        put(TABLE, "a", Expect::Any, "1"),
        put(Table::Member, "a", Expect::Any, "2"),
        put(TABLE, "b", Expect::Any, "3"),
    ];
    let first = commit(store, &here, &writes).await;
    let keys = [
        key(&here, TABLE, "a"),
        key(&here, Table::Member, "a"),
        key(&here, TABLE, "b"),
    ];
    for found in read_many(store, &keys).await {
        assert_eq!(found.expect("it was put").version, first);
    }
    let second = commit(store, &here, &writes[..1]).await;
    let found = read_many(store, &keys).await;
    let versions: Vec<_> = found.iter().flatten().map(|found| found.version).collect();
    assert_eq!(versions, [second, first, first]);
}

/// Otherwise a worker that slept through a delete and a new record would take one for the other.
pub async fn versions_never_repeat_not_even_after_a_delete(store: &dyn Store) {
    let here = shard("unique", 6);
    let mut seen = BTreeSet::new();
    for nth in 0..50 {
        let id = format!("{}", nth % 3);
        let version = commit(store, &here, &[put(TABLE, &id, Expect::Any, "")]).await;
        assert!(seen.insert(version), "{version:?} was given twice");
        if nth % 2 == 0 {
            commit(store, &here, &[delete(TABLE, &id, Expect::Any)]).await;
        }
    }
    let old = commit(store, &here, &[put(TABLE, "reborn", Expect::Absent, "1")]).await;
    commit(
        store,
        &here,
        &[delete(TABLE, "reborn", Expect::Exactly(old))],
    )
    .await;
    commit(store, &here, &[put(TABLE, "reborn", Expect::Absent, "2")]).await;
    let late = put(TABLE, "reborn", Expect::Exactly(old), "3");
    refused(store, &here, &[late]).await;
}

/// More than any request needs, and all at once.
pub async fn a_commit_may_span_tables_and_forty_records(store: &dyn Store) {
    let here = shard("wide", 7);
    let tables = [TABLE, Table::Enrollment, Table::Member, Table::Leaving];
    let mut writes = Vec::new();
    for nth in 0..10 {
        for table in tables {
            writes.push(put(table, &format!("r{nth}"), Expect::Absent, [nth]));
        }
    }
    let version = commit(store, &here, &writes).await;
    for written in &writes {
        let found = read(store, &here, written.table, &written.id).await;
        assert_eq!(found.expect("it was put").version, version);
    }
    for written in &mut writes {
        written.expect = Expect::Exactly(version);
        written.change = Change::Delete;
    }
    commit(store, &here, &writes).await;
    for written in &writes {
        assert!(
            read(store, &here, written.table, &written.id)
                .await
                .is_none()
        );
    }
}

/// Also beside records that are there, which it leaves alone.
pub async fn deleting_what_is_not_there_is_no_error(store: &dyn Store) {
    let here = shard("delete", 8);
    commit(store, &here, &[put(TABLE, "b", Expect::Any, "stays")]).await;
    for expect in [Expect::Any, Expect::Absent] {
        commit(store, &here, &[delete(TABLE, "a", expect)]).await;
        commit(store, &here, &[delete(Table::Tally, "b", expect)]).await;
    }
    assert_eq!(text(store, &here, TABLE, "b").await, "stays");
}
