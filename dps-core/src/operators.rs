//! Letting operators in.

mod known;

use std::net::IpAddr;
use std::sync::Arc;

use self::known::KnownAccess;
use crate::access::{Action, Endpoint, PolicyToken};
use crate::admin::Admin;
use crate::attest::SKEW;
use crate::crypto::Crypto;
use crate::error::{Reason, ServiceError};
use crate::event::{Event, Recent};
use crate::id::{IdScope, RegistrationId};
use crate::provisioner::UNAVAILABLE_RETRY;
use crate::record::instance_key;
use crate::store::StoreError;
use crate::tenant::{TenantName, TenantResolver};
use crate::time::{Clock, SystemClock, Timestamp};

/// What an operator's request shows before anything is believed.
#[derive(Clone, Copy, Debug)]
pub struct OperatorHello<'a> {
    /// The host it was sent to, without a port: it names the tenant.
    pub host: &'a str,
    /// The path it was sent to.
    pub path: &'a str,
    /// Its `Authorization`, if it has one.
    pub authorization: Option<&'a str>,
    /// Where it comes from, as the socket has it.
    pub address: IpAddr,
}

/// Lets operators in: the counterpart of [`Provisioner`](crate::Provisioner) for those who manage it.
///
/// A transport asks [`Operators::admit`] with each request and gets an [`Admin`] of the tenant, which
/// checks no rights any more: what the operator may do has been judged.
#[derive(Clone, Debug)]
pub struct Operators {
    tenants: Arc<dyn TenantResolver>,
    clock: Arc<dyn Clock>,
    crypto: Option<Crypto>,
    events: Option<Recent>,
    known: Arc<KnownAccess>,
}

impl Operators {
    /// Takes tenants by the host name that operators use.
    #[must_use]
    pub fn new(tenants: Arc<dyn TenantResolver>) -> Self {
        Self {
            tenants,
            clock: Arc::new(SystemClock),
            crypto: Crypto::built_in(),
            events: None,
            known: Arc::default(),
        }
    }

    /// Takes the time from `clock`. Default: [`SystemClock`].
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Tells what `events` has of a device beside its registration. Default: nothing; then nobody can say why
    /// a caller was refused that has not proven itself.
    #[must_use]
    pub fn with_events(mut self, events: Recent) -> Self {
        self.events = Some(events);
        self
    }

    /// Uses these primitives. Default: [`Crypto::built_in`].
    #[must_use]
    pub fn with_crypto(mut self, crypto: Crypto) -> Self {
        self.crypto = Some(crypto);
        self
    }

    /// The primitives in use; `None` if there are none.
    #[must_use]
    pub const fn crypto(&self) -> Option<Crypto> {
        self.crypto
    }

    /// What has happened lately to a device of this node's tenant, oldest first.
    #[must_use]
    pub fn events(&self, scope: &IdScope, registration: &RegistrationId) -> Vec<Event> {
        let events = self.events.as_ref();
        events.map_or_else(Vec::new, |events| events.of(scope, registration))
    }

    /// What time it is, for what operators write.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Lets an operator do all of `actions` with one request. Writes nothing.
    ///
    /// # Errors
    /// [`Reason::NotAllowed`], the same for a host that nobody has, an address that an IP rule rejects, a wrong
    /// key, and rights that do not suffice; [`Reason::Unavailable`] if it cannot be judged now.
    pub async fn admit(
        &self,
        hello: &OperatorHello<'_>,
        actions: &[Action],
    ) -> Result<Admin, ServiceError> {
        let refused = || ServiceError::new(Reason::NotAllowed);
        let resolved = self
            .tenants
            .resolve(TenantName::ServiceHost(hello.host))
            .await;
        let tenant = resolved.map_err(|_| unavailable())?.ok_or_else(refused)?;
        let read = tenant
            .store()
            .get_many(&[instance_key(&tenant.scope)])
            .await;
        let stored = read.map_err(|error| broken(&error))?;
        let stored = stored.into_iter().next().flatten().ok_or_else(refused)?;
        let access = self.known.of(&tenant.scope, &stored.value);
        let access = access.map_err(|error| broken(&error))?;
        if access.rejection(hello.address, Endpoint::Service).is_some() {
            return Err(refused());
        }
        let token = hello.authorization.and_then(PolicyToken::parse);
        let token = token.ok_or_else(refused)?;
        let policy = access.policy(token.policy());
        let allowed = policy.is_some_and(|policy| {
            (token.is_signed_with(&policy.primary) || token.is_signed_with(&policy.secondary))
                && token.covers(hello.host, hello.path)
                && token.expires().plus(SKEW) > self.clock.now()
                && actions.iter().all(|action| policy.rights.allow(*action))
        });
        if !allowed {
            return Err(refused());
        }
        let admin = Admin::new(Arc::clone(&tenant.store), tenant.scope);
        Ok(match self.crypto {
            Some(crypto) => admin.with_crypto(crypto),
            None => admin,
        })
    }
}

fn unavailable() -> ServiceError {
    ServiceError::new(Reason::Unavailable).with_retry_after(UNAVAILABLE_RETRY)
}

fn broken(error: &StoreError) -> ServiceError {
    match error {
        StoreError::Corrupt(_) => ServiceError::new(Reason::Internal),
        _ => unavailable(),
    }
}
