//! Proofs that somebody holds the key of a certificate, and devices that come through it.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use dps_core::admin::CODE_LIFETIME;
use dps_testkit::certs::{Ca, Identity};
use serde_json::{Value, json};

use crate::certificates::{ROOT, body, der};
use crate::operator::{Answer, Operator};
use crate::site::{ONE, Site, scope};

/// A new code, with the tag that it is good for.
async fn code(owner: &mut Operator, path: &str) -> (String, String) {
    let path = format!("{path}/generateVerificationCode");
    let made = owner.ask("POST", &path, &[("if-match", "*")], b"").await;
    let tag = made.tag();
    let code = made.ok()["properties"]["verificationCode"].take();
    (code.as_str().unwrap().to_owned(), tag)
}

async fn verify(owner: &mut Operator, tag: &str, proof: &Identity) -> Answer {
    let proof = json!({"certificate": BASE64_STANDARD.encode(proof.certificate_der())});
    let path = format!("{ROOT}/verify");
    let proof = proof.to_string();
    owner
        .ask("POST", &path, &[("if-match", tag)], proof.as_bytes())
        .await
}

async fn is_verified(owner: &mut Operator) -> bool {
    owner.get(ROOT).await.ok()["properties"]["isVerified"] == true
}

#[tokio::test]
async fn a_ca_is_verified_by_a_proof_and_its_devices_come_at_once() {
    let site = Site::open().await;
    let mut owner = Operator::new(&site, ONE, "owner").await;
    let root = Ca::root("Root");
    let group = json!({
        "enrollmentGroupId": "presses",
        "attestation": {"type": "x509", "x509": {"caReferences": {"primary": "root"}}},
    });
    owner.put("/enrollmentGroups/presses", &group).await.ok();
    owner.put(ROOT, &body(root.certificate_pem())).await.ok();
    let press = root.device("press-1");
    let register = async || {
        let mut device = Operator::with_identity(&site, &press).await;
        let path = format!("/{}/registrations/press-1/register", scope(ONE));
        device
            .put(&path, &json!({"registrationId": "press-1"}))
            .await
            .status
    };
    assert_eq!(register().await, 401);
    let before = owner.get(ROOT).await.ok();
    let path = format!("{ROOT}/generateVerificationCode");
    let tag = before["etag"].as_str().unwrap();
    let made = owner
        .ask("POST", &path, &[("if-match", tag)], b"")
        .await
        .ok();
    assert_ne!(made["etag"], before["etag"]);
    let (properties, read) = (&made["properties"], &before["properties"]);
    assert_eq!(properties["verificationCode"].as_str().unwrap().len(), 64);
    for name in [
        "subject",
        "expiry",
        "thumbprint",
        "isVerified",
        "created",
        "updated",
        "certificate",
    ] {
        assert_eq!(properties[name], read[name], "{name}");
    }
    let until = properties["verificationCodeExpiry"].as_str().unwrap();
    assert!(until.ends_with(" GMT") && until.len() == 29, "{until}");
    let after = owner.get(ROOT).await.ok();
    assert_eq!(after["etag"], made["etag"]);
    assert_eq!(
        after["properties"], before["properties"],
        "a code is told once"
    );
    assert_eq!(register().await, 401);

    let proof = root.device(properties["verificationCode"].as_str().unwrap());
    let done = verify(&mut owner, made["etag"].as_str().unwrap(), &proof)
        .await
        .ok();
    assert_eq!(done["properties"]["isVerified"], true);
    assert_ne!(done["etag"], made["etag"]);
    assert_eq!(register().await, 202);
    let tag = [("if-match", done["etag"].as_str().unwrap())];
    assert_eq!(owner.ask("DELETE", ROOT, &tag, b"").await.status, 204);
    assert_eq!(register().await, 401);
}

#[tokio::test]
async fn an_old_used_foreign_or_expired_code_proves_nothing() {
    let site = Site::open().await;
    let mut owner = Operator::new(&site, ONE, "owner").await;
    let root = Ca::root("Root");
    owner.put(ROOT, &body(der(&root))).await.ok();
    let other = "/instance/certificates/other";
    owner.put(other, &body(der(&Ca::root("Other")))).await.ok();
    let refused = |answer: Answer, told: &str| {
        assert_eq!(answer.code(), 400_004);
        assert!(answer.message().contains(told), "{}", answer.message());
    };
    let none = verify(&mut owner, "*", &root.device("a")).await;
    refused(none, "no verification code is out");
    let (old, _) = code(&mut owner, ROOT).await;
    let (foreign, _) = code(&mut owner, other).await;
    let (latest, tag) = code(&mut owner, ROOT).await;
    for wrong in [
        &*old,
        &foreign,
        "root",
        &latest.to_lowercase(),
        &latest[1..],
    ] {
        let answer = verify(&mut owner, &tag, &root.device(wrong)).await;
        refused(answer, "is not the latest verification code");
    }
    let forged = verify(&mut owner, &tag, &Ca::root("Root").device(&latest)).await;
    refused(forged, "is not signed with the key");
    let own = verify(&mut owner, &tag, &Identity::self_signed(&latest)).await;
    refused(own, "is not signed with the key");
    assert!(!is_verified(&mut owner).await);
    // None of that has used it up.
    assert_eq!(
        verify(&mut owner, &tag, &root.device(&latest)).await.status,
        200
    );
    let again = verify(&mut owner, "*", &root.device(&latest)).await;
    refused(again, "no verification code is out");
    assert!(is_verified(&mut owner).await);

    let (late, _) = code(&mut owner, ROOT).await;
    site.clock.advance(CODE_LIFETIME);
    owner.token = Some(crate::operator::token(&site, ONE, "owner"));
    let expired = verify(&mut owner, "*", &root.device(&late)).await;
    refused(expired, "has expired");
    // Written anew, the certificate has no code any more.
    let (void, _) = code(&mut owner, ROOT).await;
    owner.put_if(ROOT, "*", &body(der(&root))).await.ok();
    let void = verify(&mut owner, "*", &root.device(&void)).await;
    refused(void, "no verification code is out");
}

#[tokio::test]
async fn which_version_of_a_certificate_is_meant_has_to_be_said_and_to_hold() {
    let site = Site::open().await;
    let mut owner = Operator::new(&site, ONE, "owner").await;
    let root = Ca::root("Root");
    let first = owner.put(ROOT, &body(der(&root))).await.tag();
    let (text, second) = code(&mut owner, ROOT).await;
    let proof = json!({"certificate": root.device(&text).certificate_pem()}).to_string();
    let ask = async |owner: &mut Operator, path: &str, headers: &[(&str, &str)]| {
        let path = format!("{ROOT}/{path}");
        owner.ask("POST", &path, headers, proof.as_bytes()).await
    };
    for path in ["generateVerificationCode", "verify"] {
        let unsaid = ask(&mut owner, path, &[]).await;
        assert_eq!(unsaid.code(), 400_004);
        assert!(
            unsaid.message().starts_with("If-Match has to say"),
            "{}",
            unsaid.message()
        );
        for stale in [&*first, "e0"] {
            let answer = ask(&mut owner, path, &[("if-match", stale)]).await;
            assert_eq!(answer.code(), 412_001, "{path}");
        }
    }
    let verified = ask(&mut owner, "verify", &[("if-match", &second)]).await;
    assert_eq!(verified.status, 200);
    let delete = [("if-match", "*")];
    owner.ask("DELETE", ROOT, &delete, b"").await;
    for path in ["generateVerificationCode", "verify"] {
        for tag in ["*", "e0", &first] {
            let answer = ask(&mut owner, path, &[("if-match", tag)]).await;
            assert_eq!(answer.code(), 404_213, "{path}");
        }
    }
}

#[tokio::test]
async fn a_proof_that_is_none_is_named() {
    let site = Site::open().await;
    let mut owner = Operator::new(&site, ONE, "owner").await;
    let root = Ca::root("Root");
    owner.put(ROOT, &body(der(&root))).await.ok();
    let path = format!("{ROOT}/verify");
    for (document, told) in [
        (json!({}), "certificate: is missing"),
        (json!({"certificate": null}), "certificate: is missing"),
        (json!({"certificate": {}}), "certificate: must be a string"),
        (json!({"certificate": "?"}), "certificate: is not base64"),
        (
            json!({"certificate": "AAAA"}),
            "certificate: not an X.509 certificate",
        ),
        (Value::Null, "$: must be an object"),
    ] {
        let text = document.to_string();
        let answer = owner
            .ask("POST", &path, &[("if-match", "*")], text.as_bytes())
            .await;
        assert_eq!(answer.code(), 400_004);
        assert!(answer.message().starts_with(told), "{}", answer.message());
    }
}
