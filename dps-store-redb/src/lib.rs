//! A store in one file: an embedded [redb](https://docs.rs/redb) database behind
//! [`Store`](dps_core::store::Store).

mod backup;
mod format;
mod keeper;
mod open;
mod queue;
mod records;
mod shared;
mod store;
mod sum;
mod writer;

pub use self::backup::BackupError;
pub use self::open::{Builder, OpenError};
pub use self::store::RedbStore;
