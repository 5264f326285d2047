//! The service on this store, dying at every effect.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails says so"
)]

mod common;

use std::cell::OnceCell;
use std::sync::Arc;

use dps_core::store::Store;
use dps_store_postgres::{Config, PostgresStore};
use dps_testkit::crash::{self, Assembly};
use dps_testkit::hubs::FakeHubs;
use dps_testkit::postgres::Database;

use tokio_postgres::{Client, NoTls};

use common::{connect, fresh, run, runtime};

thread_local! {
    /// One database a test, emptied for each of the many processes that are born and die in it.
    static OPEN: OnceCell<(PostgresStore, Client, Database)> = const { OnceCell::new() };
}

fn assembly() -> Assembly {
    let store = OPEN.with(|open| {
        let (store, client, _) = open.get_or_init(|| {
            let database = fresh();
            let config = Config::parse(database.url()).unwrap();
            run(async {
                let store = connect(config).await.unwrap();
                let (client, connection) = tokio_postgres::connect(database.url(), NoTls)
                    .await
                    .unwrap();
                runtime().spawn(connection);
                (store, client, database)
            })
        });
        run(client.batch_execute("DELETE FROM dps_record")).unwrap();
        store.clone()
    });
    let store: Arc<dyn Store> = Arc::new(store);
    Assembly {
        store,
        hubs: Arc::new(FakeHubs::new()),
    }
}

dps_testkit::crash_sweep! { @beneath assembly }
dps_testkit::crash_sweep! { @each assembly; take_over_by_another_credential }

/// One in ten of the ways in which other stores are asked: each is a handful of round trips.
#[test]
fn race_of_three_workers() {
    if let Err(broken) = crash::race_of_three_workers_in(200, &assembly) {
        panic!("{broken}");
    }
}
