//! A store in memory: the reference implementation of [`Store`](dps_core::store::Store).
//!
//! ```
//! use std::sync::Arc;
//! use dps_core::store::Store;
//! use dps_store_memory::MemoryStore;
//!
//! let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
//! # let _ = store;
//! ```
//!
//! # What it is not
//!
//! **Nothing survives the process**, and nothing is shared with other processes. "Durable" here
//! means: visible to everybody who asks this store. It is for tests, examples, benchmarks, and for
//! services whose enrollments come from a configuration and whose devices may register anew after a
//! restart. Values are kept as they are put, unsealed. There is no bound on how much is kept:
//! quotas are the service's.
//!
//! # What it costs
//!
//! Records lie in 65 slots a tenant, each with a lock of its own; a commit takes one of them once,
//! a read one for each run of keys of the same shard. No future of this store ever waits.
//!
//! A slot finds its records by hash. The order of ids, which only scans need, is one for each table over
//! all slots, and says where each record was last seen, so that a scan looks nothing up. Scans bring it
//! up to date: writes append to a list. Against an ordered map in each slot, with 16-byte ids, values
//! of 200 to 400 bytes, and per registration four reads and two commits of four writes in all, on one
//! core of a busy two-core virtual machine:
//!
//! | enrollments | by hash, first time | again | ordered map, first time | again |
//! |---|---|---|---|---|
//! | 1 000 | 1.0 µs | 0.7 µs | 1.2 µs | 0.9 µs |
//! | 100 000 | 2.6 µs | 1.4 µs | 5.3 µs | 4.3 µs |
//! | 1 000 000 | 3.5 µs | 2.5 µs | 10.9 µs | 7.6 µs |
//!
//! What remains is cache misses: hash group, record, id and value lie apart. A page of 100 takes 6 µs
//! out of a thousand records and 19 µs from anywhere in a million (`cargo bench --bench store`), because
//! a scan reads a little of all its records before it clones the first, so that a processor fetches
//! several at once; two to three times that if records were not made in the order of their ids. A
//! record takes about 200 to 260 bytes beside its value, the id included; once scanned, about 30 more. A
//! value is kept as the [`Bytes`](bytes::Bytes) it was put as: whoever puts a slice of a large buffer
//! keeps the whole buffer alive.
//!
//! The first scan of a table of a million records sorts it: 0.3 s of processor time in one piece,
//! which keeps the thread that scans. Meanwhile other scans of the same table wait. Commits wait for a slot
//! while its ids are collected, a few milliseconds with 16 000 records in it, and for as long as 128
//! records are read, some 20 µs, with each page.

mod order;
mod records;
mod store;
mod tenant;

pub use self::store::MemoryStore;
