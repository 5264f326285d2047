//! Letting operators in.

mod known;

use std::net::IpAddr;
use std::sync::Arc;

use self::known::KnownAccess;
use crate::access::{
    Access, Action, BearerToken, Endpoint, Ingress, PolicyToken, Rejection, TokenError,
    TokenVerifier,
};
use crate::admin::Admin;
use crate::attest::SKEW;
use crate::crypto::Crypto;
use crate::egress::Egress;
use crate::error::{Reason, ServiceError, UNAVAILABLE_RETRY};
use crate::event::{Event, Recent};
use crate::id::{IdScope, RegistrationId};
use crate::record::instance_key;
use crate::store::{BoxError, StoreError};
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
    /// The door it came through.
    pub ingress: &'a Ingress,
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
    egress: Egress,
    tokens: Option<Arc<dyn TokenVerifier>>,
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
            egress: Egress::default(),
            tokens: None,
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

    /// Lets operators name hosts that `egress` permits, and no others. Default: those with a public address,
    /// or a name; whoever calls them asks again about the addresses that a name stands for.
    #[must_use]
    pub fn with_egress(mut self, egress: Egress) -> Self {
        self.egress = egress;
        self
    }

    /// Takes tokens of the OpenID providers that an instance names, too, if `tokens` says that they are good.
    /// Default: none, whatever instances name.
    #[must_use]
    pub fn with_tokens(mut self, tokens: Arc<dyn TokenVerifier>) -> Self {
        self.tokens = Some(tokens);
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
        let access = self.known.of(&tenant.scope, &stored.value)?;
        self.judge(hello, &access, actions).await?;
        let admin = Admin::new(Arc::clone(&tenant.store), tenant.scope);
        let admin = admin.with_egress(self.egress.clone());
        Ok(match self.crypto {
            Some(crypto) => admin.with_crypto(crypto),
            None => admin,
        })
    }

    async fn judge(
        &self,
        hello: &OperatorHello<'_>,
        access: &Access,
        actions: &[Action],
    ) -> Result<(), NotAdmitted> {
        match access.rejection(hello.address, hello.ingress, Endpoint::Service) {
            None => {}
            Some(Rejection::Ingress) => return Err(NotAdmitted::IngressRejected),
            Some(Rejection::Rule(rule)) => {
                let rule = Arc::clone(&rule.name);
                return Err(NotAdmitted::AddressRejected { rule });
            }
        }
        let shown = hello.authorization.ok_or(NotAdmitted::NoToken)?;
        if let Some(token) = PolicyToken::parse(shown) {
            return self.judge_policy(hello, access, &token, actions);
        }
        let token = BearerToken::parse(shown).ok_or(NotAdmitted::NoToken)?;
        self.judge_bearer(access, &token, actions).await
    }

    fn judge_policy(
        &self,
        hello: &OperatorHello<'_>,
        access: &Access,
        token: &PolicyToken<'_>,
        actions: &[Action],
    ) -> Result<(), NotAdmitted> {
        if access.disable_local_auth {
            return Err(NotAdmitted::LocalAuthDisabled);
        }
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

    async fn judge_bearer(
        &self,
        access: &Access,
        token: &BearerToken<'_>,
        actions: &[Action],
    ) -> Result<(), NotAdmitted> {
        // Nobody else is asked: whom the service calls is not a stranger's to say.
        let issuer = token.issuer().and_then(|url| access.issuer(url));
        let issuer = issuer.ok_or(NotAdmitted::NoSuchIssuer)?;
        let verifier = self.tokens.as_ref().ok_or(NotAdmitted::NoVerifier)?;
        let url = || Arc::clone(&issuer.url);
        let claims = verifier.verify(token, issuer, self.clock.now()).await;
        let claims = claims.map_err(|error| match error {
            TokenError::Refused(why) => NotAdmitted::TokenRefused { issuer: url(), why },
            TokenError::Unavailable(source) => NotAdmitted::Unverified {
                issuer: url(),
                source,
            },
        })?;
        let may = issuer.actions(&claims);
        if !actions.iter().all(|action| may.allow(*action)) {
            return Err(NotAdmitted::RolesTooWeak { issuer: url() });
        }
        Ok(())
    }
}

/// Why an operator was not let in. Holds no secrets, and nothing that a stranger wrote.
///
/// It is for those who run the node: of everything but the last three the operator learns nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotAdmitted {
    /// No tenant has the host.
    #[error("no tenant has the host that the caller names")]
    NoSuchHost,
    /// The tenant has no instance.
    #[error("the tenant of the host has no instance")]
    NoInstance,
    /// The instance cannot be reached by the door that the caller came through.
    #[error("the instance cannot be reached by the endpoint that the caller came through")]
    IngressRejected,
    /// A rule of the instance keeps callers from this address out.
    #[error("IP rule {rule} rejects the caller's address")]
    AddressRejected {
        /// Its name.
        rule: Arc<str>,
    },
    /// It shows nothing that could be judged.
    #[error("the caller shows no token")]
    NoToken,
    /// The instance takes no tokens of shared access policies.
    #[error("the instance takes no tokens of shared access policies")]
    LocalAuthDisabled,
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
    /// The token is of an OpenID provider that the instance does not name, or of none.
    #[error("the token is of no OpenID provider of the instance")]
    NoSuchIssuer,
    /// Nobody here can tell whether tokens of OpenID providers are good ([`Operators::with_tokens`]).
    #[error("tokens of OpenID providers are not taken")]
    NoVerifier,
    /// The token is not good.
    #[error("the token of OpenID provider {issuer} {why}")]
    TokenRefused {
        /// The provider, as the instance names it.
        issuer: Arc<str>,
        /// What the verifier has against it.
        why: &'static str,
    },
    /// The token is good, but not for this.
    #[error("the roles in the token of OpenID provider {issuer} do not suffice")]
    RolesTooWeak {
        /// The provider, as the instance names it.
        issuer: Arc<str>,
    },
    /// It could not be judged whether the token is good.
    #[error("the token of OpenID provider {issuer} cannot be verified now")]
    Unverified {
        /// The provider, as the instance names it.
        issuer: Arc<str>,
        /// What the verifier lacks.
        #[source]
        source: BoxError,
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
    /// that an IP rule rejects, a wrong key or token, and rights that do not suffice; [`Reason::Unavailable`] or
    /// [`Reason::Internal`] if it cannot be judged now.
    #[must_use]
    pub const fn told(&self) -> ServiceError {
        match self {
            Self::Store(StoreError::Corrupt(_) | StoreError::TooLarge { .. }) => {
                ServiceError::new(Reason::Internal)
            }
            Self::Store(_) | Self::Tenant(_) | Self::Unverified { .. } => {
                ServiceError::new(Reason::Unavailable).with_retry_after(UNAVAILABLE_RETRY)
            }
            _ => ServiceError::new(Reason::NotAllowed),
        }
    }
}
