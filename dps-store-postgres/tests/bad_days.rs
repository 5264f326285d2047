//! What goes wrong with databases: a clear error each, and everything goes on by itself when the cause is gone.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails says so"
)]

mod common;

use std::time::Duration;

use dps_core::store::{Expect, Store};
use dps_store_postgres::{Config, DatabaseError, PostgresStore};
use dps_testkit::postgres::{Database, Server};
use tokio_postgres::NoTls;

use common::words::{cause, create, put, read, shard, until_it_works};
use common::{connect, fresh, run, runtime};

fn config(url: &str) -> Config {
    Config::parse(url).unwrap()
}

async fn open(database: &Database) -> PostgresStore {
    connect(config(database.url())).await.unwrap()
}

/// A server of one's own with a database that has tables, and short limits.
fn server() -> (Server, Config) {
    let server = Server::options().with_fsync(false).start().unwrap();
    let config = config(&server.database().unwrap())
        .with_patience(Duration::from_millis(300))
        .with_connect_limit(Duration::from_secs(2));
    run(PostgresStore::migrate(&config)).unwrap();
    (server, config)
}

/// A connection of somebody else, who keeps everybody from writing until it is dropped.
async fn lock(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    runtime().spawn(connection);
    client
        .batch_execute("BEGIN; LOCK TABLE dps_record IN EXCLUSIVE MODE")
        .await
        .unwrap();
    client
}

#[test]
fn a_database_that_is_restarted_is_used_again() {
    let (server, config) = server();
    run(async {
        let store = connect(config).await.unwrap();
        let version = create(&store, 1, "a").await.unwrap();
        server.restart().unwrap();
        let found = until_it_works(|| read(&store, 1, "a")).await;
        assert_eq!(found, Some((version, "new".to_owned())));
        until_it_works(|| async { store.commit(&shard(1), &[put("b", Expect::Any, "x")]).await })
            .await;

        server.kill().unwrap();
        assert!(matches!(
            cause(read(&store, 1, "a").await),
            DatabaseError::Unreachable(_)
        ));
        assert!(matches!(
            cause(create(&store, 1, "c").await),
            DatabaseError::Unreachable(_)
        ));
        server.restart().unwrap();
        until_it_works(|| read(&store, 1, "a")).await;
        until_it_works(|| async { store.commit(&shard(1), &[put("c", Expect::Any, "x")]).await })
            .await;
    });
}

#[test]
fn a_call_waits_for_a_database_that_is_away_for_a_moment() {
    let (server, config) = server();
    run(async {
        let config = config.with_patience(Duration::from_secs(60));
        let store = connect(config).await.unwrap();
        create(&store, 1, "a").await.unwrap();
        server.stop().unwrap();
        let waiting = runtime().spawn({
            let store = store.clone();
            async move { read(&store, 1, "a").await }
        });
        server.restart().unwrap();
        assert!(waiting.await.unwrap().unwrap().is_some());
    });
}

#[test]
fn a_slow_database_is_told_so_and_writes_nothing() {
    let database = fresh();
    run(async {
        let limit = Duration::from_millis(100);
        let store = connect(config(database.url()).with_statement_limit(limit))
            .await
            .unwrap();
        let locked = lock(database.url()).await;
        let DatabaseError::Other { code, message } = cause(create(&store, 1, "a").await) else {
            panic!("no statement timeout");
        };
        assert_eq!(
            (&*code, &*message),
            ("57014", "canceling statement due to statement timeout")
        );
        drop(locked);
        until_it_works(|| create(&store, 1, "a")).await;
    });
}

#[test]
fn calls_beyond_those_that_may_wait_are_refused_at_once() {
    let database = fresh();
    run(async {
        let config = config(database.url()).with_connections(3).with_waiting(2);
        let store = connect(config).await.unwrap();
        let locked = lock(database.url()).await;
        let mut waiting = Vec::new();
        // One is under way, two wait.
        let refused = loop {
            let (store, id) = (store.clone(), format!("d{}", waiting.len()));
            let mut call = Box::pin(async move { create(&store, 1, &id).await });
            let at_once =
                std::future::poll_fn(|cx| std::task::Poll::Ready(call.as_mut().poll(cx))).await;
            match at_once {
                std::task::Poll::Ready(outcome) => break outcome,
                std::task::Poll::Pending => waiting.push(runtime().spawn(call)),
            }
            assert!(waiting.len() < 100, "more wait than may");
        };
        assert_eq!(cause(refused), DatabaseError::Busy(2));
        drop(locked);
        for call in waiting {
            call.await.unwrap().unwrap();
        }
        create(&store, 1, "later").await.unwrap();
    });
}

#[test]
fn a_role_without_rights_is_told_so_until_it_has_them() {
    let database = fresh();
    let role = format!("{}_reader", database.name());
    // The role has the password of the superuser, if that needs one.
    let after_user = database.url().strip_prefix("postgres://postgres").unwrap();
    let (password, _) = after_user.split_once('@').unwrap();
    let password = password.strip_prefix(':').unwrap_or("none");
    database
        .psql(&format!(
            "CREATE ROLE {role} LOGIN PASSWORD '{password}'; GRANT SELECT ON dps_record, dps_meta TO {role}"
        ))
        .unwrap();
    let url = format!("postgres://{role}{after_user}");
    run(async {
        let store = connect(config(&url)).await.unwrap();
        assert_eq!(read(&store, 1, "a").await.unwrap(), None);
        let refused = cause(create(&store, 1, "a").await);
        assert!(
            matches!(&refused, DatabaseError::NoRights(said) if said.contains("dps_meta")),
            "{refused}"
        );
        database
            .psql(&format!(
                "GRANT INSERT, UPDATE, DELETE ON dps_record, dps_meta TO {role}"
            ))
            .unwrap();
        create(&store, 1, "a").await.unwrap();
    });
    database
        .psql(&format!("DROP OWNED BY {role}; DROP ROLE {role}"))
        .unwrap();
}

#[test]
fn a_database_that_takes_no_writes_is_waited_for() {
    let (server, config) = server();
    run(async {
        let store = connect(config.clone()).await.unwrap();
        let read_only = |on: &str| {
            server
                .psql(&format!(
                    "ALTER SYSTEM SET default_transaction_read_only = {on}"
                ))
                .unwrap();
            server.psql("SELECT pg_reload_conf()").unwrap();
            while server.psql("SHOW default_transaction_read_only").unwrap() != on {}
        };
        read_only("on");
        // The one that is open may not have heard of it yet.
        while create(&store, 1, "a").await.is_ok() {}
        assert_eq!(cause(create(&store, 1, "b").await), DatabaseError::ReadOnly);
        assert_eq!(connect(config).await.unwrap_err(), DatabaseError::ReadOnly);
        read_only("off");
        until_it_works(|| create(&store, 1, "c")).await;
    });
}

#[test]
fn a_database_without_tables_says_what_to_do() {
    let database = dps_testkit::postgres::database().unwrap();
    let refused = run(connect(config(database.url()))).unwrap_err();
    assert_eq!(refused, DatabaseError::NoSchema);
    assert!(refused.to_string().contains("PostgresStore::migrate"));
}

#[test]
fn tables_that_go_away_are_missed_until_they_are_back() {
    let database = fresh();
    run(async {
        let store = open(&database).await;
        create(&store, 1, "a").await.unwrap();
        database
            .psql("ALTER TABLE dps_record RENAME TO elsewhere")
            .unwrap();
        assert_eq!(cause(read(&store, 1, "a").await), DatabaseError::NoSchema);
        assert_eq!(cause(create(&store, 1, "b").await), DatabaseError::NoSchema);
        database
            .psql("ALTER TABLE elsewhere RENAME TO dps_record")
            .unwrap();
        assert!(read(&store, 1, "a").await.unwrap().is_some());
        create(&store, 1, "b").await.unwrap();
    });
}

#[test]
fn a_wrong_password_is_refused_without_being_shown() {
    let server = Server::options()
        .with_fsync(false)
        .with_access("host all dps 127.0.0.1/32 scram-sha-256")
        .start()
        .unwrap();
    server
        .psql("CREATE ROLE dps LOGIN PASSWORD 'hunter2' CREATEDB")
        .unwrap();
    let url = server.database().unwrap();
    server
        .psql_in(&url, "GRANT ALL ON SCHEMA public TO dps")
        .unwrap();
    let with = |password: &str| config(&url.replace("postgres@", &format!("dps:{password}@")));
    run(async {
        PostgresStore::migrate(&with("hunter2")).await.unwrap();
        let store = connect(with("hunter2")).await.unwrap();
        create(&store, 1, "a").await.unwrap();
        assert!(!format!("{store:?} {:?}", with("hunter2")).contains("hunter2"));

        let refused = connect(with("swordfish")).await.unwrap_err();
        assert!(
            matches!(&refused, DatabaseError::Refused { code, .. } if code == "28P01"),
            "{refused}"
        );
        assert!(!format!("{refused} {refused:?}").contains("swordfish"));
    });
}

#[test]
fn a_database_that_acknowledges_before_it_writes_is_refused() {
    let database = fresh();
    database
        .psql(&format!(
            "ALTER DATABASE {} SET synchronous_commit = off",
            database.name()
        ))
        .unwrap();
    let refused = run(connect(config(database.url()))).unwrap_err();
    assert_eq!(refused, DatabaseError::Forgetful);
}

#[test]
fn a_server_without_room_for_more_connections_is_used_with_those_there_are() {
    let server = Server::options()
        .with_fsync(false)
        .with_setting("max_connections", "6")
        .with_setting("superuser_reserved_connections", "0")
        .with_setting("max_wal_senders", "0")
        .start()
        .unwrap();
    let config = config(&server.database().unwrap());
    run(async {
        PostgresStore::migrate(&config).await.unwrap();
        let store = connect(config.with_connections(4)).await.unwrap();
        read(&store, 1, "a").await.unwrap();
        let more = connect(Config::parse(&server.url("postgres")).unwrap()).await;
        drop(more);
        for n in 0..50 {
            create(&store, n, &format!("d{n}")).await.unwrap();
        }
    });
}

#[test]
fn of_several_hosts_the_one_that_takes_writes_is_found_again() {
    let primary = Server::options().with_fsync(false).start().unwrap();
    let url = primary.database().unwrap();
    let name = url.rsplit('/').next().unwrap().to_owned();
    run(PostgresStore::migrate(&config(&url))).unwrap();
    let standby = primary.standby().unwrap();
    let hosts = format!("127.0.0.1:{},127.0.0.1:{}", standby.port(), primary.port());
    let both = config(&format!("postgres://postgres@{hosts}/{name}"));
    run(async {
        let store = connect(both.with_patience(Duration::from_secs(30)))
            .await
            .unwrap();
        let version = create(&store, 1, "a").await.unwrap();
        primary.kill().unwrap();
        standby.promote().unwrap();
        let found = until_it_works(|| read(&store, 1, "a")).await;
        assert_eq!(found, Some((version, "new".to_owned())));
        let write = || async { store.commit(&shard(1), &[put("b", Expect::Any, "x")]).await };
        let later = until_it_works(write).await;
        assert_ne!(later, version);
    });
}
