//! A store in one file: an embedded [redb](https://docs.rs/redb) database behind [`Store`](dps_core::store::Store).
//!
//! ```
//! use std::sync::Arc;
//! use dps_core::store::Store;
//! use dps_store_redb::RedbStore;
//!
//! # let folder = tempfile::tempdir()?;
//! # let (path, copy) = (folder.path().join("dps.redb"), folder.path().join("copy.redb"));
//! let file = RedbStore::open(path)?;
//! let store: Arc<dyn Store> = Arc::new(file.clone());
//! // While it is in use:
//! file.backup(copy)?;
//! # drop(store);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What a commit has written is on the disk when it returns: it is there after the process is killed or the power
//! fails. Commits that come while the disk is busy share the next sync; reads wait for nobody, and need no runtime.
//!
//! # What it is not
//!
//! **It is for one process on one machine.** A second one that opens the file is refused; many nodes need
//! `dps-store-postgres`. It does not outlive its disk: make backups, on another one. Values are kept as they are put:
//! whoever can read the file can read the devices' keys, unless the `SealedStore` of `dps-core` is around it. New
//! files can be read by their owner only.
//!
//! # The file
//!
//! It is as large as it ever had to be: room that becomes free is used again and not given back. One
//! [backup](RedbStore::backup) holds no more than what is there, and is therefore the way to a smaller file: stop the
//! service, and put it in the old file's place. While a backup runs, all that commits replace is kept, and the file
//! grows by some 10 kB for each registration meanwhile. No other reader is ever long: a scan lets go after each 100
//! records.
//!
//! Never copy a file that is in use by other means, and keep it on a file system of this machine: locks and syncs of
//! network file systems are not always what they say.
//!
//! A form number is in the file, and [`RECORD_FORMAT`](dps_core::store::RECORD_FORMAT) beside it. A version of this
//! crate reads all forms before its own; one that is later is refused, and nothing in it is changed.
//!
//! # When something is wrong
//!
//! * *A file that cannot be used*: [`OpenError`] says why and what to do, and not a byte of it has been changed.
//! * *The disk is full, or fails*: commits are [`Unavailable`](dps_core::store::StoreError::Unavailable), and on a
//!   full disk reads go on. The first commit after the cause is gone succeeds, but for a large file: it is checked
//!   before it is used again, which takes as long as after a crash. After a failed sync everything that may not have
//!   reached the disk is written again first, since the system may believe that it did.
//! * *After a crash*, opening the file checks all of it, see below. [`Builder::on_repair`] tells how far it is.
//! * *Bits flip on the disk*: each record has a check sum that binds it to its key, and a lookup that finds nothing
//!   also looks at its neighbours. What is damaged is [`Corrupt`](dps_core::store::StoreError::Corrupt), and never
//!   taken for something else, or for nothing. Only damage to the very last commit, in a file that was not closed
//!   either, cannot be told from a commit that was not finished, and is undone as such. [`Builder::with_check`] reads
//!   all of the file whenever it is opened; a backup that succeeds has read every record. redb may panic on damaged
//!   pages: that is caught, and becomes an error, unless the program is built to abort on panics.
//! * *Where reads happen*: on the thread that asks. With the file in memory a read takes microseconds, less than
//!   handing it to another thread; from a cold disk it takes the thread for as long as the disk needs. Give the cache
//!   ([`Builder::with_cache_bytes`]) or the system enough memory for the index, about 60 bytes a record.
//!
//! # What it costs
//!
//! A commit waits for one sync of the disk, and mostly for the end of the one before. What limits the rate is redb's
//! own work on pages, done by one thread; so records are laid out to touch few of them: values lie in the order in
//! which records were made, and an index leads to them. For first registrations over 300 000 devices that takes redb
//! about a quarter less CPU time than one table in the order of the keys. `cargo bench --bench redb` compares both with
//! this store, in one run.
//!
//! With many enrollments by key, on a virtual machine with two cores and 24 GB of memory (same benchmark):
//!
//! | | 10 000 | 1 000 000 | 10 000 000 |
//! |---|---|---|---|
//! | file, for each enrollment | 440 bytes | 570 bytes | 340 bytes |
//! | opening a file that was closed | below 1 ms | 1 ms | 1 ms |
//! | opening it after a crash, or with a check | 8 ms | 0.7 s | 14 s |
//! | backup | below 0.1 s | 4.5 s | 53 s |
//! | what a device's registration reads, three records, with a cache that holds the file | 1.7 µs | 4.6 µs | 6.4 µs |
//! | the same with the usual cache of 256 MiB, the file in the system's | 1.7 µs | 9.2 µs | 15 µs |

mod backup;
mod format;
mod keeper;
mod open;
mod queue;
mod records;
mod shared;
mod store;
mod writer;

pub use self::backup::BackupError;
pub use self::open::{Builder, OpenError};
pub use self::store::RedbStore;
