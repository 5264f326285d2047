//! The store suite on Citus: a coordinator and two workers.
//!
//! Not among the tests that `cargo test` runs by itself, because it needs Citus for the server's version to be installed:
//! `cargo test --package dps-store-postgres --test citus`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that fails says so"
)]

mod common;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use dps_core::store::{Expect, Store};
use dps_store_postgres::{Config, PostgresStore};
use dps_testkit::postgres::Server;
use dps_testkit::store::{Fixture, Sealed};
use parking_lot::Mutex;

use common::words::{put, shard};
use common::{run, runtime};

/// The coordinator is the first. They are never dropped; their guards see this process end.
struct Cluster {
    servers: [Server; 3],
    next: AtomicU32,
}

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let server = || {
            let options = Server::options()
                .with_fsync(false)
                .with_setting("shared_preload_libraries", "citus")
                .with_setting("citus.shard_count", "8")
                .with_setting("max_connections", "400")
                .with_setting("max_prepared_transactions", "400")
                .with_setting("max_worker_processes", "64");
            options.start().expect("PostgreSQL with Citus")
        };
        Cluster {
            servers: [server(), server(), server()],
            next: AtomicU32::new(0),
        }
    })
}

/// A database on all three, with the store's tables.
struct Database {
    name: String,
}

impl Database {
    fn new() -> Self {
        // Each database has a process of Citus on each server, which meets those of others in the catalogue.
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _one_at_a_time = ONE_AT_A_TIME.lock();
        let Cluster { servers, next } = cluster();
        let name = format!("dps_{}", next.fetch_add(1, Ordering::Relaxed));
        for server in servers {
            server.psql(&format!("CREATE DATABASE {name}")).unwrap();
            server.psql_in(&name, "CREATE EXTENSION citus").unwrap();
        }
        let database = Self { name };
        let [coordinator, workers @ ..] = servers;
        let node = |server: &Server| format!("('127.0.0.1', {})", server.port());
        database.psql(&format!(
            "SELECT citus_set_coordinator_host{}",
            node(coordinator)
        ));
        for worker in workers {
            database.psql(&format!("SELECT citus_add_node{}", node(worker)));
        }
        run(PostgresStore::migrate(&database.config())).unwrap();
        database.psql("SELECT create_distributed_table('dps_record', 'shard')");
        database
    }

    fn config(&self) -> Config {
        Config::parse(&cluster().servers[0].url(&self.name)).unwrap()
    }

    fn psql(&self, statements: &str) -> String {
        cluster().servers[0]
            .psql_in(&self.name, statements)
            .unwrap()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        for server in &cluster().servers {
            let _ = server.psql(&format!("DROP DATABASE {} WITH (FORCE)", self.name));
        }
    }
}

struct Citus;

#[async_trait::async_trait]
impl Fixture for Citus {
    type Guard = Database;

    async fn open(&self) -> (Database, Arc<dyn Store>) {
        let made = runtime().spawn_blocking(Database::new).await;
        let database = made.unwrap();
        let store = common::connect(database.config()).await.unwrap();
        (database, Arc::new(store))
    }
}

mod plain {
    dps_testkit::store::conformance!(super::Citus);
}

mod sealed {
    dps_testkit::store::conformance!(super::Sealed(super::Citus));
}

#[test]
fn rows_lie_on_all_workers() {
    run(async {
        let (database, store) = Citus.open().await;
        for slot in 0..64 {
            let write = put("one", Expect::Absent, "a value");
            store.commit(&shard(slot), &[write]).await.unwrap();
        }
        let found = database.psql(
            "SELECT nodeport, sum(result::int) FROM run_command_on_shards('dps_record', 'SELECT count(*) FROM %s') \
             JOIN pg_dist_shard_placement USING (shardid) GROUP BY nodeport",
        );
        let counts: Vec<u32> = found
            .lines()
            .map(|line| line.split('|').nth(1).unwrap().parse().unwrap())
            .collect();
        assert_eq!(counts.len(), 2, "{found}");
        assert_eq!(counts.iter().sum::<u32>(), 64, "{found}");
        assert!(counts.iter().all(|count| *count > 0), "{found}");
    });
}
