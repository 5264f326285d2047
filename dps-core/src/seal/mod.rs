//! Sealing at rest: a [`Store`](crate::store::Store) around a store, whose values are encrypted and bound to
//! their places.
//!
//! ```
//! use std::sync::Arc;
//! use dps_core::crypto::AWS_LC;
//! use dps_core::seal::SealedStore;
//! # use dps_core::seal::{DataKey, KeyError, KeyName, KeyProvider};
//! # use dps_core::id::IdScope;
//! # use dps_store_memory::MemoryStore;
//! # #[derive(Debug)]
//! # struct OneKey(Arc<DataKey>);
//! # #[async_trait::async_trait]
//! # impl KeyProvider for OneKey {
//! #     async fn sealing_key(&self, _: &IdScope) -> Result<Arc<DataKey>, KeyError> {
//! #         Ok(Arc::clone(&self.0))
//! #     }
//! #     async fn opening_key(&self, _: &IdScope, name: &KeyName) -> Result<Arc<DataKey>, KeyError> {
//! #         Err(KeyError::Unknown { name: name.clone() })
//! #     }
//! # }
//! # let name = KeyName::parse("2026-11").unwrap();
//! # let keys = OneKey(Arc::new(DataKey::new(name, &[7; 32])));
//! // Keys come from a file by `dps_keys_file::KeyFile`, or from a provider of your own.
//! let store = SealedStore::new(MemoryStore::new(), Arc::new(keys), AWS_LC).unwrap();
//! ```
//!
//! # What it protects from, and what not
//!
//! Whoever has the database, a backup or the disk, and not the keys, reads no value and makes none: AES-256-GCM, each
//! value with a nonce of its own, bound to scope, table and id. A value that was changed, cut, or copied to another
//! record does not open, and neither does one that is not sealed.
//!
//! - **Ids, versions, sizes and times of access stay readable.** Ids are looked up and listed. They name devices,
//!   groups, hubs and certificates.
//! - **An old value that is put back in its own place opens.** So does the absence of one that was deleted. Nothing
//!   here notices that a whole database was replaced by yesterday's, and neither would a signature.
//! - **The slot of a record is not bound**, because ids are unique without it, and scans do not say it.
//! - **In the process values stand readable**, and so do the keys.
//!
//! # How a value is stored
//!
//! | bytes | what |
//! |---|---|
//! | 1 | 1: this form |
//! | 1 | length of the key's name |
//! | 1 to 64 | name of the key |
//! | 12 | nonce, random |
//! | as many as the value | ciphertext |
//! | 16 | tag |
//!
//! The additional data is the byte 1, then scope, number of the table (one byte) and id, each behind its length as
//! eight bytes, the highest first.
//!
//! # From plain to sealed
//!
//! A value that is not sealed is an error, always: whoever can write to the database could otherwise put plain
//! values in the place of sealed ones. Records move from a plain store to a sealed one by
//! [`Transfer`](crate::transfer::Transfer).
//!
//! # Keys
//!
//! A [`KeyProvider`] names the key that new values are sealed with, and finds any key by its name. It may have keys of
//! its own for each scope.
//!
//! - **Rotation** is lazy, or eager. Once the provider has a new current key, each record takes it when it is next
//!   written; [`SealedStore::reseal`] writes the others. [`SealedStore::keys_in_use`] says when an old key has no
//!   records left, and backups may still need it then.
//! - **Where several nodes share a store**, give all of them the new key before any of them seals with it. One that
//!   does not have it yet answers 503 for records under it, until it has.
//! - **How much one key may seal**: 2^32 values, because nonces are random (NIST SP 800-38D, 8.3). A registration seals
//!   two or three. At a thousand registrations a second that is a new key every two weeks.
//! - **A key that is missing** is [`StoreError::Unavailable`], with the record and the key's name in its sources: the
//!   service goes on by itself when the key is back. A key that the provider refuses for good is
//!   [`StoreError::Corrupt`], and so is a value that does not open.
//!
//! # Key management services and HSMs
//!
//! Data keys are wrapped, and values are sealed with data keys (*envelope encryption*). A provider for a key management
//! service or an HSM keeps a list of wrapped data keys by name, in a file or a table of its own, and asks the service to
//! unwrap one when it is first wanted: one call for each key and process, none for a record. [`CachedKeys`] around it
//! remembers what was unwrapped, asks again after a while, so that a key which was revoked falls out of use, and carries
//! the service over a time in which it does not answer.
//!
//! A key that must not leave its module can do the sealing itself: [`DataKey::custom`] takes any
//! [`AeadKey`](crate::crypto::AeadKey). It is called in the middle of requests, once for each value, and must not wait
//! for a network.
//!
//! `dps_testkit::keys` has the suite for providers.
//!
//! [`StoreError::Unavailable`]: crate::store::StoreError::Unavailable
//! [`StoreError::Corrupt`]: crate::store::StoreError::Corrupt

mod cached;
mod key;
mod reseal;
mod store;
mod value;

pub use self::cached::CachedKeys;
pub use self::key::{DataKey, KeyError, KeyName, KeyProvider};
pub use self::reseal::Resealed;
pub use self::store::{NoAead, SealError, SealedStore};

#[cfg(all(test, feature = "aws-lc"))]
mod tests;
