//! Stores on databases of their own, with a runtime that lives as long as the test.
#![allow(dead_code, reason = "each test file takes what it needs")]

pub(crate) mod words;

use std::future::Future;
use std::sync::{Arc, OnceLock};

use dps_core::store::Store;
use dps_store_postgres::{Config, DatabaseError, PostgresStore};
use dps_testkit::postgres::{Database, Pooler, database};
use dps_testkit::store::Fixture;
use tokio::runtime::{Builder, Runtime};

/// What serves the connections; the tests themselves need no runtime.
pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap()
    })
}

/// Runs a test within the runtime.
pub(crate) fn run<T>(test: impl Future<Output = T>) -> T {
    runtime().block_on(test)
}

/// A database with tables.
pub(crate) fn fresh() -> Database {
    let database = database().unwrap();
    let config = Config::parse(database.url()).unwrap();
    run(PostgresStore::migrate(&config)).unwrap();
    database
}

pub(crate) async fn connect(config: Config) -> Result<PostgresStore, DatabaseError> {
    runtime()
        .spawn(PostgresStore::connect(config))
        .await
        .unwrap()
}

/// A store on a fresh database, made as told.
pub(crate) struct Fresh(pub(crate) fn(Config) -> Config);

#[async_trait::async_trait]
impl Fixture for Fresh {
    type Guard = Database;

    async fn open(&self) -> (Database, Arc<dyn Store>) {
        let change = self.0;
        runtime()
            .spawn(async move {
                let database = database().unwrap();
                let config = Config::parse(database.url()).unwrap();
                PostgresStore::migrate(&config).await.unwrap();
                let store = PostgresStore::connect(change(config)).await.unwrap();
                let store: Arc<dyn Store> = Arc::new(store);
                (database, store)
            })
            .await
            .unwrap()
    }
}

/// Stores behind a PgBouncer that gives each transaction another connection; tables are made through it, too.
pub(crate) struct Pooled;

#[async_trait::async_trait]
impl Fixture for Pooled {
    type Guard = Database;

    async fn open(&self) -> (Database, Arc<dyn Store>) {
        runtime()
            .spawn(async {
                let database = database().unwrap();
                let url = pooler(&database).url(database.url());
                let config = Config::parse(&url).unwrap().with_transaction_pooler(true);
                PostgresStore::migrate(&config).await.unwrap();
                let store = PostgresStore::connect(config).await.unwrap();
                let store: Arc<dyn Store> = Arc::new(store);
                (database, store)
            })
            .await
            .unwrap()
    }
}

/// One for the whole process: all databases are on one server. Its guard sees the process end.
fn pooler(database: &Database) -> &'static Pooler {
    static POOLER: OnceLock<Pooler> = OnceLock::new();
    POOLER.get_or_init(|| Pooler::start(database.url()).unwrap())
}
