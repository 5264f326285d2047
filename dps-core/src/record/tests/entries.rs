//! Samples of what operators write.

use super::*;
use crate::access::{Access, AccessPolicy, Network, Rights};
use crate::allocate::Policy;
use crate::enrollment::{
    Attestation, CustomAllocation, Enrollment, ReprovisionPolicy, Slots, Subject, Url,
    X509Attestation,
};
use crate::id::{DeviceId, HubName};
use crate::instance::{CaCertificate, Instance, LinkedHub, Quotas};

pub(super) fn enrollment(subject: Subject, attestation: Attestation) -> Enrollment {
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
        created: Timestamp(1_700_000_000_000),
        updated: Timestamp(1_700_000_001_000),
    }
}

fn individual() -> Subject {
    Subject::Individual {
        registration: RegistrationId::parse("Press-1").unwrap(),
        device: None,
        information: None,
    }
}

fn frozen_enrollment(value: &Enrollment, sample: &str) {
    frozen(sample, value, encode_enrollment, decode_enrollment);
}

fn keys() -> Attestation {
    let (primary, secondary) = (secret(7), secret(8));
    Attestation::SymmetricKey { primary, secondary }
}

#[test]
fn an_individual_enrollment_with_keys() {
    frozen_enrollment(
        &enrollment(individual(), keys()),
        include_str!("samples/enrollment-keys.json"),
    );
}

#[test]
fn an_individual_enrollment_with_a_tpm() {
    for (storage_root_key, sample) in [
        (None, include_str!("samples/enrollment-tpm.json")),
        (
            Some(Bytes::from_static(b"\x00\x01")),
            include_str!("samples/enrollment-tpm-srk.json"),
        ),
    ] {
        let attestation = Attestation::Tpm {
            endorsement_key: public_key(&samples::ecc(true, &samples::POINT)),
            storage_root_key,
        };
        frozen_enrollment(&enrollment(individual(), attestation), sample);
    }
}

#[test]
fn the_secret_of_an_instance() {
    frozen(
        include_str!("samples/nonce-key.json"),
        &secret(9),
        encode_nonce_key,
        decode_nonce_key,
    );
}

#[test]
fn an_individual_enrollment_that_says_everything() {
    let mut value = enrollment(
        Subject::Individual {
            registration: RegistrationId::parse("Press-1").unwrap(),
            device: Some(DeviceId::parse("Machine#9").unwrap()),
            information: Some(object(r#"{"built":2019}"#)),
        },
        Attestation::X509(X509Attestation::Leaf(Slots {
            primary: Some(certificate()),
            secondary: None,
        })),
    );
    (value.enabled, value.edge) = (false, true);
    let hub = |name| HubName::parse(name).unwrap();
    value.hubs = vec![hub("A.hub.example"), hub("b.hub.example")];
    value.pinned_hub = Some(hub("c.hub.example"));
    value.policy = Some(Policy::GeoLatency);
    value.custom_allocation = Some(CustomAllocation {
        url: Url::new("https://example.net/hook?code=secret"),
        api_version: "2021-10-01".into(),
    });
    value.initial_twin = twin();
    value.reprovision = Some(ReprovisionPolicy {
        update_hub: true,
        migrate_data: false,
    });
    frozen_enrollment(&value, include_str!("samples/enrollment-everything.json"));
}

#[test]
fn groups_of_each_attestation() {
    let group = || Subject::Group {
        id: GroupId::parse("Presses").unwrap(),
    };
    let signing = X509Attestation::Signing(Slots {
        primary: Some(certificate()),
        secondary: Some(certificate()),
    });
    let references = X509Attestation::CaReferences(Slots {
        primary: None,
        secondary: Some("Root 2026".into()),
    });
    for (attestation, sample) in [
        (
            Attestation::X509(signing),
            include_str!("samples/group-signing.json"),
        ),
        (
            Attestation::X509(references),
            include_str!("samples/group-references.json"),
        ),
        (keys(), include_str!("samples/group-keys.json")),
    ] {
        frozen_enrollment(&enrollment(group(), attestation), sample);
    }
}

#[test]
fn an_instance() {
    let hub = |name, in_policy, credential| LinkedHub {
        name: HubName::parse(name).unwrap(),
        location: "westeurope".into(),
        weight: 3,
        in_policy,
        credential,
    };
    let value = Instance {
        service_host: "dps.example".into(),
        policy: Policy::Hashed,
        hubs: vec![
            hub("A.hub.example", true, None),
            hub("b.hub.example", false, Some(secret(9))),
        ],
        certificates: Vec::new(),
        access: Access::default(),
        quotas: Quotas::default(),
    };
    frozen(
        include_str!("samples/instance.json"),
        &value,
        encode_instance,
        decode_instance,
    );
}

#[test]
fn an_instance_with_operators_and_quotas_of_its_own() {
    let value = Instance {
        service_host: "dps.example".into(),
        policy: Policy::Hashed,
        hubs: Vec::new(),
        certificates: Vec::new(),
        access: Access {
            policies: vec![AccessPolicy {
                name: "owner".into(),
                primary: secret(9),
                secondary: secret(8),
                rights: Rights::SERVICE_CONFIG.and(Rights::ENROLLMENT_WRITE),
            }],
            network: Network {
                public: false,
                private: vec!["plant-7".into()],
            },
            ..Access::default()
        },
        quotas: Quotas {
            enrollments: 5,
            x509_groups: 6,
            symmetric_key_groups: 0,
            certificates: 7,
            registrations: 8,
        },
    };
    frozen(
        include_str!("samples/instance-quotas.json"),
        &value,
        encode_instance,
        decode_instance,
    );
}

#[test]
fn how_many_enrollments_a_slot_has() {
    let encode = |count: &u64| encode_tally(*count);
    frozen(include_str!("samples/tally.json"), &3, encode, decode_tally);
}

#[test]
fn a_certificate_of_an_instance() {
    let value = CaCertificate {
        name: "Root 2026".into(),
        certificate: certificate(),
        verified: true,
    };
    frozen(
        include_str!("samples/certificate.json"),
        &value,
        encode_certificate,
        decode_certificate,
    );
}

#[test]
fn a_record_larger_than_a_store_takes_is_not_written() {
    let mut value = enrollment(individual(), keys());
    let long = "x".repeat(MAX_VALUE_BYTES);
    value.initial_twin.tags.insert("long".into(), long.into());
    assert!(matches!(
        encode_enrollment(&value),
        Err(StoreError::TooLarge { .. })
    ));
}

#[test]
fn why_a_record_cannot_be_read_does_not_show_what_is_in_it() {
    for broken in [
        r#"{"registration":"d","by":{"keys":"hunter2hunter2"},"enabled":true,"created":1,"updated":2}"#,
        r#"{"registration":"d","by":{"hunter2hunter2":1},"enabled":true,"created":1,"updated":2}"#,
    ] {
        let error = decode_enrollment(broken.as_bytes()).unwrap_err();
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains("column"), "{source}");
        let shown = format!("{error} {error:?} {source}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
