//! Operators with tokens of OpenID providers, which an instance names over HTTPS. Whether a token is good is told by
//! what it says in the place of its signature.

use std::num::NonZeroU32;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use dps_core::access::Action;
use dps_transport::Failures;
use dps_transport_http::service::ROUTES;
use serde_json::{Value, json};

use crate::operator::{Answer, Operator, token};
use crate::site::{ONE, Site, TWO};

const ISSUERS: &str = "/instance/tokenIssuers";
const LOCAL: &str = "/instance/disableLocalAuth";
const PROVIDER: &str = "https://login.example/tenant";
const CONTRIBUTOR: &str = "Device Provisioning Service Data Contributor";

fn bearer(role: &str, signature: &str) -> String {
    let claims = json!({"iss": PROVIDER, "roles": [role]}).to_string();
    let [head, claims, signature] =
        ["{}", &claims, signature].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part));
    format!("Bearer {head}.{claims}.{signature}")
}

fn issuers(issuers: impl Into<Value>) -> Value {
    let issuers: Value = issuers.into();
    json!({"tokenIssuers": issuers})
}

/// The usual provider, named by the first tenant.
async fn named(site: &Site) -> Operator {
    let mut owner = Operator::new(site, ONE, "owner").await;
    let set = issuers(json!([{"issuer": PROVIDER}]));
    owner.put(ISSUERS, &set).await.ok();
    owner
}

async fn with(site: &Site, host: &str, token: String) -> Operator {
    Operator::with_token(site, host, Some(token)).await
}

#[tokio::test]
async fn every_route_asks_for_the_action_of_a_role_and_for_no_other() {
    let site = Site::open().await;
    let mut owner = Operator::new(&site, ONE, "owner").await;
    let mut roles: Vec<_> = Action::ALL
        .into_iter()
        .map(|action| json!({"role": action.name(), "actions": [action.name()]}))
        .collect();
    let bulk = ["enrollments/write", "enrollments/delete"];
    roles.push(json!({"role": "bulk", "actions": bulk}));
    let set = issuers(json!([{"issuer": PROVIDER, "roles": roles}]));
    owner.put(ISSUERS, &set).await.ok();
    let good_for = |role: &str, action: Action| match role {
        "bulk" => bulk.contains(&action.name()),
        role => role == action.name(),
    };
    for role in Action::ALL
        .map(Action::name)
        .into_iter()
        .chain(["bulk", "nobody's"])
    {
        let mut operator = with(&site, ONE, bearer(role, "good")).await;
        for route in ROUTES {
            // What is asked for is not there, so nothing is changed.
            let path = route.path.replace("{id}", "not-there");
            let answer = operator.ask(route.method.as_str(), &path, &[], b"").await;
            let may = route.needs.iter().all(|action| good_for(role, *action));
            assert_eq!(answer.status != 401, may, "{role}: {} {path}", route.method);
        }
    }
}

#[tokio::test]
async fn every_refusal_of_a_token_looks_like_that_of_a_wrong_key() {
    let site = Site::open().await;
    let mut owner = named(&site).await;
    let mut wrong = with(&site, ONE, token(&site, TWO, "owner")).await;
    let expected = wrong.get("/enrollments/a").await;
    let names = |answer: &Answer| answer.headers.keys().cloned().collect::<Vec<_>>();
    let ask = async |host: &str, token: String| {
        let answer = with(&site, host, token).await.get("/enrollments/a").await;
        if answer.status == 401 {
            assert_eq!(answer.code(), expected.code());
            assert_eq!(answer.message(), expected.message());
            assert_eq!(names(&answer), names(&expected));
        }
        answer.status
    };
    assert_eq!(ask(ONE, bearer(CONTRIBUTOR, "good")).await, 404);
    assert_eq!(ask(ONE, bearer(CONTRIBUTOR, "bad")).await, 401);
    assert_eq!(ask(ONE, bearer("nobody's", "good")).await, 401);
    assert_eq!(ask(TWO, bearer(CONTRIBUTOR, "good")).await, 401);
    let other = bearer(CONTRIBUTOR, "good").replace("Bearer", "Basic");
    assert_eq!(ask(ONE, other).await, 401);
    owner.put(ISSUERS, &issuers(json!([]))).await.ok();
    assert_eq!(ask(ONE, bearer(CONTRIBUTOR, "good")).await, 401);
}

#[tokio::test]
async fn what_cannot_be_verified_now_is_to_come_again() {
    let site = Site::open().await;
    named(&site).await;
    let mut operator = with(&site, ONE, bearer(CONTRIBUTOR, "later")).await;
    let answer = operator.get("/enrollments/a").await;
    assert_eq!(answer.status, 503);
    assert!(answer.headers.contains_key("retry-after"));
}

#[tokio::test]
async fn bad_tokens_count_as_failed_attempts_and_late_ones_do_not() {
    let one = NonZeroU32::MIN;
    let site = Site::with(|http, service| {
        http.with_service(service.with_failures(Arc::new(Failures::new(one, one))))
    });
    let site = site.await;
    named(&site).await;
    let mut good = with(&site, ONE, bearer(CONTRIBUTOR, "good")).await;
    let mut late = with(&site, ONE, bearer(CONTRIBUTOR, "later")).await;
    assert_eq!(late.get("/enrollments/a").await.status, 503);
    assert_eq!(good.get("/enrollments/a").await.status, 404);
    let mut bad = with(&site, ONE, bearer(CONTRIBUTOR, "bad")).await;
    assert_eq!(bad.get("/enrollments/a").await.status, 401);
    assert_eq!(good.get("/enrollments/a").await.status, 401);
}

#[tokio::test]
async fn shared_access_policies_are_turned_off_and_on() {
    let site = Site::open().await;
    let mut owner = Operator::new(&site, ONE, "owner").await;
    let roles = json!([{"role": "admin", "actions": ["*", "configure"]}]);
    let set = issuers(json!([{"issuer": PROVIDER, "roles": roles}]));
    owner.put(ISSUERS, &set).await.ok();
    let mut admin = with(&site, ONE, bearer("admin", "good")).await;
    let off = json!({"disableLocalAuth": true});
    let told = admin.put(LOCAL, &off).await.ok();
    assert_eq!(told["disableLocalAuth"], true);
    assert_eq!(owner.get("/enrollments/a").await.status, 401);
    assert_eq!(admin.get("/instance").await.ok()["disableLocalAuth"], true);
    let tag = told["etag"].as_str().unwrap();
    let on = json!({"disableLocalAuth": false});
    admin.put_if(LOCAL, tag, &on).await.ok();
    assert_eq!(admin.put_if(LOCAL, tag, &off).await.status, 412);
    assert_eq!(owner.get("/enrollments/a").await.status, 404);
    for document in [json!({}), json!({"disableLocalAuth": "true"})] {
        assert_eq!(admin.put(LOCAL, &document).await.status, 400);
    }
}

#[tokio::test]
async fn providers_come_back_as_they_were_written_with_what_was_left_out() {
    let site = Site::open().await;
    let mut owner = Operator::new(&site, ONE, "config").await;
    assert_eq!(owner.get(ISSUERS).await.ok()["tokenIssuers"], json!([]));
    let written = issuers(json!([
        {"issuer": PROVIDER, "audience": null, "newer": 1},
        {"issuer": "https://id.example:8443", "audience": "plant", "roleClaim": "groups", "roles": [
            {"role": "line managers", "actions": ["Microsoft.Devices/provisioningServices/enrollments/*", "CONFIGURE"]},
            {"role": "guests", "actions": []},
        ]},
    ]));
    let reads = [
        "enrollments/read",
        "enrollmentGroups/read",
        "registrationStates/read",
    ];
    let all: Vec<_> = Action::ALL.iter().map(|action| action.name()).collect();
    let expected = json!([
        {"issuer": PROVIDER, "audience": "https://azure-devices-provisioning.net", "roleClaim": "roles", "roles": [
            {"role": CONTRIBUTOR, "actions": all[..all.len() - 1]},
            {"role": "Device Provisioning Service Data Reader", "actions": reads},
        ]},
        {"issuer": "https://id.example:8443", "audience": "plant", "roleClaim": "groups", "roles": [
            {"role": "line managers",
             "actions": ["enrollments/read", "enrollments/write", "enrollments/delete", "configure"]},
            {"role": "guests", "actions": []},
        ]},
    ]);
    let set = owner.put(ISSUERS, &written).await.ok();
    assert_eq!(set["tokenIssuers"], expected);
    let read = owner.get(ISSUERS).await.ok();
    assert_eq!(read, set);
    assert_eq!(owner.get("/instance").await.ok()["tokenIssuers"], expected);
    let tag = read["etag"].as_str().unwrap();
    let again = owner.put_if(ISSUERS, tag, &read).await.ok();
    assert_eq!(again["tokenIssuers"], expected);
    assert_eq!(owner.put_if(ISSUERS, tag, &read).await.status, 412);
}

#[tokio::test]
async fn each_member_of_a_provider_is_named_if_it_is_not_as_it_has_to_be() {
    let site = Site::open().await;
    let mut owner = Operator::new(&site, ONE, "owner").await;
    let before = owner.get(ISSUERS).await.ok();
    let one = |name: &str, value: Value| {
        let mut issuer = json!({"issuer": PROVIDER});
        issuer[name] = value;
        issuers(json!([issuer]))
    };
    let role = |role: Value| one("roles", json!([role]));
    let many = |count: usize| {
        let issuers = (0..count).map(|nth| json!({"issuer": format!("{PROVIDER}/{nth}")}));
        self::issuers(issuers.collect::<Vec<_>>())
    };
    for (document, told) in [
        (json!({}), "tokenIssuers: is missing"),
        (issuers(json!({})), "tokenIssuers: must be an array"),
        (issuers(json!(["x"])), "tokenIssuers[0]: must be an object"),
        (issuers(json!([{}])), "tokenIssuers[0].issuer: is missing"),
        (
            one("issuer", json!(7)),
            "tokenIssuers[0].issuer: must be a string",
        ),
        (
            one("audience", json!([])),
            "tokenIssuers[0].audience: must be a string",
        ),
        (
            one("roleClaim", json!(7)),
            "tokenIssuers[0].roleClaim: must be a string",
        ),
        (
            one("roles", json!({})),
            "tokenIssuers[0].roles: must be an array",
        ),
        (
            role(json!({"actions": []})),
            "tokenIssuers[0].roles[0].role: is missing",
        ),
        (
            role(json!({"role": "a"})),
            "tokenIssuers[0].roles[0].actions: is missing",
        ),
        (
            role(json!({"role": "a", "actions": "*"})),
            "actions: must be an array of strings",
        ),
        (
            role(json!({"role": "a", "actions": [7]})),
            "actions[0]: must be a string",
        ),
        (
            role(json!({"role": "a", "actions": ["*", "fly"]})),
            "actions[1]: an action is one",
        ),
        (
            role(json!({"role": "", "actions": []})),
            "a role has 1 to 128 characters",
        ),
        (
            role(json!({"role": "r".repeat(129), "actions": []})),
            "a role has 1 to 128 characters",
        ),
        (
            one("roles", json!(vec![json!({"role": "a", "actions": []}); 2])),
            "a role stands twice",
        ),
        (
            one("roles", json!(vec![json!({}); 21])),
            "roles: has more than 20 items",
        ),
        (
            one("audience", json!("")),
            "an audience has 1 to 256 characters",
        ),
        (
            one("audience", json!("a".repeat(257))),
            "an audience has 1 to 256 characters",
        ),
        (
            one("roleClaim", json!("")),
            "the name of a claim has 1 to 128 characters",
        ),
        (
            issuers(json!(vec![json!({"issuer": PROVIDER}); 2])),
            "an OpenID provider stands twice",
        ),
        (many(11), "tokenIssuers: has more than 10 items"),
    ] {
        let answer = owner.put(ISSUERS, &document).await;
        assert_eq!(answer.status, 400, "{document}");
        let message = answer.message();
        assert!(message.contains(told), "{message} is not about {told}");
    }
    let long = format!("https://login.example/{}", "x".repeat(512));
    for url in [
        "",
        "login.example",
        "http://login.example",
        "HTTPS://login.example",
        "https://",
        "https:///tenant",
        "https://:443",
        "https://me@login.example",
        "https://login.example?tenant=a",
        "https://login.example#a",
        "https://login.example/a b",
        "https://login.example\\a",
        "https://l\u{f6}gin.example",
        "https://localhost:8443/tenant",
        "https://127.0.0.1/tenant",
        "https://[::1]",
        "https://[::1]:8443/a",
        "https://169.254.169.254/latest",
        &long,
    ] {
        let answer = owner.put(ISSUERS, &one("issuer", json!(url))).await;
        assert_eq!(answer.status, 400, "{url}");
        assert!(answer.message().contains("OpenID provider"), "{answer:?}");
    }
    assert_eq!(owner.get(ISSUERS).await.ok(), before);
    owner.put(ISSUERS, &many(10)).await.ok();
}

#[tokio::test]
async fn the_largest_list_of_providers_that_may_be_is_taken_and_kept() {
    let site = Site::open().await;
    let mut owner = Operator::new(&site, ONE, "owner").await;
    let all: Vec<_> = Action::ALL
        .iter()
        .map(|action| format!("Microsoft.Devices/provisioningServices/{}", action.name()))
        .collect();
    let roles: Vec<_> = (0..20)
        .map(|nth| json!({"role": format!("{nth:r>128}"), "actions": all}))
        .collect();
    let issuer = |nth: usize| {
        json!({"issuer": format!("https://login.example/{nth:x>490}"), "audience": "a".repeat(256),
               "roleClaim": "c".repeat(128), "roles": roles})
    };
    let largest = issuers((0..10).map(issuer).collect::<Vec<_>>());
    let set = owner.put(ISSUERS, &largest).await.ok();
    assert_eq!(set["tokenIssuers"].as_array().unwrap().len(), 10);
    assert_eq!(owner.get(ISSUERS).await.ok(), set);
}
