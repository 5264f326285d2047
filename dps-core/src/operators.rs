//! Letting operators in.

use std::net::IpAddr;
use std::sync::Arc;

use crate::access::{
    Access, Action, BearerToken, Endpoint, PolicyToken, TokenError, TokenVerifier,
};
use crate::admin::Admin;
use crate::attest::SKEW;
use crate::crypto::Crypto;
use crate::egress::Egress;
use crate::error::{Reason, ServiceError};
use crate::event::{Event, Recent};
use crate::id::{IdScope, RegistrationId};
use crate::provisioner::UNAVAILABLE_RETRY;
use crate::record::{decode_instance, instance_key};
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
    tokens: Option<Arc<dyn TokenVerifier>>,
    egress: Egress,
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
            tokens: None,
            egress: Egress::default(),
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

    /// Takes tokens of the OpenID providers that an instance names, too, if `tokens` says that they are good.
    /// Default: none, whatever instances name.
    #[must_use]
    pub fn with_tokens(mut self, tokens: Arc<dyn TokenVerifier>) -> Self {
        self.tokens = Some(tokens);
    /// Lets operators name hosts that `egress` permits, and no others. Default: those with a public address,
    /// or a name; whoever calls them asks again about the addresses that a name stands for.
    #[must_use]
    pub fn with_egress(mut self, egress: Egress) -> Self {
        self.egress = egress;
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
    /// key or token, and rights that do not suffice; [`Reason::Unavailable`] if it cannot be judged now.
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
        let instance = decode_instance(&stored.value).map_err(|error| broken(&error))?;
        let access = &instance.access;
        if access.rejection(hello.address, Endpoint::Service).is_some() {
            return Err(refused());
        }
        let allowed = match hello.authorization {
            Some(shown) => self.allows(access, hello, shown, actions).await?,
            None => false,
        };
        if !allowed {
            return Err(refused());
        }
        let admin = Admin::new(Arc::clone(&tenant.store), tenant.scope);
        let admin = admin.with_egress(self.egress.clone());
        Ok(match self.crypto {
            Some(crypto) => admin.with_crypto(crypto),
            None => admin,
        })
    }

    /// Whether what is shown is good for all of `actions`.
    async fn allows(
        &self,
        access: &Access,
        hello: &OperatorHello<'_>,
        shown: &str,
        actions: &[Action],
    ) -> Result<bool, ServiceError> {
        if let Some(token) = PolicyToken::parse(shown) {
            let policy = access.policy(token.policy());
            return Ok(policy.is_some_and(|policy| {
                (token.is_signed_with(&policy.primary) || token.is_signed_with(&policy.secondary))
                    && token.covers(hello.host, hello.path)
                    && token.expires().plus(SKEW) > self.clock.now()
                    && actions.iter().all(|action| policy.rights.allow(*action))
                    && !access.disable_local_auth
            }));
        }
        let (Some(tokens), Some(token)) = (&self.tokens, BearerToken::parse(shown)) else {
            return Ok(false);
        };
        // Who else made a token is not asked, so that a stranger decides nobody to ask.
        let Some(issuer) = token.issuer().and_then(|url| access.issuer(url)) else {
            return Ok(false);
        };
        match tokens.verify(&token, issuer, self.clock.now()).await {
            Ok(claims) => {
                let may = issuer.actions(&claims);
                Ok(actions.iter().all(|action| may.allow(*action)))
            }
            Err(TokenError::Refused(_)) => Ok(false),
            Err(TokenError::Unavailable(_)) => Err(unavailable()),
        }
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
