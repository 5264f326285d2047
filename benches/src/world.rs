//! The service that is measured: one instance, who is enrolled with it, and the devices that come.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dps_core::Provisioner;
use dps_core::access::{Access, AccessPolicy, Ingress, Rights};
use dps_core::admin::Admin;
use dps_core::allocate::Policy;
use dps_core::api::{
    Authentication, DeviceApi, DeviceHello, DeviceRequest, DeviceResponse, Origin, Transport,
};
use dps_core::attest::{Evidence, derive_device_key};
use dps_core::certificate::Certificate;
use dps_core::enrollment::{Attestation, Enrollment, Slots, Subject, X509Attestation};
use dps_core::hub::{DeviceLink, HubDevice, HubError, HubLinker, Linked};
use dps_core::id::{ApiVersion, DeviceId, GroupId, HubName, IdScope, RegistrationId, SecretBytes};
use dps_core::instance::{CaCertificate, Instance, LinkedHub, Quotas};
use dps_core::registration::Status;
use dps_core::store::Store;
use dps_core::tenant::OneStore;
use dps_core::time::Timestamp;
use dps_core::twin::Twin;
use dps_testkit::sas;
use rustls::pki_types::CertificateDer;

use crate::visits::{SCOPE, device_id};

/// How many hubs are linked, unless a benchmark says otherwise.
pub const HUBS: usize = 3;

/// When the tokens end: `2100-01-01T00:00:00Z`.
const EXPIRES: Timestamp = Timestamp(4_102_444_800_000);

/// Hubs that answer at once and keep nothing: what happens at a hub is not the service's cost.
#[derive(Debug)]
pub struct InstantHubs;

#[async_trait]
impl HubLinker for InstantHubs {
    async fn link(&self, _: &LinkedHub, _: &DeviceLink) -> Result<Linked, HubError> {
        Ok(Linked { created: true })
    }
    async fn unlink(&self, _: &LinkedHub, _: &DeviceId, _: Duration) -> Result<(), HubError> {
        Ok(())
    }
    async fn read(
        &self,
        _: &LinkedHub,
        _: &DeviceId,
        _: Duration,
    ) -> Result<Option<HubDevice>, HubError> {
        Ok(None)
    }
}

/// The host that operators mean.
pub const SERVICE_HOST: &str = "bench.example.net";

/// The name of the one shared access policy.
const POLICY: &str = "provisioningserviceowner";

/// The scope of [`SCOPE`].
pub fn scope() -> IdScope {
    IdScope::parse(SCOPE).expect("a valid scope")
}

/// The registration id of the n-th device.
pub fn registration(n: u64) -> RegistrationId {
    RegistrationId::parse(&device_id(n)).expect("a valid id")
}

/// The primary and the secondary key of the symmetric-key group.
pub fn group_keys() -> [SecretBytes; 2] {
    [7, 8].map(|byte| SecretBytes::new(vec![byte; 64]))
}

/// The token of the n-th device. It is good for a member of the symmetric-key group, and for the
/// device's individual enrollment as well: there its key is the one that the group would give it.
pub fn token(id: &str) -> String {
    let key = derive_device_key(&group_keys()[0], id);
    sas::token(&key, SCOPE, id, EXPIRES)
}

/// What an operator shows who may do everything.
pub fn operators_token() -> String {
    sas::policy_token(&group_keys()[0], POLICY, SERVICE_HOST, EXPIRES)
}

fn access() -> Access {
    let [primary, secondary] = group_keys();
    let policy = AccessPolicy {
        name: POLICY.into(),
        primary,
        secondary,
        rights: Rights::ALL,
    };
    Access {
        policies: vec![policy],
        ..Access::default()
    }
}

/// So many linked hubs of equal weight.
pub fn hubs(count: usize) -> Vec<LinkedHub> {
    let hub = |n| LinkedHub {
        name: HubName::parse(&format!("hub-{n}.example.net")).expect("a valid name"),
        location: "here".into(),
        weight: 1,
        in_policy: true,
        credential: None,
    };
    (0..count).map(hub).collect()
}

/// The instance; with certificates if a root is given, at which chains then end.
pub fn instance(root: Option<&CertificateDer<'_>>) -> Instance {
    let certificate = |root: &CertificateDer<'_>| CaCertificate {
        name: "root".into(),
        certificate: Certificate::parse(root).expect("the run's own root"),
        verified: true,
    };
    Instance {
        service_host: SERVICE_HOST.into(),
        policy: Policy::Hashed,
        hubs: hubs(HUBS),
        certificates: root.map(certificate).into_iter().collect(),
        access: access(),
        quotas: Quotas::default(),
    }
}

fn enrollment(subject: Subject, attestation: Attestation) -> Enrollment {
    let now = Timestamp(1_700_000_000_000);
    Enrollment {
        subject,
        attestation,
        enabled: true,
        edge: false,
        hubs: Vec::new(),
        pinned_hub: None,
        policy: None,
        custom_allocation: None,
        initial_twin: Twin::default(),
        reprovision: None,
        created: now,
        updated: now,
    }
}

fn group(id: &str) -> Subject {
    let id = GroupId::parse(id).expect("a valid id");
    Subject::Group { id }
}

/// The group of all devices with a token.
pub fn key_group() -> Enrollment {
    let [primary, secondary] = group_keys();
    enrollment(
        group("by-key"),
        Attestation::SymmetricKey { primary, secondary },
    )
}

/// The group of all devices with a certificate of this intermediate.
pub fn certificate_group(intermediate: &CertificateDer<'_>) -> Enrollment {
    let primary = Certificate::parse(intermediate).expect("the run's own intermediate");
    let slots = Slots {
        primary: Some(primary),
        secondary: None,
    };
    enrollment(
        group("by-certificate"),
        Attestation::X509(X509Attestation::Signing(slots)),
    )
}

/// The n-th device on its own; it shows the same token as in the group.
pub fn individual(n: u64) -> Enrollment {
    let [primary, secondary] = group_keys().map(|key| derive_device_key(&key, &device_id(n)));
    let subject = Subject::Individual {
        registration: registration(n),
        device: None,
        information: None,
    };
    enrollment(subject, Attestation::SymmetricKey { primary, secondary })
}

/// A service over `store`, with [`InstantHubs`].
pub fn service(store: &Arc<dyn Store>) -> Provisioner {
    Provisioner::builder(
        Arc::new(OneStore::new(Arc::clone(store))),
        Arc::new(InstantHubs),
    )
    .build()
    .expect("built with aws-lc")
}

/// Writes the instance, its groups, and so many individual enrollments.
pub async fn fill(
    store: &Arc<dyn Store>,
    instance: &Instance,
    groups: &[Enrollment],
    individuals: u64,
) {
    let admin = Admin::new(Arc::clone(store), scope());
    admin
        .put_instance(instance)
        .await
        .expect("a sound instance");
    for group in groups {
        admin.put_group(group).await.expect("a sound group");
    }
    for n in 0..individuals {
        admin
            .put_enrollment(&individual(n))
            .await
            .expect("a sound enrollment");
    }
}

/// What a transport knows of the n-th device when it registers with its token.
pub fn hello(n: u64) -> DeviceHello {
    let token = token(&device_id(n));
    DeviceHello {
        scope: scope(),
        registration: registration(n),
        evidence: Some(Evidence::Sas { token }),
        operation: None,
        origin: Origin {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            ingress: Ingress::Public,
            transport: Transport::Http,
        },
    }
}

/// Registers one device, up to the end of the work, and returns the answer.
///
/// # Panics
/// When the device is not assigned.
pub async fn register(
    service: &Provisioner,
    hello: DeviceHello,
    version: &ApiVersion,
) -> DeviceResponse {
    let Authentication::Accepted(session) = service.authenticate(hello).await else {
        panic!("a device is not believed");
    };
    let request = DeviceRequest::Register { payload: None };
    let mut reply = service.call(&session, version, request).await;
    while let Some(work) = reply.work.take() {
        reply = work.await;
    }
    let DeviceResponse::Operation { state, .. } = &reply.response else {
        panic!("no operation");
    };
    assert_eq!(state.status, Status::Assigned);
    reply.response
}
