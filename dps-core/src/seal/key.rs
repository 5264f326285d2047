//! Keys for values at rest, and where they come from.

use std::fmt::{self, Debug};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use zeroize::Zeroizing;

use crate::crypto::{Aead, AeadKey, CryptoError};
use crate::id::{IdError, IdScope};
use crate::store::BoxError;

/// The name of a key. It stands readable in front of every value that the key has sealed.
///
/// 1 to 64 ASCII letters, digits, `-`, `.`, `_`, `:` and `/`; capitals count.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName(Arc<str>);

impl KeyName {
    /// The most bytes that a name may have.
    pub const MAX_BYTES: usize = 64;

    /// Checks `text` against the rule of names.
    ///
    /// # Errors
    /// [`IdError`] says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        Self::check(text)?;
        Ok(Self(text.into()))
    }

    pub(super) fn check(text: &str) -> Result<(), IdError> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._:/".contains(&b);
        match text.bytes().position(|b| !allowed(b)) {
            _ if text.is_empty() => Err(IdError::Empty),
            Some(at) => Err(IdError::Character { at }),
            None if text.len() > Self::MAX_BYTES => Err(IdError::TooLong {
                max: Self::MAX_BYTES,
            }),
            None => Ok(()),
        }
    }

    /// As it was spelled.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Debug for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyName({})", self.0)
    }
}

/// A key of 256 bits, with its name. `Debug` shows the name alone.
///
/// It is made ready once, at its first use; so hand out the same one again, not another of the same bytes. Bytes are
/// wiped when it is dropped.
pub struct DataKey {
    name: KeyName,
    bytes: Option<Zeroizing<[u8; 32]>>,
    ready: OnceLock<Arc<dyn AeadKey>>,
    sealed: AtomicU64,
}

impl DataKey {
    /// A key of these bytes, which have to be random. Those that are passed stay the caller's to wipe.
    #[must_use]
    pub fn new(name: KeyName, bytes: &[u8; 32]) -> Self {
        Self {
            name,
            bytes: Some(Zeroizing::new(*bytes)),
            ready: OnceLock::new(),
            sealed: AtomicU64::new(0),
        }
    }

    /// A key that seals and opens by itself, such as one that does not leave a security module.
    #[must_use]
    pub fn custom(name: KeyName, key: Arc<dyn AeadKey>) -> Self {
        Self {
            name,
            bytes: None,
            ready: OnceLock::from(key),
            sealed: AtomicU64::new(0),
        }
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &KeyName {
        &self.name
    }

    /// How many values this process has sealed with it. All processes together may seal 2^32.
    #[must_use]
    pub fn sealed(&self) -> u64 {
        self.sealed.load(Ordering::Relaxed)
    }

    /// Counts one more value.
    pub(super) fn count(&self) {
        self.sealed.fetch_add(1, Ordering::Relaxed);
    }

    /// The key, ready to use.
    pub(super) fn ready(&self, aead: &dyn Aead) -> Result<&dyn AeadKey, CryptoError> {
        if let Some(ready) = self.ready.get() {
            return Ok(&**ready);
        }
        let bytes = self.bytes.as_ref().ok_or(CryptoError)?;
        let made = aead.key(bytes)?;
        Ok(&**self.ready.get_or_init(|| made.into()))
    }
}

impl Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DataKey({})", self.name)
    }
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Again later: whoever has the key does not answer, or no key is current.
    #[error("keys cannot be had right now")]
    Unavailable(#[source] BoxError),
    /// Nobody has a key of this name, now. Somebody may bring it.
    #[error("there is no key {name}")]
    Unknown {
        /// The name that was asked for.
        name: KeyName,
    },
    /// Never: the key was destroyed, or may not be used.
    #[error("the key may not be used")]
    Refused(#[source] BoxError),
}

/// Has keys for values at rest.
///
/// # Contract
/// - A name means one key of a scope, for ever: bytes never change under a name.
/// - The key that `sealing_key` gives, `opening_key` finds by its name, as long as values may be sealed with it.
/// - It is asked at every read and every write, several times at once: an implementation that asks elsewhere remembers
///   answers, or stands in a [`CachedKeys`](super::CachedKeys).
/// - Which key is current may change at any time, and other nodes may notice it earlier or later.
///
/// Futures may be dropped at any point.
#[async_trait]
pub trait KeyProvider: Debug + Send + Sync + 'static {
    /// The key that new values of `scope` are sealed with.
    ///
    /// # Errors
    /// [`KeyError`]; nothing is written then.
    async fn sealing_key(&self, scope: &IdScope) -> Result<Arc<DataKey>, KeyError>;

    /// The key of this name, which stands in front of a value of `scope`.
    ///
    /// * `name`: whoever can write to the store chooses it.
    ///
    /// # Errors
    /// [`KeyError::Unknown`] if there is none, or as the others say.
    async fn opening_key(&self, scope: &IdScope, name: &KeyName) -> Result<Arc<DataKey>, KeyError>;
}

#[async_trait]
impl<P: KeyProvider + ?Sized> KeyProvider for Arc<P> {
    async fn sealing_key(&self, scope: &IdScope) -> Result<Arc<DataKey>, KeyError> {
        (**self).sealing_key(scope).await
    }
    async fn opening_key(&self, scope: &IdScope, name: &KeyName) -> Result<Arc<DataKey>, KeyError> {
        (**self).opening_key(scope, name).await
    }
}
