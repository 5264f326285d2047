//! The instance as a whole, and the parts of it that are set by themselves.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use dps_transport_http::service::ROUTES;
use http::Method;
use serde_json::{Value, json};

use crate::operator::Operator;
use crate::registrations::{enrolled, register};
use crate::site::{CA, HUB, ONE, POLICIES, SPARE, Site, TWO, key};

const INSTANCE: &str = "/instance";
const POLICY: &str = "/instance/allocationPolicy";
const QUOTAS: &str = "/instance/quotas";
const RULES: &str = "/instance/ipFilterRules";
const ISSUERS: &str = "/instance/tokenIssuers";
const LOCAL: &str = "/instance/disableLocalAuth";
const PUBLIC: &str = "/instance/publicNetworkAccess";
const ENDPOINTS: &str = "/instance/privateEndpoints";

fn quotas(enrollments: u64) -> Value {
    json!({"quotas": {"enrollments": enrollments, "x509Groups": 2, "symmetricKeyGroups": 0, "certificates": 3, "registrations": 4}})
}

#[tokio::test]
async fn the_instance_is_told_whole_with_one_tag_and_no_key() {
    let site = Site::open().await;
    let mut config = Operator::new(&site, ONE, "config").await;
    let read = config.get(INSTANCE).await.ok();
    let policies: Vec<_> = read["authorizationPolicies"].as_array().unwrap().clone();
    assert_eq!(policies.len(), POLICIES.len() + 1);
    assert_eq!(
        policies[2],
        json!({"keyName": "config", "rights": "ServiceConfig"})
    );
    assert_eq!(
        policies[0]["rights"],
        "ServiceConfig, DeviceConnect, EnrollmentWrite"
    );
    let expected = json!({
        "idScope": "0ne00000001",
        "serviceOperationsHostName": ONE,
        "allocationPolicy": "Hashed",
        "iotHubs": [{"name": HUB, "location": "somewhere", "applyAllocationPolicy": true, "allocationWeight": 1}],
        "authorizationPolicies": policies,
        "ipFilterRules": [],
        "tokenIssuers": [],
        "disableLocalAuth": false,
        "publicNetworkAccess": "Enabled",
        "privateEndpoints": [],
        "quotas": {"enrollments": 1_000_000, "x509Groups": 100, "symmetricKeyGroups": 100, "certificates": 25, "registrations": 1_000_000},
        "etag": read["etag"],
    });
    assert_eq!(read, expected);
    let mut other = Operator::new(&site, TWO, "config").await;
    assert_eq!(other.get(INSTANCE).await.ok()["idScope"], "0ne00000002");
    for part in [POLICY, QUOTAS, RULES, ISSUERS, LOCAL, PUBLIC, ENDPOINTS] {
        let name = part.rsplit('/').next().unwrap();
        let told = config.get(part).await.ok();
        assert_eq!(
            told,
            json!({name: expected[name], "etag": expected["etag"]})
        );
    }
}

#[tokio::test]
async fn what_is_read_tells_no_secret_of_any_kind() {
    let site = Site::open().await;
    let mut owner = Operator::new(&site, ONE, "owner").await;
    let secret = "c2VjcmV0IG9mIHRoZSBodWI=";
    for (name, credential) in [
        (
            HUB,
            format!("HostName={HUB};SharedAccessKeyName=iothubowner;SharedAccessKey={secret}"),
        ),
        ("b.hub.example", format!("a password: {secret}")),
    ] {
        let hub = json!({"location": "x", "connectionString": credential});
        owner
            .put(&format!("/instance/iotHubs/{name}"), &hub)
            .await
            .ok();
    }
    let mut keys = vec![secret.to_owned()];
    for (policy, _) in POLICIES
        .into_iter()
        .chain([(SPARE, dps_core::access::Rights::NONE)])
    {
        for slot in [1, 2] {
            keys.push(BASE64_STANDARD.encode(key(ONE, policy, slot).expose()));
        }
    }
    for route in ROUTES.iter().filter(|route| route.method == Method::GET) {
        for id in [HUB, "b.hub.example", SPARE, CA, "dev-1"] {
            let path = route.path.replace("{id}", &id.replace(' ', "%20"));
            let told = owner.get(&path).await;
            assert!([200, 400, 404].contains(&told.status), "{told:?}");
            for key in &keys {
                assert!(!told.body.to_string().contains(&key[..16]), "{path}");
            }
        }
    }
}

#[tokio::test]
async fn the_policy_of_the_instance_is_set_in_any_case_and_counts_at_once() {
    let site = Site::open().await;
    let mut owner = Operator::new(&site, ONE, "owner").await;
    let second = json!({"location": "elsewhere"});
    owner
        .put("/instance/iotHubs/b.hub.example", &second)
        .await
        .ok();
    for (said, told) in [
        ("GEOLATENCY", "GeoLatency"),
        ("hashed", "Hashed"),
        ("static", "Static"),
    ] {
        let set = owner
            .put(POLICY, &json!({"allocationPolicy": said}))
            .await
            .ok();
        assert_eq!(set["allocationPolicy"], told);
        let read = owner.get(INSTANCE).await.ok();
        assert_eq!(
            (&read["allocationPolicy"], &read["etag"]),
            (&json!(told), &set["etag"])
        );
    }
    // With two hubs and none that the enrollment names, a static policy cannot choose.
    let key = enrolled(&mut owner, "a").await;
    assert_eq!(register(&site, "a", &key).await["status"], "failed");
    owner
        .put(POLICY, &json!({"allocationPolicy": "Hashed"}))
        .await
        .ok();
    assert_eq!(register(&site, "a", &key).await["status"], "assigned");
    for (document, told) in [
        (json!({}), "allocationPolicy: is missing"),
        (
            json!({"allocationPolicy": null}),
            "allocationPolicy: is missing",
        ),
        (
            json!({"allocationPolicy": 1}),
            "allocationPolicy: must be a string",
        ),
        (
            json!({"allocationPolicy": ""}),
            "allocationPolicy: must be one of Hashed, ",
        ),
        (
            json!({"allocationPolicy": "Custom"}),
            "allocationPolicy: must be one of Hashed, ",
        ),
        (json!("Hashed"), "$: must be an object"),
    ] {
        let answer = owner.put(POLICY, &document).await;
        assert_eq!(answer.code(), 400_004);
        assert!(answer.message().starts_with(told), "{}", answer.message());
    }
}

#[tokio::test]
async fn quotas_bind_from_the_next_request_and_what_is_left_out_is_the_usual() {
    let site = Site::open().await;
    let mut owner = Operator::new(&site, ONE, "owner").await;
    let set = owner.put(QUOTAS, &quotas(1)).await.ok();
    assert_eq!(set["quotas"], quotas(1)["quotas"]);
    assert_eq!(owner.get(QUOTAS).await.ok(), set);
    enrolled(&mut owner, "a").await;
    let second = json!({"registrationId": "b", "attestation": {"type": "symmetricKey"}});
    let full = owner.put("/enrollments/b", &second).await;
    assert_eq!(full.code(), 400_205);
    assert!(full.message().contains('1'), "{}", full.message());
    let usual = json!({"quotas": {"x509Groups": null, "newer": 1, "certificates": 7}});
    let set = owner.put(QUOTAS, &usual).await.ok();
    let expected = json!({"enrollments": 1_000_000, "x509Groups": 100, "symmetricKeyGroups": 100, "certificates": 7, "registrations": 1_000_000});
    assert_eq!(set["quotas"], expected);
    owner.put("/enrollments/b", &second).await.ok();
    // JSON knows one kind of number.
    let set = owner
        .put(QUOTAS, &json!({"quotas": {"enrollments": 393.0}}))
        .await;
    assert_eq!(set.ok()["quotas"]["enrollments"], 393);
    owner.put(QUOTAS, &usual).await.ok();
    let with = |value: Value| json!({"quotas": {"enrollments": value}});
    for (document, told) in [
        (json!({}), "quotas: is missing"),
        (json!({"quotas": 7}), "quotas: must be an object"),
        (
            with(json!("7")),
            "quotas.enrollments: must be a whole number",
        ),
        (
            with(json!(true)),
            "quotas.enrollments: must be a whole number",
        ),
        (
            with(json!(-1)),
            "quotas.enrollments: must be a whole number from 0 to",
        ),
        (
            with(json!(1.5)),
            "quotas.enrollments: must be a whole number from 0 to",
        ),
        (
            with(json!(1e30)),
            "quotas.enrollments: must be a whole number from 0 to",
        ),
    ] {
        let answer = owner.put(QUOTAS, &document).await;
        assert_eq!(answer.code(), 400_004);
        assert!(answer.message().starts_with(told), "{}", answer.message());
    }
    assert_eq!(owner.get(QUOTAS).await.ok()["quotas"], expected);
}

#[tokio::test]
async fn parts_are_set_without_a_tag_or_as_they_were_seen_and_exist_always() {
    let site = Site::open().await;
    let mut owner = Operator::new(&site, ONE, "owner").await;
    let static_policy = json!({"allocationPolicy": "Static"});
    for (path, document) in [
        (POLICY, static_policy.clone()),
        (QUOTAS, quotas(9)),
        (RULES, json!({"ipFilterRules": []})),
    ] {
        let stale = owner.get(path).await.tag();
        let second = owner.put(path, &document).await.tag();
        assert_ne!(stale, second);
        assert_eq!(owner.put_if(path, &stale, &document).await.code(), 412_001);
        assert_eq!(owner.put_if(path, "e0", &document).await.code(), 412_001);
        assert_eq!(owner.put_if(path, "a, b", &document).await.code(), 400_004);
        let third = owner
            .put_if(path, &format!("\"{second}\""), &document)
            .await
            .tag();
        assert_eq!(owner.put_if(path, "\"*\"", &document).await.status, 200);
        assert_eq!(owner.put_if(path, &third, &document).await.code(), 412_001);
        let new = [("if-none-match", "*")];
        let body = document.to_string();
        let exists = owner.ask("PUT", path, &new, body.as_bytes()).await;
        assert_eq!(exists.code(), 409_210);
        // What is wrong is said before what is stale.
        assert_eq!(owner.put_if(path, "e0", &json!([])).await.code(), 400_004);
    }
    // One tag for all of it: of two who change different parts as they saw the whole, one is told so.
    let seen = owner.get(INSTANCE).await.tag();
    owner.put_if(QUOTAS, &seen, &quotas(8)).await.ok();
    assert_eq!(
        owner.put_if(POLICY, &seen, &static_policy).await.code(),
        412_001
    );
}

#[tokio::test]
async fn bodies_that_are_no_json_too_large_or_of_another_kind_are_refused_everywhere() {
    let site = Site::open().await;
    let mut owner = Operator::new(&site, ONE, "owner").await;
    let before = owner.get(INSTANCE).await.ok();
    let takes_a_body = |route: &&dps_transport_http::service::Route| {
        let told = ["regenerate", "verify"]
            .iter()
            .any(|word| route.path.ends_with(word));
        route.path.starts_with(INSTANCE) && (route.method == Method::PUT || told)
    };
    let mut count = 0;
    for route in ROUTES.iter().filter(takes_a_body) {
        count += 1;
        let id = if route.path.contains("iotHubs") {
            HUB
        } else {
            SPARE
        };
        let (method, path) = (route.method.as_str(), route.path.replace("{id}", id));
        for body in [
            &b""[..],
            b"{",
            b"null",
            b"[]",
            b"\xff",
            b"{} {}",
            b"{\"a\":1,\"a\":1}",
        ] {
            let answer = owner.ask(method, &path, &[("if-match", "*")], body).await;
            assert_eq!(answer.code(), 400_004, "{method} {path}");
        }
        let kind = [("content-type", "text/plain")];
        assert_eq!(
            owner.ask(method, &path, &kind, b"{}").await.code(),
            415_000,
            "{path}"
        );
        // Announced, and never sent: the answer comes at once.
        let mut other = Operator::new(&site, ONE, "owner").await;
        assert_eq!(
            other.announce(method, &path, 300_000).await.code(),
            413_000,
            "{path}"
        );
    }
    assert_eq!(count, 12);
    assert_eq!(owner.get(INSTANCE).await.ok(), before);
}

#[tokio::test]
async fn other_methods_are_told_the_right_ones() {
    let site = Site::open().await;
    let mut owner = Operator::new(&site, ONE, "owner").await;
    for (method, path, allow) in [
        ("PUT", "/instance", "GET"),
        ("PATCH", "/Instance/AllocationPolicy/", "GET, PUT"),
        ("POST", "/instance/iotHubs", "GET"),
        ("POST", "/instance/iotHubs/a", "GET, PUT, DELETE"),
        ("GET", "/instance/listKeys", "POST"),
        ("GET", "/instance/keys/a/regenerate", "POST"),
        ("DELETE", "/instance/certificates/a/verify", "POST"),
    ] {
        let answer = owner.ask(method, path, &[], b"").await;
        assert_eq!(answer.code(), 405_000, "{path}");
        assert_eq!(answer.headers["allow"], allow, "{path}");
    }
    for path in [
        "/instance/other",
        "/instance/keys",
        "/instance/keys/a",
        "/instance/iotHubs/a/b",
        "/instance/iotHubs//",
        "/instance/certificates/a/verify/b",
        "/0ne00000001/instance",
    ] {
        assert_eq!(owner.get(path).await.code(), 404_000, "{path}");
    }
}
