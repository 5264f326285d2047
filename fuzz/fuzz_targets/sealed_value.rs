//! Values of a sealed store, as whoever can write to the database may leave them: what was not sealed for its place does not
//! open. The first bytes of the input say how a good value is changed; with none, the input is the value.
#![no_main]

use std::pin::pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use dps_core::crypto::RING;
use dps_core::id::IdScope;
use dps_core::seal::{DataKey, KeyError, KeyName, KeyProvider, SealedStore};
use dps_core::store::{Change, Expect, Key, Shard, Store, StoreError, Table, Write};
use dps_store_memory::MemoryStore;
use libfuzzer_sys::fuzz_target;

#[derive(Debug)]
struct OneKey(Arc<DataKey>);

#[async_trait]
impl KeyProvider for OneKey {
    async fn sealing_key(&self, _: &IdScope) -> Result<Arc<DataKey>, KeyError> {
        Ok(Arc::clone(&self.0))
    }

    async fn opening_key(&self, _: &IdScope, name: &KeyName) -> Result<Arc<DataKey>, KeyError> {
        match name == self.0.name() {
            true => Ok(Arc::clone(&self.0)),
            false => Err(KeyError::Unknown { name: name.clone() }),
        }
    }
}

const VALUE: &[u8] = b"a value of some length";

/// The store, what is below it, and the value as it is sealed.
type World = (SealedStore<Arc<MemoryStore>>, Arc<MemoryStore>, Vec<u8>);

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let below = Arc::new(MemoryStore::new());
    let name = KeyName::parse("k").expect("a name");
    let keys = Arc::new(OneKey(Arc::new(DataKey::new(name, &[7; 32]))));
    let store = SealedStore::new(Arc::clone(&below), keys, RING).expect("ring seals");
    put(&store, VALUE);
    let sealed = read(&*below).expect("what was written");
    (store, below, sealed)
});

/// Nothing here waits.
fn block_on<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("the store in memory answers at once"),
    }
}

fn shard() -> Shard {
    Shard {
        scope: IdScope::parse("s").expect("a scope"),
        slot: 1,
    }
}

fn put(store: &dyn Store, value: &[u8]) {
    let write = Write {
        table: Table::Enrollment,
        id: "d".into(),
        expect: Expect::Any,
        change: Change::Put(value.to_vec().into()),
    };
    block_on(store.commit(&shard(), &[write])).expect("it is written");
}

fn read(store: &dyn Store) -> Result<Vec<u8>, StoreError> {
    let key = Key {
        shard: shard(),
        table: Table::Enrollment,
        id: "d".into(),
    };
    let found = block_on(store.get_many(&[key]))?.remove(0);
    Ok(found.expect("the record is there").value.to_vec())
}

fuzz_target!(|input: &[u8]| {
    let (store, below, sealed) = &*WORLD;
    let stored = match input {
        // Cut to a length, and one byte changed.
        [0, length, at, change] => {
            let mut stored = sealed[..usize::from(*length).min(sealed.len())].to_vec();
            if let Some(byte) = stored.get_mut(usize::from(*at)) {
                *byte ^= change;
            }
            stored
        }
        stored => stored.to_vec(),
    };
    put(&**below, &stored);
    match read(store) {
        Ok(value) => {
            assert_eq!(&stored, sealed);
            assert_eq!(value, VALUE);
        }
        Err(StoreError::Corrupt(_) | StoreError::Unavailable(_)) => assert_ne!(&stored, sealed),
        Err(other) => panic!("{other:?}"),
    }
});
