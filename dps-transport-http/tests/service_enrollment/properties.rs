//! Nothing that is read can bring the reader down.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{group, individual, reader, symmetric, with, x509};

/// JSON made of the words that mean something, so that random documents get past the first check.
fn documents() -> impl Strategy<Value = Value> {
    let words = proptest::sample::select(vec![
        "registrationId",
        "enrollmentGroupId",
        "deviceId",
        "attestation",
        "type",
        "x509",
        "symmetricKey",
        "clientCertificates",
        "signingCertificates",
        "caReferences",
        "tpm",
        "endorsementKey",
        "storageRootKey",
        "primary",
        "secondary",
        "certificate",
        "primaryKey",
        "secondaryKey",
        "capabilities",
        "iotEdge",
        "iotHubs",
        "iotHubHostName",
        "allocationPolicy",
        "customAllocationDefinition",
        "webhookUrl",
        "apiVersion",
        "initialTwin",
        "tags",
        "properties",
        "desired",
        "provisioningStatus",
        "reprovisionPolicy",
        "updateHubAssignment",
        "migrateDeviceData",
        "-----BEGIN CERTIFICATE-----",
        "AAAA",
        "custom",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        words.clone().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 80, 8, move |inner| {
        let members = proptest::collection::vec((words.clone(), inner.clone()), 0..8);
        prop_oneof![
            proptest::collection::vec(inner, 0..4).prop_map(Value::Array),
            members.prop_map(|members| {
                let named = members
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value));
                Value::Object(named.collect::<Map<_, _>>())
            }),
        ]
    })
}

proptest! {
    #[test]
    fn any_document_is_an_enrollment_or_an_error(document in documents()) {
        let _ = (individual(&document), group(&document));
        for changes in [document.clone(), json!({"attestation": document})] {
            if changes.is_object() {
                let _ = individual(&with(&symmetric(), &changes));
            }
        }
    }

    #[test]
    fn any_bytes_are_an_enrollment_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = (reader().individual_from_slice(&bytes), reader().group_from_slice(&bytes));
    }

    #[test]
    fn any_text_is_a_certificate_or_an_error(text in "(-----BEGIN CERTIFICATE-----\n)?[A-Za-z0-9+/=\n -]{0,80}") {
        let _ = individual(&with(&symmetric(), &json!({"attestation": x509("clientCertificates", &text)})));
    }
}
