//! Tables are made once, kept, and left alone by who does not know them.
#![allow(clippy::unwrap_used, reason = "a test that fails says so")]

mod common;

use dps_core::store::{RECORD_FORMAT, Scan, Store, Table, Version};
use dps_store_postgres::{Config, DatabaseError, PostgresStore};
use dps_testkit::postgres::{Database, database};

use common::words::{create, read, shard};
use common::{connect, fresh, run, runtime};

fn config(database: &Database) -> Config {
    Config::parse(database.url()).unwrap()
}

fn tables(database: &Database) -> String {
    database
        .psql(
            "SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns \
             WHERE table_schema = 'public' ORDER BY 1, ordinal_position; \
             SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1; \
             SELECT name, number FROM dps_meta ORDER BY 1",
        )
        .unwrap()
}

#[test]
fn eight_nodes_make_the_same_tables_at_once_and_again() {
    let database = database().unwrap();
    for _ in 0..2 {
        run(async {
            let nodes: Vec<_> = (0..8)
                .map(|_| {
                    let config = config(&database);
                    runtime().spawn(async move { PostgresStore::migrate(&config).await })
                })
                .collect();
            for node in nodes {
                node.await.unwrap().unwrap();
            }
        });
    }
    assert_eq!(tables(&database), tables(&fresh()));
}

#[test]
fn what_is_newer_is_refused_and_left_as_it_is() {
    let newer = |name: &str, number: u32| {
        let database = fresh();
        database
            .psql(&format!(
                "UPDATE dps_meta SET number = {number} WHERE name = '{name}'"
            ))
            .unwrap();
        let before = tables(&database);
        let refused = run(PostgresStore::migrate(&config(&database))).unwrap_err();
        assert_eq!(run(connect(config(&database))).unwrap_err(), refused);
        assert_eq!(tables(&database), before);
        refused
    };
    assert_eq!(
        newer("schema", 2),
        DatabaseError::NewerSchema { found: 2, known: 1 }
    );
    let known = i64::from(RECORD_FORMAT);
    let found = known + 1;
    assert_eq!(
        newer("record_format", RECORD_FORMAT + 1),
        DatabaseError::NewerRecords { found, known }
    );
}

#[test]
fn a_node_that_is_open_is_refused_when_it_connects_to_newer_tables() {
    let server = dps_testkit::postgres::Server::options()
        .with_fsync(false)
        .start()
        .unwrap();
    let url = server.database().unwrap();
    let config = Config::parse(&url).unwrap();
    run(async {
        PostgresStore::migrate(&config).await.unwrap();
        let store = connect(config).await.unwrap();
        create(&store, 1, "a").await.unwrap();
        server
            .psql_in(&url, "UPDATE dps_meta SET number = 2 WHERE name = 'schema'")
            .unwrap();
        server.restart().unwrap();
        let refused = common::words::cause(read(&store, 1, "a").await);
        assert_eq!(refused, DatabaseError::NewerSchema { found: 2, known: 1 });
    });
}

/// The dump is of tables and records as the first version of this crate wrote them. It is never changed.
#[test]
fn what_version_1_wrote_is_read() {
    let database = database().unwrap();
    database.psql(include_str!("golden/schema-1.sql")).unwrap();
    run(async {
        PostgresStore::migrate(&config(&database)).await.unwrap();
        let store = connect(config(&database)).await.unwrap();
        let (version, value) = read(&store, 0, "press-1").await.unwrap().unwrap();
        assert_eq!((version, &*value), (Version(9001), "{\"id\":\"press-1\"}"));
        let scan = Scan {
            scope: shard(0).scope,
            table: Table::Registration,
            prefix: "".into(),
            after: None,
            limit: 10,
        };
        let page = store.scan(&scan).await.unwrap();
        let ids: Vec<_> = page.records.iter().map(|(id, _)| &**id).collect();
        assert_eq!(ids, ["press-1", "press-2"]);
        // Versions go on above those that are there.
        assert!(create(&store, 0, "press-3").await.unwrap() > Version(9002));
    });
    assert_eq!(
        tables(&database)
            .lines()
            .filter(|line| !line.starts_with("version|"))
            .count(),
        tables(&fresh()).lines().count() - 1
    );
}
