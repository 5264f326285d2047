//! Short words for commits and reads.
#![allow(dead_code, reason = "each test file takes what it needs")]
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that fails says so"
)]

use bytes::Bytes;
use dps_core::id::IdScope;
use dps_core::store::{Change, Expect, Key, Shard, Store, StoreError, Table, Version, Write};
use dps_store_postgres::DatabaseError;

/// One of the 64 slots of devices.
pub(crate) fn shard(slot: usize) -> Shard {
    let scope = IdScope::parse("0ne000A11CE").unwrap();
    Shard {
        scope,
        slot: 1 + (slot % 64) as u16,
    }
}

pub(crate) fn put(id: &str, expect: Expect, value: &str) -> Write {
    let change = Change::Put(Bytes::copy_from_slice(value.as_bytes()));
    Write {
        table: Table::Registration,
        id: id.into(),
        expect,
        change,
    }
}

pub(crate) fn keep(id: &str, expect: Expect) -> Write {
    Write {
        table: Table::Registration,
        id: id.into(),
        expect,
        change: Change::Keep,
    }
}

pub(crate) async fn create(
    store: &dyn Store,
    slot: usize,
    id: &str,
) -> Result<Version, StoreError> {
    store
        .commit(&shard(slot), &[put(id, Expect::Absent, "new")])
        .await
}

pub(crate) async fn read(
    store: &dyn Store,
    slot: usize,
    id: &str,
) -> Result<Option<(Version, String)>, StoreError> {
    let key = Key {
        shard: shard(slot),
        table: Table::Registration,
        id: id.into(),
    };
    let found = store.get_many(&[key]).await?.remove(0);
    Ok(found.map(|found| {
        (
            found.version,
            String::from_utf8_lossy(&found.value).into_owned(),
        )
    }))
}

/// What is behind an [`StoreError::Unavailable`].
pub(crate) fn cause<T: std::fmt::Debug>(outcome: Result<T, StoreError>) -> DatabaseError {
    let Err(StoreError::Unavailable(source)) = outcome else {
        panic!("not unavailable: {outcome:?}");
    };
    source.downcast_ref::<DatabaseError>().unwrap().clone()
}

/// Calls again until it succeeds: what is away comes back without being told.
pub(crate) async fn until_it_works<T, F: Future<Output = Result<T, StoreError>>>(
    call: impl Fn() -> F,
) -> T {
    loop {
        match call().await {
            Ok(done) => return done,
            Err(StoreError::Unavailable(_)) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    }
}
