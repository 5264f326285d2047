//! Several nodes on one database, and what they send.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails says so"
)]

mod common;

use std::collections::HashSet;
use std::sync::Arc;

use dps_core::store::{Expect, Store, StoreError, Version};
use dps_store_postgres::{Config, Layout, PostgresStore};
use dps_testkit::postgres::Database;
use tokio_postgres::NoTls;

use common::words::{create, keep, put, read, shard};
use common::{connect, fresh, run, runtime};

async fn node(database: &Database, layout: Layout) -> PostgresStore {
    let config = Config::parse(database.url()).unwrap();
    connect(config.with_layout(layout).with_connections(4))
        .await
        .unwrap()
}

async fn nodes(database: &Database, layout: Layout) -> Vec<PostgresStore> {
    let mut nodes = Vec::new();
    for _ in 0..3 {
        nodes.push(node(database, layout).await);
    }
    nodes
}

const BOTH: [Layout; 2] = [Layout::Together, Layout::Spread];

#[test]
fn increments_of_all_nodes_add_up() {
    for layout in BOTH {
        let database = fresh();
        run(async {
            let nodes = nodes(&database, layout).await;
            for id in ["a", "b"] {
                nodes[0]
                    .commit(&shard(7), &[put(id, Expect::Absent, "0")])
                    .await
                    .unwrap();
            }
            let mut workers = Vec::new();
            for n in 0..12 {
                let (node, id) = (nodes[n % 3].clone(), ["a", "b"][n / 6]);
                workers.push(runtime().spawn(async move {
                    for _ in 0..10 {
                        loop {
                            let (version, value) = read(&node, 7, id).await.unwrap().unwrap();
                            let value = (value.parse::<u32>().unwrap() + 1).to_string();
                            let write = put(id, Expect::Exactly(version), &value);
                            match node.commit(&shard(7), &[write]).await {
                                Ok(_) => break,
                                Err(StoreError::Conflict { .. }) => {}
                                Err(error) => panic!("{error}: {error:?}"),
                            }
                        }
                    }
                }));
            }
            for worker in workers {
                worker.await.unwrap();
            }
            for id in ["a", "b"] {
                assert_eq!(
                    read(&nodes[2], 7, id).await.unwrap().unwrap().1,
                    "60",
                    "{layout:?}"
                );
            }
        });
    }
}

#[test]
fn of_all_nodes_that_create_a_record_one_does_and_versions_are_never_the_same() {
    for layout in BOTH {
        let database = fresh();
        run(async {
            let nodes = nodes(&database, layout).await;
            let mut workers = Vec::new();
            for n in 0..24 {
                let node = nodes[n % 3].clone();
                workers.push(runtime().spawn(async move {
                    let mut won = Vec::new();
                    for m in 0..20 {
                        match create(&node, m, &format!("d{m}")).await {
                            Ok(version) => won.push((m, version)),
                            Err(StoreError::Conflict { id, .. }) => {
                                assert_eq!(*id, format!("d{m}"))
                            }
                            Err(error) => panic!("{error}: {error:?}"),
                        }
                    }
                    won
                }));
            }
            let mut won = Vec::new();
            for worker in workers {
                won.extend(worker.await.unwrap());
            }
            let devices: HashSet<usize> = won.iter().map(|(m, _)| *m).collect();
            let versions: HashSet<Version> = won.iter().map(|(_, version)| *version).collect();
            assert_eq!(
                (won.len(), devices.len(), versions.len()),
                (20, 20, 20),
                "{layout:?}"
            );
        });
    }
}

/// Everybody waits; then all of it goes out in a few statements.
#[test]
fn what_waits_goes_out_together_and_a_conflict_is_nobody_elses() {
    for layout in BOTH {
        let database = fresh();
        run(async {
            let node = node(&database, layout).await;
            create(&node, 0, "taken").await.unwrap();
            let (locker, connection) = tokio_postgres::connect(database.url(), NoTls)
                .await
                .unwrap();
            runtime().spawn(connection);
            locker
                .batch_execute("BEGIN; LOCK TABLE dps_record IN EXCLUSIVE MODE")
                .await
                .unwrap();
            let node = Arc::new(node);
            let (polled, mut all) = tokio::sync::mpsc::channel(1000);
            let mut calls = Vec::new();
            for n in 0..200 {
                let (node, polled) = (Arc::clone(&node), polled.clone());
                calls.push(runtime().spawn(async move {
                    // Where rows are spread, what goes out together is of one shard.
                    let slot = if node.layout() == Layout::Spread {
                        0
                    } else {
                        n
                    };
                    let also = if n % 50 == 7 {
                        keep("taken", Expect::Absent)
                    } else {
                        keep("none", Expect::Any)
                    };
                    let shard = if n % 50 == 7 { shard(0) } else { shard(slot) };
                    let writes = [put(&format!("d{n}"), Expect::Absent, "new"), also];
                    let mut call = Box::pin(async { node.commit(&shard, &writes).await });
                    let at_once = std::future::poll_fn(|cx| {
                        std::task::Poll::Ready(call.as_mut().poll(cx).is_pending())
                    });
                    assert!(at_once.await);
                    polled.send(()).await.unwrap();
                    call.await
                }));
            }
            for _ in 0..200 {
                all.recv().await.unwrap();
            }
            locker.batch_execute("COMMIT").await.unwrap();
            for (n, call) in calls.into_iter().enumerate() {
                match call.await.unwrap() {
                    Ok(_) => assert_ne!(n % 50, 7),
                    Err(StoreError::Conflict { id, .. }) => {
                        assert_eq!((n % 50, &*id), (7, "taken"))
                    }
                    Err(error) => panic!("{error}: {error:?}"),
                }
            }
            let count = database
                .psql("SELECT count(*), count(DISTINCT xmin::text) FROM dps_record")
                .unwrap();
            let (records, statements) = count.split_once('|').unwrap();
            assert_eq!(records, "197", "{layout:?}");
            let statements: u32 = statements.parse().unwrap();
            assert!(
                statements <= 20,
                "{layout:?}: {statements} transactions wrote 197 records"
            );
        });
    }
}
