//! What is told of certificates, keys and TPMs, and what stays when an entry is written back.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use dps_testkit::certs::{Ca, Identity};
use dps_testkit::tpm::{Kind, SoftTpm};
use serde_json::{Value, json};

use crate::operator::Operator;
use crate::site::{ONE, Site};

fn by_certificates(slots: &str, primary: impl Into<Value>, secondary: impl Into<Value>) -> Value {
    let (primary, secondary): (Value, Value) = (primary.into(), secondary.into());
    json!({"type": "x509", "x509": {slots: {"primary": primary, "secondary": secondary}}})
}

fn given(pem: &str) -> Value {
    json!({"certificate": pem})
}

#[tokio::test]
async fn of_certificates_only_what_stands_in_them_is_told_and_that_keeps_them() {
    let site = Site::open().await;
    let mut operator = Operator::new(&site, ONE, "owner").await;
    let (first, second) = (
        Identity::self_signed("press-1"),
        Identity::self_signed("press-1"),
    );
    let base64_of_pem = BASE64_STANDARD.encode(second.certificate_pem());
    let attestation = by_certificates(
        "clientCertificates",
        given(&first.certificate_pem()),
        given(&base64_of_pem),
    );
    let entry = json!({"registrationId": "press-1", "attestation": attestation});
    let made = operator.put("/enrollments/press-1", &entry).await.ok();
    let slots = &made["attestation"]["x509"]["clientCertificates"];
    for slot in ["primary", "secondary"] {
        let members: Vec<_> = slots[slot].as_object().unwrap().keys().collect();
        assert_eq!(members, ["info"]);
        let info = slots[slot]["info"].as_object().unwrap();
        assert_eq!(info.len(), 8);
        assert_eq!(info["subjectName"], "CN=press-1");
        assert_eq!(info["sha1Thumbprint"].as_str().unwrap().len(), 40);
        assert_eq!(info["sha256Thumbprint"].as_str().unwrap().len(), 64);
        assert_eq!(info["version"], 3);
    }
    let path = "/enrollments/press-1";
    let mut read = operator.get(path).await.ok();
    assert_eq!(read["attestation"], made["attestation"]);
    let told = operator
        .post(&format!("{path}/attestationmechanism"), &json!({}))
        .await
        .ok();
    assert_eq!(told, made["attestation"]);

    // Changed in something else and written back: both stay, also in each other's place.
    read["provisioningStatus"] = json!("disabled");
    let slots = read["attestation"]["x509"]["clientCertificates"]
        .as_object_mut()
        .unwrap();
    let (primary, secondary) = (slots["primary"].take(), slots["secondary"].take());
    slots.insert("primary".into(), secondary.clone());
    slots.insert("secondary".into(), primary.clone());
    let tag = read["etag"].as_str().unwrap().to_owned();
    let kept = operator.put_if(path, &tag, &read).await.ok();
    assert_eq!(kept["provisioningStatus"], "disabled");
    assert_eq!(kept["attestation"], read["attestation"]);

    // One slot is cleared, and reads back as null.
    read["attestation"] = by_certificates("clientCertificates", Value::Null, secondary);
    let rolled = operator.put_if(path, "*", &read).await.ok();
    assert_eq!(rolled["attestation"], read["attestation"]);
    // What was cleared cannot be kept any more.
    read["attestation"] = by_certificates("clientCertificates", primary, Value::Null);
    let answer = operator.put_if(path, "*", &read).await;
    assert_eq!(answer.code(), 400_004);
}

#[tokio::test]
async fn a_group_is_told_its_certificates_or_their_names() {
    let site = Site::open().await;
    let mut operator = Operator::new(&site, ONE, "owner").await;
    let (root, other) = (Ca::root("Root"), Ca::root("Other"));
    let line = root.intermediate("Line 1");
    let attestation = by_certificates(
        "signingCertificates",
        given(&line.certificate_pem()),
        Value::Null,
    );
    let group = json!({"enrollmentGroupId": "line", "attestation": attestation});
    let made = operator.put("/enrollmentGroups/line", &group).await.ok();
    let slots = &made["attestation"]["x509"]["signingCertificates"];
    assert_eq!(slots["primary"]["info"]["subjectName"], "CN=Line 1");
    assert_eq!(slots["primary"]["info"]["issuerName"], "CN=Root");
    assert_eq!(slots["secondary"], Value::Null);

    let second = json!({"enrollmentGroupId": "again", "attestation": group["attestation"]});
    assert_eq!(
        operator
            .put("/enrollmentGroups/again", &second)
            .await
            .code(),
        409_000
    );
    let third = by_certificates(
        "signingCertificates",
        given(&other.certificate_pem()),
        Value::Null,
    );
    let third = json!({"enrollmentGroupId": "third", "attestation": third});
    operator.put("/enrollmentGroups/third", &third).await.ok();

    let named = by_certificates("caReferences", json!("root"), Value::Null);
    let named = json!({"enrollmentGroupId": "named", "attestation": named});
    operator.put("/enrollmentGroups/named", &named).await.ok();
    let read = operator.get("/enrollmentGroups/named").await.ok();
    assert_eq!(read["attestation"], named["attestation"]);
}

#[tokio::test]
async fn keys_of_a_tpm_are_told_as_they_were_written() {
    let site = Site::open().await;
    let mut operator = Operator::new(&site, ONE, "owner").await;
    let keys = SoftTpm::new(Kind::Ecc).keys();
    let endorsement = BASE64_STANDARD.encode(keys.endorsement_key.bytes());
    for storage in [Value::Null, json!(""), json!("c3Jr")] {
        let mut tpm = json!({"endorsementKey": endorsement, "storageRootKey": storage});
        let entry = json!({"registrationId": "a", "attestation": {"type": "TPM", "tpm": tpm}});
        let answer = operator.put("/enrollments/a", &entry).await;
        if storage.is_null() {
            tpm.as_object_mut().unwrap().remove("storageRootKey");
        }
        let expected = json!({"type": "tpm", "tpm": tpm});
        assert_eq!(answer.ok()["attestation"], expected);
        let read = operator.get("/enrollments/a").await.ok();
        assert_eq!(read["attestation"], expected);
        operator.delete("/enrollments/a").await;
    }
}

#[tokio::test]
async fn keys_that_an_update_leaves_out_stay_and_those_it_says_are_taken() {
    let site = Site::open().await;
    let mut operator = Operator::new(&site, ONE, "owner").await;
    let by = |keys: Value| {
        let attestation = json!({"type": "symmetricKey", "symmetricKey": keys});
        json!({"registrationId": "a", "attestation": attestation})
    };
    let keys = |entry: Value| entry["attestation"]["symmetricKey"].clone();
    let made = keys(operator.put("/enrollments/a", &by(Value::Null)).await.ok());
    for left_out in [
        Value::Null,
        json!({}),
        json!({"primaryKey": "", "secondaryKey": null}),
    ] {
        let written = operator
            .put_if("/enrollments/a", "*", &by(left_out))
            .await
            .ok();
        assert_eq!(keys(written), made);
    }
    let new = BASE64_STANDARD.encode([7; 16]);
    let rolled = by(json!({"primaryKey": new}));
    let rolled = keys(operator.put_if("/enrollments/a", "*", &rolled).await.ok());
    assert_eq!(
        rolled,
        json!({"primaryKey": new, "secondaryKey": made["secondaryKey"]})
    );
}
