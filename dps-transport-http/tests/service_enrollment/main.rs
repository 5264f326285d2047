//! Enrollments in the JSON of the service API.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod properties;
mod refused;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use dps_core::allocate::Policy;
use dps_core::certificate::Certificate;
use dps_core::crypto::AWS_LC;
use dps_core::enrollment::{
    Attestation, Enrollment, ReprovisionPolicy, Slots, Subject, X509Attestation,
};
use dps_core::time::{Clock, SystemClock, Timestamp};
use dps_testkit::tpm::{Kind, SoftTpm};
use dps_transport_http::service::{EnrollmentError, EnrollmentReader, ReadEnrollment};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair};
use serde_json::{Value, json};

fn reader() -> EnrollmentReader {
    EnrollmentReader::new(AWS_LC, SystemClock.now())
}

fn individual(document: &Value) -> Result<Enrollment, EnrollmentError> {
    reader().individual(document)?.enrollment()
}

fn group(document: &Value) -> Result<Enrollment, EnrollmentError> {
    reader().group(document)?.enrollment()
}

fn complaint(result: Result<impl Sized, EnrollmentError>) -> String {
    match result {
        Ok(_) => panic!("was accepted"),
        Err(error) => error.to_string(),
    }
}

fn certificate(name: &str, authority: bool) -> rcgen::Certificate {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    if authority {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    params.self_signed(&KeyPair::generate().unwrap()).unwrap()
}

/// `base` with the members of `changes` put in, or taken out where they are null.
fn with(base: &Value, changes: &Value) -> Value {
    let mut merged = base.clone();
    for (name, value) in changes.as_object().unwrap() {
        let members = merged.as_object_mut().unwrap();
        if value.is_null() {
            members.remove(name);
        } else {
            members.insert(name.clone(), value.clone());
        }
    }
    merged
}

fn symmetric() -> Value {
    json!({
        "registrationId": "press-1",
        "attestation": {"type": "symmetricKey", "symmetricKey": {
            "primaryKey": BASE64_STANDARD.encode([1; 64]),
            "secondaryKey": BASE64_STANDARD.encode([2; 16]),
        }},
    })
}

/// An enrollment of a TPM by both its keys, with changes to these.
fn by_tpm(tpm: &SoftTpm, changes: &Value) -> Value {
    let keys = tpm.keys();
    let both = json!({
        "endorsementKey": BASE64_STANDARD.encode(keys.endorsement_key.bytes()),
        "storageRootKey": BASE64_STANDARD.encode(keys.storage_root_key.bytes()),
    });
    let tpm = with(&both, changes);
    json!({"registrationId": "press-1", "attestation": {"type": "tpm", "tpm": tpm}})
}

fn x509(slots: &str, primary: &str) -> Value {
    json!({"type": "x509", "x509": {slots: {"primary": {"certificate": primary}}}})
}

fn leaf_of(document: &Value) -> Certificate {
    match individual(document).unwrap().attestation {
        Attestation::X509(X509Attestation::Leaf(slots)) => slots.primary.unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_member_of_an_individual_enrollment_is_read() {
    let document = with(
        &symmetric(),
        &json!({
            "deviceId": "Hall3#Press1",
            "capabilities": {"iotEdge": true},
            "iotHubHostName": "old.example.net",
            "iotHubs": ["a.example.net", "b.example.net"],
            "allocationPolicy": "custom",
            "customAllocationDefinition":
                {"webhookUrl": "https://example.net/choose?code=secret", "apiVersion": "2021-10-01"},
            "initialTwin": {"tags": {"site": "hall 3"}, "properties": {"desired": {"interval": 60}}},
            "optionalDeviceInformation": {"bought": 2026, "count": null},
            "provisioningStatus": "disabled",
            "reprovisionPolicy": {"updateHubAssignment": true, "migrateDeviceData": false},
            "etag": "\"1\"",
            "registrationState": {"status": "assigned"},
            "createdDateTimeUtc": "2020-01-01T00:00:00Z",
            "lastUpdatedDateTimeUtc": 7,
            "somethingNewer": [1, 2],
        }),
    );
    let now = Timestamp(1_700_000_000_000);
    let read = EnrollmentReader::new(AWS_LC, now)
        .individual(&document)
        .unwrap();
    assert!(read.notes.is_empty(), "{:?}", read.notes);
    let entry = read.enrollment().unwrap();
    let Subject::Individual {
        registration,
        device,
        information,
    } = entry.subject
    else {
        panic!("not an individual enrollment")
    };
    assert_eq!(registration.as_str(), "press-1");
    assert_eq!(device.unwrap().as_str(), "Hall3#Press1");
    assert_eq!(
        Value::Object(information.unwrap()),
        document["optionalDeviceInformation"]
    );
    let Attestation::SymmetricKey { primary, secondary } = entry.attestation else {
        panic!("not by symmetric key")
    };
    assert_eq!(
        (primary.expose(), secondary.expose()),
        (&[1; 64][..], &[2; 16][..])
    );
    assert!(!entry.enabled);
    assert!(entry.edge);
    let hubs: Vec<_> = entry.hubs.iter().map(|hub| hub.as_str()).collect();
    assert_eq!(hubs, ["a.example.net", "b.example.net"]);
    assert_eq!(entry.pinned_hub.unwrap().as_str(), "old.example.net");
    assert_eq!(entry.policy, Some(Policy::Custom));
    let custom = entry.custom_allocation.unwrap();
    assert_eq!(
        custom.url.expose(),
        "https://example.net/choose?code=secret"
    );
    assert_eq!(&*custom.api_version, "2021-10-01");
    assert_eq!(
        Value::Object(entry.initial_twin.tags),
        json!({"site": "hall 3"})
    );
    assert_eq!(
        Value::Object(entry.initial_twin.desired),
        json!({"interval": 60})
    );
    assert!(entry.initial_twin.reported.is_empty());
    let reset = ReprovisionPolicy {
        update_hub: true,
        migrate_data: false,
    };
    assert_eq!(entry.reprovision, Some(reset));
    assert_eq!((entry.created, entry.updated), (now, now));
}

#[test]
fn what_is_left_out_or_null_has_its_default() {
    let nulls = json!({
        "registrationId": "press-1", "deviceId": null, "capabilities": null, "iotHubHostName": null,
        "iotHubs": null, "allocationPolicy": null, "customAllocationDefinition": null,
        "initialTwin": {"tags": null, "properties": {"desired": null}},
        "optionalDeviceInformation": null, "provisioningStatus": null, "reprovisionPolicy": null,
        "attestation": {"type": "symmetricKey", "symmetricKey": null, "x509": null, "tpm": null},
    });
    for document in [nulls, symmetric()] {
        let entry = individual(&document).unwrap();
        assert!(entry.enabled && !entry.edge && entry.hubs.is_empty());
        assert!(entry.pinned_hub.is_none() && entry.policy.is_none());
        assert!(entry.custom_allocation.is_none() && entry.reprovision.is_none());
        assert!(entry.initial_twin.tags.is_empty() && entry.initial_twin.desired.is_empty());
        let Subject::Individual {
            device,
            information,
            ..
        } = entry.subject
        else {
            panic!("not an individual enrollment")
        };
        assert!(device.is_none() && information.is_none());
    }
}

#[test]
fn missing_and_empty_keys_are_made_each_64_bytes_and_different() {
    let half = json!({"type": "symmetricKey", "symmetricKey": {"primaryKey": ""}});
    for attestation in [json!({"type": "symmetricKey"}), half] {
        let document = with(&symmetric(), &json!({"attestation": attestation}));
        let Attestation::SymmetricKey { primary, secondary } =
            individual(&document).unwrap().attestation
        else {
            panic!("not by symmetric key")
        };
        assert_eq!((primary.expose().len(), secondary.expose().len()), (64, 64));
        assert_ne!(primary, secondary);
    }
}

#[test]
fn a_key_of_the_wrong_length_is_named_and_not_shown() {
    for bytes in [12, 15, 65] {
        let text = BASE64_STANDARD.encode(vec![7; bytes]);
        let document = with(
            &symmetric(),
            &json!({"attestation": {"type": "symmetricKey", "symmetricKey": {"primaryKey": text}}}),
        );
        assert_eq!(
            complaint(individual(&document)),
            format!("attestation.symmetricKey.primaryKey: {bytes} bytes, must have 16 to 64")
        );
    }
    let document = with(
        &symmetric(),
        &json!({"attestation": {"type": "symmetricKey", "symmetricKey": {"secondaryKey": "hunter2!"}}}),
    );
    assert_eq!(
        complaint(individual(&document)),
        "attestation.symmetricKey.secondaryKey: is not base64"
    );
    let secret = BASE64_STANDARD.encode([1; 64]);
    assert!(!format!("{:?}", individual(&symmetric()).unwrap()).contains(&secret));
}

#[test]
fn a_certificate_is_read_in_all_three_encodings() {
    let made = certificate("press-1", false);
    let pem = made.pem();
    let der = BASE64_STANDARD.encode(made.der());
    let folded: String = der.as_bytes().chunks(64).fold(String::new(), |text, line| {
        text + std::str::from_utf8(line).unwrap() + "\r\n"
    });
    let crlf = pem.replace('\n', "\r\n");
    let chatty = format!("subject=CN = press-1\n{pem}");
    for text in [BASE64_STANDARD.encode(&pem), pem, der, folded, crlf, chatty] {
        let document = with(
            &symmetric(),
            &json!({"attestation": x509("clientCertificates", &text)}),
        );
        assert_eq!(leaf_of(&document).der(), made.der());
        assert!(reader().individual(&document).unwrap().notes.is_empty());
    }
}

#[test]
fn only_the_first_of_several_certificates_is_used_and_that_is_said() {
    let (first, second) = (certificate("press-1", false), certificate("press-2", false));
    let text = first.pem() + &second.pem();
    let document = with(
        &symmetric(),
        &json!({"attestation": x509("clientCertificates", &text)}),
    );
    let ReadEnrollment { notes, .. } = reader().individual(&document).unwrap();
    assert_eq!(leaf_of(&document).der(), first.der());
    assert_eq!(
        notes,
        [
            "attestation.x509.clientCertificates.primary.certificate: only the first certificate is used"
        ]
    );
}

#[test]
fn either_slot_may_be_empty_but_not_both() {
    let text = certificate("press-1", false).pem();
    let slots =
        json!({"primary": null, "secondary": {"certificate": text, "info": {"version": 3}}});
    let attestation = json!({"type": "x509", "x509": {"clientCertificates": slots}});
    let document = with(&symmetric(), &json!({"attestation": attestation}));
    let Attestation::X509(X509Attestation::Leaf(slots)) =
        individual(&document).unwrap().attestation
    else {
        panic!("not by client certificate")
    };
    assert!(slots.primary.is_none() && slots.secondary.is_some());

    let attestation = json!({"type": "x509", "x509": {"clientCertificates": {"primary": null}}});
    let document = with(&symmetric(), &json!({"attestation": attestation}));
    assert_eq!(
        complaint(individual(&document)),
        "attestation.x509.clientCertificates: has neither primary nor secondary"
    );
}

#[test]
fn a_slot_with_nothing_but_info_keeps_what_is_there() {
    let before = certificate("press-1", false);
    let document = with(
        &symmetric(),
        &json!({"attestation": x509("clientCertificates", &before.pem())}),
    );
    let before = reader()
        .individual(&document)
        .unwrap()
        .enrollment()
        .unwrap();
    let Attestation::X509(X509Attestation::Leaf(Slots {
        primary: Some(kept),
        ..
    })) = &before.attestation
    else {
        panic!("not by client certificate")
    };
    let hex = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|byte| format!("{byte:02X}"))
            .collect::<String>()
    };
    let (sha1, sha256) = (hex(&kept.sha1()), hex(kept.thumbprint()));
    for info in [
        json!({"sha1Thumbprint": sha1, "sha256Thumbprint": sha256.to_lowercase()}),
        json!({"sha1Thumbprint": sha1, "sha256Thumbprint": ""}),
        json!({"sha256Thumbprint": sha256, "subjectName": "CN=another"}),
    ] {
        let slots = json!({"secondary": {"certificate": null, "info": info}});
        let attestation = json!({"type": "x509", "x509": {"clientCertificates": slots}});
        let document = with(&symmetric(), &json!({"attestation": attestation}));
        let read = reader().individual(&document).unwrap();
        let after = read.draft.clone().complete(Some(&before), &AWS_LC).unwrap();
        let Attestation::X509(X509Attestation::Leaf(slots)) = after.attestation else {
            panic!("not by client certificate")
        };
        assert!(slots.primary.is_none());
        assert_eq!(slots.secondary.as_ref(), Some(kept));
        assert_eq!(
            complaint(read.enrollment()),
            "attestation.x509.clientCertificates.secondary.info: has thumbprints of no certificate that \
             the enrollment has"
        );
    }
}

#[test]
fn a_group_names_signing_certificates_or_the_instances_own() {
    let text = certificate("line-1-ca", true).pem();
    let base =
        json!({"enrollmentGroupId": "Line-1", "attestation": x509("signingCertificates", &text)});
    let read = reader().group(&base).unwrap();
    assert!(read.notes.is_empty(), "{:?}", read.notes);
    assert!(matches!(&read.draft.subject, Subject::Group { id } if id.as_str() == "Line-1"));
    let Attestation::X509(X509Attestation::Signing(slots)) = read.enrollment().unwrap().attestation
    else {
        panic!("not by signing certificate")
    };
    assert_eq!(slots.primary.unwrap().common_name(), Some("line-1-ca"));

    let references =
        json!({"type": "x509", "x509": {"caReferences": {"primary": "a", "secondary": "b"}}});
    let document = with(&base, &json!({"attestation": references}));
    let Attestation::X509(X509Attestation::CaReferences(slots)) =
        group(&document).unwrap().attestation
    else {
        panic!("not by reference")
    };
    assert_eq!(
        slots.iter().map(|name| &**name).collect::<Vec<_>>(),
        ["a", "b"]
    );
}

#[test]
fn what_is_allowed_and_cannot_work_is_noted() {
    let leaf = certificate("somebody-else", false).pem();
    let document = with(
        &symmetric(),
        &json!({"attestation": x509("clientCertificates", &leaf)}),
    );
    assert_eq!(
        reader().individual(&document).unwrap().notes,
        [
            "attestation.x509.clientCertificates.primary: the certificate's common name is not the \
          registration id"
        ]
    );
    let document =
        json!({"enrollmentGroupId": "g", "attestation": x509("signingCertificates", &leaf)});
    let early = EnrollmentReader::new(AWS_LC, Timestamp(0))
        .group(&document)
        .unwrap();
    assert_eq!(
        early.notes,
        [
            "attestation.x509.signingCertificates.primary: the certificate is outside its validity \
             period",
            "attestation.x509.signingCertificates.primary: the certificate may not issue others, so \
             no device can come by it",
        ]
    );
}

#[test]
fn a_tpm_is_enrolled_by_its_endorsement_key_and_another_key_is_kept_as_it_is() {
    for kind in [Kind::Rsa, Kind::Ecc] {
        let tpm = SoftTpm::new(kind);
        let (keys, base64) = (tpm.keys(), |bytes: &[u8]| BASE64_STANDARD.encode(bytes));
        let root = keys.storage_root_key.bytes();
        for (written, kept) in [
            (Value::Null, None),
            (json!(""), Some(&b""[..])),
            (json!(base64(root)), Some(root)),
            (json!(base64(b"of another kind")), Some(b"of another kind")),
        ] {
            let mut document = by_tpm(&tpm, &json!({"storageRootKey": written}));
            document["attestation"]["type"] = "TPM".into();
            let Attestation::Tpm {
                endorsement_key,
                storage_root_key,
            } = individual(&document).unwrap().attestation
            else {
                panic!("not by TPM")
            };
            assert_eq!(endorsement_key, keys.endorsement_key);
            assert_eq!(storage_root_key.as_deref(), kept);
        }
    }
}
