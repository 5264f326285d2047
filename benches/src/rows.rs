//! The rows of a first registration, and the least that a client could send to PostgreSQL for them.

use std::sync::atomic::{AtomicUsize, Ordering};

use sha2::{Digest as _, Sha256};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls, Statement};

use crate::visits::{SCOPE, device_id};

/// What a stored registration takes, in bytes.
const RECORD: usize = 600;

/// One connection that registers devices with as few statements as can be, and looks at nothing.
#[derive(Debug)]
pub struct Bare {
    client: Client,
    read: Statement,
    write: Statement,
    /// For one row and for two: cheaper than arrays.
    write_few: [Statement; 2],
    seen: AtomicUsize,
}

/// A statement that puts so many registrations, with their places in a group, into `dps_record`.
pub fn filling(count: u64) -> String {
    format!(
        "INSERT INTO dps_record SELECT convert_to('{SCOPE}/' || (1 + n % 64), 'UTF8'), t, \
         convert_to(CASE t WHEN 4 THEN '' ELSE 'by-key/' END || 'there-' || md5(n::text), 'UTF8'), 1, 0, \
         convert_to('{SCOPE}', 'UTF8'), CASE t WHEN 4 THEN decode(repeat('7b', {RECORD}), 'hex') ELSE '' END \
         FROM generate_series(1, {count}) AS n, (VALUES (4::smallint), (5::smallint)) AS tables (t)"
    )
}

impl Bare {
    /// Connects to a database with the store's tables.
    ///
    /// # Panics
    /// When it cannot.
    pub async fn connect(url: &str) -> Self {
        let (client, connection) = tokio_postgres::connect(url, NoTls)
            .await
            .expect("a connection");
        tokio::spawn(async move {
            let _ = connection.await;
        });
        client
            .batch_execute(
                "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off",
            )
            .await
            .expect("settings");
        let read = client
            .prepare(
                "SELECT r.shard, r.tbl, r.id, r.version, r.value FROM \
                 unnest($1::bytea[], $2::int2[], $3::bytea[]) AS k (shard, tbl, id) JOIN dps_record AS r \
                 ON r.shard = k.shard AND r.tbl = k.tbl AND r.id = k.id",
            )
            .await
            .expect("a statement");
        let write = client
            .prepare(
                "INSERT INTO dps_record AS t (shard, tbl, id, version, value, expected, scope) \
                 SELECT a, b, c, d, e, 0, $6 FROM \
                 unnest($1::bytea[], $2::int2[], $3::bytea[], $4::int8[], $5::bytea[]) AS k (a, b, c, d, e) \
                 ON CONFLICT (shard, tbl, id) DO UPDATE SET version = excluded.version, value = excluded.value \
                 WHERE t.version = excluded.version - 1 RETURNING t.id",
            )
            .await
            .expect("a statement");
        let mut few = Vec::new();
        for values in [
            "($1, $2, $3, $4, $5, 0, $6)",
            "($1, $2, $3, $4, $5, 0, $6), ($7, $8, $9, $10, $11, 0, $12)",
        ] {
            let text = format!(
                "INSERT INTO dps_record AS t (shard, tbl, id, version, value, expected, scope) VALUES {values} \
                 ON CONFLICT (shard, tbl, id) DO UPDATE SET version = excluded.version, value = excluded.value \
                 WHERE t.version = excluded.version - 1 RETURNING t.id"
            );
            few.push(client.prepare(&text).await.expect("a statement"));
        }
        let write_few = few.try_into().expect("two statements");
        Self {
            client,
            read,
            write,
            write_few,
            seen: AtomicUsize::new(0),
        }
    }

    /// Registers so many devices from `first` on: reads three records each, writes two, writes one again.
    ///
    /// # Panics
    /// When one is registered already.
    pub async fn register(&self, first: u64, count: u64) {
        let devices: Vec<(Vec<u8>, String)> = (first..first + count)
            .map(device_id)
            .map(|id| (shard(&id), id))
            .collect();
        self.read(&devices).await;
        let mut accepted: Vec<Row<'_>> = Vec::with_capacity(devices.len() * 2);
        let members: Vec<String> = devices
            .iter()
            .map(|(_, id)| format!("by-key/{id}"))
            .collect();
        let value = vec![b'{'; RECORD];
        for ((shard, id), member) in devices.iter().zip(&members) {
            accepted.push((shard, 4, id.as_bytes(), 1, &value));
            accepted.push((shard, 5, member.as_bytes(), 1, &[]));
        }
        self.write(&accepted).await;
        let assigned: Vec<Row<'_>> = devices
            .iter()
            .map(|(shard, id)| (&shard[..], 4, id.as_bytes(), 2, &value[..]))
            .collect();
        self.write(&assigned).await;
    }

    async fn read(&self, devices: &[(Vec<u8>, String)]) {
        let epoch = format!("{SCOPE}/0");
        let (mut shards, mut tables, mut ids) =
            (vec![epoch.as_bytes()], vec![0i16], vec![&b"epoch"[..]]);
        for (shard, id) in devices {
            for table in [3, 4] {
                shards.push(shard);
                tables.push(table);
                ids.push(id.as_bytes());
            }
        }
        let values: [&(dyn ToSql + Sync); 3] = [&shards, &tables, &ids];
        let rows = self.client.query(&self.read, &values).await.expect("rows");
        self.seen.fetch_add(rows.len(), Ordering::Relaxed);
    }

    async fn write(&self, rows: &[Row<'_>]) {
        let scope = SCOPE.as_bytes();
        if let Some(statement) = self.write_few.get(rows.len() - 1) {
            let mut values: Vec<&(dyn ToSql + Sync)> = Vec::new();
            for (shard, table, id, version, value) in rows {
                values.extend([
                    shard as &(dyn ToSql + Sync),
                    table,
                    id,
                    version,
                    value,
                    &scope,
                ]);
            }
            let written = self.client.query(statement, &values).await;
            let written = written.expect("rows are written");
            assert_eq!(written.len(), rows.len(), "a device was there already");
            return;
        }
        let shards: Vec<_> = rows.iter().map(|row| row.0).collect();
        let tables: Vec<_> = rows.iter().map(|row| row.1).collect();
        let ids: Vec<_> = rows.iter().map(|row| row.2).collect();
        let versions: Vec<_> = rows.iter().map(|row| row.3).collect();
        let values: Vec<_> = rows.iter().map(|row| row.4).collect();
        let values: [&(dyn ToSql + Sync); 6] = [&shards, &tables, &ids, &versions, &values, &scope];
        let written = self
            .client
            .query(&self.write, &values)
            .await
            .expect("rows are written");
        assert_eq!(written.len(), rows.len(), "a device was there already");
    }
}

/// Shard, table, id, version, value.
type Row<'a> = (&'a [u8], i16, &'a [u8], i64, &'a [u8]);

/// As the service places a device.
fn shard(id: &str) -> Vec<u8> {
    let slot = 1 + Sha256::digest(id.as_bytes())[0] % 64;
    format!("{SCOPE}/{slot}").into_bytes()
}
