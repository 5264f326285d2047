//! Short words for the suite.

use std::sync::Arc;

use bytes::Bytes;
use dps_core::id::IdScope;
use dps_core::store::{
    Change, Expect, Key, Scan, Shard, Store, StoreError, Table, Version, Versioned, Write,
};

pub(crate) fn scope(name: &str) -> IdScope {
    IdScope::parse(name).expect("the suite's scopes are well formed")
}

pub(crate) fn shard(scope_name: &str, slot: u16) -> Shard {
    Shard {
        scope: scope(scope_name),
        slot,
    }
}

/// Where the suite keeps the `n`-th record of a table: spread over the 64 slots of devices.
pub(crate) fn spread(scope_name: &str, n: usize) -> Shard {
    shard(scope_name, 1 + (n % 64) as u16)
}

pub(crate) fn key(shard: &Shard, table: Table, id: &str) -> Key {
    Key {
        shard: shard.clone(),
        table,
        id: id.into(),
    }
}

pub(crate) fn write(table: Table, id: &str, expect: Expect, change: Change) -> Write {
    Write {
        table,
        id: id.into(),
        expect,
        change,
    }
}

pub(crate) fn put(table: Table, id: &str, expect: Expect, value: impl AsRef<[u8]>) -> Write {
    let value = Bytes::copy_from_slice(value.as_ref());
    write(table, id, expect, Change::Put(value))
}

pub(crate) fn delete(table: Table, id: &str, expect: Expect) -> Write {
    write(table, id, expect, Change::Delete)
}

pub(crate) fn keep(table: Table, id: &str, expect: Expect) -> Write {
    write(table, id, expect, Change::Keep)
}

/// Commits what must succeed.
pub(crate) async fn commit(store: &dyn Store, shard: &Shard, writes: &[Write]) -> Version {
    let committed = store.commit(shard, writes).await;
    assert!(
        committed.is_ok(),
        "a commit whose expectations hold must succeed: {committed:?}"
    );
    committed.unwrap_or(Version(0))
}

/// Commits what must be refused; which record the conflict names.
pub(crate) async fn refused(
    store: &dyn Store,
    shard: &Shard,
    writes: &[Write],
) -> (Table, Arc<str>) {
    let outcome = store.commit(shard, writes).await;
    let Err(StoreError::Conflict { table, id }) = outcome else {
        unreachable!("a commit whose expectation does not hold must be a conflict: {outcome:?}");
    };
    (table, id)
}

pub(crate) async fn read_many(store: &dyn Store, keys: &[Key]) -> Vec<Option<Versioned>> {
    let found = store.get_many(keys).await.expect("reads must succeed");
    assert_eq!(found.len(), keys.len(), "one result per key");
    found
}

pub(crate) async fn read(
    store: &dyn Store,
    shard: &Shard,
    table: Table,
    id: &str,
) -> Option<Versioned> {
    let mut found = read_many(store, &[key(shard, table, id)]).await;
    found.remove(0)
}

/// The value of a record, as text.
pub(crate) async fn text(store: &dyn Store, shard: &Shard, table: Table, id: &str) -> String {
    let found = read(store, shard, table, id).await;
    found.map_or_else(
        || "(none)".to_owned(),
        |found| String::from_utf8_lossy(&found.value).into_owned(),
    )
}

pub(crate) fn asking(scope_name: &str, table: Table, limit: u32) -> Scan {
    Scan {
        scope: scope(scope_name),
        table,
        prefix: "".into(),
        after: None,
        limit,
    }
}

/// All ids that pages of `ask` give, page after page.
pub(crate) async fn ids(store: &dyn Store, mut ask: Scan) -> Vec<String> {
    let mut ids = Vec::new();
    loop {
        let page = store.scan(&ask).await.expect("scans must succeed");
        assert!(
            page.records.len() <= ask.limit as usize,
            "a page has at most its limit"
        );
        if let (Some(after), Some((first, _))) = (&ask.after, page.records.first()) {
            assert!(
                first > after,
                "a page begins after {after:?}, not at {first:?}"
            );
        }
        ids.extend(page.records.iter().map(|(id, _)| id.to_string()));
        if !page.more {
            return ids;
        }
        let last = page.records.last();
        assert!(last.is_some(), "a page that is not the last has records");
        ask.after = last.map(|(id, _)| Arc::clone(id));
    }
}
