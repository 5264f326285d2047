//! What stands in the store below, and what is made of it when somebody has been there.

use std::sync::Arc;

use dps_core::crypto::Crypto;
use dps_core::id::IdScope;
use dps_core::seal::{DataKey, KeyError, KeyName, KeyProvider, SealError, SealedStore};
use dps_core::store::{
    Change, Expect, MAX_STORED_BYTES, MAX_VALUE_BYTES, Store, StoreError, Table, Write,
};
use dps_testkit::keys::FakeKeys;
use dps_testkit::run::block_on;

use crate::common::*;

fn cause(error: &StoreError) -> &SealError {
    let StoreError::Corrupt(source) = error else {
        panic!("a value that cannot be had is corrupt, not {error:?}");
    };
    source.downcast_ref().unwrap()
}

#[test]
fn nothing_of_a_value_can_be_read_below() {
    let world = World::new();
    let service = service(world.store.clone());
    register(&service, 1);
    let of = service.scope();
    let (records, below) = (all(&*world.store, &of), all(&*world.below, &of));
    assert!(records.len() >= 5);
    assert_eq!(records.len(), below.len());
    for ((table, id, plain), (.., sealed)) in records.iter().zip(&below) {
        assert_eq!(plain.version, sealed.version);
        let (plain, sealed) = (&plain.value[..], &sealed.value[..]);
        assert_eq!(sealed.len(), plain.len() + 30 + "fake-1".len());
        assert!(sealed.starts_with(b"\x01\x06fake-1"), "{table:?} {id}");
        let readable = plain.windows(6).any(|part| {
            let mut windows = sealed.windows(6);
            windows.any(|window| window == part)
        });
        assert!(!readable, "{table:?} record {id} is readable");
    }
}

#[test]
fn a_value_that_was_changed_below_is_corrupt_and_named() {
    let world = World::new();
    let place = key(&shard(&scope(), 3), Table::Registration, "press-1");
    write(&*world.store, &place, b"value");
    let sealed = read(&*world.below, &place).value;
    for at in [0, 9, sealed.len() - 20, sealed.len() - 1] {
        let mut changed = sealed.to_vec();
        changed[at] ^= 1;
        write(&*world.below, &place, &changed);
        let error = try_read(&*world.store, &place).unwrap_err();
        assert!(chain(&error).contains("Registration record press-1"));
        match cause(&error) {
            SealError::NotSealed { .. } => assert_eq!(at, 0),
            SealError::Broken { key, .. } => assert_eq!(key.as_str(), "fake-1"),
            other => panic!("{other:?}"),
        }
        let scan = block_on(world.store.scan(&dps_core::store::Scan {
            scope: scope(),
            table: Table::Registration,
            prefix: "".into(),
            after: None,
            limit: 10,
        }));
        assert!(matches!(scan, Err(StoreError::Corrupt(_))));
    }
    write(&*world.below, &place, &sealed);
    assert_eq!(read(&*world.store, &place).value, "value");
}

#[test]
fn a_value_that_was_copied_elsewhere_does_not_open_there() {
    let world = World::new();
    let here = shard(&scope(), 3);
    let elsewhere = IdScope::parse("other").unwrap();
    let place = key(&here, Table::Enrollment, "press-1");
    write(&*world.store, &place, b"value");
    let sealed = read(&*world.below, &place).value;
    for other in [
        key(&here, Table::Enrollment, "press-2"),
        key(&here, Table::Registration, "press-1"),
        key(&shard(&elsewhere, 3), Table::Enrollment, "press-1"),
    ] {
        write(&*world.below, &other, &sealed);
        let error = try_read(&*world.store, &other).unwrap_err();
        assert!(matches!(cause(&error), SealError::Broken { .. }));
    }
}

#[test]
fn a_plain_value_is_refused_whatever_it_is() {
    let world = World::new();
    let place = key(&shard(&scope(), 3), Table::Enrollment, "press-1");
    for plain in [&b""[..], b"{}", br#"{"registration":"press-1"}"#] {
        write(&*world.below, &place, plain);
        let error = try_read(&*world.store, &place).unwrap_err();
        assert!(matches!(cause(&error), SealError::NotSealed { .. }));
        assert!(chain(&error).ends_with("Enrollment record press-1 is not sealed"));
    }
}

#[test]
fn every_record_fits_and_what_is_larger_is_refused_before_any_key_is_asked_for() {
    let world = World::new();
    let place = key(&shard(&scope(), 3), Table::Enrollment, "press-1");
    let largest = vec![7; MAX_VALUE_BYTES];
    write(&*world.store, &place, &largest);
    assert_eq!(read(&*world.store, &place).value, largest);
    let asked = world.keys.asked();
    let too_large = put(Table::Enrollment, "press-1", &vec![7; MAX_STORED_BYTES]);
    let refused = block_on(world.store.commit(&place.shard, &[too_large]));
    let Err(StoreError::TooLarge { bytes }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(bytes, MAX_STORED_BYTES);
    assert_eq!(world.keys.asked(), asked);
}

#[test]
fn keys_are_asked_for_once_a_call_and_only_where_something_is_sealed() {
    let world = World::new();
    let here = shard(&scope(), 3);
    let ids = ["a", "b", "c"];
    let writes: Vec<_> = ids.map(|id| put(Table::Enrollment, id, b"x")).to_vec();
    block_on(world.store.commit(&here, &writes)).unwrap();
    assert_eq!(world.keys.asked(), 1);
    let keys: Vec<_> = ids.map(|id| key(&here, Table::Enrollment, id)).to_vec();
    block_on(world.store.get_many(&keys)).unwrap();
    assert_eq!(world.keys.asked(), 2);
    let change = |id: &str, change| Write {
        table: Table::Enrollment,
        id: id.into(),
        expect: Expect::Any,
        change,
    };
    let writes = [change("a", Change::Delete), change("b", Change::Keep)];
    block_on(world.store.commit(&here, &writes)).unwrap();
    assert_eq!(world.keys.asked(), 2);
}

/// A key of its own for each scope, all of one name.
#[derive(Debug)]
struct OfScope;

#[async_trait::async_trait]
impl KeyProvider for OfScope {
    async fn sealing_key(&self, of: &IdScope) -> Result<Arc<DataKey>, KeyError> {
        let name = KeyName::parse("own").unwrap();
        let byte = of.folded().as_bytes()[0];
        Ok(Arc::new(DataKey::new(name, &[byte; 32])))
    }

    async fn opening_key(&self, of: &IdScope, _: &KeyName) -> Result<Arc<DataKey>, KeyError> {
        self.sealing_key(of).await
    }
}

#[test]
fn scopes_may_have_keys_of_their_own_and_be_read_together() {
    let world = World::new();
    let store = sealed(&world.below, OfScope);
    let places = ["one", "two", "three"].map(|name| {
        let of = IdScope::parse(name).unwrap();
        key(&shard(&of, 1), Table::Enrollment, "d")
    });
    for place in &places {
        write(&*store, place, place.shard.scope.as_str().as_bytes());
    }
    let found = block_on(store.get_many(&places)).unwrap();
    let values = found.into_iter().map(|found| found.unwrap().value);
    assert_eq!(values.collect::<Vec<_>>(), ["one", "two", "three"]);
}

#[test]
fn crypto_that_cannot_seal_is_refused_at_once() {
    let without = Crypto::new(
        dps_core::crypto::AWS_LC.signatures,
        dps_core::crypto::AWS_LC.random,
    );
    let keys = Arc::new(FakeKeys::new());
    let refused = SealedStore::new(World::new().below, keys, without);
    assert!(refused.unwrap_err().to_string().contains("AES-256-GCM"));
}

#[test]
fn nothing_that_is_printed_shows_a_key_or_a_value() {
    let world = World::new();
    let place = key(&shard(&scope(), 3), Table::Enrollment, "press-1");
    write(&*world.store, &place, b"a very secret value");
    let name = KeyName::parse("readable").unwrap();
    let own = DataKey::new(name, b"0123456789abcdefghijklmnopqrstuv");
    let mut shown = format!("{:?} {:#?} {own:?} {own:#?}", world.store, world.keys);
    let changed = read(&*world.below, &place).value;
    write(&*world.below, &place, &changed[..changed.len() - 1]);
    let error = try_read(&*world.store, &place).unwrap_err();
    shown += &format!("{error:?} {}", chain(&error));
    assert!(shown.contains("fake-1") && shown.contains("readable"));
    // Keys of the fake end in many bytes 0x5e; the other one in text.
    for secret in [
        "94, 94",
        "5e5e",
        "Xl5e",
        "^^",
        "0123456789",
        "cdef",
        "48, 49",
        "3031",
        "very secret",
    ] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}
