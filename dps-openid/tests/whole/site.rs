//! Two tenants and their operators, with a provider that the first one names.

use std::net::Ipv4Addr;
use std::sync::Arc;

use dps_core::access::{Access, Action, Ingress, IpMask, Issuer, Role};
use dps_core::admin::{Admin, Precondition};
use dps_core::allocate::Policy;
use dps_core::egress::Egress;
use dps_core::error::Reason;
use dps_core::id::IdScope;
use dps_core::instance::{Instance, Quotas};
use dps_core::operators::{OperatorHello, Operators};
use dps_core::store::Store;
use dps_core::tenant::OneStore;
use dps_core::time::Clock;
use dps_openid::OpenId;
use dps_store_memory::MemoryStore;
use dps_testkit::clock::ManualClock;
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use crate::provider::Provider;
use crate::signer::{Signer, published};

pub const ONE: &str = "one.dps.test";
pub const TWO: &str = "two.dps.test";
pub const CONTRIBUTOR: &str = "Device Provisioning Service Data Contributor";

pub struct Site {
    pub clock: ManualClock,
    pub provider: Provider,
    /// What the provider signs with.
    pub signer: Signer,
    operators: Operators,
    store: Arc<dyn Store>,
}

impl Site {
    pub async fn open() -> Self {
        Self::with(|openid| openid).await
    }

    pub async fn with(change: impl FnOnce(OpenId) -> OpenId) -> Self {
        let signer = Signer::new(Algorithm::ES256, "first");
        let provider = Provider::open(published(&[&signer])).await;
        let openid = OpenId::new(provider.trusted()).with_egress(nearby());
        Self::of(provider, signer, change(openid)).await
    }

    pub async fn of(provider: Provider, signer: Signer, openid: OpenId) -> Self {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let clock = ManualClock::new();
        let tenants = OneStore::new(Arc::clone(&store))
            .with_host(ONE, scope(ONE))
            .with_host(TWO, scope(TWO));
        let operators = Operators::new(Arc::new(tenants))
            .with_clock(Arc::new(clock.clone()))
            .with_tokens(Arc::new(openid));
        let site = Self {
            clock,
            operators,
            store,
            signer,
            provider,
        };
        for host in [ONE, TWO] {
            let instance = Instance {
                service_host: host.into(),
                policy: Policy::Hashed,
                hubs: Vec::new(),
                certificates: Vec::new(),
                access: Access::default(),
                quotas: Quotas::default(),
            };
            site.admin(host).put_instance(&instance).await.unwrap();
        }
        site.name(ONE, Issuer::new(&site.provider.url)).await;
        site
    }

    pub fn admin(&self, host: &str) -> Admin {
        Admin::new(Arc::clone(&self.store), scope(host)).with_egress(nearby())
    }

    /// Lets an instance take tokens of this provider alone.
    pub async fn name(&self, host: &str, issuer: Issuer) {
        let admin = self.admin(host);
        let set = admin.set_issuers(vec![issuer], Precondition::Any);
        set.await.unwrap();
    }

    /// Roles of the first instance's provider.
    pub async fn roles(&self, roles: Vec<Role>) {
        let usual = Issuer::new(&self.provider.url);
        self.name(ONE, Issuer { roles, ..usual }).await;
    }

    /// Claims that let in.
    pub fn claims(&self) -> Value {
        json!({
            "iss": self.provider.url,
            "aud": "https://azure-devices-provisioning.net",
            "exp": self.clock.now().seconds() + 3600,
            "nbf": self.clock.now().seconds(),
            "sub": "somebody",
            "roles": [CONTRIBUTOR],
        })
    }

    pub fn token(&self) -> String {
        self.signer.sign(&self.claims())
    }

    /// What becomes of an operator at the first host who wants to read enrollments.
    pub async fn ask(&self, token: &str) -> String {
        self.ask_at(ONE, token, Action::ReadEnrollments).await
    }

    /// "let in", or why not.
    pub async fn ask_at(&self, host: &str, token: &str, action: Action) -> String {
        let hello = OperatorHello {
            host,
            path: "/enrollments/a",
            authorization: Some(token),
            address: Ipv4Addr::LOCALHOST.into(),
            ingress: &Ingress::Public,
        };
        let Err(error) = self.operators.admit(&hello, &[action]).await else {
            return "let in".to_owned();
        };
        let told = error.told();
        let text = error.to_string();
        let later = text.ends_with("cannot be verified now");
        let reason = if later {
            Reason::Unavailable
        } else {
            Reason::NotAllowed
        };
        assert_eq!(told.reason(), reason, "{text}");
        for secret in token
            .split(['.', ' '])
            .skip(1)
            .filter(|part| part.len() > 8)
        {
            assert!(!format!("{error:?} {told:?}").contains(secret));
        }
        text.rsplit(&*self.provider.url)
            .next()
            .unwrap()
            .trim()
            .to_owned()
    }
}

/// Where the provider of the tests is.
pub fn nearby() -> Egress {
    Egress::default().with_range(IpMask::parse("127.0.0.1").unwrap())
}

fn scope(host: &str) -> IdScope {
    let text = if host == ONE {
        "0ne00000001"
    } else {
        "0ne00000002"
    };
    IdScope::parse(text).unwrap()
}
