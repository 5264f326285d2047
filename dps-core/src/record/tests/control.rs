//! Samples of what operators change of an instance.

use super::*;
use crate::access::{
    Access, AccessPolicy, Actions, Endpoint, IpAction, IpMask, IpRule, Issuer, Rights, Role,
};
use crate::allocate::Policy;
use crate::instance::{CaCertificate, HeldCertificate, Instance, PendingCode, Quotas};

#[test]
fn an_instance_with_policies_and_ip_rules() {
    let rule = |name: &str, action, mask, target| IpRule {
        name: name.into(),
        action,
        mask: IpMask::parse(mask).unwrap(),
        target,
    };
    let policy = AccessPolicy {
        name: "owner".into(),
        primary: secret(1),
        secondary: secret(2),
        rights: Rights::SERVICE_CONFIG.and(Rights::ENROLLMENT_WRITE),
    };
    let (service, device) = (Some(Endpoint::Service), Some(Endpoint::Device));
    let value = Instance {
        service_host: "dps.example".into(),
        policy: Policy::Hashed,
        hubs: Vec::new(),
        certificates: Vec::new(),
        access: Access {
            policies: vec![policy],
            rules: vec![
                rule("office", IpAction::Accept, "192.0.2.0/24", service),
                rule("plant", IpAction::Accept, "2001:db8::/32", device),
                rule("rest", IpAction::Reject, "0.0.0.0/0", None),
            ],
            ..Access::default()
        },
        quotas: Quotas::default(),
    };
    frozen(
        include_str!("samples/instance-rules.json"),
        &value,
        encode_instance,
        decode_instance,
    );
}

#[test]
fn an_instance_with_openid_providers() {
    let usual = Issuer::new("https://login.example/tenant");
    let own = Issuer {
        url: "https://id.example:8443".into(),
        audience: "plant".into(),
        claim: "groups".into(),
        roles: vec![Role {
            name: "line managers".into(),
            actions: Actions::parse("enrollments/*")
                .unwrap()
                .and(Actions::parse("configure").unwrap()),
        }],
    };
    let value = Instance {
        service_host: "dps.example".into(),
        policy: Policy::Hashed,
        hubs: Vec::new(),
        certificates: Vec::new(),
        access: Access {
            issuers: vec![usual, own],
            disable_local_auth: true,
            ..Access::default()
        },
        quotas: Quotas::default(),
    };
    frozen(
        include_str!("samples/instance-issuers.json"),
        &value,
        encode_instance,
        decode_instance,
    );
}

#[test]
fn a_certificate_of_an_instance_that_waits_for_its_proof() {
    let value = HeldCertificate {
        entry: CaCertificate {
            name: "Root 2026".into(),
            certificate: certificate(),
            verified: false,
        },
        created: Some(Timestamp(1_700_000_000_000)),
        updated: Some(Timestamp(1_700_000_001_000)),
        code: Some(PendingCode {
            hash: [7; 32],
            expires: Timestamp(1_700_086_401_000),
        }),
    };
    frozen(
        include_str!("samples/certificate-code.json"),
        &value,
        encode_held,
        decode_held,
    );
}
