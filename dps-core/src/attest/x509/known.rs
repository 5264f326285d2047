//! Which issuers have been verified before.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};

use super::super::AttestRequest;
use crate::certificate::Certificate;

/// How many are remembered; all are forgotten when one more comes. Our choice: a factory has a
/// handful, and each takes 32 bytes and some.
const LIMIT: usize = 4096;

/// Everything above a leaf that has been verified once, so that the next device of the same issuer
/// costs one signature instead of one for each certificate.
///
/// Only signatures and constraints are remembered, which do not change: how the path is chosen, every
/// date, and the leaf are judged each time. A path is remembered after a caller was believed, so
/// strangers cannot fill the memory.
#[derive(Default)]
pub(in crate::attest) struct KnownIssuers(Mutex<BTreeSet<Key>>);

/// SHA-256 over the tenant, its epoch, and the thumbprints of everything above a leaf.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key([u8; 32]);

impl Key {
    /// `None` where there is nothing to save, or where a certificate constrains the names below it:
    /// whether it allows a leaf cannot be told from another leaf.
    pub(super) fn of(
        request: &AttestRequest<'_>,
        below: &[&Certificate],
        anchor: &Certificate,
    ) -> Option<Self> {
        let mut above = below.iter().copied().chain([anchor]);
        if below.is_empty() || above.any(Certificate::constrains_names) {
            return None;
        }
        let scope = request.scope.folded().as_bytes();
        let mut hash = Sha256::new();
        hash.update(request.epoch.to_be_bytes());
        hash.update([u8::try_from(scope.len()).ok()?]);
        hash.update(scope);
        for certificate in below.iter().copied().chain([anchor]) {
            hash.update(certificate.thumbprint());
        }
        Some(Self(hash.finalize().into()))
    }
}

impl KnownIssuers {
    pub(super) fn contains(&self, key: &Key) -> bool {
        self.lock().contains(key)
    }

    pub(super) fn insert(&self, key: Key) {
        let mut known = self.lock();
        if known.len() >= LIMIT {
            known.clear();
        }
        known.insert(key);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<Key>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for KnownIssuers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KnownIssuers({})", self.lock().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_is_bounded() {
        let known = KnownIssuers::default();
        for n in 0..LIMIT as u64 * 2 + 1 {
            known.insert(Key(Sha256::digest(n.to_be_bytes()).into()));
            assert!(known.lock().len() <= LIMIT);
        }
        assert_eq!(format!("{known:?}"), "KnownIssuers(1)");
    }
}
