//! A service, whatever transport is before it; also for the tests of other transports.

use std::sync::Arc;
use std::time::Duration;

use dps_core::access::Access;
use dps_core::admin::Admin;
use dps_core::allocate::Policy;
use dps_core::api::DeviceApi;
use dps_core::certificate::Certificate;
use dps_core::enrollment::{Attestation, Enrollment, Slots, Subject, X509Attestation};
use dps_core::id::{DeviceId, GroupId, HubName, IdScope, RegistrationId, SecretBytes};
use dps_core::instance::{CaCertificate, Instance, LinkedHub, Quotas};
use dps_core::store::Store;
use dps_core::tenant::OneStore;
use dps_core::time::{Clock, Timestamp};
use dps_core::twin::Twin;
use dps_core::{Provisioner, crypto};
use dps_store_memory::MemoryStore;
use dps_testkit::certs::{Ca, Identity};
use dps_testkit::clock::ManualClock;
use dps_testkit::hubs::FakeHubs;
use dps_testkit::sas;
use dps_transport::{FailureLimit, Tasks};

pub const SCOPE: &str = "0ne00ABCDEF";
pub const A: &str = "a.hub.example";
pub const HOUR: Duration = Duration::from_secs(3600);

pub struct Service {
    pub api: Arc<dyn DeviceApi>,
    /// The one verified certificate of the instance.
    pub root: Ca,
    pub hubs: FakeHubs,
    pub clock: ManualClock,
    pub tasks: Tasks,
    pub admin: Admin,
}

impl Service {
    pub async fn open() -> Self {
        Self::over(Arc::new(MemoryStore::default())).await
    }

    pub async fn over(store: Arc<dyn Store>) -> Self {
        let (hubs, clock, tasks) = (FakeHubs::new(), ManualClock::new(), Tasks::new());
        let tenants = Arc::new(OneStore::new(Arc::clone(&store)));
        let provisioner = Provisioner::builder(tenants, Arc::new(hubs.clone()))
            .clock(Arc::new(clock.clone()))
            .build()
            .unwrap();
        let limited = FailureLimit::new(
            Arc::new(provisioner),
            Arc::new(clock.clone()),
            crypto::AWS_LC.random,
        );
        let api: Arc<dyn DeviceApi> = Arc::new(limited);
        let admin = Admin::new(store, IdScope::parse(SCOPE).unwrap());
        let root = Ca::root("Root");
        let hub = LinkedHub {
            name: HubName::parse(A).unwrap(),
            location: "somewhere".into(),
            weight: 1,
            in_policy: true,
            credential: None,
        };
        let instance = Instance {
            service_host: "dps.example".into(),
            policy: Policy::Hashed,
            hubs: vec![hub],
            certificates: vec![CaCertificate {
                name: "root".into(),
                certificate: Certificate::parse(root.certificate_der()).unwrap(),
                verified: true,
            }],
            access: Access::default(),
            quotas: Quotas::default(),
        };
        admin.put_instance(&instance).await.unwrap();
        Self {
            api,
            root,
            hubs,
            clock,
            tasks,
            admin,
        }
    }

    pub async fn put(&self, entry: &Enrollment) {
        match &entry.subject {
            Subject::Individual { .. } => self.admin.put_enrollment(entry).await.unwrap(),
            Subject::Group { .. } => self.admin.put_group(entry).await.unwrap(),
        }
    }

    /// Good for an hour.
    pub fn token(&self, id: &str, key: &SecretBytes) -> String {
        sas::token(key, SCOPE, id, self.clock.now().plus(HOUR))
    }

    /// The hubs that have `device`.
    pub fn hubs_of(&self, device: &str) -> Vec<String> {
        let found = self.hubs.hubs_of(&DeviceId::parse(device).unwrap());
        found.iter().map(ToString::to_string).collect()
    }
}

pub fn key(byte: u8) -> SecretBytes {
    SecretBytes::new(vec![byte; 32])
}

pub fn keys(byte: u8) -> Attestation {
    Attestation::SymmetricKey {
        primary: key(byte),
        secondary: key(byte),
    }
}

fn slots(certificate: &rustls_pki_types::CertificateDer<'static>) -> Slots<Certificate> {
    Slots {
        primary: Some(Certificate::parse(certificate).unwrap()),
        secondary: None,
    }
}

pub fn leaf(identity: &Identity) -> Attestation {
    Attestation::X509(X509Attestation::Leaf(slots(identity.certificate_der())))
}

pub fn signing(ca: &Ca) -> Attestation {
    Attestation::X509(X509Attestation::Signing(slots(ca.certificate_der())))
}

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

pub fn group(id: &str, attestation: Attestation) -> Enrollment {
    let id = GroupId::parse(id).unwrap();
    entry(Subject::Group { id }, attestation)
}

pub fn disabled(mut entry: Enrollment) -> Enrollment {
    entry.enabled = false;
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
