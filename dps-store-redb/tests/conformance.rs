//! The store suite on a store in a file.
#![allow(clippy::unwrap_used, reason = "a test that fails says so")]

use std::sync::Arc;

use dps_core::store::Store;
use dps_store_redb::RedbStore;
use dps_testkit::store::{self, Fixture};
use tempfile::TempDir;

struct File;

#[async_trait::async_trait]
impl Fixture for File {
    type Guard = TempDir;

    async fn open(&self) -> (TempDir, Arc<dyn Store>) {
        let folder = tempfile::tempdir().unwrap();
        let store = RedbStore::open(folder.path().join("dps.redb")).unwrap();
        (folder, Arc::new(store))
    }
}

store::conformance!(File);

mod sealed {
    use dps_testkit::store::{self, Sealed};

    store::conformance!(Sealed(super::File));
}
