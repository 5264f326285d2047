//! A service, and devices that are connected to it by pipes.

use std::sync::Arc;
use std::time::Duration;

use dps_core::admin::Admin;
use dps_core::allocate::Policy;
use dps_core::api::DeviceApi;
use dps_core::attest::derive_device_key;
use dps_core::certificate::Certificate;
use dps_core::enrollment::{Attestation, Enrollment, Slots, Subject, X509Attestation};
use dps_core::id::{DeviceId, GroupId, HubName, IdScope, RegistrationId, SecretBytes};
use dps_core::instance::{CaCertificate, Instance, LinkedHub};
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
use dps_transport::{FailureLimit, Peer, Tasks};
use dps_transport_mqtt::Mqtt;

use crate::common::{Line, connect, peer};

pub const SCOPE: &str = "0ne00ABCDEF";
pub const A: &str = "a.hub.example";
pub const HOUR: Duration = Duration::from_secs(3600);

pub struct Site {
    pub api: Arc<dyn DeviceApi>,
    pub mqtt: Mqtt,
    /// The one verified certificate of the instance.
    pub root: Ca,
    pub hubs: FakeHubs,
    pub clock: ManualClock,
    pub tasks: Tasks,
    pub admin: Admin,
}

impl Site {
    pub async fn open() -> Self {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
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
        };
        admin.put_instance(&instance).await.unwrap();
        let mqtt = Mqtt::new(Arc::clone(&api)).with_clock(Arc::new(clock.clone()));
        Self {
            api,
            mqtt,
            root,
            hubs,
            clock,
            tasks,
            admin,
        }
    }

    /// Every registration takes two steps.
    pub fn without_grace(mut self) -> Self {
        self.mqtt = self.mqtt.with_grace(Duration::ZERO);
        self
    }

    pub async fn put(&self, entry: &Enrollment) {
        match &entry.subject {
            Subject::Individual { .. } => self.admin.put_enrollment(entry).await.unwrap(),
            Subject::Group { .. } => self.admin.put_group(entry).await.unwrap(),
        }
    }

    /// A device that connects with a token, and subscribes.
    pub async fn with_key(&self, id: &str, key: &SecretBytes) -> Line {
        let token = self.token(id, key);
        self.line(id, SCOPE, Some(&token), peer()).await
    }

    /// Good for an hour.
    pub fn token(&self, id: &str, key: &SecretBytes) -> String {
        sas::token(key, SCOPE, id, self.clock.now().plus(HOUR))
    }

    pub async fn derived(&self, id: &str, group: &SecretBytes) -> Line {
        self.with_key(id, &derive_device_key(group, id)).await
    }

    /// A device that connects with a certificate and its issuers, and subscribes.
    pub async fn with_identity(&self, id: &str, identity: &Identity) -> Line {
        let peer = Peer {
            chain: Arc::from(identity.chain_der()),
            ..peer()
        };
        self.line(id, SCOPE, None, peer).await
    }

    pub async fn line(&self, id: &str, scope: &str, token: Option<&str>, peer: Peer) -> Line {
        let mut line = Line::open(&self.mqtt, peer, &self.tasks);
        let user = format!("{scope}/registrations/{id}/api-version=2019-03-31");
        line.greet(&connect(id, &user, token, 0)).await;
        line
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
