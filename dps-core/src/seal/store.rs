//! A store whose values are sealed.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::key::{DataKey, KeyError, KeyName, KeyProvider};
use super::value::{self, MAX_OVERHEAD, Sealed, Spot};
use crate::crypto::{Aead, Crypto, CryptoError};
use crate::id::IdScope;
use crate::store::{
    Change, Key, MAX_STORED_BYTES, Page, Scan, Shard, Store, StoreError, Table, Version, Versioned,
    Write,
};

/// The crypto that was given has no AEAD.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the crypto provider cannot seal: it has no AES-256-GCM")]
pub struct NoAead;

/// What is the matter with a sealed value; the source of a [`StoreError`]. It shows no byte of a value or a key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The value is not sealed, although all values of the store are.
    #[error("{table:?} record {id} is not sealed")]
    NotSealed {
        /// Kind of the record.
        table: Table,
        /// Its name.
        id: Arc<str>,
    },
    /// The value was changed, or is of another place, or the key is not the one that it was sealed with.
    #[error(
        "{table:?} record {id} does not open with key {key}: it was changed, or copied from elsewhere, or the key is \
         another one of this name"
    )]
    Broken {
        /// Kind of the record.
        table: Table,
        /// Its name.
        id: Arc<str>,
        /// The name of the key in front of the value.
        key: KeyName,
    },
    /// The key that the value is sealed with cannot be had.
    #[error("{table:?} record {id} is sealed with key {key}")]
    NoKey {
        /// Kind of the record.
        table: Table,
        /// Its name.
        id: Arc<str>,
        /// The name of the key in front of the value.
        key: KeyName,
        /// Why.
        #[source]
        source: KeyError,
    },
    /// There is no key to seal with. Nothing was written.
    #[error("there is no key to seal records of {scope} with")]
    NoSealingKey {
        /// Whose records.
        scope: IdScope,
        /// Why.
        #[source]
        source: KeyError,
    },
    /// A value could not be sealed. Nothing was written.
    #[error("records cannot be sealed with key {key}")]
    NotSealable {
        /// The name of the key.
        key: KeyName,
        /// Why.
        #[source]
        source: CryptoError,
    },
}

/// A store around a store, whose values are sealed: see [the module](super).
///
/// A value may have what [`MAX_STORED_BYTES`] leaves, which is more than any record has.
#[derive(Clone, Debug)]
pub struct SealedStore<S> {
    pub(super) store: S,
    pub(super) keys: Arc<dyn KeyProvider>,
    pub(super) aead: &'static dyn Aead,
}

impl<S: Store> SealedStore<S> {
    /// Seals what is written to `store` with keys of `keys`, and opens what is read. Values that are in it already have
    /// to be sealed.
    ///
    /// # Errors
    /// [`NoAead`] if `crypto` cannot seal.
    pub fn new(store: S, keys: Arc<dyn KeyProvider>, crypto: Crypto) -> Result<Self, NoAead> {
        let aead = crypto.aead.ok_or(NoAead)?;
        Ok(Self { store, keys, aead })
    }

    pub(super) async fn sealing_key(&self, scope: &IdScope) -> Result<Arc<DataKey>, StoreError> {
        self.keys.sealing_key(scope).await.map_err(|source| {
            let scope = scope.clone();
            StoreError::Unavailable(Box::new(SealError::NoSealingKey { scope, source }))
        })
    }

    pub(super) fn seal(
        &self,
        key: &DataKey,
        spot: Spot<'_>,
        plain: &[u8],
    ) -> Result<Bytes, StoreError> {
        value::seal(key, self.aead, spot, plain).map_err(|source| {
            let key = key.name().clone();
            StoreError::Unavailable(Box::new(SealError::NotSealable { key, source }))
        })
    }

    pub(super) const fn opener(&self) -> Opener<'_, S> {
        Opener {
            store: self,
            last: None,
        }
    }
}

/// Opens several values, and asks once for keys that follow one another.
#[derive(Debug)]
pub(super) struct Opener<'a, S> {
    store: &'a SealedStore<S>,
    last: Option<(IdScope, Arc<DataKey>)>,
}

impl<S: Store> Opener<'_, S> {
    pub(super) async fn open(
        &mut self,
        scope: &IdScope,
        table: Table,
        id: &Arc<str>,
        stored: &[u8],
    ) -> Result<Bytes, StoreError> {
        let corrupt = |error: SealError| StoreError::Corrupt(Box::new(error));
        let id = || Arc::clone(id);
        let parsed = Sealed::parse(stored);
        let sealed = parsed.ok_or_else(|| corrupt(SealError::NotSealed { table, id: id() }))?;
        let key = self.key(scope, table, id, sealed.key).await?;
        let spot = Spot {
            scope,
            table,
            id: &id(),
        };
        sealed.open(&key, self.store.aead, spot).map_err(|_| {
            let key = key.name().clone();
            corrupt(SealError::Broken {
                table,
                id: id(),
                key,
            })
        })
    }

    async fn key(
        &mut self,
        scope: &IdScope,
        table: Table,
        id: impl Fn() -> Arc<str> + Send,
        name: &str,
    ) -> Result<Arc<DataKey>, StoreError> {
        if let Some((of, key)) = &self.last
            && key.name().as_str() == name
            && of == scope
        {
            return Ok(Arc::clone(key));
        }
        let name = KeyName::parse(name).map_err(|error| StoreError::Corrupt(Box::new(error)))?;
        let found = self.store.keys.opening_key(scope, &name).await;
        let key = found.map_err(|source| {
            let forever = matches!(source, KeyError::Refused(_));
            let error = Box::new(SealError::NoKey {
                table,
                id: id(),
                key: name,
                source,
            });
            match forever {
                true => StoreError::Corrupt(error),
                false => StoreError::Unavailable(error),
            }
        })?;
        self.last = Some((scope.clone(), Arc::clone(&key)));
        Ok(key)
    }
}

#[async_trait]
impl<S: Store> Store for SealedStore<S> {
    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Versioned>>, StoreError> {
        let mut found = self.store.get_many(keys).await?;
        let mut opener = self.opener();
        for (key, found) in keys.iter().zip(&mut found) {
            if let Some(found) = found {
                let Key { shard, table, id } = key;
                let value = opener.open(&shard.scope, *table, id, &found.value);
                found.value = value.await?;
            }
        }
        Ok(found)
    }

    async fn commit(&self, shard: &Shard, writes: &[Write]) -> Result<Version, StoreError> {
        let mut puts = writes.iter().filter_map(|write| match &write.change {
            Change::Put(value) => Some(value.len()),
            _ => None,
        });
        let too_large = puts
            .clone()
            .find(|bytes| *bytes > MAX_STORED_BYTES - MAX_OVERHEAD);
        if let Some(bytes) = too_large {
            return Err(StoreError::TooLarge { bytes });
        }
        if puts.next().is_none() {
            return self.store.commit(shard, writes).await;
        }
        let key = self.sealing_key(&shard.scope).await?;
        let seal = |write: &Write| {
            let mut write = write.clone();
            if let Change::Put(value) = &mut write.change {
                let spot = Spot {
                    scope: &shard.scope,
                    table: write.table,
                    id: &write.id,
                };
                *value = self.seal(&key, spot, value)?;
            }
            Ok(write)
        };
        let sealed: Vec<Write> = writes.iter().map(seal).collect::<Result<_, StoreError>>()?;
        self.store.commit(shard, &sealed).await
    }

    async fn scan(&self, scan: &Scan) -> Result<Page, StoreError> {
        let mut page = self.store.scan(scan).await?;
        let mut opener = self.opener();
        for (id, found) in &mut page.records {
            let value = opener.open(&scan.scope, scan.table, id, &found.value);
            found.value = value.await?;
        }
        Ok(page)
    }
}
