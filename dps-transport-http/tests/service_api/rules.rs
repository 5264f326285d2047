//! IP rules that operators set while others call.

use dps_core::id::SecretBytes;
use dps_core::time::Clock;
use dps_testkit::sas::policy_token;
use serde_json::{Value, json};

use crate::operator::{Answer, Operator};
use crate::site::{HOUR, ONE, Site};

const RULES: &str = "/instance/ipFilterRules";
const HERE: &str = "192.0.2.7";
const SIXTH: &str = "2001:db8::7";

fn rules(rules: impl Into<Value>) -> Value {
    let rules: Value = rules.into();
    json!({"ipFilterRules": rules})
}

fn reject(mask: &str, target: &str) -> Value {
    json!({"filterName": "plant-2", "action": "Reject", "ipMask": mask, "target": target})
}

async fn ask_from(site: &Site, address: &str) -> Answer {
    let mut operator = Operator::calling_from(site, address, "owner").await;
    operator.get("/enrollments/a").await
}

#[tokio::test]
async fn a_rule_counts_from_the_next_request_also_of_a_connection_that_is_open() {
    let site = Site::open().await;
    let mut owner = Operator::new(&site, ONE, "owner").await;
    for (address, mask) in [
        (HERE, "192.0.2.0/24"),
        (SIXTH, "2001:db8::/32"),
        (SIXTH, "0.0.0.0/0"),
        ("::ffff:192.0.2.7", HERE),
    ] {
        let first = json!({"filterName": "me", "action": "Accept", "ipMask": "127.0.0.1"});
        let mut caller = Operator::calling_from(&site, address, "owner").await;
        assert_eq!(caller.get("/enrollments/a").await.code(), 404_201);
        let set = rules(json!([first, reject(mask, "serviceApi")]));
        owner.put(RULES, &set).await.ok();
        assert_eq!(caller.get("/enrollments/a").await.code(), 401_000, "{mask}");
        assert_eq!(ask_from(&site, address).await.code(), 401_000, "{mask}");
        owner.put(RULES, &rules(json!([]))).await.ok();
        assert_eq!(caller.get("/enrollments/a").await.code(), 404_201);
    }
}

#[tokio::test]
async fn a_rule_for_devices_keeps_no_operator_out() {
    let site = Site::open().await;
    let mut owner = Operator::new(&site, ONE, "owner").await;
    let set = rules(json!([reject("0.0.0.0/0", "deviceApi")]));
    owner.put(RULES, &set).await.ok();
    assert_eq!(ask_from(&site, HERE).await.code(), 404_201);
    let set = rules(json!([{"filterName": "all", "action": "Reject", "ipMask": HERE}]));
    let set = owner.put(RULES, &set).await.ok();
    assert_eq!(set["ipFilterRules"][0]["target"], "all");
    assert_eq!(ask_from(&site, HERE).await.code(), 401_000);
}

#[tokio::test]
async fn whom_a_rule_rejects_is_told_what_a_wrong_key_is_told() {
    let site = Site::open().await;
    let mut owner = Operator::new(&site, ONE, "owner").await;
    let set = rules(json!([reject(HERE, "all")]));
    owner.put(RULES, &set).await.ok();
    let rejected = ask_from(&site, HERE).await;
    let mut wrong = Operator::calling_from(&site, SIXTH, "owner").await;
    let expires = site.clock.now().plus(HOUR);
    let forged = policy_token(&SecretBytes::from([9; 32]), "owner", ONE, expires);
    wrong.token = Some(forged);
    let wrong = wrong.get("/enrollments/a").await;
    assert_eq!(rejected.code(), wrong.code());
    assert_eq!(rejected.message(), wrong.message());
    assert_eq!(
        rejected.body.as_object().unwrap().len(),
        wrong.body.as_object().unwrap().len()
    );
}

#[tokio::test]
async fn rules_come_back_as_they_were_written_in_their_order() {
    let site = Site::open().await;
    let mut owner = Operator::new(&site, ONE, "config").await;
    assert_eq!(owner.get(RULES).await.ok()["ipFilterRules"], json!([]));
    let written = rules(json!([
        {"filterName": "b", "action": "accept", "ipMask": "192.0.2.0/24", "target": "SERVICEAPI"},
        {"filterName": "A", "action": "REJECT", "ipMask": "2001:DB8::/32", "target": null, "newer": 1},
        {"filterName": "c", "action": "Reject", "ipMask": "198.51.100.7/32", "target": "deviceapi"},
    ]));
    let expected = json!([
        {"filterName": "b", "action": "Accept", "ipMask": "192.0.2.0/24", "target": "serviceApi"},
        {"filterName": "A", "action": "Reject", "ipMask": "2001:db8::/32", "target": "all"},
        {"filterName": "c", "action": "Reject", "ipMask": "198.51.100.7", "target": "deviceApi"},
    ]);
    let set = owner.put(RULES, &written).await.ok();
    assert_eq!(set["ipFilterRules"], expected);
    let read = owner.get(RULES).await.ok();
    assert_eq!(read, set);
    assert_eq!(owner.get("/instance").await.ok()["ipFilterRules"], expected);
    let tag = read["etag"].as_str().unwrap();
    let again = owner.put_if(RULES, tag, &read).await.ok();
    assert_eq!(again["ipFilterRules"], expected);
}

#[tokio::test]
async fn each_member_of_a_rule_is_named_if_it_is_not_as_it_has_to_be() {
    let site = Site::open().await;
    let mut owner = Operator::new(&site, ONE, "owner").await;
    let before = owner.get(RULES).await.ok();
    let good = || json!({"filterName": "a", "action": "Reject", "ipMask": HERE, "target": "all"});
    let with = |name: &str, value: Value| {
        let mut rule = good();
        rule[name] = value;
        rules(json!([good(), rule]))
    };
    for (document, told) in [
        (json!({}), "ipFilterRules: is missing"),
        (json!([]), "$: must be an object"),
        (rules(Value::Null), "ipFilterRules: is missing"),
        (rules(json!({})), "ipFilterRules: must be an array"),
        (
            rules(json!([good(), "b"])),
            "ipFilterRules[1]: must be an object",
        ),
        (
            with("filterName", Value::Null),
            "ipFilterRules[1].filterName: is missing",
        ),
        (
            with("filterName", json!(7)),
            "ipFilterRules[1].filterName: must be a string",
        ),
        (with("filterName", json!("")), "the name of an IP rule has"),
        (
            with("filterName", json!("x".repeat(129))),
            "the name of an IP rule has",
        ),
        (
            with("filterName", json!("A")),
            "two IP rules have the same name",
        ),
        (
            with("action", Value::Null),
            "ipFilterRules[1].action: is missing",
        ),
        (
            with("action", json!(true)),
            "ipFilterRules[1].action: must be a string",
        ),
        (
            with("action", json!("Deny")),
            "ipFilterRules[1].action: must be one of Accept, Reject",
        ),
        (
            with("ipMask", Value::Null),
            "ipFilterRules[1].ipMask: is missing",
        ),
        (
            with("ipMask", json!([])),
            "ipFilterRules[1].ipMask: must be a string",
        ),
        (
            with("ipMask", json!("192.0.2.0/33")),
            "ipFilterRules[1].ipMask: a mask is",
        ),
        (
            with("target", json!(0)),
            "ipFilterRules[1].target: must be a string",
        ),
        (
            with("target", json!("both")),
            "ipFilterRules[1].target: must be one of all, ",
        ),
        (
            rules(json!(vec![good(); 101])),
            "ipFilterRules: has more than 100 items",
        ),
    ] {
        let answer = owner.put(RULES, &document).await;
        assert_eq!(answer.code(), 400_004, "{document}");
        assert!(answer.message().starts_with(told), "{}", answer.message());
    }
    assert_eq!(owner.get(RULES).await.ok(), before);
}

#[tokio::test]
async fn as_many_rules_as_there_may_be_fit_into_a_request() {
    let site = Site::open().await;
    let mut owner = Operator::new(&site, ONE, "owner").await;
    let rule = |nth| {
        let name = format!("{nth:x>128}");
        json!({"filterName": name, "action": "Reject", "target": "serviceApi",
               "ipMask": "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff/128"})
    };
    let all: Vec<_> = (0..100).map(rule).collect();
    let set = owner.put(RULES, &rules(json!(all))).await.ok();
    assert_eq!(set["ipFilterRules"].as_array().unwrap().len(), 100);
    let read = owner.get("/instance").await.ok();
    assert_eq!(read["ipFilterRules"].as_array().unwrap().len(), 100);
}

const PUBLIC: &str = "/instance/publicNetworkAccess";
const ENDPOINTS: &str = "/instance/privateEndpoints";

async fn ask_at(site: &Site, endpoint: &str) -> u64 {
    let mut operator = Operator::calling_at(site, endpoint, HERE, "owner").await;
    operator.get("/enrollments/a").await.code()
}

#[tokio::test]
async fn a_private_endpoint_serves_the_instances_that_name_it_whatever_rules_there_are() {
    let site = Site::open().await;
    let mut owner = Operator::new(&site, ONE, "owner").await;
    assert_eq!(ask_at(&site, "plant-7").await, 401_000);
    let named = json!({"privateEndpoints": ["plant-7"]});
    let set = owner.put(ENDPOINTS, &named).await.ok();
    assert_eq!(set["privateEndpoints"], json!(["plant-7"]));
    let set = rules(json!([reject("192.0.2.0/24", "all")]));
    owner.put(RULES, &set).await.ok();
    assert_eq!(ask_from(&site, HERE).await.code(), 401_000);
    assert_eq!(ask_at(&site, "plant-7").await, 404_201);
    assert_eq!(ask_at(&site, "plant-8").await, 401_000);
    let nobody = json!({"privateEndpoints": []});
    owner.put(ENDPOINTS, &nobody).await.ok();
    assert_eq!(ask_at(&site, "plant-7").await, 401_000);
}

#[tokio::test]
async fn an_instance_that_is_closed_to_the_public_network_is_opened_again_from_inside() {
    let site = Site::open().await;
    let mut owner = Operator::new(&site, ONE, "owner").await;
    let named = json!({"privateEndpoints": ["plant-7"]});
    owner.put(ENDPOINTS, &named).await.ok();
    let closed = json!({"publicNetworkAccess": "disabled"});
    let set = owner.put(PUBLIC, &closed).await.ok();
    assert_eq!(set["publicNetworkAccess"], "Disabled");
    assert_eq!(owner.get("/enrollments/a").await.code(), 401_000);
    let mut inside = Operator::calling_at(&site, "plant-7", HERE, "owner").await;
    let open = json!({"publicNetworkAccess": "Enabled"});
    inside.put(PUBLIC, &open).await.ok();
    assert_eq!(owner.get("/enrollments/a").await.code(), 404_201);
}

#[tokio::test]
async fn doors_that_make_no_sense_are_told_what_is_wrong() {
    let site = Site::open().await;
    let mut owner = Operator::new(&site, ONE, "owner").await;
    for document in [
        json!({}),
        json!({"publicNetworkAccess": null}),
        json!({"publicNetworkAccess": true}),
        json!({"publicNetworkAccess": "Open"}),
    ] {
        assert_eq!(owner.put(PUBLIC, &document).await.status, 400, "{document}");
    }
    let many: Vec<_> = (0..51).map(|nth| nth.to_string()).collect();
    for names in [
        json!(null),
        json!("plant-7"),
        json!([7]),
        json!([""]),
        json!(["a b"]),
        json!(["a", "a"]),
        json!(["x".repeat(65)]),
        json!(many),
    ] {
        let document = json!({"privateEndpoints": names});
        let answer = owner.put(ENDPOINTS, &document).await;
        assert_eq!(answer.status, 400, "{document}");
    }
    assert_eq!(owner.put(ENDPOINTS, &json!({})).await.status, 400);
}
