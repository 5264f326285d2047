//! Two tenants behind one port, for devices and operators.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dps_core::Provisioner;
use dps_core::access::{
    Access, AccessPolicy, BearerToken, Claims, Ingress, Issuer, Rights, TokenError, TokenVerifier,
};
use dps_core::admin::Admin;
use dps_core::allocate::Policy;
use dps_core::certificate::Certificate;
use dps_core::event::Recent;
use dps_core::id::{HubName, IdScope, SecretBytes};
use dps_core::instance::{CaCertificate, Instance, LinkedHub, Quotas};
use dps_core::operators::Operators;
use dps_core::store::Store;
use dps_core::tenant::OneStore;
use dps_core::time::Timestamp;
use dps_store_memory::MemoryStore;
use dps_testkit::certs::Ca;
use dps_testkit::clock::ManualClock;
use dps_testkit::hubs::FakeHubs;
use dps_transport::{Failures, Listener, ServerTls, Tasks, TlsProvider, bind};
use dps_transport_http::Http;
use dps_transport_http::service::ServiceApi;
use tokio::io::DuplexStream;

pub const ONE: &str = "one.dps.test";
pub const TWO: &str = "two.dps.test";
pub const HUB: &str = "a.hub.example";
pub const HOUR: Duration = Duration::from_secs(3600);

/// Each tenant's policies: a name, and what it is good for. Each tenant has keys of its own,
/// also for the name that both use.
pub const POLICIES: [(&str, Rights); 8] = [
    ("owner", Rights::ALL),
    ("shared", Rights::ALL),
    ("config", Rights::SERVICE_CONFIG),
    ("reader", Rights::ENROLLMENT_READ),
    ("writer", Rights::ENROLLMENT_WRITE),
    ("state-reader", Rights::REGISTRATION_READ),
    ("state-writer", Rights::REGISTRATION_WRITE),
    ("connect", Rights::DEVICE_CONNECT),
];

/// What each tenant's instance has of its own, beside [`HUB`], by which routes can be asked for something
/// that is there: a policy that nobody uses, and a certificate that is not verified.
pub const SPARE: &str = "spare";
pub const CA: &str = "Plant CA";

pub struct Site {
    pub address: SocketAddr,
    pub root: Ca,
    pub clock: ManualClock,
    listener: Arc<Listener>,
}

impl Site {
    /// Devices and operators on one port.
    pub async fn open() -> Self {
        Self::with(|http, service| http.with_service(service)).await
    }

    /// * `mount`: what listens, made of what serves devices and of what serves operators.
    pub async fn with(mount: impl FnOnce(Http, ServiceApi) -> Http) -> Self {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let clock = ManualClock::new();
        let tenants = OneStore::new(Arc::clone(&store))
            .with_host(ONE, scope(ONE))
            .with_host(TWO, scope(TWO));
        let tenants = Arc::new(tenants);
        let events = Recent::new(100);
        for host in [ONE, TWO] {
            let admin = Admin::new(Arc::clone(&store), scope(host));
            admin.put_instance(&instance(host)).await.unwrap();
        }
        let devices = Provisioner::builder(tenants.clone(), Arc::new(FakeHubs::new()))
            .clock(Arc::new(clock.clone()))
            .events(Arc::new(events.clone()))
            .build()
            .unwrap();
        let operators = Operators::new(tenants)
            .with_clock(Arc::new(clock.clone()))
            .with_events(events)
            .with_tokens(Arc::new(Believing));
        let http = Http::new(Arc::new(devices)).with_clock(Arc::new(clock.clone()));
        // What a test refuses often is not held against it, unless it is about that.
        let many = NonZeroU32::new(60_000).unwrap();
        let service = ServiceApi::new(operators).with_failures(Arc::new(Failures::new(many, many)));
        let http = mount(http, service).with_clock(Arc::new(clock.clone()));

        let root = Ca::root("TLS root");
        let server = root.server(&[ONE, TWO]).unwrap();
        let chain = server.chain_der().to_vec();
        let tls = ServerTls::from_der(&TlsProvider::aws_lc(), chain, server.key_der()).unwrap();
        let socket = bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = socket.local_addr().unwrap();
        let listener = Listener::new(tls, Arc::new(http), Tasks::new()).with_alpn(&["http/1.1"]);
        let listener = Arc::new(listener);
        let listening = Arc::clone(&listener);
        tokio::spawn(async move { listening.serve(socket).await });
        Self {
            address,
            root,
            clock,
            listener,
        }
    }

    /// The near end of a connection from `address`, wherever that is.
    pub fn connect(&self, address: &str) -> DuplexStream {
        enter(&self.listener, address)
    }

    /// The near end of a connection at a private endpoint, from an address of its network.
    pub fn connect_privately(&self, endpoint: &str, address: &str) -> DuplexStream {
        let listener = Listener::clone(&self.listener);
        let listener = listener.with_ingress(Ingress::Private(endpoint.into()));
        enter(&listener, address)
    }
}

fn enter(listener: &Listener, address: &str) -> DuplexStream {
    let (near, far) = tokio::io::duplex(64 * 1024);
    assert!(listener.admit(far, address.parse().unwrap()));
    near
}

/// Believes tokens that say so where others are signed.
#[derive(Debug)]
struct Believing;

#[async_trait]
impl TokenVerifier for Believing {
    async fn verify(
        &self,
        token: &BearerToken<'_>,
        _: &Issuer,
        _: Timestamp,
    ) -> Result<Claims, TokenError> {
        match token.signature() {
            b"good" => Ok(token.unverified().clone()),
            b"later" => Err(TokenError::Unavailable("the provider is down".into())),
            _ => Err(TokenError::Refused("has a wrong signature")),
        }
    }
}

pub fn scope(host: &str) -> IdScope {
    let text = if host == ONE {
        "0ne00000001"
    } else {
        "0ne00000002"
    };
    IdScope::parse(text).unwrap()
}

/// The key of a policy, in its first or second slot.
pub fn key(host: &str, policy: &str, slot: u8) -> SecretBytes {
    let mut bytes = format!("{policy} of {host} {slot}").into_bytes();
    bytes.resize(64, slot);
    SecretBytes::new(bytes)
}

fn instance(host: &str) -> Instance {
    let spare = (SPARE, Rights::REGISTRATION_READ);
    let policies = POLICIES.into_iter().chain([spare]);
    let policies = policies.map(|(name, rights)| AccessPolicy {
        name: name.into(),
        primary: key(host, name, 1),
        secondary: key(host, name, 2),
        rights,
    });
    let plant = Ca::root("Plant");
    Instance {
        service_host: host.into(),
        policy: Policy::Hashed,
        hubs: vec![LinkedHub {
            name: HubName::parse(HUB).unwrap(),
            location: "somewhere".into(),
            weight: 1,
            in_policy: true,
            credential: None,
        }],
        certificates: vec![CaCertificate {
            name: CA.into(),
            certificate: Certificate::parse(plant.certificate_der()).unwrap(),
            verified: false,
        }],
        access: Access {
            policies: policies.collect(),
            ..Access::default()
        },
        quotas: Quotas::default(),
    }
}
