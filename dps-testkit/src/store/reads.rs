//! Duties of `get_many`.

use bytes::Bytes;
use dps_core::store::{Expect, MAX_VALUE_BYTES, Store, Table};

use super::make::{asking, commit, delete, ids, key, put, read, read_many, shard, spread, text};

const TABLE: Table = Table::Registration;

/// A read that begins after a commit returned.
pub async fn a_commit_is_seen_by_the_next_read(store: &dyn Store) {
    let here = shard("fresh", 1);
    for nth in 0..100 {
        let value = format!("{nth}");
        let version = commit(store, &here, &[put(TABLE, "a", Expect::Any, &value)]).await;
        let found = read(store, &here, TABLE, "a").await.expect("it was put");
        assert_eq!((found.version, &*found.value), (version, value.as_bytes()));
    }
    commit(store, &here, &[delete(TABLE, "a", Expect::Any)]).await;
    assert!(read(store, &here, TABLE, "a").await.is_none());
}

/// Over shards and scopes, with keys that are not there, and with keys that come twice.
pub async fn get_many_answers_in_the_order_of_the_keys(store: &dyn Store) {
    let mut keys = Vec::new();
    let mut expected = Vec::new();
    for nth in 0..30 {
        let name = ["north", "south", "nobody"][nth % 3];
        let here = spread(name, nth * 7);
        let id = format!("r{nth}");
        if name != "nobody" {
            commit(store, &here, &[put(TABLE, &id, Expect::Any, &id)]).await;
        }
        keys.push(key(&here, TABLE, &id));
        expected.push((name != "nobody").then_some(id));
    }
    let order = [29, 0, 1, 2, 5, 5, 4, 3, 3, 28, 0, 27, 11, 12, 13, 14, 0];
    let keys: Vec<_> = order.map(|at: usize| keys[at].clone()).to_vec();
    let found = read_many(store, &keys).await;
    for (found, at) in found.iter().zip(order) {
        let value = found.as_ref().map(|found| found.value.to_vec());
        let wanted = expected[at].as_ref().map(|id| id.as_bytes().to_vec());
        assert_eq!(value, wanted, "the answer for {}", keys[at % keys.len()].id);
    }
    assert!(read_many(store, &[]).await.is_empty());
}

/// Over all slots and two scopes; some keys are not there, some come twice.
pub async fn a_thousand_keys_are_read_at_once(store: &dyn Store) {
    for slot in 0..64 {
        for scope in ["east", "west"] {
            let here = spread(scope, slot);
            let writes: Vec<_> = (0..5)
                .map(|nth| (format!("r{}", slot + 64 * nth), scope))
                .map(|(id, scope)| put(TABLE, &id, Expect::Absent, format!("{scope} {id}")))
                .collect();
            commit(store, &here, &writes).await;
        }
    }
    let mut wanted = Vec::new();
    let mut keys = Vec::new();
    for nth in 0..1000 {
        let scope = ["east", "west", "west", "nobody"][nth * 7 % 4];
        // Every 320th comes again; every fifth is not there.
        let at = nth * 13 % 400;
        keys.push(key(&spread(scope, at), TABLE, &format!("r{at}")));
        wanted.push((at < 320 && scope != "nobody").then(|| format!("{scope} r{at}")));
    }
    let found = read_many(store, &keys).await;
    for (nth, (found, wanted)) in found.iter().zip(&wanted).enumerate() {
        let found = found.as_ref().map(|found| found.value.to_vec());
        let wanted = wanted.as_ref().map(|wanted| wanted.as_bytes().to_vec());
        assert_eq!(found, wanted, "the answer for key {nth}");
    }
}

/// Values are bytes, not text.
pub async fn every_byte_comes_back(store: &dyn Store) {
    let here = shard("bytes", 2);
    let all: Vec<u8> = (0..=255).chain((0..=255).rev()).collect();
    commit(store, &here, &[put(TABLE, "all", Expect::Any, &all)]).await;
    let found = read(store, &here, TABLE, "all").await.expect("it was put");
    assert_eq!(&*found.value, &*all);
}

/// It is there, although nothing is in it.
pub async fn an_empty_value_is_a_record(store: &dyn Store) {
    let here = shard("empty", 3);
    let version = commit(store, &here, &[put(TABLE, "e", Expect::Absent, "")]).await;
    let found = read(store, &here, TABLE, "e").await.expect("it was put");
    assert_eq!((found.version, found.value), (version, Bytes::new()));
    assert!(
        store
            .commit(&here, &[put(TABLE, "e", Expect::Absent, "x")])
            .await
            .is_err(),
        "a record with an empty value is not absent"
    );
    assert_eq!(ids(store, asking("empty", TABLE, 10)).await, ["e"]);
}

/// The largest there may be, read and scanned.
pub async fn a_value_may_have_one_mebibyte(store: &dyn Store) {
    let here = shard("large", 4);
    let mut state = 1_u32;
    let large: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    })
    .take(MAX_VALUE_BYTES)
    .collect();
    commit(store, &here, &[put(TABLE, "large", Expect::Any, &large)]).await;
    let found = read(store, &here, TABLE, "large").await;
    assert!(found.is_some_and(|found| found.value == large));
    let page = store.scan(&asking("large", TABLE, 10)).await;
    let page = page.expect("scans must succeed");
    assert!(page.records.iter().all(|(_, found)| found.value == large));
    assert_eq!(page.records.len(), 1);
}

/// The same shard, table and id, in three tenants whose names begin alike.
pub async fn scopes_never_see_each_other(store: &dyn Store) {
    let names = ["0ne1", "0ne12", "0ne"];
    for name in names {
        let here = shard(name, 5);
        commit(store, &here, &[put(TABLE, "same", Expect::Absent, name)]).await;
        let own = format!("only-{name}");
        commit(store, &here, &[put(TABLE, &own, Expect::Absent, name)]).await;
    }
    for name in names {
        assert_eq!(text(store, &shard(name, 5), TABLE, "same").await, name);
        let own = format!("only-{name}");
        assert_eq!(ids(store, asking(name, TABLE, 2)).await, [&own, "same"]);
    }
    let gone = delete(TABLE, "same", Expect::Any);
    commit(store, &shard("0ne1", 5), &[gone]).await;
    assert_eq!(
        text(store, &shard("0ne1", 5), TABLE, "same").await,
        "(none)"
    );
    assert_eq!(
        text(store, &shard("0ne12", 5), TABLE, "same").await,
        "0ne12"
    );
    assert!(ids(store, asking("0ne123", TABLE, 2)).await.is_empty());
}

/// Scopes are compared without regard to case, so they are stored so.
pub async fn a_scope_is_the_same_in_any_case(store: &dyn Store) {
    let upper = shard("0NE00AB", 6);
    commit(store, &upper, &[put(TABLE, "a", Expect::Absent, "1")]).await;
    assert_eq!(text(store, &shard("0ne00ab", 6), TABLE, "a").await, "1");
    assert_eq!(ids(store, asking("0ne00aB", TABLE, 5)).await, ["a"]);
}

/// An id means something only within its table.
pub async fn tables_are_apart(store: &dyn Store) {
    let tables = Table::ALL;
    let here = shard("tables", 0);
    for table in tables {
        let value = format!("{table:?}");
        commit(store, &here, &[put(table, "x", Expect::Absent, value)]).await;
    }
    for table in tables {
        assert_eq!(text(store, &here, table, "x").await, format!("{table:?}"));
        assert_eq!(ids(store, asking("tables", table, 5)).await, ["x"]);
    }
    commit(store, &here, &[delete(Table::Group, "x", Expect::Any)]).await;
    assert!(
        ids(store, asking("tables", Table::Group, 5))
            .await
            .is_empty()
    );
    assert_eq!(
        text(store, &here, Table::Enrollment, "x").await,
        "Enrollment"
    );
}

/// No id is part of another's key.
pub async fn ids_that_begin_alike_are_apart(store: &dyn Store) {
    let names = [
        "a",
        "a-",
        "a.",
        "a/",
        "a/b",
        "a:",
        "aa",
        "ab",
        "a%",
        "a_",
        "é",
        "%",
        "_",
        "a\u{10ffff}",
    ];
    let here = shard("alike", 7);
    for name in names {
        commit(store, &here, &[put(TABLE, name, Expect::Absent, name)]).await;
    }
    for name in names {
        assert_eq!(text(store, &here, TABLE, name).await, name);
    }
    commit(store, &here, &[delete(TABLE, "a", Expect::Any)]).await;
    for name in &names[1..] {
        assert_eq!(text(store, &here, TABLE, name).await, *name);
    }
}
