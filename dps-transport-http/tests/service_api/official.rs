//! What the original's description lets clients send is taken. That every answer is as it has it,
//! `described` holds.

use std::sync::LazyLock;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use dps_testkit::certs::{Ca, Identity};
use dps_testkit::tpm::{Kind, SoftTpm};
use serde_json::{Map, Value, json};

use crate::described::SERVICE;
use crate::operator::Operator;
use crate::site::{HUB, ONE, Site};

/// Documents of a kind that is described: one with what it has to have, one for each other member and value
/// that it may have, and one with all of them.
fn documents(schema: &Value) -> Vec<Value> {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.rsplit('/').next().unwrap();
        return named(name).unwrap_or_else(|| documents(&SERVICE.official["definitions"][name]));
    }
    if let Some(words) = schema["enum"].as_array() {
        return words.clone();
    }
    match schema["type"].as_str() {
        Some("boolean") => vec![json!(true), json!(false)],
        Some("integer") => vec![json!(1)],
        Some("array") => {
            let items = documents(&schema["items"])
                .into_iter()
                .map(|item| json!([item]));
            items.chain([json!([])]).collect()
        }
        Some("object") => objects(schema),
        other => panic!("no document is known of {other:?}: {schema}"),
    }
}

fn objects(schema: &Value) -> Vec<Value> {
    let Some(members) = schema["properties"].as_object() else {
        return vec![json!({}), json!({"any": [{"thing": null}]})];
    };
    let values = |name: &str, member: &Value| text(name).unwrap_or_else(|| documents(member));
    let required = |name: &str| {
        let names = schema["required"].as_array().into_iter().flatten();
        names.into_iter().any(|required| required == name)
    };
    let first = |(name, member): (&String, &Value)| (name.clone(), values(name, member).remove(0));
    let least: Map<_, _> = members
        .iter()
        .filter(|(name, _)| required(name))
        .map(first)
        .collect();
    let all: Map<_, _> = members.iter().map(first).collect();
    let mut documents = vec![Value::Object(least.clone()), Value::Object(all)];
    for (name, member) in members {
        for value in values(name, member) {
            let mut document = least.clone();
            document.insert(name.clone(), value);
            documents.push(Value::Object(document));
        }
    }
    documents
}

/// What stands in members that are described as texts, by their names.
fn text(name: &str) -> Option<Vec<Value>> {
    let texts: &[&str] = match name {
        "registrationId" | "enrollmentGroupId" => &["vector-1"],
        "deviceId" => &["Another_Name#1"],
        "iotHubHostName" | "assignedHub" => &[HUB],
        "iotHubs" => return Some(vec![json!([HUB]), json!([]), json!([HUB, "b.example.net"])]),
        "etag" => &["", "\"13003fea-0000-0300-0000-62d1d5e50000\""],
        "webhookUrl" => &["https://policy.example.net/choose?code=1"],
        "apiVersion" => &["2018-09-01-preview"],
        "errorMessage" => &["text"],
        "createdDateTimeUtc" | "lastUpdatedDateTimeUtc" => &["2024-01-01T00:00:00.0000000Z"],
        "query" => &["SELECT * FROM enrollments", "SELECT *", ""],
        _ => return None,
    };
    Some(texts.iter().map(|text| json!(text)).collect())
}

/// Kinds whose members go together.
fn named(name: &str) -> Option<Vec<Value>> {
    match name {
        // Refused for groups, as documented.
        "AttestationMechanism" => Some([keys(), leaf(), tpm()].concat()),
        // Any object; described with three members.
        "TwinCollection" => Some(vec![
            json!({}),
            json!({"version": 1, "count": 2, "metadata": {"lastUpdatedVersion": 3}, "own": {"a": {}}}),
        ]),
        _ => None,
    }
}

fn keys() -> Vec<Value> {
    let key = BASE64_STANDARD.encode([7; 64]);
    [
        json!({"primaryKey": "", "secondaryKey": ""}),
        json!({"primaryKey": key, "secondaryKey": BASE64_STANDARD.encode([8; 32])}),
        json!({"primaryKey": key}),
        json!({}),
    ]
    .map(|keys| json!({"type": "symmetricKey", "symmetricKey": keys}))
    .to_vec()
}

fn leaf() -> Vec<Value> {
    let pem = Identity::self_signed("vector-1").certificate_pem();
    slots("clientCertificates", &pem)
}

fn tpm() -> Vec<Value> {
    static KEY: LazyLock<String> = LazyLock::new(|| {
        let keys = SoftTpm::new(Kind::Ecc).keys();
        BASE64_STANDARD.encode(keys.endorsement_key.bytes())
    });
    [
        json!({"endorsementKey": *KEY}),
        json!({"endorsementKey": *KEY, "storageRootKey": *KEY}),
        json!({"endorsementKey": *KEY, "storageRootKey": ""}),
    ]
    .map(|tpm| json!({"type": "tpm", "tpm": tpm}))
    .to_vec()
}

/// A certificate in each encoding that clients send, in each slot, and with what clients read of it.
fn slots(name: &str, pem: &str) -> Vec<Value> {
    let der: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let info = json!({
        "subjectName": "CN=vector-1", "sha1Thumbprint": "0".repeat(40), "sha256Thumbprint": "0".repeat(64),
        "issuerName": "CN=vector-1", "notBeforeUtc": "2017-11-14T12:34:18Z",
        "notAfterUtc": "2027-11-14T12:34:18Z", "serialNumber": "01", "version": 3,
    });
    [
        json!({"primary": {"certificate": pem}}),
        json!({"secondary": {"certificate": der}}),
        json!({"primary": {"certificate": BASE64_STANDARD.encode(pem)}, "secondary": null}),
        json!({"primary": {"certificate": pem, "info": info}, "secondary": {"certificate": der}}),
    ]
    .map(|slots| json!({"type": "x509", "x509": {name: slots}}))
    .to_vec()
}

/// A custom policy takes its definition.
fn is_half(document: &Value) -> bool {
    document["allocationPolicy"] == "custom" && document["customAllocationDefinition"].is_null()
}

#[tokio::test]
async fn every_entry_that_clients_may_write_is_taken() {
    let site = Site::open().await;
    let mut operator = Operator::new(&site, ONE, "owner").await;
    let ca = Ca::root("vector");
    for (kind, path) in [
        ("IndividualEnrollment", "/enrollments/vector-1"),
        ("EnrollmentGroup", "/enrollmentGroups/vector-1"),
    ] {
        let mut written = 0;
        for mut document in documents(&json!({"$ref": format!("#/definitions/{kind}")})) {
            let is_foreign =
                kind == "EnrollmentGroup" && document["attestation"]["type"] != "symmetricKey";
            if is_foreign {
                let refused = operator.put(path, &document).await;
                assert_eq!(refused.code(), 400_004, "{document}");
                document["attestation"] = keys().remove(0);
            }
            let answer = operator.put(path, &document).await;
            if is_half(&document) {
                assert_eq!(answer.code(), 400_004, "{document}");
                continue;
            }
            assert_eq!(answer.status, 200, "{document}: {answer:?}");
            assert_eq!(operator.get(path).await.status, 200);
            assert_eq!(operator.delete(path).await.status, 204);
            written += 1;
        }
        assert!(written > 30, "{written} of {kind}");
    }
    let groups = [
        keys(),
        slots("signingCertificates", &ca.certificate_pem()),
        vec![
            json!({"type": "x509", "x509": {"caReferences": {"primary": "root", "secondary": "other"}}}),
        ],
    ];
    for attestation in groups.concat() {
        let document = json!({"enrollmentGroupId": "vector-1", "attestation": attestation});
        operator
            .put("/enrollmentGroups/vector-1", &document)
            .await
            .ok();
        assert_eq!(
            operator.delete("/enrollmentGroups/vector-1").await.status,
            204
        );
    }
    // In the description, and good for nothing.
    let document = json!({"registrationId": "vector-1", "attestation": {"type": "none"}});
    assert_eq!(
        operator
            .put("/enrollments/vector-1", &document)
            .await
            .code(),
        400_004
    );
}

#[tokio::test]
async fn every_bulk_operation_that_clients_may_ask_for_is_done() {
    let site = Site::open().await;
    let mut operator = Operator::new(&site, ONE, "owner").await;
    for (list, kind, id, path) in [
        (
            "enrollments",
            "BulkEnrollmentOperation",
            "registrationId",
            "/enrollments",
        ),
        (
            "enrollmentGroups",
            "BulkEnrollmentGroupOperation",
            "enrollmentGroupId",
            "/enrollmentGroups",
        ),
    ] {
        let entry = json!({id: "vector-1", "attestation": {"type": "symmetricKey"}});
        let modes = &SERVICE.official["definitions"][kind]["properties"]["mode"];
        assert_eq!(documents(modes).len(), 4);
        for mode in documents(modes) {
            let mut entry = entry.clone();
            if mode == "updateIfMatchETag" {
                entry["etag"] = operator.get(&format!("{path}/vector-1")).await.tag().into();
            }
            let asked = json!({"mode": mode, list: [entry]});
            let done = operator.post(path, &asked).await.ok();
            assert_eq!(done, json!({"isSuccessful": true, "errors": []}), "{mode}");
        }
    }
}

#[tokio::test]
async fn every_query_that_clients_may_ask_is_answered() {
    let site = Site::open().await;
    let mut operator = Operator::new(&site, ONE, "owner").await;
    for document in documents(&json!({"$ref": "#/definitions/QuerySpecification"})) {
        for path in [
            "/enrollments/query",
            "/enrollmentGroups/query",
            "/registrations/g/query",
        ] {
            assert_eq!(
                operator.post(path, &document).await.ok(),
                json!([]),
                "{document}"
            );
        }
    }
}
