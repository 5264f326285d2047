//! A store in PostgreSQL, or in what speaks its protocol, behind [`Store`](dps_core::store::Store).
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
