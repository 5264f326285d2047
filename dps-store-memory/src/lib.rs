//! A store in memory: the reference implementation of [`Store`](dps_core::store::Store).

mod records;
mod store;

pub use self::store::MemoryStore;
