//! The store suite, and the service dying at every effect, on the store in memory with its values sealed.

use std::sync::Arc;

use dps_core::crypto::AWS_LC;
use dps_core::seal::SealedStore;
use dps_core::store::Store;
use dps_store_memory::MemoryStore;
use dps_testkit::crash::Assembly;
use dps_testkit::hubs::FakeHubs;
use dps_testkit::keys::FakeKeys;
use dps_testkit::store::{self, Fixture, Sealed};

struct Memory;

#[async_trait::async_trait]
impl Fixture for Memory {
    type Guard = ();

    async fn open(&self) -> ((), Arc<dyn Store>) {
        ((), Arc::new(MemoryStore::new()))
    }
}

store::conformance!(Sealed(Memory));

mod crash {
    use super::*;

    fn sealed() -> Arc<dyn Store> {
        let keys = Arc::new(FakeKeys::new());
        Arc::new(SealedStore::new(MemoryStore::new(), keys, AWS_LC).expect("AWS-LC seals"))
    }

    dps_testkit::crash_sweep!(|| Assembly {
        store: sealed(),
        hubs: Arc::new(FakeHubs::new()),
    });
}
