//! What a store owes that outlives its process: with connections that break off, and with a server that is killed.
#![allow(clippy::unwrap_used, reason = "a test that fails says so")]

mod common;

/// The node dies, and another goes on with the same database.
mod a_node {
    use std::sync::Arc;

    use dps_core::store::Store;
    use dps_store_postgres::Config;
    use dps_testkit::postgres::Database;
    use dps_testkit::{durability, store};

    use super::common::{connect, fresh, runtime};

    struct Node;

    #[async_trait::async_trait]
    impl durability::Fixture for Node {
        type Place = Database;

        async fn place(&self) -> Database {
            runtime().spawn_blocking(fresh).await.unwrap()
        }

        async fn open(&self, place: &Database) -> Arc<dyn Store> {
            let config = Config::parse(place.url()).unwrap();
            Arc::new(connect(config).await.unwrap())
        }
    }

    store::durability!(Node);

    mod sealed {
        use dps_testkit::store::{self, Sealed};

        store::durability!(Sealed(super::Node));
    }
}

/// The server dies, and is started again; the node lives on with what it had of it.
///
/// That takes a second. Without `DPS_OUTAGES`, three times of four the node alone begins anew.
mod a_server {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use dps_core::store::Store;
    use dps_store_postgres::{Config, PostgresStore};
    use dps_testkit::postgres::Server;
    use dps_testkit::{durability, store};
    use parking_lot::Mutex;

    use super::common::{connect, runtime};

    struct Machine;

    struct Place {
        server: Arc<Server>,
        url: String,
        store: Mutex<Option<Arc<dyn Store>>>,
    }

    #[async_trait::async_trait]
    impl durability::Fixture for Machine {
        type Place = Place;

        async fn place(&self) -> Place {
            let start = || {
                let server = Server::start().unwrap();
                let url = server.database().unwrap();
                (Arc::new(server), url)
            };
            let (server, url) = runtime().spawn_blocking(start).await.unwrap();
            let config = Config::parse(&url).unwrap();
            let made = runtime().spawn(async move { PostgresStore::migrate(&config).await });
            made.await.unwrap().unwrap();
            let store = Mutex::new(None);
            Place { server, url, store }
        }

        async fn open(&self, place: &Place) -> Arc<dyn Store> {
            if let Some(store) = place.store.lock().take() {
                return store;
            }
            let config = Config::parse(&place.url).unwrap();
            Arc::new(connect(config).await.unwrap())
        }

        async fn crash(&self, place: &Place, store: Arc<dyn Store>) {
            static CRASHES: AtomicUsize = AtomicUsize::new(0);
            let nth = CRASHES.fetch_add(1, Ordering::Relaxed);
            if !nth.is_multiple_of(4) && std::env::var_os("DPS_OUTAGES").is_none() {
                return drop(store);
            }
            let server = Arc::clone(&place.server);
            let again = move || {
                server.kill().unwrap();
                server.restart().unwrap();
            };
            runtime().spawn_blocking(again).await.unwrap();
            *place.store.lock() = Some(store);
        }

        fn histories(&self) -> u32 {
            3
        }
    }

    store::durability!(Machine);
}
