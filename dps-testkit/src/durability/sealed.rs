//! Any store that outlives its process, sealed.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use dps_core::crypto::AWS_LC;
use dps_core::seal::SealedStore;
use dps_core::store::Store;
use parking_lot::Mutex;

use super::Fixture;
use crate::keys::FakeKeys;
use crate::run::Duty;
use crate::store::Sealed;

/// A place of another fixture, and the keys to it, which outlive the store, too.
pub struct SealedPlace<P> {
    place: P,
    keys: FakeKeys,
    /// The store within, which is what crashes.
    inner: Mutex<Option<Arc<dyn Store>>>,
}

impl<P> fmt::Debug for SealedPlace<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedPlace")
    }
}

/// `store::durability!(Sealed(OnDisk))`.
#[async_trait]
impl<F: Fixture> Fixture for Sealed<F> {
    type Place = SealedPlace<F::Place>;

    async fn place(&self) -> Self::Place {
        SealedPlace {
            place: self.0.place().await,
            keys: FakeKeys::new(),
            inner: Mutex::new(None),
        }
    }

    async fn open(&self, place: &Self::Place) -> Arc<dyn Store> {
        let inner = self.0.open(&place.place).await;
        *place.inner.lock() = Some(Arc::clone(&inner));
        let sealed = SealedStore::new(inner, Arc::new(place.keys.clone()), AWS_LC);
        Arc::new(sealed.expect("AWS-LC seals"))
    }

    async fn crash(&self, place: &Self::Place, store: Arc<dyn Store>) {
        drop(store);
        let inner = place.inner.lock().take();
        let inner = inner.expect("it was opened");
        self.0.crash(&place.place, inner).await;
    }

    fn histories(&self) -> u32 {
        self.0.histories()
    }

    fn drive(&self, duty: Duty<'_>) {
        self.0.drive(duty);
    }
}
