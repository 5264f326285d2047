//! Which tenant a name belongs to, and where its records are.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

use crate::id::IdScope;
use crate::store::{BoxError, Store};

/// By which name a caller means a tenant.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum TenantName<'a> {
    /// Devices name the ID scope.
    Scope(&'a IdScope),
    /// Operators name the host of the service API.
    ServiceHost(&'a str),
}

/// A tenant's records.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// The scope its keys begin with.
    pub scope: IdScope,
    /// Where they are.
    pub store: Arc<dyn Store>,
}

impl Tenant {
    /// The store itself: a call through the [`Arc`], which is a store too, would box its future twice.
    pub(crate) fn store(&self) -> &dyn Store {
        &*self.store
    }
}

/// Who the tenants are could not be found out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TenantError {
    /// Try again later.
    #[error("tenants cannot be looked up right now")]
    Unavailable(#[source] BoxError),
}

/// Finds tenants.
///
/// Called on every request, so an implementation that asks elsewhere should remember answers.
#[async_trait]
pub trait TenantResolver: Debug + Send + Sync + 'static {
    /// The tenant of this name; `None` if there is none.
    ///
    /// # Errors
    /// [`TenantError::Unavailable`]: the device is told 503 and to come again.
    async fn resolve(&self, name: TenantName<'_>) -> Result<Option<Tenant>, TenantError>;
}

/// All tenants in one store. A scope without an instance record is no tenant.
///
/// Finds tenants by scope only: it keeps no list of host names.
#[derive(Clone, Debug)]
pub struct OneStore(Arc<dyn Store>);

impl OneStore {
    /// Takes `store` for every scope.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self(store)
    }
}

#[async_trait]
impl TenantResolver for OneStore {
    async fn resolve(&self, name: TenantName<'_>) -> Result<Option<Tenant>, TenantError> {
        Ok(match name {
            TenantName::Scope(scope) => Some(Tenant {
                scope: scope.clone(),
                store: Arc::clone(&self.0),
            }),
            TenantName::ServiceHost(_) => None,
        })
    }
}
