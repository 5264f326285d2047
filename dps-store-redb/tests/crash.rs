//! The service on this store, dying at every effect.
#![allow(clippy::unwrap_used, reason = "a test that fails says so")]

use std::sync::Arc;

use dps_store_redb::RedbStore;
use dps_testkit::crash::Assembly;
use dps_testkit::hubs::FakeHubs;
use redb::backends::InMemoryBackend;

dps_testkit::crash_sweep!(|| Assembly {
    store: Arc::new(
        RedbStore::builder()
            .open_backend(InMemoryBackend::new())
            .unwrap()
    ),
    hubs: Arc::new(FakeHubs::new()),
});
