//! Letting operators in.

use std::net::IpAddr;
use std::sync::Arc;

use crate::access::{Access, Action, Endpoint, PolicyToken};
use crate::admin::Admin;
use crate::attest::SKEW;
use crate::crypto::Crypto;
use crate::error::{Reason, ServiceError, UNAVAILABLE_RETRY};
use crate::event::{Event, Recent};
use crate::id::{IdScope, RegistrationId};
use crate::record::{decode_instance, instance_key};
use crate::store::StoreError;
use crate::tenant::{TenantError, TenantName, TenantResolver};
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
    /// [`NotAdmitted`] says why, for whoever runs the node; the operator is told [`NotAdmitted::told`].
    pub async fn admit(
        &self,
        hello: &OperatorHello<'_>,
        actions: &[Action],
    ) -> Result<Admin, NotAdmitted> {
        let name = TenantName::ServiceHost(hello.host);
        let resolved = self.tenants.resolve(name).await?;
        let tenant = resolved.ok_or(NotAdmitted::NoSuchHost)?;
        let keys = [instance_key(&tenant.scope)];
        let stored = tenant.store().get_many(&keys).await?;
        let stored = stored.into_iter().next().flatten();
        let stored = stored.ok_or(NotAdmitted::NoInstance)?;
        let instance = decode_instance(&stored.value)?;
        self.judge(hello, &instance.access, actions)?;
        let admin = Admin::new(Arc::clone(&tenant.store), tenant.scope);
        Ok(match self.crypto {
            Some(crypto) => admin.with_crypto(crypto),
            None => admin,
        })
    }

    fn judge(
        &self,
        hello: &OperatorHello<'_>,
        access: &Access,
        actions: &[Action],
    ) -> Result<(), NotAdmitted> {
        if let Some(rule) = access.rejection(hello.address, Endpoint::Service) {
            let rule = Arc::clone(&rule.name);
            return Err(NotAdmitted::AddressRejected { rule });
        }
        let token = hello.authorization.and_then(PolicyToken::parse);
        let token = token.ok_or(NotAdmitted::NoToken)?;
        let policy = access.policy(token.policy());
        let policy = policy.ok_or(NotAdmitted::NoSuchPolicy)?;
        let name = || Arc::clone(&policy.name);
        if !token.is_signed_with(&policy.primary) && !token.is_signed_with(&policy.secondary) {
            return Err(NotAdmitted::WrongKey { policy: name() });
        }
        if !token.covers(hello.host, hello.path) {
            return Err(NotAdmitted::OtherResource { policy: name() });
        }
        if token.expires().plus(SKEW) <= self.clock.now() {
            return Err(NotAdmitted::Expired { policy: name() });
        }
        if !actions.iter().all(|action| policy.rights.allow(*action)) {
            return Err(NotAdmitted::RightsTooWeak { policy: name() });
        }
        Ok(())
    }
}

/// Why an operator was not let in. Holds no secrets, and nothing that a stranger wrote.
///
/// It is for those who run the node: of everything but the last two the operator learns nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotAdmitted {
    /// No tenant has the host.
    #[error("no tenant has the host that the caller names")]
    NoSuchHost,
    /// The tenant has no instance.
    #[error("the tenant of the host has no instance")]
    NoInstance,
    /// A rule of the instance keeps callers from this address out.
    #[error("IP rule {rule} rejects the caller's address")]
    AddressRejected {
        /// Its name.
        rule: Arc<str>,
    },
    /// It shows nothing that could be judged.
    #[error("the caller shows no token of a shared access policy")]
    NoToken,
    /// The token names no policy of the instance.
    #[error("the token names a shared access policy that is not there")]
    NoSuchPolicy,
    /// The token is signed with neither key of its policy.
    #[error("the token is not signed with a key of shared access policy {policy}")]
    WrongKey {
        /// The name of the policy.
        policy: Arc<str>,
    },
    /// The token is good, but not here.
    #[error("the token of shared access policy {policy} is for another host or path")]
    OtherResource {
        /// The name of the policy.
        policy: Arc<str>,
    },
    /// The token was good.
    #[error("the token of shared access policy {policy} has expired")]
    Expired {
        /// The name of the policy.
        policy: Arc<str>,
    },
    /// The token is good, but not for this.
    #[error("the rights of shared access policy {policy} do not suffice")]
    RightsTooWeak {
        /// The name of the policy.
        policy: Arc<str>,
    },
    /// It could not be judged who is meant.
    #[error(transparent)]
    Tenant(#[from] TenantError),
    /// It could not be judged.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl NotAdmitted {
    /// What the operator is told: [`Reason::NotAllowed`], the same for a host that nobody has, an address
    /// that an IP rule rejects, a wrong key, and rights that do not suffice; [`Reason::Unavailable`] or
    /// [`Reason::Internal`] if it cannot be judged now.
    #[must_use]
    pub const fn told(&self) -> ServiceError {
        match self {
            Self::Store(StoreError::Corrupt(_)) => ServiceError::new(Reason::Internal),
            Self::Store(_) | Self::Tenant(_) => {
                ServiceError::new(Reason::Unavailable).with_retry_after(UNAVAILABLE_RETRY)
            }
            _ => ServiceError::new(Reason::NotAllowed),
        }
    }
}
