//! Duties of key providers.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use dps_core::crypto::AWS_LC;
use dps_core::id::IdScope;
use dps_core::seal::{KeyError, KeyName, KeyProvider, SealedStore};
use dps_core::store::{Change, Expect, Key, Shard, Store, StoreError, Table, Write};

use super::Bench;
use super::drawer::Drawer;

const VALUE: &[u8] = b"what the suite seals";

fn scope(name: &str) -> IdScope {
    IdScope::parse(name).expect("the suite's scopes are well formed")
}

fn shard(of: &str) -> Shard {
    Shard {
        scope: scope(of),
        slot: 1,
    }
}

/// A sealed record, in a store that asks the provider.
async fn sealed(bench: &Bench<'_>, of: &str) -> SealedStore<Drawer> {
    let store = SealedStore::new(Drawer::default(), Arc::clone(&bench.keys), AWS_LC);
    let store = store.expect("AWS-LC seals");
    let write = Write {
        table: Table::Enrollment,
        id: "d".into(),
        expect: Expect::Any,
        change: Change::Put(Bytes::from_static(VALUE)),
    };
    let committed = store.commit(&shard(of), &[write]).await;
    assert!(committed.is_ok(), "the current key seals: {committed:?}");
    store
}

async fn opens(store: &SealedStore<Drawer>, of: &str) -> Result<(), StoreError> {
    let key = Key {
        shard: shard(of),
        table: Table::Enrollment,
        id: "d".into(),
    };
    let found = store.get_many(&[key]).await?.remove(0);
    assert_eq!(found.expect("the record is there").value, VALUE);
    Ok(())
}

async fn current(keys: &dyn KeyProvider, of: &str) -> KeyName {
    let key = keys.sealing_key(&scope(of)).await;
    key.expect("a key is current").name().clone()
}

/// What the current key seals, the key of its name opens.
pub async fn the_current_key_is_found_by_its_name(bench: &Bench<'_>) {
    let store = sealed(bench, "one").await;
    let opened = opens(&store, "one").await;
    assert!(
        opened.is_ok(),
        "the key is not found by its name: {opened:?}"
    );
    let name = current(&*bench.keys, "one").await;
    let found = bench.keys.opening_key(&scope("one"), &name).await;
    let found = found.expect("the current key is found by its name");
    assert_eq!(
        found.name(),
        &name,
        "a key has the name that it was asked by"
    );
}

/// A hundred times over.
pub async fn a_name_means_the_same_key_each_time(bench: &Bench<'_>) {
    let store = sealed(bench, "one").await;
    for nth in 0..100 {
        let opened = opens(&store, "one").await;
        assert!(opened.is_ok(), "the {nth}th time: {opened:?}");
    }
}

/// Each scope has a key, its own or the same.
pub async fn a_key_is_for_one_scope_as_good_as_for_another(bench: &Bench<'_>) {
    for of in ["one", "0ne00ABCDEF", "a", "12345678901234567890"] {
        let store = sealed(bench, of).await;
        let opened = opens(&store, of).await;
        assert!(opened.is_ok(), "scope {of}: {opened:?}");
    }
}

/// Names come from the store: anybody may have put them there.
pub async fn a_name_that_nobody_gave_is_unknown(bench: &Bench<'_>) {
    let long = "x".repeat(KeyName::MAX_BYTES);
    for text in [
        "dps-testkit/none",
        "../../keys",
        "/",
        "-",
        ".",
        ":",
        "0",
        &long,
    ] {
        let name = KeyName::parse(text).expect("the suite's names are well formed");
        let found = bench.keys.opening_key(&scope("one"), &name).await;
        assert!(
            matches!(&found, Err(KeyError::Unknown { name: of }) if *of == name),
            "{text} must be unknown, not {found:?}"
        );
    }
    let opened = opens(&sealed(bench, "one").await, "one").await;
    assert!(opened.is_ok(), "after that all is as before: {opened:?}");
}

/// Questions may be dropped before they are answered, too.
pub async fn whoever_asks_at_once_gets_the_same_key(bench: &Bench<'_>) {
    let of = scope("one");
    let mut asking: Vec<_> = (0..32).map(|_| Some(bench.keys.sealing_key(&of))).collect();
    let mut names = Vec::new();
    poll_fn(|cx| {
        for (nth, slot) in asking.iter_mut().enumerate() {
            if let Some(future) = slot {
                match future.as_mut().poll(cx) {
                    Poll::Ready(key) => names.push(key.expect("a key is current").name().clone()),
                    // Every third one does not wait.
                    Poll::Pending if nth % 3 > 0 => continue,
                    Poll::Pending => {}
                }
                *slot = None;
            }
        }
        match asking.iter().all(Option::is_none) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
    let name = current(&*bench.keys, "one").await;
    assert!(names.iter().all(|other| *other == name), "{names:?}");
}

/// New values take the new key, and those of the old one open.
pub async fn after_a_rotation_another_key_is_current_and_the_old_one_still_opens(
    bench: &Bench<'_>,
) {
    let old = sealed(bench, "one").await;
    let before = current(&*bench.keys, "one").await;
    (bench.rotate)().await;
    let after = current(&*bench.keys, "one").await;
    assert_ne!(before, after, "another key must be current");
    let opened = opens(&old, "one").await;
    assert!(opened.is_ok(), "the old key must open: {opened:?}");
    let new = sealed(bench, "one").await;
    let opened = opens(&new, "one").await;
    assert!(opened.is_ok(), "the new key must open: {opened:?}");
}
