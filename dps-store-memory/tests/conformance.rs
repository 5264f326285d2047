//! The store suite on the store in memory.

use std::sync::Arc;

use dps_core::store::Store;
use dps_store_memory::MemoryStore;
use dps_testkit::store::{self, Fixture};

struct Memory;

#[async_trait::async_trait]
impl Fixture for Memory {
    type Guard = ();

    async fn open(&self) -> ((), Arc<dyn Store>) {
        ((), Arc::new(MemoryStore::new()))
    }
}

store::conformance!(Memory);
