//! A store in PostgreSQL, or in what speaks its protocol, behind [`Store`](dps_core::store::Store).
//!
//! Any number of processes share one database, and none of them is special.
//!
//! ```no_run
//! use dps_store_postgres::{Config, PostgresStore};
//!
//! # async fn doc() -> Result<(), Box<dyn std::error::Error>> {
//! let config = Config::parse("postgres://dps:password@db-1.example,db-2.example/fleet?sslrootcert=ca.pem")?;
//! PostgresStore::migrate(&config).await?; // makes the tables; may run at every start, and on all nodes at once
//! let store = PostgresStore::connect(config).await?;
//! # Ok(()) }
//! ```
//!
//! * **TLS** is on, and the server is verified by its name, unless the URL says `sslmode=disable`; see
//!   [`Config::parse`]. There is no setting for TLS with a server that is not verified.
//! * **Connections**: 8 a store unless set ([`Config::with_connections`]). Calls that come while all are busy wait, and
//!   go out together.
//! * **Poolers** that give each transaction another connection (PgBouncer, `pool_mode = transaction`) need
//!   [`Config::with_transaction_pooler`]. Limits on the time of statements are then the pooler's to set.
//! * **Citus**: `SELECT create_distributed_table('dps_record', 'shard')` after [`PostgresStore::migrate`], and nothing else.
//! * **Rights**: `migrate` creates tables; to serve, a role needs SELECT, INSERT, UPDATE and DELETE on `dps_record`, and SELECT
//!   and UPDATE on `dps_meta`.
//! * **Versions**: PostgreSQL 12 or newer.
//!
//! # What an acknowledged commit is worth
//!
//! A commit that returned is on the disk of the server that took it; a server that is set to acknowledge earlier
//! (`synchronous_commit = off`) is refused. What is on its standby depends on how that follows:
//!
//! * A **synchronous** standby (`synchronous_standby_names`) has the commit too before it is acknowledged. When it takes over,
//!   nothing that a device was told is contradicted. If somebody cancels the wait for it, the server acknowledges with a
//!   warning, and the store answers [`Unavailable`](dps_core::store::StoreError::Unavailable).
//! * An **asynchronous** standby may lack the latest commits. When it takes over they are lost, and devices may have been told
//!   what is no longer so; they find their way by registering again.
//!
//! Give all hosts in the URL: the store uses the one that takes writes, and looks for it again when it no longer does.
//!
//! # When something is the matter
//!
//! [`DatabaseError`] is the source of every [`Unavailable`](dps_core::store::StoreError::Unavailable). Calls that were not
//! sent yet wait for a connection to come back ([`Config::with_patience`]). A read that was cut off is begun again. A commit that
//! was cut off is not: nobody knows whether it took hold, and the caller decides anew. One that the server says it has
//! rolled back (a deadlock, a serialization failure, a server that takes no more writes) is tried again.
//!
//! # How it works
//!
//! Each connection has one statement under way. What waits meanwhile goes out in its next one: the more there is to do, the more
//! does a statement. A statement of several commits is as atomic as any: it divides by zero where a record is not as
//! expected, which undoes all of it (the server's log shows it, with a comment that says so); then the store looks which
//! commits are to blame, answers those, and sends the others again.
//!
//! A first registration takes three statements when nobody else is there (a read, two commits), and with 64 devices at once
//! about one for nine devices (`cargo bench --bench postgres`).
//!
//! A commit without deletions and kept records is one `INSERT … ON CONFLICT`, and with them still one statement. Where rows are
//! spread over servers ([`Layout::Spread`]: Citus, CockroachDB, YugabyteDB; found out when connecting) a statement keeps to
//! one shard, only one of a shard is under way, and what is more than an `INSERT` takes a transaction of three round trips.
//! A record that is kept is locked until the commit is done; an absence cannot be, so it is looked at when all else is
//! locked or, in one statement, is as the statement found it.
//!
//! Versions come from a row of `dps_meta`, a million at a time for each connection. A connection uses only those that it took
//! itself, on the server that gave them: a server that knows a record with one of them also knows that they were taken, because
//! that came before, so even a standby that lacks the latest commits gives none of them out again. Behind a pooler a
//! connection outlives its server: there it holds for synchronous standbys alone.
//!
//! # What a database has to have
//!
//! | used | where |
//! |---|---|
//! | `CREATE TABLE IF NOT EXISTS`, `CREATE INDEX`, `bigint`, `smallint`, `bytea`, `varchar` | `migrate` |
//! | `INSERT … VALUES (…), (…) ON CONFLICT (key) DO UPDATE SET … CASE WHEN … RETURNING expression` | commits |
//! | `BEGIN`, `COMMIT`, `ROLLBACK`; `SELECT … FOR UPDATE`; `DELETE … WHERE … OR …` | commits with deletions or kept records |
//! | `SELECT … WHERE shard = … AND (… OR …)` | reads |
//! | `SELECT … ORDER BY id LIMIT …`, by keys | scans |
//! | `UPDATE … RETURNING` of one row | versions |
//! | `SHOW transaction_read_only`, `SHOW synchronous_commit`, `version()`, `pg_extension`; `SET statement_timeout`, `SET idle_in_transaction_session_timeout` | connecting |
//! | in addition on one server: `unnest` of several arrays `WITH ORDINALITY`, `WITH` of writing statements | all |
//!
//! The store suite passes on PostgreSQL 15, through PgBouncer 1.18, and on Citus 13.2 with two workers (`tests/citus.rs`).
//! It has not been run on CockroachDB and YugabyteDB. On Citus each statement costs much more: measured once, with 64
//! devices at once, a registration took 1.6 ms of its servers' processor time, and 75 µs of one PostgreSQL's. It is for
//! records that one server cannot hold.
//!
//! No sequence, no advisory lock, no function of one's own, no trigger, no collation. Ids are `bytea`, which every database
//! orders by bytes, whatever its encoding and locale; CockroachDB has no columns with `COLLATE "C"`
//! (cockroachdb/cockroach#97415). To read them, `convert_from(id, 'UTF8')`. All keys begin with `shard`, by which rows are distributed;
//! scans over all shards of a tenant go by the index `(scope, tbl, id)`.

mod commit;
mod config;
mod error;
mod link;
mod place;
mod queue;
mod read;
mod schema;
mod sql;
mod store;
mod tls;

pub use self::config::{Config, ConfigError, Layout};
pub use self::error::DatabaseError;
pub use self::store::PostgresStore;
