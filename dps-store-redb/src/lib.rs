//! A store in one file: an embedded [redb](https://docs.rs/redb) database behind
//! [`Store`](dps_core::store::Store).

mod format;
mod open;
mod read;
mod store;
mod sum;
mod writer;

pub use self::open::{Builder, OpenError};
pub use self::store::RedbStore;
