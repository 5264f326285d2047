//! A service that listens on loopback.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use dps_core::access::Access;
use dps_core::admin::Admin;
use dps_core::allocate::{AllocationHook, Policy};
use dps_core::api::DeviceApi;
use dps_core::attest::{AttestError, AttestRequest, AttestationVerifier, Mechanisms, Verdict};
use dps_core::certificate::Certificate;
use dps_core::enrollment::{Attestation, Enrollment, Slots, Subject, X509Attestation};
use dps_core::id::{DeviceId, GroupId, HubName, IdScope, RegistrationId, SecretBytes};
use dps_core::instance::{CaCertificate, Instance, LinkedHub, Quotas};
use dps_core::store::{Key, Page, Scan, Shard, Store, StoreError, Version, Versioned, Write};
use dps_core::tenant::OneStore;
use dps_core::time::Timestamp;
use dps_core::twin::Twin;
use dps_core::{Provisioner, crypto};
use dps_store_memory::MemoryStore;
use dps_testkit::certs::{Ca, Identity};
use dps_testkit::clock::ManualClock;
use dps_testkit::hubs::FakeHubs;
use dps_transport::{FailureLimit, Listener, ServerTls, Tasks, TlsProvider, bind};
use dps_transport_http::Http;

pub const SCOPE: &str = "0ne00ABCDEF";
pub const A: &str = "a.hub.example";
pub const B: &str = "b.hub.example";
pub const HOUR: Duration = Duration::from_secs(3600);

/// A store that counts commits.
#[derive(Default)]
pub struct Counted {
    inner: MemoryStore,
    commits: AtomicUsize,
}

impl fmt::Debug for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl Store for Counted {
    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Versioned>>, StoreError> {
        self.inner.get_many(keys).await
    }

    async fn commit(&self, shard: &Shard, writes: &[Write]) -> Result<Version, StoreError> {
        self.commits.fetch_add(1, Ordering::SeqCst);
        self.inner.commit(shard, writes).await
    }

    async fn scan(&self, scan: &Scan) -> Result<Page, StoreError> {
        self.inner.scan(scan).await
    }
}

/// The usual verifier; counts how often it is asked.
#[derive(Debug, Default)]
pub struct Asked {
    inner: Mechanisms,
    times: AtomicUsize,
}

impl AttestationVerifier for Asked {
    fn verify(&self, request: &AttestRequest<'_>) -> Result<Verdict, AttestError> {
        self.times.fetch_add(1, Ordering::SeqCst);
        self.inner.verify(request)
    }
}

/// What a test may choose.
#[derive(Default)]
pub struct Choices {
    pub grace: Option<Duration>,
    pub hook: Option<Arc<dyn AllocationHook>>,
    /// Shuts out addresses that fail too often; otherwise nobody is.
    pub limited: bool,
}

pub struct Site {
    pub address: SocketAddr,
    pub tls_root: Ca,
    /// The one verified certificate of the instance.
    pub root: Ca,
    pub store: Arc<Counted>,
    pub hubs: FakeHubs,
    pub clock: ManualClock,
    pub tasks: Tasks,
    pub admin: Admin,
    verifier: Arc<Asked>,
}

impl Site {
    pub async fn open() -> Self {
        Self::with(Choices::default()).await
    }

    pub async fn with(choices: Choices) -> Self {
        let (store, verifier) = (Arc::new(Counted::default()), Arc::new(Asked::default()));
        let (hubs, clock, tasks) = (FakeHubs::new(), ManualClock::new(), Tasks::new());
        let shared = Arc::clone(&store) as Arc<dyn Store>;
        let tenants = Arc::new(OneStore::new(Arc::clone(&shared)));
        let mut builder = Provisioner::builder(tenants, Arc::new(hubs.clone()))
            .verifier(Arc::clone(&verifier) as Arc<dyn AttestationVerifier>)
            .clock(Arc::new(clock.clone()));
        if let Some(hook) = choices.hook {
            builder = builder.hook(hook);
        }
        let mut api: Arc<dyn DeviceApi> = Arc::new(builder.build().unwrap());
        if choices.limited {
            let random = crypto::AWS_LC.random;
            api = Arc::new(FailureLimit::new(api, Arc::new(clock.clone()), random));
        }
        let mut http = Http::new(api);
        if let Some(grace) = choices.grace {
            http = http.with_grace(grace);
        }

        let tls_root = Ca::root("TLS root");
        let server = tls_root.server(&["dps.test"]).unwrap();
        let chain = server.chain_der().to_vec();
        let tls = ServerTls::from_der(&TlsProvider::aws_lc(), chain, server.key_der()).unwrap();
        let socket = bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = socket.local_addr().unwrap();
        let listener = Listener::new(tls, Arc::new(http), tasks.clone()).with_alpn(&["http/1.1"]);
        tokio::spawn(async move { listener.serve(socket).await });

        let root = Ca::root("Root");
        let admin = Admin::new(shared, IdScope::parse(SCOPE).unwrap());
        let certificate = Certificate::parse(root.certificate_der()).unwrap();
        admin.put_instance(&instance(certificate)).await.unwrap();
        Self {
            address,
            tls_root,
            root,
            store,
            hubs,
            clock,
            tasks,
            admin,
            verifier,
        }
    }

    pub fn commits(&self) -> usize {
        self.store.commits.load(Ordering::SeqCst)
    }

    /// How often the verifier was asked.
    pub fn verified(&self) -> usize {
        self.verifier.times.load(Ordering::SeqCst)
    }

    pub async fn put(&self, entry: &Enrollment) {
        match &entry.subject {
            Subject::Individual { .. } => self.admin.put_enrollment(entry).await.unwrap(),
            Subject::Group { .. } => self.admin.put_group(entry).await.unwrap(),
        }
    }

    /// The hubs that have `device`.
    pub fn hubs_of(&self, device: &str) -> Vec<String> {
        let found = self.hubs.hubs_of(&DeviceId::parse(device).unwrap());
        found.iter().map(ToString::to_string).collect()
    }

    /// Lets the service run until `done`.
    pub async fn until(&self, done: impl Fn(&Self) -> bool + Send + Sync) {
        let turns = async {
            while !done(self) {
                tokio::task::yield_now().await;
            }
        };
        let soon = tokio::time::timeout(Duration::from_secs(30), turns).await;
        soon.expect("it takes far too long");
    }

    /// Lets the service run until no work is left.
    pub async fn settled(&self) {
        self.until(|site| site.tasks.work() == 0).await;
    }
}

fn instance(root: Certificate) -> Instance {
    let linked = [A, B].map(|name| LinkedHub {
        name: HubName::parse(name).unwrap(),
        location: "somewhere".into(),
        weight: 1,
        in_policy: true,
        credential: None,
    });
    Instance {
        service_host: "dps.example".into(),
        policy: Policy::Hashed,
        hubs: linked.to_vec(),
        certificates: vec![CaCertificate {
            name: "root".into(),
            certificate: root,
            verified: true,
        }],
        access: Access::default(),
        quotas: Quotas::default(),
    }
}

pub fn key(byte: u8) -> SecretBytes {
    SecretBytes::new(vec![byte; 32])
}

pub fn keys(primary: u8, secondary: u8) -> Attestation {
    Attestation::SymmetricKey {
        primary: key(primary),
        secondary: key(secondary),
    }
}

pub fn leaf(identity: &Identity) -> Attestation {
    Attestation::X509(X509Attestation::Leaf(Slots {
        primary: Some(Certificate::parse(identity.certificate_der()).unwrap()),
        secondary: None,
    }))
}

pub fn signing(ca: &Ca) -> Attestation {
    Attestation::X509(X509Attestation::Signing(Slots {
        primary: Some(Certificate::parse(ca.certificate_der()).unwrap()),
        secondary: None,
    }))
}

/// An individual enrollment; statically for hub a.
pub fn individual(id: &str, attestation: Attestation) -> Enrollment {
    entry(
        Subject::Individual {
            registration: RegistrationId::parse(id).unwrap(),
            device: None,
            information: None,
        },
        attestation,
    )
}

/// A group; statically for hub a.
pub fn group(id: &str, attestation: Attestation) -> Enrollment {
    let id = GroupId::parse(id).unwrap();
    entry(Subject::Group { id }, attestation)
}

pub fn disabled(mut entry: Enrollment) -> Enrollment {
    entry.enabled = false;
    entry
}

pub fn custom(mut entry: Enrollment) -> Enrollment {
    (entry.policy, entry.hubs) = (Some(Policy::Custom), Vec::new());
    entry
}

fn entry(subject: Subject, attestation: Attestation) -> Enrollment {
    Enrollment {
        subject,
        attestation,
        enabled: true,
        edge: false,
        hubs: vec![HubName::parse(A).unwrap()],
        pinned_hub: None,
        policy: Some(Policy::Static),
        custom_allocation: None,
        initial_twin: Twin::default(),
        reprovision: None,
        created: Timestamp(1),
        updated: Timestamp(1),
    }
}
