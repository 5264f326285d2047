//! Bodies that are not what they have to be.

use serde_json::{Value, json};

use crate::operator::Operator;
use crate::site::{ONE, Site};

fn whole() -> Value {
    json!({
        "registrationId": "a",
        "deviceId": "A",
        "attestation": {"type": "symmetricKey"},
        "capabilities": {"iotEdge": true},
        "iotHubHostName": "old.example.net",
        "iotHubs": ["b.example.net"],
        "allocationPolicy": "custom",
        "customAllocationDefinition": {"webhookUrl": "https://x.example/y", "apiVersion": "2021-10-01"},
        "initialTwin": {"tags": {"t": "\u{e9}", "count": 3}, "properties": {"desired": {"version": null}}},
        "optionalDeviceInformation": {"metadata": [1, {"a": null}]},
        "provisioningStatus": "disabled",
        "reprovisionPolicy": {"updateHubAssignment": false, "migrateDeviceData": true},
    })
}

#[tokio::test]
async fn every_member_comes_back_as_it_was_written() {
    let site = Site::open().await;
    let mut operator = Operator::new(&site, ONE, "owner").await;
    operator.put("/enrollments/a", &whole()).await.ok();
    let read = operator.get("/enrollments/a").await.ok();
    for (name, value) in whole().as_object().unwrap() {
        assert_eq!(&read[name], value, "{name}");
    }
    // Written back as it was read, it is the same.
    let tag = read["etag"].as_str().unwrap();
    operator.put_if("/enrollments/a", tag, &read).await.ok();
    let again = operator.get("/enrollments/a").await.ok();
    for name in whole().as_object().unwrap().keys() {
        assert_eq!(read[name], again[name], "{name}");
    }
    assert_eq!(read["createdDateTimeUtc"], again["createdDateTimeUtc"]);
}

#[tokio::test]
async fn each_member_of_a_wrong_type_is_named_and_null_counts_as_absent() {
    let site = Site::open().await;
    let mut operator = Operator::new(&site, ONE, "owner").await;
    for name in whole().as_object().unwrap().keys() {
        let mut document = whole();
        document[name] = json!(7);
        let answer = operator.put("/enrollments/a", &document).await;
        assert_eq!(answer.code(), 400_004);
        assert!(
            answer.message().starts_with(name),
            "{name}: {}",
            answer.message()
        );

        document[name] = Value::Null;
        let answer = operator.put_if("/enrollments/b", "x", &document).await;
        let code = answer.code();
        assert!([400_004, 412_001].contains(&code), "{name}: {code}");
    }
    let mut document = whole();
    let members = document.as_object_mut().unwrap();
    for (name, member) in members.iter_mut() {
        if !["registrationId", "attestation"].contains(&name.as_str()) {
            *member = Value::Null;
        }
    }
    members.insert("somethingNewer".into(), json!([{"x": 1}]));
    operator.put("/enrollments/a", &document).await.ok();
    assert_eq!(operator.get("/enrollments/b").await.code(), 404_201);
}

#[tokio::test]
async fn words_are_taken_in_any_case_and_told_in_the_usual_one() {
    let site = Site::open().await;
    let mut operator = Operator::new(&site, ONE, "owner").await;
    let document = json!({
        "registrationId": "a", "attestation": {"type": "SYMMETRICKEY"},
        "provisioningStatus": "Disabled", "allocationPolicy": "GEOLATENCY",
    });
    let made = operator.put("/enrollments/a", &document).await.ok();
    assert_eq!(made["attestation"]["type"], "symmetricKey");
    assert_eq!(made["provisioningStatus"], "disabled");
    assert_eq!(made["allocationPolicy"], "geoLatency");
}

#[tokio::test]
async fn the_id_of_a_document_has_to_be_that_of_its_path() {
    let site = Site::open().await;
    let mut operator = Operator::new(&site, ONE, "owner").await;
    let entry = |id: Value| json!({"registrationId": id, "attestation": {"type": "symmetricKey"}});
    for id in [
        json!("b"),
        json!("aa"),
        json!(""),
        Value::Null,
        json!(1),
        json!("a/b"),
    ] {
        let answer = operator.put("/enrollments/a", &entry(id.clone())).await;
        assert_eq!(answer.code(), 400_004, "{id}");
        assert!(
            answer.message().starts_with("registrationId: "),
            "{}",
            answer.message()
        );
    }
    let long = "x".repeat(129);
    let answer = operator
        .put(&format!("/enrollments/{long}"), &entry(json!(long)))
        .await;
    assert_eq!(answer.code(), 400_004);
    let long = &long[1..];
    operator
        .put(&format!("/enrollments/{long}"), &entry(json!(long)))
        .await
        .ok();
    operator
        .put("/enrollments/a%3aB", &entry(json!("A:b")))
        .await
        .ok();
    assert_eq!(
        operator.get("/enrollments/a:b").await.ok()["registrationId"],
        "A:b"
    );
}

#[tokio::test]
async fn bodies_that_are_no_json_too_large_or_of_another_kind_are_refused() {
    let site = Site::open().await;
    let mut operator = Operator::new(&site, ONE, "owner").await;
    let path = "/enrollments/a";
    let twice = br#"{"registrationId":"a","registrationId":"a"}"#;
    for body in [&b""[..], b"{", b"null", b"[]", b"\xff", twice, b"{} {}"] {
        let answer = operator.ask("PUT", path, &[], body).await;
        assert_eq!(answer.code(), 400_004, "{}", String::from_utf8_lossy(body));
    }
    let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    let answer = operator.ask("PUT", path, &[], deep.as_bytes()).await;
    assert_eq!(answer.code(), 400_004);
    for kind in ["text/plain", "application/xml", "application/jsonx", ""] {
        let headers = [("content-type", kind)];
        for (method, path) in [
            ("PUT", path),
            ("POST", "/enrollments"),
            ("POST", "/enrollments/query"),
        ] {
            let answer = operator.ask(method, path, &headers, b"{}").await;
            assert_eq!(answer.code(), 415_000, "{kind} {path}");
        }
        // A body that nobody reads may be of any kind.
        let path = "/enrollments/a/attestationmechanism";
        assert_eq!(
            operator.ask("POST", path, &headers, b"x").await.code(),
            404_201
        );
    }
    let large = vec![b' '; 256 * 1024 + 1];
    let answer = operator.ask("PUT", path, &[], &large).await;
    assert_eq!(answer.code(), 413_000);
}

#[tokio::test]
async fn what_a_refusal_says_repeats_no_secret() {
    let site = Site::open().await;
    let mut operator = Operator::new(&site, ONE, "owner").await;
    for keys in [
        json!({"primaryKey": "c2hvcnQ="}),
        json!({"primaryKey": "not base64: hunter2"}),
    ] {
        let attestation = json!({"type": "symmetricKey", "symmetricKey": keys});
        let document = json!({"registrationId": "a", "attestation": attestation});
        let answer = operator.put("/enrollments/a", &document).await;
        assert_eq!(answer.code(), 400_004);
        let told = answer.body.to_string();
        assert!(
            !told.contains("hunter2") && !told.contains("c2hvcnQ"),
            "{told}"
        );
        assert!(told.contains("attestation.symmetricKey.primaryKey"));
    }
}
