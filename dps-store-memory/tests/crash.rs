//! The service on this store, dying at every effect.

use std::sync::Arc;

use dps_store_memory::MemoryStore;
use dps_testkit::crash::Assembly;
use dps_testkit::hubs::FakeHubs;

dps_testkit::crash_sweep!(|| Assembly {
    store: Arc::new(MemoryStore::new()),
    hubs: Arc::new(FakeHubs::new()),
});
