//! Instances, enrollments, and the names in them.

use std::sync::Arc;

use dps_core::access::Access;
use dps_core::allocate::Policy;
use dps_core::certificate::Certificate;
use dps_core::enrollment::{
    Attestation, Enrollment, ReprovisionPolicy, Slots, Subject, X509Attestation,
};
use dps_core::id::{DeviceId, GroupId, HubName, IdScope, RegistrationId, SecretBytes};
use dps_core::instance::{CaCertificate, Instance, LinkedHub, Quotas};
use dps_core::time::Timestamp;
use dps_core::tpm::TpmKeys;
use dps_core::twin::Twin;
use dps_testkit::certs::{Ca, Identity};
use serde_json::{Map, Value};

pub fn scope(text: &str) -> IdScope {
    IdScope::parse(text).unwrap()
}

pub fn hub(name: &str) -> HubName {
    HubName::parse(name).unwrap()
}

pub fn key(byte: u8) -> SecretBytes {
    SecretBytes::new(vec![byte; 32])
}

pub fn object(members: &[(&str, i32)]) -> Map<String, Value> {
    let members = members.iter();
    members
        .map(|(name, value)| ((*name).to_owned(), (*value).into()))
        .collect()
}

pub fn instance(hubs: &[&str]) -> Instance {
    instance_of(hubs, &[], true)
}

pub fn instance_of(hubs: &[&str], cas: &[&Ca], verified: bool) -> Instance {
    let linked = hubs.iter().map(|name| LinkedHub {
        name: hub(name),
        location: "somewhere".into(),
        weight: 1,
        in_policy: true,
        credential: None,
    });
    let certificates = cas.iter().enumerate().map(|(nth, ca)| CaCertificate {
        name: format!("ca-{nth}").into(),
        certificate: certificate(ca),
        verified,
    });
    Instance {
        service_host: "dps.example".into(),
        policy: Policy::Hashed,
        hubs: linked.collect(),
        certificates: certificates.collect(),
        access: Access::default(),
        quotas: Quotas::default(),
    }
}

pub fn certificate(ca: &Ca) -> Certificate {
    Certificate::parse(ca.certificate_der()).unwrap()
}

pub fn keys(primary: u8, secondary: u8) -> Attestation {
    Attestation::SymmetricKey {
        primary: key(primary),
        secondary: key(secondary),
    }
}

pub fn leaves(identities: &[&Identity]) -> Attestation {
    let mut all = identities
        .iter()
        .map(|identity| Certificate::parse(identity.certificate_der()).unwrap());
    Attestation::X509(X509Attestation::Leaf(Slots {
        primary: all.next(),
        secondary: all.next(),
    }))
}

pub fn signing(cas: &[&Ca]) -> Attestation {
    let mut all = cas.iter().map(|ca| certificate(ca));
    Attestation::X509(X509Attestation::Signing(Slots {
        primary: all.next(),
        secondary: all.next(),
    }))
}

pub fn references(names: &[&str]) -> Attestation {
    let mut all = names.iter().map(|name| Arc::from(*name));
    Attestation::X509(X509Attestation::CaReferences(Slots {
        primary: all.next(),
        secondary: all.next(),
    }))
}

pub fn tpm(keys: &TpmKeys) -> Attestation {
    Attestation::Tpm {
        endorsement_key: keys.endorsement_key.clone(),
        storage_root_key: None,
    }
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

fn entry(subject: Subject, attestation: Attestation) -> Enrollment {
    Enrollment {
        subject,
        attestation,
        enabled: true,
        edge: false,
        hubs: Vec::new(),
        pinned_hub: None,
        policy: None,
        custom_allocation: None,
        initial_twin: Twin {
            tags: object(&[("line", 4)]),
            desired: object(&[("interval", 60)]),
            ..Twin::default()
        },
        reprovision: None,
        created: Timestamp(1),
        updated: Timestamp(1),
    }
}

/// Changes of an entry, for tests to read as sentences.
pub trait Change: Sized {
    fn disabled(self) -> Self;
    /// By the static policy to these hubs.
    fn to(self, hubs: &[&str]) -> Self;
    fn among(self, hubs: &[&str]) -> Self;
    fn by(self, policy: Policy) -> Self;
    fn reprovision(self, policy: ReprovisionPolicy) -> Self;
    fn device(self, id: &str) -> Self;
}

impl Change for Enrollment {
    fn disabled(mut self) -> Self {
        self.enabled = false;
        self
    }

    fn to(self, hubs: &[&str]) -> Self {
        self.among(hubs).by(Policy::Static)
    }

    fn among(mut self, hubs: &[&str]) -> Self {
        self.hubs = hubs.iter().map(|name| hub(name)).collect();
        self
    }

    fn by(mut self, policy: Policy) -> Self {
        self.policy = Some(policy);
        self
    }

    fn reprovision(mut self, policy: ReprovisionPolicy) -> Self {
        self.reprovision = Some(policy);
        self
    }

    fn device(mut self, id: &str) -> Self {
        if let Subject::Individual { device, .. } = &mut self.subject {
            *device = Some(DeviceId::parse(id).unwrap());
        }
        self
    }
}
