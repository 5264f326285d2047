//! The service on this store, dying at every effect.
#![allow(clippy::unwrap_used, reason = "a test that fails says so")]

mod common;

use std::cell::OnceCell;
use std::sync::Arc;

use dps_core::store::Store;
use dps_store_postgres::{Config, PostgresStore};
use dps_testkit::crash::Assembly;
use dps_testkit::hubs::FakeHubs;
use dps_testkit::postgres::Database;

use common::{connect, fresh, run};

thread_local! {
    /// One database a test, emptied for each of the many processes that are born and die in it.
    static OPEN: OnceCell<(Database, PostgresStore)> = const { OnceCell::new() };
}

fn assembly() -> Assembly {
    let store = OPEN.with(|open| {
        let (database, store) = open.get_or_init(|| {
            let database = fresh();
            let config = Config::parse(database.url()).unwrap();
            let store = run(connect(config)).unwrap();
            (database, store)
        });
        database.psql("DELETE FROM dps_record").unwrap();
        store.clone()
    });
    let store: Arc<dyn Store> = Arc::new(store);
    Assembly {
        store,
        hubs: Arc::new(FakeHubs::new()),
    }
}

dps_testkit::crash_sweep!(assembly);
