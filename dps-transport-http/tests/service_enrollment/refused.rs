//! What is refused, and in which words.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use dps_core::crypto::AWS_LC;
use dps_core::json::MAX_DEPTH;
use dps_core::time::{Clock, SystemClock};
use dps_testkit::tpm::{Kind, SoftTpm};
use dps_transport_http::service::{EnrollmentError, EnrollmentReader, MAX_ENROLLMENT_BYTES};
use serde_json::json;

use super::{by_tpm, certificate, complaint, group, individual, reader, symmetric, with, x509};

#[test]
fn each_complaint_about_an_individual_enrollment_names_the_member() {
    let pem = certificate("press-1", false).pem();
    let cases = [
        (
            json!({"registrationId": null}),
            "registrationId: is missing",
        ),
        (
            json!({"registrationId": 7}),
            "registrationId: must be a string",
        ),
        (
            json!({"registrationId": "a/b"}),
            "registrationId: character 1 of the name is not allowed there",
        ),
        (
            json!({"registrationId": "a".repeat(129)}),
            "registrationId: the name is longer than 128 characters",
        ),
        (
            json!({"deviceId": "a b"}),
            "deviceId: character 1 of the name is not allowed there",
        ),
        (json!({"attestation": null}), "attestation: is missing"),
        (
            json!({"attestation": "x509"}),
            "attestation: must be an object",
        ),
        (json!({"attestation": {}}), "attestation.type: is missing"),
        (
            json!({"attestation": {"type": "rfid"}}),
            "attestation.type: must be one of x509, symmetricKey, tpm",
        ),
        (
            json!({"attestation": {"type": "tpm"}}),
            "attestation.tpm: is missing",
        ),
        (
            json!({"attestation": {"type": "tpm", "tpm": {"storageRootKey": ""}}}),
            "attestation.tpm.endorsementKey: is missing",
        ),
        (
            json!({"attestation": {"type": "tpm", "tpm": {"endorsementKey": ["AAAA"]}}}),
            "attestation.tpm.endorsementKey: must be a string",
        ),
        (
            json!({"attestation": {"type": "tpm", "tpm": {"endorsementKey": "AAA"}}}),
            "attestation.tpm.endorsementKey: is not base64",
        ),
        (
            json!({"attestation": {"type": "tpm", "tpm": {"endorsementKey": ""}}}),
            "attestation.tpm.endorsementKey: the key ends within its size",
        ),
        (
            json!({"attestation": {"type": "tpm", "tpm": {"endorsementKey": "AAAA"}}}),
            "attestation.tpm.endorsementKey: the size in front of the key says 0 bytes, and 1 follow",
        ),
        (
            json!({"attestation": {"type": "none"}}),
            "attestation.type: an enrollment without attestation would let anybody in: use x509, \
             symmetricKey or tpm",
        ),
        (
            json!({"attestation": {"type": "x509"}}),
            "attestation.x509: is missing",
        ),
        (
            json!({"attestation": {"type": "x509", "x509": {}}}),
            "attestation.x509: an individual enrollment names clientCertificates",
        ),
        (
            json!({"attestation": x509("signingCertificates", &pem)}),
            "attestation.x509.signingCertificates: an individual enrollment names clientCertificates",
        ),
        (
            json!({"attestation": {"type": "x509", "x509": {
                "clientCertificates": {}, "caReferences": {}}}}),
            "attestation.x509: has more than one of clientCertificates, signingCertificates, \
             caReferences",
        ),
        (
            json!({"attestation": {"type": "x509", "x509":
                {"clientCertificates": {"primary": {"info": {}}}}}}),
            "attestation.x509.clientCertificates.primary.certificate: is missing",
        ),
        (
            json!({"attestation": {"type": "x509", "x509":
                {"clientCertificates": {"primary": {"info": {"sha1Thumbprint": "12"}}}}}}),
            "attestation.x509.clientCertificates.primary.info.sha1Thumbprint: is not a thumbprint in \
             hexadecimal digits",
        ),
        (
            json!({"attestation": x509("clientCertificates", "no base64!")}),
            "attestation.x509.clientCertificates.primary.certificate: is not base64",
        ),
        (
            json!({"attestation": x509("clientCertificates", "AAAA")}),
            "attestation.x509.clientCertificates.primary.certificate: not an X.509 certificate",
        ),
        (
            json!({"attestation": x509("clientCertificates", "-----BEGIN CERTIFICATE-----\nAAAA")}),
            "attestation.x509.clientCertificates.primary.certificate: holds no certificate that can \
             be read as PEM",
        ),
        (
            json!({"attestation": x509("clientCertificates", &BASE64_STANDARD.encode(vec![0; 17_000]))}),
            "attestation.x509.clientCertificates.primary.certificate: the certificate is larger than \
             16384 bytes",
        ),
        (
            json!({"capabilities": {"iotEdge": "yes"}}),
            "capabilities.iotEdge: must be true or false",
        ),
        (
            json!({"iotHubs": "a"}),
            "iotHubs: must be an array of strings",
        ),
        (json!({"iotHubs": ["a", 1]}), "iotHubs[1]: must be a string"),
        (
            json!({"iotHubs": ["a", ""]}),
            "iotHubs[1]: the name is empty",
        ),
        (
            json!({"iotHubs": vec!["a"; 51]}),
            "iotHubs: has more than 50 items",
        ),
        (
            json!({"allocationPolicy": "nearest"}),
            "allocationPolicy: must be one of hashed, geoLatency, static, custom",
        ),
        (
            json!({"allocationPolicy": "Custom"}),
            "customAllocationDefinition: is required when the allocation policy is custom",
        ),
        (
            json!({"customAllocationDefinition": {"apiVersion": "2021-10-01"}}),
            "customAllocationDefinition.webhookUrl: is missing",
        ),
        (
            json!({"customAllocationDefinition": {"webhookUrl": "https://example.net"}}),
            "customAllocationDefinition.apiVersion: is missing",
        ),
        (
            json!({"customAllocationDefinition":
                {"webhookUrl": "x".repeat(2049), "apiVersion": "2021-10-01"}}),
            "customAllocationDefinition.webhookUrl: has more than 2048 characters",
        ),
        (
            json!({"initialTwin": {"tags": []}}),
            "initialTwin.tags: must be an object",
        ),
        (
            json!({"initialTwin": {"properties": {"desired": 1}}}),
            "initialTwin.properties.desired: must be an object",
        ),
        (
            json!({"optionalDeviceInformation": "x"}),
            "optionalDeviceInformation: must be an object",
        ),
        (
            json!({"provisioningStatus": "off"}),
            "provisioningStatus: must be one of enabled, disabled",
        ),
        (
            json!({"reprovisionPolicy": {"updateHubAssignment": true}}),
            "reprovisionPolicy.migrateDeviceData: is missing",
        ),
        (
            json!({"reprovisionPolicy": {"migrateDeviceData": true}}),
            "reprovisionPolicy.updateHubAssignment: is missing",
        ),
    ];
    for (changes, expected) in cases {
        assert_eq!(
            complaint(individual(&with(&symmetric(), &changes))),
            expected
        );
    }
    assert_eq!(complaint(individual(&json!([]))), "$: must be an object");
}

#[test]
fn each_complaint_about_a_group_names_the_member() {
    let pem = certificate("press-1", true).pem();
    let cases = [
        (json!({}), "enrollmentGroupId: is missing"),
        (
            json!({"enrollmentGroupId": "g.", "attestation": {}}),
            "enrollmentGroupId: character 1 of the name is not allowed there",
        ),
        (
            json!({"enrollmentGroupId": "g", "attestation": {"type": "tpm", "tpm": {}}}),
            "attestation.type: a TPM is enrolled by itself: a group is attested by x509 or \
             symmetricKey",
        ),
        (
            json!({"enrollmentGroupId": "g", "attestation": x509("clientCertificates", &pem)}),
            "attestation.x509.clientCertificates: an enrollment group names signingCertificates or \
             caReferences",
        ),
        (
            json!({"enrollmentGroupId": "g", "attestation":
                {"type": "x509", "x509": {"caReferences": {"primary": ""}}}}),
            "attestation.x509.caReferences.primary: is missing",
        ),
        (
            json!({"enrollmentGroupId": "g", "attestation":
                {"type": "x509", "x509": {"caReferences": {"primary": "x".repeat(129)}}}}),
            "attestation.x509.caReferences.primary: has more than 128 characters",
        ),
    ];
    for (document, expected) in cases {
        assert_eq!(complaint(group(&document)), expected);
    }
}

#[test]
fn documents_are_bounded_in_size_and_depth_and_name_no_member_twice() {
    let mut large = serde_json::to_vec(&symmetric()).unwrap();
    large.resize(MAX_ENROLLMENT_BYTES, b' ');
    assert!(reader().individual_from_slice(&large).is_ok());
    large.push(b' ');
    assert!(matches!(
        reader().individual_from_slice(&large),
        Err(EnrollmentError::TooLarge)
    ));

    let deep = format!("{}{}", "[".repeat(MAX_DEPTH + 1), "]".repeat(MAX_DEPTH + 1));
    for bytes in [deep.as_bytes(), b"{\"a\":1,\"a\":2}", b"\xff", b""] {
        assert!(matches!(
            reader().group_from_slice(bytes),
            Err(EnrollmentError::Json(_))
        ));
    }
}

#[test]
fn a_storage_root_key_has_to_be_base64_and_of_a_size_that_one_can_have() {
    for (key, expected) in [
        (json!("%"), "is not base64"),
        (json!({}), "must be a string"),
        (
            json!(BASE64_STANDARD.encode([0; 349])),
            "349 bytes, must have 0 to 348",
        ),
    ] {
        let document = by_tpm(&SoftTpm::new(Kind::Ecc), &json!({"storageRootKey": key}));
        assert_eq!(
            complaint(individual(&document)),
            format!("attestation.tpm.storageRootKey: {expected}")
        );
    }
}

#[test]
fn a_key_that_is_cut_anywhere_is_refused_and_why_is_said() {
    let tpm = SoftTpm::new(Kind::Rsa);
    let key = tpm.keys().endorsement_key;
    for end in 0..key.bytes().len() {
        let cut = BASE64_STANDARD.encode(&key.bytes()[..end]);
        let document = by_tpm(&tpm, &json!({"endorsementKey": cut}));
        let said = complaint(individual(&document));
        let why = said
            .strip_prefix("attestation.tpm.endorsementKey: ")
            .unwrap();
        assert!(why.starts_with("the "), "{said}");
    }
}

#[test]
fn without_encryption_for_tpms_none_is_enrolled_and_what_to_do_is_said() {
    let mut crypto = AWS_LC;
    crypto.parents = None;
    let reader = EnrollmentReader::new(crypto, SystemClock.now());
    let document = by_tpm(&SoftTpm::new(Kind::Ecc), &json!({}));
    assert_eq!(
        complaint(reader.individual(&document)),
        "attestation.type: the cryptographic provider cannot encrypt for a TPM: build dps-core with \
         `aws-lc`, or use x509 or symmetricKey"
    );
    assert!(reader.individual(&symmetric()).is_ok());
}
