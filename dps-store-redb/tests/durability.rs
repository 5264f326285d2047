//! What a store owes that outlives its process: on a file, and on a disk that loses power.
#![allow(clippy::unwrap_used, reason = "a test that fails says so")]

mod disk;

/// The file is closed and opened again.
mod a_file {
    use std::sync::Arc;

    use dps_core::store::Store;
    use dps_store_redb::RedbStore;
    use dps_testkit::{durability, store};
    use tempfile::TempDir;

    struct File;

    #[async_trait::async_trait]
    impl durability::Fixture for File {
        type Place = TempDir;

        async fn place(&self) -> TempDir {
            tempfile::tempdir().unwrap()
        }

        async fn open(&self, place: &TempDir) -> Arc<dyn Store> {
            Arc::new(RedbStore::open(place.path().join("dps.redb")).unwrap())
        }
    }

    store::durability!(File);

    mod sealed {
        use dps_testkit::store::{self, Sealed};

        store::durability!(Sealed(super::File));
    }
}

/// The power goes while the store is open. What was written and not synced is lost, in part or whole.
mod without_power {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use dps_core::store::Store;
    use dps_store_redb::RedbStore;
    use dps_testkit::{durability, store};

    use super::disk::{Disk, Fault};

    struct Machine;

    static CRASHES: AtomicU64 = AtomicU64::new(0);

    #[async_trait::async_trait]
    impl durability::Fixture for Machine {
        type Place = Disk;

        async fn place(&self) -> Disk {
            Disk::new(7)
        }

        async fn open(&self, disk: &Disk) -> Arc<dyn Store> {
            Arc::new(RedbStore::builder().open_backend(disk.plug()).unwrap())
        }

        async fn crash(&self, disk: &Disk, store: Arc<dyn Store>) {
            let faults = [
                Fault::PowerSome,
                Fault::PowerNothing,
                Fault::PowerEverything,
            ];
            let nth = CRASHES.fetch_add(1, Ordering::Relaxed) as usize;
            disk.strike(faults[nth % faults.len()]);
            drop(store);
            disk.repair();
        }

        fn histories(&self) -> u32 {
            100
        }
    }

    store::durability!(Machine);

    mod sealed {
        use dps_testkit::store::{self, Sealed};

        store::durability!(Sealed(super::Machine));
    }
}

/// A disk that loses what it said it had synced: the suite finds out.
mod a_disk_that_lies {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Arc;

    use dps_core::store::Store;
    use dps_store_redb::RedbStore;
    use dps_testkit::durability::{self, all};

    use super::disk::{Disk, Fault};

    struct Liar;

    #[async_trait::async_trait]
    impl durability::Fixture for Liar {
        type Place = Disk;

        async fn place(&self) -> Disk {
            Disk::lying()
        }

        async fn open(&self, disk: &Disk) -> Arc<dyn Store> {
            Arc::new(RedbStore::builder().open_backend(disk.plug()).unwrap())
        }

        async fn crash(&self, disk: &Disk, store: Arc<dyn Store>) {
            disk.strike(Fault::PowerNothing);
            drop(store);
            disk.repair();
        }
    }

    #[test]
    fn is_found() {
        let all = all::<Liar>();
        let found = |(_, duty): &&(&str, fn(&Liar))| {
            catch_unwind(AssertUnwindSafe(|| duty(&Liar))).is_err()
        };
        assert_eq!(all.iter().filter(found).count(), all.len());
    }
}
