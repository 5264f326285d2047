//! Which tenant a name belongs to, and where its records are.

use std::collections::BTreeMap;
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
#[derive(Clone, Debug)]
pub struct OneStore {
    store: Arc<dyn Store>,
    hosts: BTreeMap<Box<str>, IdScope>,
}

impl OneStore {
    /// Takes `store` for every scope, and knows no host names.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            hosts: BTreeMap::new(),
        }
    }

    /// Takes `host` for the service host of `scope`.
    ///
    /// * `host`: a name without a port, compared without regard to case.
    #[must_use]
    pub fn with_host(mut self, host: &str, scope: IdScope) -> Self {
        self.hosts.insert(host.to_ascii_lowercase().into(), scope);
        self
    }

    fn tenant(&self, scope: &IdScope) -> Tenant {
        Tenant {
            scope: scope.clone(),
            store: Arc::clone(&self.store),
        }
    }
}

#[async_trait]
impl TenantResolver for OneStore {
    async fn resolve(&self, name: TenantName<'_>) -> Result<Option<Tenant>, TenantError> {
        Ok(match name {
            TenantName::Scope(scope) => Some(self.tenant(scope)),
            TenantName::ServiceHost(host) => {
                let scope = self.hosts.get(&*host.to_ascii_lowercase());
                scope.map(|scope| self.tenant(scope))
            }
        })
    }
}
