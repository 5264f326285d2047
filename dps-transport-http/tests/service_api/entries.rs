//! Individual enrollments and groups: made, read, replaced, removed.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::operator::Operator;
use crate::site::{ONE, Site};

fn with_made_keys(name: &str, id: &str) -> Value {
    let keys = json!({"primaryKey": "", "secondaryKey": ""});
    json!({name: id, "attestation": {"type": "symmetricKey", "symmetricKey": keys}})
}

fn without(document: &Value, members: &[&str]) -> Value {
    let mut document = document.clone();
    for member in members {
        document.as_object_mut().unwrap().remove(*member);
    }
    document
}

/// What stands in an answer and differs each time.
const STAMPS: [&str; 3] = ["etag", "createdDateTimeUtc", "lastUpdatedDateTimeUtc"];

#[tokio::test]
async fn an_entry_is_made_refused_replaced_read_and_removed() {
    let site = Site::open().await;
    let mut operator = Operator::new(&site, ONE, "owner").await;
    for (collection, name, exists, missing) in [
        ("enrollments", "registrationId", 409_201, 404_201),
        ("enrollmentGroups", "enrollmentGroupId", 409_202, 404_204),
    ] {
        let path = format!("/{collection}/dev-001");
        let document = with_made_keys(name, "dev-001");
        let made = operator.put(&path, &document).await;
        let first = made.tag();
        let made = made.ok();
        let keys = &made["attestation"]["symmetricKey"];
        for slot in ["primaryKey", "secondaryKey"] {
            assert_eq!(keys[slot].as_str().unwrap().len(), 88);
        }
        let plain = without(&made, &STAMPS);
        let expected = json!({
            name: "dev-001",
            "attestation": {"type": "symmetricKey", "symmetricKey": keys},
            "capabilities": {"iotEdge": false},
            "provisioningStatus": "enabled",
        });
        assert_eq!(plain, expected);

        assert_eq!(operator.put(&path, &document).await.code(), exists);
        let stale = operator.put_if(&path, "\"e0\"", &document).await;
        assert_eq!(stale.code(), 412_001);
        let replaced = operator.put_if(&path, &first, &document).await;
        let second = replaced.tag();
        assert_ne!(second, first);
        assert_eq!(
            replaced.ok()["attestation"],
            made["attestation"],
            "keys stay"
        );
        assert_eq!(
            operator.put_if(&path, &first, &document).await.code(),
            412_001
        );
        let replaced = operator.put_if(&path, "\"*\"", &document).await;
        let third = replaced.tag();
        assert_eq!(replaced.status, 200);

        let read = operator.get(&path).await;
        assert_eq!(read.tag(), third);
        let read = without(&read.ok(), &["registrationState"]);
        let mut expected = without(&expected, &[]);
        expected["attestation"] = json!({"type": "symmetricKey"});
        assert_eq!(without(&read, &STAMPS), expected);
        let told = operator
            .ask("POST", &format!("{path}/attestationmechanism"), &[], b"")
            .await;
        assert_eq!(told.ok(), made["attestation"]);

        let stale = operator
            .ask("DELETE", &path, &[("if-match", &first)], b"")
            .await;
        assert_eq!(stale.code(), 412_001);
        let unknown = operator
            .ask("DELETE", &path, &[("if-match", "e0")], b"")
            .await;
        assert_eq!(unknown.code(), 412_001);
        let removed = operator
            .ask("DELETE", &path, &[("if-match", "*")], b"")
            .await;
        assert_eq!((removed.status, removed.body), (204, Value::Null));
        for answer in [
            operator.get(&path).await,
            operator.delete(&path).await,
            operator
                .ask("DELETE", &path, &[("if-match", "e0")], b"")
                .await,
            operator
                .post(&format!("{path}/attestationmechanism"), &json!({}))
                .await,
        ] {
            assert_eq!(answer.code(), missing);
        }
        for tag in ["*", &third, "e0"] {
            assert_eq!(operator.put_if(&path, tag, &document).await.code(), 412_001);
        }
    }
}

#[tokio::test]
async fn a_tag_is_taken_in_every_form_in_which_clients_send_it() {
    let site = Site::open().await;
    let mut operator = Operator::new(&site, ONE, "owner").await;
    let (path, document) = ("/enrollments/a", with_made_keys("registrationId", "a"));
    let mut tag = operator.put(path, &document).await.tag();
    assert!(
        tag.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    );
    for form in ["{}", "\"{}\"", "W/\"{}\"", "\"\\\"{}\\\"\"", "\"\"{}\"\""] {
        let said = form.replace("{}", &tag);
        let answer = operator.put_if(path, &said, &document).await;
        tag = answer.tag();
        assert_eq!(answer.status, 200, "{form}");
    }
    let base64 = BASE64_STANDARD.encode(format!("\"{tag}\""));
    assert_eq!(operator.put_if(path, &base64, &document).await.status, 200);
    for form in ["*", "\"*\""] {
        assert_eq!(
            operator.put_if(path, form, &document).await.status,
            200,
            "{form}"
        );
    }
    let mut inside = document.clone();
    inside["etag"] = operator.get(path).await.body["etag"].clone();
    assert_eq!(
        operator.put(path, &inside).await.code(),
        409_201,
        "only the header counts"
    );
    let both = operator.put_if(path, "a, b", &document).await;
    assert_eq!(both.code(), 400_004);
}

#[tokio::test]
async fn if_none_match_makes_an_entry_and_replaces_none() {
    let site = Site::open().await;
    let mut operator = Operator::new(&site, ONE, "owner").await;
    let document = with_made_keys("registrationId", "a").to_string();
    let put = |value| [("if-none-match", value)];
    for (value, status) in [("\"x\"", 400), ("*", 200), ("*", 409), ("\"*\"", 409)] {
        let answer = operator
            .ask("PUT", "/enrollments/a", &put(value), document.as_bytes())
            .await;
        assert_eq!(answer.status, status, "{value}");
    }
}
