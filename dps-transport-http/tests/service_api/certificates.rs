//! Certificates of the instance: made, read, replaced, removed.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use dps_testkit::certs::{Ca, Identity};
use serde_json::{Value, json};

use crate::operator::Operator;
use crate::site::{CA, ONE, Site};

const ALL: &str = "/instance/certificates";
pub const ROOT: &str = "/instance/certificates/root";

pub fn body(certificate: impl Into<Value>) -> Value {
    let certificate: Value = certificate.into();
    json!({"properties": {"certificate": certificate}})
}

pub fn der(ca: &Ca) -> String {
    BASE64_STANDARD.encode(ca.certificate_der())
}

#[tokio::test]
async fn a_certificate_is_made_refused_replaced_read_and_removed() {
    let site = Site::open().await;
    let mut config = Operator::new(&site, ONE, "config").await;
    let (first, second) = (Ca::root("First"), Ca::root("Second"));
    let made = config.put(ROOT, &body(first.certificate_pem())).await.ok();
    let properties = &made["properties"];
    let expected = json!({
        "id": ROOT,
        "name": "root",
        "type": "Microsoft.Devices/ProvisioningServices/Certificates",
        "etag": made["etag"],
        "properties": {
            "subject": "CN=First",
            "expiry": properties["expiry"],
            "thumbprint": properties["thumbprint"],
            "sha256Thumbprint": properties["sha256Thumbprint"],
            "isVerified": false,
            "certificate": der(&first),
            "created": properties["created"],
            "updated": properties["created"],
        },
    });
    assert_eq!(made, expected);
    assert_eq!(properties["thumbprint"].as_str().unwrap().len(), 40);
    assert_eq!(properties["sha256Thumbprint"].as_str().unwrap().len(), 64);
    for date in ["expiry", "created"] {
        let date = properties[date].as_str().unwrap();
        assert_eq!(
            (date.len(), &date[3..5], &date[25..]),
            (29, ", ", " GMT"),
            "{date}"
        );
    }
    assert_eq!(
        config.get("/instance/Certificates/ROOT").await.ok(),
        expected
    );
    let listed = config.get(ALL).await.ok();
    assert_eq!(listed["value"][1], expected);
    let brought = &listed["value"][0];
    assert_eq!(brought["name"], CA);
    assert_eq!(brought["id"], "/instance/certificates/Plant%20CA");
    assert_eq!(
        brought["properties"].get("created"),
        None,
        "a program has brought it"
    );
    assert_eq!(
        listed.as_object().unwrap().len(),
        1,
        "each has a tag of its own"
    );

    let tag = made["etag"].as_str().unwrap();
    let other = body(der(&second));
    assert_eq!(config.put(ROOT, &other).await.code(), 409_213);
    for stale in ["e0", "0000000000000000"] {
        assert_eq!(config.put_if(ROOT, stale, &other).await.code(), 412_001);
    }
    let replaced = config
        .put_if(ROOT, &format!("\"{tag}\""), &other)
        .await
        .ok();
    assert_eq!(replaced["properties"]["subject"], "CN=Second");
    assert_eq!(replaced["properties"]["created"], properties["created"]);
    assert_ne!(replaced["etag"], made["etag"]);
    // Written back as it was read, it is the same.
    let again = config.put_if(ROOT, "*", &replaced).await.ok();
    assert_eq!(
        again["properties"]["sha256Thumbprint"],
        replaced["properties"]["sha256Thumbprint"]
    );

    let tag = again["etag"].as_str().unwrap();
    let delete = async |config: &mut Operator, tag: &str| {
        config.ask("DELETE", ROOT, &[("if-match", tag)], b"").await
    };
    assert_eq!(
        config.delete(ROOT).await.code(),
        400_004,
        "which version is meant has to be said"
    );
    assert_eq!(
        delete(&mut config, made["etag"].as_str().unwrap())
            .await
            .code(),
        412_001
    );
    assert_eq!(delete(&mut config, "e0").await.code(), 412_001);
    assert_eq!(delete(&mut config, tag).await.status, 204);
    for tag in ["*", "e0", tag] {
        assert_eq!(delete(&mut config, tag).await.code(), 404_213);
        assert_eq!(config.put_if(ROOT, tag, &other).await.code(), 412_001);
    }
    assert_eq!(config.get(ROOT).await.code(), 404_213);
}

#[tokio::test]
async fn a_certificate_is_taken_in_every_encoding_and_whoever_knows_may_say_that_it_is_verified() {
    let site = Site::open().await;
    let mut owner = Operator::new(&site, ONE, "owner").await;
    let root = Ca::root("Root");
    let base64_of_pem = BASE64_STANDARD.encode(root.certificate_pem());
    for text in [root.certificate_pem(), der(&root), base64_of_pem] {
        let made = owner.put_if(ROOT, "*", &body(&*text)).await;
        let made = if made.status == 412 {
            owner.put(ROOT, &body(&*text)).await
        } else {
            made
        };
        assert_eq!(made.ok()["properties"]["certificate"], der(&root));
    }
    let with = |verified: Value| {
        let mut document = body(der(&root));
        document["properties"]["isVerified"] = verified;
        document
    };
    for (said, told) in [
        (json!(true), true),
        (Value::Null, true),
        (json!(false), false),
        (Value::Null, false),
    ] {
        let set = owner.put_if(ROOT, "*", &with(said)).await.ok();
        assert_eq!(set["properties"]["isVerified"], told);
    }
    // Another one in its place is not verified because the first one was.
    owner.put_if(ROOT, "*", &with(json!(true))).await.ok();
    let other = Ca::root("Root");
    let set = owner.put_if(ROOT, "*", &body(der(&other))).await.ok();
    assert_eq!(set["properties"]["isVerified"], false);
}

#[tokio::test]
async fn what_is_no_certificate_of_a_ca_is_refused_with_the_reason() {
    let site = Site::open().await;
    let mut owner = Operator::new(&site, ONE, "owner").await;
    let root = Ca::root("Root");
    let leaf = BASE64_STANDARD.encode(Identity::self_signed("a").certificate_der());
    let two = root.certificate_pem().repeat(2);
    let with_key = format!("{}{}", root.certificate_pem(), root.device("a").key_pem());
    let certificate = "properties.certificate: ";
    for (document, told) in [
        (json!({}), "properties: is missing".to_owned()),
        (
            json!({"properties": null}),
            "properties: is missing".to_owned(),
        ),
        (
            json!({"properties": 1}),
            "properties: must be an object".to_owned(),
        ),
        (
            json!({"certificate": der(&root)}),
            "properties: is missing".to_owned(),
        ),
        (
            json!({"properties": {}}),
            format!("{certificate}is missing"),
        ),
        (body(Value::Null), format!("{certificate}is missing")),
        (body(7), format!("{certificate}must be a string")),
        (body(""), format!("{certificate}not an X.509 certificate")),
        (body("hunter2!"), format!("{certificate}is not base64")),
        (
            body("aHVudGVyMg=="),
            format!("{certificate}not an X.509 certificate"),
        ),
        (
            body("-----BEGIN CERTIFICATE-----"),
            format!("{certificate}holds no certificate"),
        ),
        (body(two), format!("{certificate}holds more than one")),
        (body(with_key), format!("{certificate}holds more than one")),
        (body(leaf), "the certificate is not a CA's".to_owned()),
        (
            json!({"name": "other", "properties": {"certificate": der(&root)}}),
            "name: is not the one in the path".to_owned(),
        ),
        (
            json!({"properties": {"certificate": der(&root), "isVerified": "true"}}),
            "properties.isVerified: must be true or false".to_owned(),
        ),
    ] {
        let answer = owner.put(ROOT, &document).await;
        assert_eq!(answer.code(), 400_004, "{document}");
        assert!(answer.message().starts_with(&told), "{}", answer.message());
        assert!(!answer.body.to_string().contains("hunter2"));
    }
    for name in ["%c3%a9", "%20a", "a%20", "%7f", &"x".repeat(257)] {
        let answer = owner.put(&format!("{ALL}/{name}"), &body(der(&root))).await;
        assert_eq!(answer.code(), 400_004, "{name}");
    }
    assert_eq!(owner.get(ROOT).await.code(), 404_213);
}

#[tokio::test]
async fn a_name_may_have_a_slash_in_it() {
    let site = Site::open().await;
    let mut owner = Operator::new(&site, ONE, "owner").await;
    let made = owner
        .put(&format!("{ALL}/a%2fb%25"), &body(der(&Ca::root("Root"))))
        .await
        .ok();
    assert_eq!(made["name"], "a/b%");
    let id = made["id"].as_str().unwrap();
    assert_eq!(id, "/instance/certificates/a%2Fb%25");
    assert_eq!(owner.get(id).await.ok(), made);
}

#[tokio::test]
async fn a_certificate_of_100_kb_is_refused_with_the_reason_and_the_connection_goes_on() {
    let site = Site::open().await;
    let mut owner = Operator::new(&site, ONE, "owner").await;
    let root = Ca::root("Root");
    owner.put(ROOT, &body(der(&root))).await.ok();
    let large = BASE64_STANDARD.encode(vec![0x30; 75_000]);
    assert_eq!(large.len(), 100_000);
    let told = "the certificate is larger than 16384 bytes";
    let answer = owner.put_if(ROOT, "*", &body(&*large)).await;
    assert_eq!(answer.code(), 400_004);
    assert!(answer.message().contains(told), "{}", answer.message());
    let proof = json!({"certificate": large}).to_string();
    let verify = format!("{ROOT}/verify");
    let answer = owner
        .ask("POST", &verify, &[("if-match", "*")], proof.as_bytes())
        .await;
    assert_eq!(answer.code(), 400_004);
    assert!(answer.message().contains(told), "{}", answer.message());
    let certificates = json!({"primary": {"certificate": large}});
    for (path, name, slots) in [
        ("/enrollments/a", "registrationId", "clientCertificates"),
        (
            "/enrollmentGroups/a",
            "enrollmentGroupId",
            "signingCertificates",
        ),
    ] {
        let x509 = json!({"type": "x509", "x509": {slots: certificates}});
        let answer = owner
            .put(path, &json!({name: "a", "attestation": x509}))
            .await;
        assert_eq!(answer.code(), 400_004);
        assert!(answer.message().contains(told), "{}", answer.message());
    }
    assert_eq!(
        owner.get(ROOT).await.ok()["properties"]["certificate"],
        der(&root)
    );
}

#[tokio::test]
async fn as_many_certificates_as_the_quota_allows_and_none_that_another_group_has() {
    let site = Site::open().await;
    let mut owner = Operator::new(&site, ONE, "owner").await;
    let quotas = json!({"quotas": {"certificates": 2}});
    owner.put("/instance/quotas", &quotas).await.ok();
    let (one, two) = (Ca::root("One"), Ca::root("Two"));
    owner.put(ROOT, &body(der(&one))).await.ok();
    let full = owner.put(&format!("{ALL}/other"), &body(der(&two))).await;
    assert_eq!(full.code(), 400_205);
    let group = |id: &str, x509: Value| json!({"enrollmentGroupId": id, "attestation": {"type": "x509", "x509": x509}});
    let by_name = group("a", json!({"caReferences": {"primary": "root"}}));
    owner.put("/enrollmentGroups/a", &by_name).await.ok();
    let given = json!({"signingCertificates": {"primary": {"certificate": der(&two)}}});
    owner
        .put("/enrollmentGroups/b", &group("b", given))
        .await
        .ok();
    let duplicate = owner.put_if(ROOT, "*", &body(der(&two))).await;
    assert_eq!(duplicate.code(), 409_000);
    assert!(
        duplicate.message().contains("group b"),
        "{}",
        duplicate.message()
    );
}
