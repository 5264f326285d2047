//! Linked hubs, one at a time.

use serde_json::{Value, json};

use crate::operator::Operator;
use crate::registrations::{enrolled, register};
use crate::site::{HUB, ONE, Site};

const HUBS: &str = "/instance/iotHubs";
const B: &str = "/instance/iotHubs/b.hub.example";
const SECRET: &str = "c2VjcmV0IG9mIHRoZSBodWI=";

fn connection(host: &str, policy: &str, key: &str) -> String {
    format!("HostName={host};SharedAccessKeyName={policy};SharedAccessKey={key}")
}

fn hub(connection: impl Into<Value>) -> Value {
    let connection: Value = connection.into();
    json!({"location": "westeurope", "connectionString": connection})
}

#[tokio::test]
async fn a_hub_is_linked_read_changed_and_unlinked() {
    let site = Site::open().await;
    let mut config = Operator::new(&site, ONE, "config").await;
    let b = connection("b.hub.example", "iothubowner", SECRET);
    let made = config.put(B, &hub(b)).await.ok();
    let shown = connection("b.hub.example", "iothubowner", "****");
    let expected = json!({
        "name": "b.hub.example", "connectionString": shown, "location": "westeurope",
        "applyAllocationPolicy": true, "allocationWeight": 1, "etag": made["etag"],
    });
    assert_eq!(made, expected);
    assert_eq!(
        config.get("/instance/IOTHUBS/B.hub.example/").await.ok(),
        expected
    );
    let listed = config.get(HUBS).await.ok();
    assert_eq!(listed["etag"], made["etag"]);
    assert_eq!(listed["value"][0]["name"], HUB);
    let mut inside = expected.clone();
    inside.as_object_mut().unwrap().remove("etag");
    assert_eq!(listed["value"][1], inside);
    assert_eq!(listed["value"].as_array().unwrap().len(), 2);

    // Read, changed, written back: the key is kept, as the mask says.
    let mut read = expected;
    read["allocationWeight"] = json!(1000);
    read["applyAllocationPolicy"] = json!(false);
    let tag = read["etag"].as_str().unwrap().to_owned();
    let changed = config.put_if(B, &tag, &read).await.ok();
    assert_eq!(changed["allocationWeight"], 1000);
    assert_eq!(changed["applyAllocationPolicy"], false);
    assert_eq!(changed["connectionString"], shown);
    // What is left out is the usual; but for the key, which nobody who reads is told.
    let plain = json!({"location": "x", "name": "B.hub.example", "connectionString": null});
    let replaced = config.put(B, &plain).await.ok();
    assert_eq!(replaced["name"], "B.hub.example");
    assert_eq!(replaced["allocationWeight"], 1);
    assert_eq!(replaced["applyAllocationPolicy"], true);
    assert_eq!(replaced["connectionString"], shown);

    assert_eq!(config.delete(B).await.status, 204);
    for answer in [
        config.get(B).await,
        config.delete(B).await,
        config.ask("DELETE", B, &[("if-match", "e0")], b"").await,
    ] {
        assert_eq!(answer.code(), 404_211);
    }
    assert_eq!(
        config.get(HUBS).await.ok()["value"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn a_device_may_get_a_hub_from_its_next_registration_on_and_no_other_when_it_is_gone() {
    let site = Site::open().await;
    let mut owner = Operator::new(&site, ONE, "owner").await;
    let key = enrolled(&mut owner, "a").await;
    assert_eq!(register(&site, "a", &key).await["assignedHub"], HUB);
    owner.put(B, &json!({"location": "x"})).await.ok();
    let here = format!("{HUBS}/{HUB}");
    let out = json!({"location": "x", "applyAllocationPolicy": false});
    owner.put(&here, &out).await.ok();
    let second = enrolled(&mut owner, "b").await;
    assert_eq!(
        register(&site, "b", &second).await["assignedHub"],
        "b.hub.example"
    );
    assert_eq!(owner.delete(&here).await.status, 204);
    // It moves when it comes again.
    assert_eq!(
        register(&site, "a", &key).await["assignedHub"],
        "b.hub.example"
    );
    assert_eq!(owner.delete(B).await.status, 204);
    let third = enrolled(&mut owner, "c").await;
    assert_eq!(register(&site, "c", &third).await["status"], "failed");
}

#[tokio::test]
async fn a_credential_that_is_no_connection_string_is_kept_and_nothing_of_it_is_shown() {
    let site = Site::open().await;
    let mut owner = Operator::new(&site, ONE, "owner").await;
    let without = owner.put(B, &json!({"location": "x"})).await.ok();
    assert_eq!(without.get("connectionString"), None, "there is none");
    for credential in [
        "a password",
        "HostName=b.hub.example;Password=a password",
        "HostName=b.hub.example;SharedAccessSignature=a password",
        "\u{e9}",
    ] {
        let made = owner.put(B, &hub(credential)).await.ok();
        assert_eq!(made["connectionString"], "****", "{credential}");
        assert_eq!(owner.get(B).await.ok()["connectionString"], "****");
        let kept = owner.put(B, &hub("****")).await.ok();
        assert_eq!(kept["connectionString"], "****");
    }
}

#[tokio::test]
async fn what_was_shown_keeps_the_key_only_as_it_was_shown() {
    let site = Site::open().await;
    let mut owner = Operator::new(&site, ONE, "owner").await;
    let shown = |policy: &str| hub(connection("b.hub.example", policy, "****"));
    let told = "connectionString: hides its key";
    for masked in [shown("iothubowner"), hub("****")] {
        let nothing_yet = owner.put(B, &masked).await;
        assert_eq!(nothing_yet.code(), 400_004);
        assert!(
            nothing_yet.message().starts_with(told),
            "{}",
            nothing_yet.message()
        );
    }
    assert_eq!(owner.get(B).await.code(), 404_211);
    let b = connection("b.hub.example", "iothubowner", SECRET);
    owner.put(B, &hub(b)).await.ok();
    owner.put(B, &shown("iothubowner")).await.ok();
    for other in [
        shown("another"),
        hub("****"),
        hub(connection("c.hub.example", "iothubowner", "****")),
    ] {
        let answer = owner.put(B, &other).await;
        assert_eq!(answer.code(), 400_004, "{other}");
        assert!(answer.message().starts_with(told), "{}", answer.message());
    }
}

#[tokio::test]
async fn each_member_of_a_hub_is_named_if_it_is_not_as_it_has_to_be() {
    let site = Site::open().await;
    let mut owner = Operator::new(&site, ONE, "owner").await;
    let with = |name: &str, value: Value| {
        let mut document = hub(connection("b.hub.example", "o", SECRET));
        document[name] = value;
        document
    };
    for (document, told) in [
        (json!([]), "$: must be an object"),
        (with("location", Value::Null), "location: is missing"),
        (with("location", json!(7)), "location: must be a string"),
        (
            with("location", json!("x".repeat(257))),
            "location: has more than 256 bytes",
        ),
        (with("name", json!(7)), "name: must be a string"),
        (
            with("name", json!("c.hub.example")),
            "name: is not the one in the path",
        ),
        (with("name", json!("")), "name: is not the one in the path"),
        (
            with("connectionString", json!(7)),
            "connectionString: must be a string",
        ),
        (
            with("connectionString", json!("")),
            "connectionString: is empty",
        ),
        (
            with("connectionString", json!("x".repeat(4097))),
            "connectionString: has more than 4096 bytes",
        ),
        (
            with(
                "connectionString",
                json!(connection("c.hub.example", "o", SECRET)),
            ),
            "connectionString: is of another hub",
        ),
        (
            with("applyAllocationPolicy", json!("true")),
            "applyAllocationPolicy: must be true or false",
        ),
        (
            with("allocationWeight", json!("1")),
            "allocationWeight: must be a whole number",
        ),
        (
            with("allocationWeight", json!(0)),
            "the weight of a hub is 1 to 1000",
        ),
        (
            with("allocationWeight", json!(1001)),
            "the weight of a hub is 1 to 1000",
        ),
        (
            with("allocationWeight", json!(-1)),
            "allocationWeight: must be a whole number from 0",
        ),
        (
            with("allocationWeight", json!(0.5)),
            "allocationWeight: must be a whole number from 0",
        ),
        (
            with("allocationWeight", json!(1_u64 << 32)),
            "allocationWeight: must be a whole number from 0",
        ),
    ] {
        let answer = owner.put(B, &document).await;
        assert_eq!(answer.code(), 400_004, "{document}");
        assert!(answer.message().starts_with(told), "{}", answer.message());
        assert!(!answer.body.to_string().contains(SECRET));
    }
    for (id, told) in [
        ("a%2fb", "name: character 1"),
        ("-a", "name: character 0"),
        ("%20", "name: character 0"),
        (&"x".repeat(254), "name: the name is longer than 253"),
    ] {
        let path = format!("{HUBS}/{id}");
        for answer in [
            owner.get(&path).await,
            owner.delete(&path).await,
            owner.put(&path, &json!({"location": "x"})).await,
        ] {
            assert_eq!(answer.code(), 400_004, "{id}");
            assert!(answer.message().starts_with(told), "{}", answer.message());
        }
    }
    let mut nulls = with("newer", json!({"a": 1}));
    for name in ["applyAllocationPolicy", "allocationWeight", "name"] {
        nulls[name] = Value::Null;
    }
    owner.put(B, &nulls).await.ok();
}

#[tokio::test]
async fn a_hub_is_written_without_a_tag_as_new_or_as_the_instance_was_seen() {
    let site = Site::open().await;
    let mut owner = Operator::new(&site, ONE, "owner").await;
    let document = json!({"location": "x"});
    let body = document.to_string();
    let new = [("if-none-match", "*")];
    assert_eq!(
        owner.put_if(B, "*", &document).await.code(),
        412_001,
        "it is not there"
    );
    assert_eq!(owner.ask("PUT", B, &new, body.as_bytes()).await.status, 200);
    assert_eq!(
        owner.ask("PUT", B, &new, body.as_bytes()).await.code(),
        409_211
    );
    assert_eq!(owner.put_if(B, "*", &document).await.status, 200);
    let stale = owner.get("/instance").await.tag();
    let first = owner.put(B, &document).await.tag();
    assert_eq!(owner.get("/instance").await.tag(), first);
    for tag in [&*stale, "e0"] {
        assert_eq!(owner.put_if(B, tag, &document).await.code(), 412_001);
        let removed = owner.ask("DELETE", B, &[("if-match", tag)], b"").await;
        assert_eq!(removed.code(), 412_001);
    }
    // Another one is linked only if nothing has changed since the instance was read.
    let c = "/instance/iotHubs/c.hub.example";
    assert_eq!(owner.put_if(c, &stale, &document).await.code(), 412_001);
    let second = owner.put_if(c, &first, &document).await.tag();
    let removed = owner.ask("DELETE", B, &[("if-match", &second)], b"").await;
    assert_eq!(removed.status, 204);
    let removed = owner.ask("DELETE", c, &[("if-match", "*")], b"").await;
    assert_eq!(removed.status, 204);
}

#[tokio::test]
async fn fifty_hubs_there_may_be_and_each_can_still_be_changed() {
    let site = Site::open().await;
    let mut owner = Operator::new(&site, ONE, "owner").await;
    let long = "x".repeat(4096);
    let document = hub(&*long);
    for nth in 1..50 {
        owner
            .put(&format!("{HUBS}/hub-{nth}"), &document)
            .await
            .ok();
    }
    let full = owner.put(&format!("{HUBS}/hub-50"), &document).await;
    assert_eq!(full.code(), 400_205);
    owner.put(&format!("{HUBS}/hub-49"), &document).await.ok();
    let listed = owner.get(HUBS).await.ok();
    assert_eq!(listed["value"].as_array().unwrap().len(), 50);
}
