//! Any store, sealed.

use std::sync::Arc;

use async_trait::async_trait;
use dps_core::crypto::AWS_LC;
use dps_core::seal::SealedStore;
use dps_core::store::Store;

use super::Fixture;
use crate::keys::FakeKeys;
use crate::run::Duty;

/// The stores of another fixture, each in a [`SealedStore`] with a key of its own:
/// `store::conformance!(Sealed(Memory))`.
#[derive(Clone, Copy, Debug)]
pub struct Sealed<F>(pub F);

#[async_trait]
impl<F: Fixture> Fixture for Sealed<F> {
    type Guard = F::Guard;

    async fn open(&self) -> (F::Guard, Arc<dyn Store>) {
        let (guard, store) = self.0.open().await;
        let sealed = SealedStore::new(store, Arc::new(FakeKeys::new()), AWS_LC);
        (guard, Arc::new(sealed.expect("AWS-LC seals")))
    }

    fn drive(&self, duty: Duty<'_>) {
        self.0.drive(duty);
    }
}
