//! Shared access policies and their keys, while tokens of them are in use.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use dps_core::id::SecretBytes;
use dps_core::time::Clock;
use dps_testkit::sas::policy_token;
use serde_json::{Value, json};

use crate::operator::Operator;
use crate::registrations::decoded;
use crate::site::{HOUR, ONE, POLICIES, SPARE, Site, key};

const ALL: &str = "/instance/authorizationPolicies";
const NEW: &str = "/instance/authorizationPolicies/new";

fn encoded(key: &SecretBytes) -> String {
    BASE64_STANDARD.encode(key.expose())
}

/// Whether a token of `policy`, signed with this key, lets in to read an enrollment.
async fn admitted(site: &Site, policy: &str, key: &Value) -> bool {
    let expires = site.clock.now().plus(HOUR);
    let token = policy_token(&decoded(key), policy, ONE, expires);
    let mut operator = Operator::with_token(site, ONE, Some(token)).await;
    match operator.get("/enrollments/a").await.code() {
        404_201 => true,
        401_000 => false,
        other => panic!("{other}"),
    }
}

async fn keys(owner: &mut Operator, policy: &str) -> Value {
    let path = format!("/instance/keys/{policy}/listkeys");
    owner.ask("POST", &path, &[], b"").await.ok()
}

#[tokio::test]
async fn a_policy_is_made_with_keys_that_are_told_when_asked_for_and_lets_in_at_once() {
    let site = Site::open().await;
    let mut config = Operator::new(&site, ONE, "config").await;
    let document = json!({"keyName": "New", "rights": "enrollmentread, SERVICECONFIG"});
    let made = config.put(NEW, &document).await.ok();
    let rights = "ServiceConfig, EnrollmentRead";
    let expected = json!({"keyName": "New", "rights": rights, "etag": made["etag"]});
    assert_eq!(made, expected);
    assert_eq!(
        config.get("/instance/authorizationpolicies/NEW").await.ok(),
        expected
    );
    let told = keys(&mut config, "nEW").await;
    assert_eq!(told["keyName"], "New");
    for slot in ["primaryKey", "secondaryKey"] {
        assert_eq!(decoded(&told[slot]).expose().len(), 64);
        assert!(admitted(&site, "new", &told[slot]).await);
    }
    // Changed without its keys, it keeps them.
    let other = json!({"rights": "RegistrationStatusRead"});
    let changed = config.put(NEW, &other).await.ok();
    assert_eq!(changed["rights"], "RegistrationStatusRead");
    assert!(
        !admitted(&site, "new", &told["primaryKey"]).await,
        "at once"
    );
    let again = keys(&mut config, "new").await;
    assert_eq!(again["primaryKey"], told["primaryKey"]);
    assert_eq!(again["secondaryKey"], told["secondaryKey"]);
}

#[tokio::test]
async fn the_token_of_a_policy_that_is_gone_is_refused_at_once() {
    let site = Site::open().await;
    let mut owner = Operator::new(&site, ONE, "owner").await;
    let mut reader = Operator::new(&site, ONE, "reader").await;
    assert_eq!(reader.get("/enrollments/a").await.code(), 404_201);
    let path = format!("{ALL}/reader");
    assert_eq!(owner.delete(&path).await.status, 204);
    assert_eq!(reader.get("/enrollments/a").await.code(), 401_000);
    for answer in [
        owner.get(&path).await,
        owner.delete(&path).await,
        owner.ask("DELETE", &path, &[("if-match", "e0")], b"").await,
        owner
            .post("/instance/keys/reader/listkeys", &json!({}))
            .await,
        owner
            .post(
                "/instance/keys/reader/regenerate",
                &json!({"keyType": "Primary"}),
            )
            .await,
    ] {
        assert_eq!(answer.code(), 404_212);
    }
    // Even one's own, and the last that may do so: this needs a program then.
    assert_eq!(owner.delete(&format!("{ALL}/owner")).await.status, 204);
    assert_eq!(owner.get(ALL).await.code(), 401_000);
}

#[tokio::test]
async fn one_key_is_regenerated_while_the_other_works() {
    let site = Site::open().await;
    let mut owner = Operator::new(&site, ONE, "owner").await;
    let path = "/instance/keys/reader/regenerate";
    let before = keys(&mut owner, "reader").await;
    assert_eq!(before["primaryKey"], encoded(&key(ONE, "reader", 1)));
    let first = owner.post(path, &json!({"keyType": "Primary"})).await.ok();
    assert_ne!(first["primaryKey"], before["primaryKey"]);
    assert_eq!(first["secondaryKey"], before["secondaryKey"]);
    assert!(!admitted(&site, "reader", &before["primaryKey"]).await);
    assert!(admitted(&site, "reader", &before["secondaryKey"]).await);
    assert!(admitted(&site, "reader", &first["primaryKey"]).await);
    let second = owner
        .post(path, &json!({"keyType": "sECONDARY"}))
        .await
        .ok();
    assert_eq!(second["primaryKey"], first["primaryKey"]);
    assert_ne!(second["secondaryKey"], before["secondaryKey"]);
    assert_eq!(keys(&mut owner, "reader").await, second);
    for (document, told) in [
        (json!({}), "keyType: is missing"),
        (json!({"keyType": null}), "keyType: is missing"),
        (json!({"keyType": 1}), "keyType: must be a string"),
        (
            json!({"keyType": "both"}),
            "keyType: must be one of Primary, Secondary",
        ),
        (json!(["Primary"]), "$: must be an object"),
    ] {
        let answer = owner.post(path, &document).await;
        assert_eq!(answer.code(), 400_004);
        assert!(answer.message().starts_with(told), "{}", answer.message());
    }
    let body = json!({"keyType": "Primary"}).to_string();
    let tag = second["etag"].as_str().unwrap();
    for (tag, status) in [
        ("e0", 412),
        (first["etag"].as_str().unwrap(), 412),
        (tag, 200),
        (tag, 412),
        ("*", 200),
    ] {
        let answer = owner
            .ask("POST", path, &[("if-match", tag)], body.as_bytes())
            .await;
        assert_eq!(answer.status, status, "{tag}");
    }
}

#[tokio::test]
async fn all_policies_are_listed_and_all_their_keys_when_asked_for() {
    let site = Site::open().await;
    let mut owner = Operator::new(&site, ONE, "config").await;
    let listed = owner.get(ALL).await.ok();
    let told = owner.ask("POST", "/instance/listkeys", &[], b"").await.ok();
    assert_eq!(listed["etag"], told["etag"]);
    let (listed, told) = (
        listed["value"].as_array().unwrap(),
        told["value"].as_array().unwrap(),
    );
    assert_eq!(
        (listed.len(), told.len()),
        (POLICIES.len() + 1, POLICIES.len() + 1)
    );
    for (nth, (name, _)) in POLICIES.into_iter().enumerate() {
        let rights = &listed[nth]["rights"];
        assert_eq!(listed[nth], json!({"keyName": name, "rights": rights}));
        let with_keys = json!({
            "keyName": name, "rights": rights,
            "primaryKey": encoded(&key(ONE, name, 1)), "secondaryKey": encoded(&key(ONE, name, 2)),
        });
        assert_eq!(told[nth], with_keys);
    }
}

#[tokio::test]
async fn keys_of_ones_own_have_16_to_64_bytes() {
    let site = Site::open().await;
    let mut owner = Operator::new(&site, ONE, "owner").await;
    for length in [16, 64] {
        let own = encoded(&SecretBytes::new(vec![7; length]));
        let document = json!({"rights": "EnrollmentRead", "primaryKey": own, "secondaryKey": ""});
        let made = owner.put(NEW, &document).await.ok();
        assert!(!made.to_string().contains(&own));
        assert!(admitted(&site, "new", &json!(own)).await);
    }
    let before = keys(&mut owner, "new").await;
    for (name, value, told) in [
        (
            "primaryKey",
            json!(encoded(&SecretBytes::new(vec![7; 15]))),
            "primaryKey: 15 bytes, must have 16 to 64",
        ),
        (
            "secondaryKey",
            json!(encoded(&SecretBytes::new(vec![7; 65]))),
            "secondaryKey: 65 bytes, must have 16 to 64",
        ),
        (
            "primaryKey",
            json!("not base64: hunter2"),
            "primaryKey: is not base64",
        ),
        (
            "primaryKey",
            json!("aHVudGVyMmh1bnRlcjI"),
            "primaryKey: is not base64",
        ),
        ("secondaryKey", json!(7), "secondaryKey: must be a string"),
    ] {
        let mut document = json!({"rights": "EnrollmentRead"});
        document[name] = value.clone();
        let answer = owner.put(NEW, &document).await;
        assert_eq!(answer.code(), 400_004, "{value}");
        assert!(answer.message().starts_with(told), "{}", answer.message());
        let value = value.as_str().unwrap_or("hunter2");
        assert!(!answer.body.to_string().contains(value));
    }
    assert_eq!(keys(&mut owner, "new").await, before);
}

#[tokio::test]
async fn each_member_of_a_policy_is_named_if_it_is_not_as_it_has_to_be() {
    let site = Site::open().await;
    let mut owner = Operator::new(&site, ONE, "owner").await;
    for (document, told) in [
        (json!({}), "rights: is missing"),
        (json!({"rights": null}), "rights: is missing"),
        (
            json!({"rights": ["EnrollmentRead"]}),
            "rights: must be a string",
        ),
        (
            json!({"rights": ""}),
            "rights: must be a list of ServiceConfig",
        ),
        (
            json!({"rights": "All"}),
            "rights: must be a list of ServiceConfig",
        ),
        (
            json!({"rights": "EnrollmentRead,"}),
            "rights: must be a list of ServiceConfig",
        ),
        (
            json!({"rights": "EnrollmentRead", "keyName": "other"}),
            "keyName: is not the one in the path",
        ),
        (
            json!({"rights": "EnrollmentRead", "keyName": 7}),
            "keyName: must be a string",
        ),
    ] {
        let answer = owner.put(NEW, &document).await;
        assert_eq!(answer.code(), 400_004, "{document}");
        assert!(answer.message().starts_with(told), "{}", answer.message());
    }
    let document =
        json!({"rights": "DeviceConnect", "primaryKey": null, "keyName": null, "newer": 1});
    for name in ["a%20b", "a%2fb", "%c3%a9", &"x".repeat(65)] {
        let answer = owner.put(&format!("{ALL}/{name}"), &document).await;
        assert_eq!(answer.code(), 400_004, "{name}");
    }
    owner.put(NEW, &document).await.ok();
}

#[tokio::test]
async fn a_policy_is_written_without_a_tag_as_new_or_as_the_instance_was_seen() {
    let site = Site::open().await;
    let mut owner = Operator::new(&site, ONE, "owner").await;
    let document = json!({"rights": "EnrollmentRead"});
    let body = document.to_string();
    let new = [("if-none-match", "*")];
    assert_eq!(owner.put_if(NEW, "*", &document).await.code(), 412_001);
    assert_eq!(
        owner.ask("PUT", NEW, &new, body.as_bytes()).await.status,
        200
    );
    assert_eq!(
        owner.ask("PUT", NEW, &new, body.as_bytes()).await.code(),
        409_212
    );
    let stale = owner.get(NEW).await.tag();
    let tag = owner.put(NEW, &document).await.tag();
    for tag in [&*stale, "e0"] {
        assert_eq!(owner.put_if(NEW, tag, &document).await.code(), 412_001);
        let removed = owner.ask("DELETE", NEW, &[("if-match", tag)], b"").await;
        assert_eq!(removed.code(), 412_001);
    }
    let tag = owner.put_if(NEW, &tag, &document).await.tag();
    assert_eq!(
        owner
            .ask("DELETE", NEW, &[("if-match", &tag)], b"")
            .await
            .status,
        204
    );
    let spare = format!("{ALL}/{SPARE}");
    assert_eq!(
        owner
            .ask("DELETE", &spare, &[("if-match", "*")], b"")
            .await
            .status,
        204
    );
}
