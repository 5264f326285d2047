//! Who may do what: hosts, tokens, rights, tenants.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use dps_core::access::Rights;
use dps_core::id::SecretBytes;
use dps_core::time::Clock;
use dps_testkit::certs::Ca;
use dps_testkit::sas::policy_token;
use dps_transport::Failures;
use dps_transport_http::Http;
use dps_transport_http::service::{ROUTES, Route};
use serde_json::json;

use crate::operator::{Answer, Operator, token};
use crate::site::{CA, HOUR, HUB, ONE, POLICIES, SPARE, Site, TWO, key};

/// Every route, with the name of something in the place of its `{id}`: of something that is there, where the
/// instance has it.
fn paths() -> impl Iterator<Item = (&'static Route, String)> {
    ROUTES.iter().map(|route| {
        let id = match route.path.split('/').nth(2) {
            Some("iotHubs") => HUB,
            Some("authorizationPolicies" | "keys") => SPARE,
            Some("certificates") => CA,
            _ => "dev-1",
        };
        (route, route.path.replace("{id}", &id.replace(' ', "%20")))
    })
}

async fn ask(operator: &mut Operator, route: &Route, path: &str) -> Answer {
    operator.ask(route.method.as_str(), path, &[], b"").await
}

#[tokio::test]
async fn every_route_is_closed_to_every_foreign_credential() {
    let site = Site::open().await;
    let now = site.clock.now();
    let owner = |host| key(host, "owner", 1);
    let expires = now.plus(HOUR);
    let tokens = [
        ("none", None),
        ("no token", Some(String::new())),
        (
            "another scheme",
            Some("Bearer eyJhbGciOiJub25lIn0.e30.".to_owned()),
        ),
        ("of the other tenant", Some(token(&site, TWO, "owner"))),
        (
            "of the other tenant, for this host",
            Some(policy_token(&owner(TWO), "owner", ONE, expires)),
        ),
        (
            "of a policy that both have, with the other's key",
            Some(policy_token(&key(TWO, "shared", 1), "shared", ONE, expires)),
        ),
        (
            "signed for the other host",
            Some(policy_token(&owner(ONE), "owner", TWO, expires)),
        ),
        (
            "for a host that begins alike",
            Some(policy_token(
                &owner(ONE),
                "owner",
                "one.dps.test.example",
                expires,
            )),
        ),
        (
            "for another path",
            Some(policy_token(
                &owner(ONE),
                "owner",
                "one.dps.test/elsewhere",
                expires,
            )),
        ),
        (
            "expired",
            Some(policy_token(&owner(ONE), "owner", ONE, now)),
        ),
        (
            "of a policy that is not there",
            Some(policy_token(&owner(ONE), "nobody", ONE, expires)),
        ),
        (
            "with the key of another policy",
            Some(policy_token(&key(ONE, "reader", 1), "owner", ONE, expires)),
        ),
        (
            "with an empty key",
            Some(policy_token(
                &SecretBytes::new(Vec::new()),
                "owner",
                ONE,
                expires,
            )),
        ),
    ];
    site.clock.advance(HOUR / 2);
    let mut owner = Operator::new(&site, ONE, "owner").await;
    let before = owner.get("/instance").await.ok();
    for (what, token) in tokens {
        let mut operator = Operator::with_token(&site, ONE, token).await;
        for (route, path) in paths() {
            let answer = ask(&mut operator, route, &path).await;
            assert_eq!(answer.code(), 401_000, "{what}: {} {path}", route.method);
            assert_eq!(answer.message(), "Unauthorized");
        }
    }
    for host in ["three.dps.test", "", "one.dps.test.", "0ne00000001"] {
        let mut operator = Operator::new(&site, ONE, "owner").await;
        operator.host = host.to_owned();
        for (route, path) in paths() {
            let answer = ask(&mut operator, route, &path).await;
            assert_eq!(answer.code(), 401_000, "{host}: {} {path}", route.method);
        }
    }
    assert_eq!(owner.get("/instance").await.ok(), before);
    assert_eq!(
        owner.get("/instance/certificates/plant%20ca").await.status,
        200
    );
}

#[tokio::test]
async fn every_route_asks_for_its_right_and_for_no_more() {
    let site = Site::open().await;
    for (policy, rights) in POLICIES {
        let mut operator = Operator::new(&site, ONE, policy).await;
        for (route, path) in paths() {
            let may = route.needs.iter().all(|action| rights.allow(*action));
            let answer = ask(&mut operator, route, &path).await;
            let refused = answer.status == 401;
            assert_eq!(
                may, !refused,
                "{policy}: {} {path}: {answer:?}",
                route.method
            );
        }
    }
    let of = |policy: &str| {
        let found = POLICIES.iter().find(|(name, _)| *name == policy);
        found.unwrap().1
    };
    assert_eq!(of("owner"), Rights::ALL);
}

#[tokio::test]
async fn what_one_tenant_has_another_does_not_see() {
    let site = Site::open().await;
    let mut one = Operator::new(&site, ONE, "shared").await;
    let mut two = Operator::new(&site, TWO, "shared").await;
    let document = json!({"registrationId": "a", "attestation": {"type": "symmetricKey"}});
    let tag = one.put("/enrollments/a", &document).await.tag();
    assert_eq!(two.get("/enrollments/a").await.code(), 404_201);
    assert_eq!(
        two.put_if("/enrollments/a", &tag, &document).await.code(),
        412_001
    );
    assert_eq!(two.put("/enrollments/a", &document).await.status, 200);
    assert_eq!(two.delete("/enrollments/a").await.status, 204);
    assert_eq!(one.get("/enrollments/a").await.tag(), tag);
    let root = Ca::root("Root");
    let certificate = json!({"properties": {"certificate": root.certificate_pem()}});
    for (path, document, missing) in [
        ("/instance/iotHubs/b", json!({"location": "x"}), 404_211),
        (
            "/instance/authorizationPolicies/b",
            json!({"rights": "ServiceConfig"}),
            404_212,
        ),
        ("/instance/certificates/b", certificate, 404_213),
    ] {
        one.put(path, &document).await.ok();
        assert_eq!(two.get(path).await.code(), missing);
        let removed = two.ask("DELETE", path, &[("if-match", "*")], b"").await;
        assert_eq!(removed.code(), missing);
        assert_eq!(one.get(path).await.status, 200);
    }
}

#[tokio::test]
async fn a_token_for_one_certificate_is_for_no_other_whatever_their_names() {
    let site = Site::open().await;
    let expires = site.clock.now().plus(HOUR);
    let resource = "one.dps.test/instance/certificates/a";
    let token = policy_token(&key(ONE, "owner", 1), "owner", resource, expires);
    let mut operator = Operator::with_token(&site, ONE, Some(token)).await;
    assert_eq!(
        operator.get("/instance/certificates/a").await.code(),
        404_213
    );
    assert_eq!(
        operator.get("/Instance/Certificates/%41/").await.code(),
        404_213
    );
    for path in ["a%2fb", "ab", "a%252fb", "b", ""] {
        let path = format!("/instance/certificates/{path}");
        assert_eq!(operator.get(&path).await.code(), 401_000, "{path}");
    }
}

#[tokio::test]
async fn both_keys_of_a_policy_are_good_and_every_spelling_of_the_host() {
    let site = Site::open().await;
    let expires = site.clock.now().plus(HOUR);
    for (slot, policy, resource) in [
        (1, "owner", "one.dps.test"),
        (2, "OWNER", "One.DPS.test"),
        (1, "owner", "one.dps.test:443"),
        (1, "owner", "one.dps.test%3a8443"),
        (1, "owner", "one.dps.test%3A443/enrollments"),
        (2, "owner", "one.dps.test%2fENROLLMENTS%2fdev:1"),
    ] {
        let token = policy_token(&key(ONE, "owner", slot), policy, resource, expires);
        let mut operator = Operator::with_token(&site, ONE, Some(token)).await;
        for host in [ONE, "One.dps.test", "one.dps.test:443", "one.dps.test:8443"] {
            operator.host = host.to_owned();
            let answer = operator.get("/enrollments/dev%3A1").await;
            assert_eq!(answer.code(), 404_201, "{resource} {host}");
        }
    }
}

#[tokio::test]
async fn two_tokens_are_none() {
    let site = Site::open().await;
    let mut operator = Operator::new(&site, ONE, "owner").await;
    let second = token(&site, ONE, "owner");
    let headers = [("authorization", &*second)];
    assert_eq!(
        operator
            .ask("GET", "/enrollments/a", &headers, b"")
            .await
            .code(),
        401_000
    );
    let headers = [("host", TWO)];
    assert_eq!(
        operator
            .ask("GET", "/enrollments/a", &headers, b"")
            .await
            .code(),
        401_000
    );
}

#[tokio::test]
async fn a_stranger_s_body_passes_unread_and_the_connection_goes_on() {
    let site = Site::open().await;
    let mut operator = Operator::with_token(&site, ONE, None).await;
    let body = vec![b'x'; 90 * 1024];
    for _ in 0..2 {
        let answer = operator.ask("PUT", "/enrollments/a", &[], &body).await;
        assert_eq!(answer.code(), 401_000);
    }
    operator.token = Some(token(&site, ONE, "owner"));
    assert_eq!(operator.get("/enrollments/a").await.code(), 404_201);
}

#[tokio::test]
async fn an_address_with_too_many_failures_is_not_looked_at_and_forgiven_after_a_while() {
    let one = NonZeroU32::MIN;
    let site = Site::with(|http, service| {
        http.with_service(service.with_failures(Arc::new(Failures::new(one, one))))
    });
    let site = site.await;
    let mut owner = Operator::new(&site, ONE, "owner").await;
    assert_eq!(owner.get("/enrollments/a").await.code(), 404_201);
    let mut stranger = Operator::with_token(&site, ONE, None).await;
    let first = stranger.get("/enrollments/a").await;
    let shut_out = owner.get("/enrollments/a").await;
    assert_eq!(first.code(), shut_out.code());
    assert_eq!(first.message(), shut_out.message());
    let names = |answer: &Answer| answer.headers.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&first), names(&shut_out));
    site.clock.advance(Duration::from_secs(60));
    assert_eq!(owner.get("/enrollments/a").await.code(), 404_201);
}

#[tokio::test]
async fn operators_may_have_a_port_of_their_own() {
    let site = Site::with(|_, service| Http::operators(service)).await;
    let mut operator = Operator::new(&site, ONE, "owner").await;
    assert_eq!(operator.get("/enrollments/a").await.code(), 404_201);
    let register = "/0ne00000001/registrations/a/register";
    assert_eq!(operator.put(register, &json!({})).await.code(), 404_000);

    let site = Site::with(|devices, _| devices).await;
    let mut operator = Operator::new(&site, ONE, "owner").await;
    assert_eq!(operator.get("/enrollments/a").await.code(), 404_000);
    assert_eq!(operator.put(register, &json!({})).await.code(), 401_002);
}

#[tokio::test]
async fn paths_and_methods_and_versions_that_are_not_there_are_told_so() {
    let site = Site::open().await;
    let mut operator = Operator::new(&site, ONE, "owner").await;
    let answer = operator
        .ask("PATCH", "/enrollmentgroups/a/", &[], b"")
        .await;
    assert_eq!(answer.code(), 405_000);
    assert_eq!(answer.headers["allow"], "GET, PUT, DELETE");
    for path in [
        "/enrollments/a/b",
        "/registrations/a/operations/b",
        "/_admin/x",
    ] {
        assert_eq!(operator.get(path).await.code(), 404_000, "{path}");
    }
    for path in [
        "/enrollments/a?",
        "/enrollments/a?api-version=",
        "/enrollments/a?api-version=new",
    ] {
        assert_eq!(operator.get(path).await.code(), 400_001, "{path}");
    }
    for path in [
        "/enrollments/a%2fb",
        "/enrollments/a%5cb",
        "/enrollments/a%20",
        "/enrollments/%c3%a9",
    ] {
        assert_eq!(operator.get(path).await.code(), 400_004, "{path}");
    }
    for version in [
        "2018-04-01",
        "2018-09-01-preview",
        "2019-03-31",
        "2026-01-01",
    ] {
        let path = format!("/enrollments/a?api-version={version}");
        assert_eq!(operator.get(&path).await.code(), 404_201, "{version}");
    }
}
