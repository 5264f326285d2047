//! The service on this store, with a connection that is cut at every message that it sends.
//!
//! `DPS_CUTS=all` cuts at each message in each way; without it, at each message in another.
#![allow(clippy::unwrap_used, reason = "a test that fails says so")]

#[path = "../common/mod.rs"]
mod common;
mod proxy;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use dps_core::id::IdScope;
use dps_core::store::{Change, Expect, Key, Shard, Store, Table, Write};
use dps_store_postgres::{Config, PostgresStore};
use dps_testkit::crash::{Beneath, Fragile};
use dps_testkit::hubs::FakeHubs;
use dps_testkit::postgres::Database;
use tokio_postgres::{Client, NoTls};

use self::common::{connect, fresh, run, runtime};
use self::proxy::{Cut, Proxy};

/// One store all the time, which has to get over each cut by itself.
#[derive(Debug)]
struct Cutting {
    store: Arc<PostgresStore>,
    proxy: Proxy,
    /// Goes past the proxy.
    direct: Client,
    _database: Database,
}

impl Cutting {
    fn new() -> Self {
        let database = fresh();
        let (url, port) = split(database.url());
        let proxy = Proxy::start(port);
        let through = url.replacen(&format!(":{port}/"), &format!(":{}/", proxy.port()), 1);
        let config = Config::parse(&through)
            .unwrap()
            .with_connections(3)
            .with_patience(Duration::from_millis(300));
        let store = Arc::new(run(connect(config)).unwrap());
        let direct = run(async {
            let (client, connection) = tokio_postgres::connect(database.url(), NoTls)
                .await
                .unwrap();
            runtime().spawn(connection);
            client
        });
        Self {
            store,
            proxy,
            direct,
            _database: database,
        }
    }
}

impl Cutting {
    /// Mends everything, and waits until the store has noticed.
    fn mend(&self) {
        self.proxy.mend();
        let scope = IdScope::parse("probe").unwrap();
        let shard = Shard { scope, slot: 1 };
        let probe = Write {
            table: Table::Tally,
            id: "probe".into(),
            expect: Expect::Any,
            change: Change::Put(Bytes::new()),
        };
        let key = Key {
            shard: shard.clone(),
            table: probe.table,
            id: Arc::clone(&probe.id),
        };
        let begun = Instant::now();
        run(async {
            loop {
                let read = self.store.get_many(std::slice::from_ref(&key)).await;
                let written = self
                    .store
                    .commit(&shard, std::slice::from_ref(&probe))
                    .await;
                if read.is_ok() && written.is_ok() {
                    break;
                }
                let late = begun.elapsed() > Duration::from_secs(20);
                assert!(!late, "it does not resume: {read:?}, {written:?}");
            }
        });
    }
}

impl Beneath for Cutting {
    fn fresh(&self) -> Arc<dyn Store> {
        self.mend();
        // What was under way when a connection was cut may still be.
        let others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                      AND pid <> pg_backend_pid() AND state NOT LIKE 'idle%'";
        run(async {
            while self
                .direct
                .query_one(others, &[])
                .await
                .unwrap()
                .get::<_, i64>(0)
                > 0
            {}
            self.direct
                .batch_execute("DELETE FROM dps_record")
                .await
                .unwrap();
        });
        Arc::clone(&self.store) as _
    }

    fn ways(&self) -> usize {
        match all() {
            true => Cut::ALL.len(),
            false => 1,
        }
    }

    fn arm(&self, nth: usize, way: usize) {
        // Those who cannot connect wait, which takes time.
        let ways = Cut::ALL.len() - usize::from(!all());
        let cut = Cut::ALL[(nth + way) % ways];
        self.proxy.arm(nth, cut);
    }

    fn has_failed(&self) -> bool {
        self.proxy.has_cut()
    }

    fn again(&self) -> Result<Arc<dyn Store>, String> {
        self.mend();
        Ok(Arc::clone(&self.store) as _)
    }
}

fn all() -> bool {
    std::env::var("DPS_CUTS").is_ok_and(|which| which == "all")
}

/// Whatever it waited for: at once, and not when the time of the statement is up.
#[test]
fn whoever_waits_for_a_connection_that_is_cut_hears_of_it() {
    let cutting = Cutting::new();
    let shard = Shard {
        scope: IdScope::parse("probe").unwrap(),
        slot: 2,
    };
    let id: Arc<str> = "sum".into();
    for cut in [Cut::AfterTheAnswer, Cut::Before, Cut::AtOnce] {
        cutting.mend();
        let sum = Write {
            table: Table::Tally,
            id: Arc::clone(&id),
            expect: Expect::Any,
            change: Change::Put(Bytes::from_static(b"1")),
        };
        cutting.proxy.arm(2, cut);
        let begun = Instant::now();
        let told = run(cutting.store.commit(&shard, &[sum]));
        let took = begun.elapsed();
        assert!(cutting.proxy.has_cut());
        assert!(took < Duration::from_secs(5), "{cut:?}: {took:?}, {told:?}");
    }
}

/// The port in a URL.
fn split(url: &str) -> (&str, u16) {
    let authority = url.split("://").nth(1).unwrap().split('/').next().unwrap();
    (url, authority.rsplit(':').next().unwrap().parse().unwrap())
}

dps_testkit::fault_sweep!(Fragile::new(Cutting::new(), || Arc::new(FakeHubs::new())));
