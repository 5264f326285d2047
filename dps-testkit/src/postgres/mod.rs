//! PostgreSQL servers for tests: each in a temporary directory, gone with whoever started it.
//!
//! ```no_run
//! use dps_testkit::postgres::Server;
//!
//! let primary = Server::start()?;
//! let url = primary.database()?; // "postgres://postgres@127.0.0.1:…/…?sslmode=disable"
//! let standby = primary.standby()?; // has every commit that the primary acknowledges
//! primary.kill()?; // as if the machine lost its power
//! standby.promote()?;
//! # Ok::<(), dps_testkit::postgres::ServerError>(())
//! ```
//!
//! The server's own programs are needed (Debian: `apt-get install postgresql`). They are looked for where
//! `pg_config --bindir` says, in `PATH`, and in `/usr/lib/postgresql`. A server refuses to run as root; where the
//! tests do, it runs as the user `postgres`.
//!
//! Tests that need a database and no server of their own take one from [`database`]: if the environment variable
//! `DPS_TEST_POSTGRES` has the URL of a superuser, it is made there.

mod database;
mod options;
mod pooler;
mod process;
mod server;
mod url;

use std::io;

pub use self::database::{Database, VARIABLE, database};
pub use self::options::Options;
pub use self::pooler::Pooler;
pub use self::server::Server;

/// Why there is no server, or why it did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// PostgreSQL is not there, or not all of it.
    #[error("PostgreSQL's server is not installed: apt-get install postgresql")]
    Missing,
    /// PgBouncer is not there.
    #[error("PgBouncer is not installed: apt-get install pgbouncer")]
    NoPooler,
    /// A server does not run as root, and there is no other user for it.
    #[error("a server cannot run as root, and there is no user \"postgres\"")]
    NoUser,
    /// One of PostgreSQL's programs failed.
    #[error("{program} failed: {output}")]
    Failed {
        /// Its name.
        program: String,
        /// What it said.
        output: String,
    },
    /// It did not do within a minute what takes a second.
    #[error("the server takes too long to {0}")]
    Slow(&'static str),
    /// A file or a process.
    #[error("a server's files or processes cannot be had")]
    Io(#[from] io::Error),
}
