//! Lists, page by page.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::operator::{Answer, Operator};
use crate::site::{ONE, Site, TWO};

async fn page(operator: &mut Operator, path: &str, size: &str, from: Option<&str>) -> Answer {
    let mut headers = vec![("x-ms-max-item-count", size)];
    headers.extend(from.map(|from| ("x-ms-continuation", from)));
    operator
        .ask(
            "POST",
            path,
            &headers,
            br#"{"query":"select * from enrollments"}"#,
        )
        .await
}

/// An operator of a site with five enrollments, `d0` to `d4`.
async fn five(site: &Site) -> Operator {
    let mut operator = Operator::new(site, ONE, "owner").await;
    for nth in 0..5 {
        let entry = json!({
            "registrationId": format!("d{nth}"), "attestation": {"type": "symmetricKey"},
            "provisioningStatus": if nth < 2 { "disabled" } else { "enabled" },
        });
        operator
            .put(&format!("/enrollments/d{nth}"), &entry)
            .await
            .ok();
    }
    operator
}

fn ids(body: &Value) -> Vec<&str> {
    let all = body.as_array().unwrap().iter();
    all.map(|entry| entry["registrationId"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn a_list_is_read_page_by_page_and_the_last_says_nothing_of_another() {
    let site = Site::open().await;
    let mut operator = five(&site).await;
    let first = page(
        &mut operator,
        "/enrollments/query?api-version=2018-04-01",
        "2",
        None,
    )
    .await;
    assert_eq!(first.headers["x-ms-item-type"], "Enrollment");
    assert_eq!(first.headers["x-ms-max-item-count"], "2");
    assert_eq!(ids(&first.body), ["d0", "d1"]);
    for entry in first.body.as_array().unwrap() {
        assert!(entry.get("registrationState").is_none());
        assert_eq!(entry["attestation"], json!({"type": "symmetricKey"}));
    }
    let next = first.headers["x-ms-continuation"].clone();
    // What comes and goes meanwhile moves nothing.
    operator.delete("/enrollments/d1").await;
    let second = page(&mut operator, "/enrollments/query", "2", Some(&next)).await;
    assert_eq!(ids(&second.body), ["d2", "d3"]);
    let next = second.headers["x-ms-continuation"].clone();
    let last = page(&mut operator, "/Enrollments/Query/", "2", Some(&next)).await;
    assert_eq!(ids(&last.body), ["d4"]);
    assert!(!last.headers.contains_key("x-ms-continuation"));
}

#[tokio::test]
async fn every_list_names_what_is_in_it() {
    let site = Site::open().await;
    let mut operator = Operator::new(&site, ONE, "owner").await;
    for (path, item) in [
        ("/enrollments/query", "Enrollment"),
        ("/enrollmentGroups/query", "EnrollmentGroup"),
        ("/registrations/query", "DeviceRegistration"),
        ("/registrations/some-group/query", "DeviceRegistration"),
    ] {
        for body in [&b""[..], b"{}", br#"{"query":""}"#, br#"{"query":null}"#] {
            let answer = operator
                .ask("POST", path, &[("x-ms-continuation", "")], body)
                .await;
            assert_eq!(answer.headers["x-ms-item-type"], item);
            assert_eq!(answer.headers["x-ms-max-item-count"], "100");
            assert_eq!(answer.ok(), json!([]), "{path}");
        }
    }
}

#[tokio::test]
async fn a_where_counts_and_a_text_that_is_none_of_ours_asks_for_all_with_a_warning() {
    let site = Site::open().await;
    let mut operator = five(&site).await;
    let ask = |text: &str| json!({"query": text});
    let path = "/enrollments/query";
    let filtered = ask("SELECT * FROM enrollments WHERE provisioningStatus = 'disabled'");
    let answer = operator.post(path, &filtered).await;
    assert!(!answer.headers.contains_key("x-dps-query-warning"));
    assert_eq!(ids(&answer.ok()), ["d0", "d1"]);
    let answer = operator.post(path, &ask("all of them, please")).await;
    assert!(answer.headers.contains_key("x-dps-query-warning"));
    assert_eq!(ids(&answer.ok()).len(), 5);
    for text in [
        "SELECT * FROM enrollments WHERE",
        "SELECT * WHERE colour = 'blue'",
        "SELECT * FROM enrollments WHERE registrationId LIKE 'd%'",
    ] {
        let answer = operator.post(path, &ask(text)).await;
        assert_eq!(answer.code(), 400_004, "{text}");
        assert!(answer.message().starts_with("query: "));
    }
}

#[tokio::test]
async fn a_position_that_is_forged_or_of_another_list_is_refused() {
    let site = Site::open().await;
    let mut operator = five(&site).await;
    let first = page(&mut operator, "/enrollments/query", "2", None).await;
    let next = first.headers["x-ms-continuation"].clone();
    for path in [
        "/enrollmentGroups/query",
        "/registrations/query",
        "/registrations/d1/query",
    ] {
        let answer = page(&mut operator, path, "2", Some(&next)).await;
        assert_eq!(answer.code(), 400_000, "{path}");
    }
    let long = "A".repeat(2000);
    for forged in ["x", "%00", "MWUv", &next[1..], &format!("{next}A"), &long] {
        let answer = page(&mut operator, "/enrollments/query", "2", Some(forged)).await;
        assert_eq!(answer.code(), 400_000, "{forged}");
    }
    // A position is a place in a list and names nobody's: with another tenant it is one in his own.
    let mut other = Operator::new(&site, TWO, "owner").await;
    let answer = page(&mut other, "/enrollments/query", "2", Some(&next)).await;
    assert_eq!(answer.ok(), json!([]));
}

#[tokio::test]
async fn the_size_of_a_page_is_a_number_above_0_and_more_than_may_be_is_as_many_as_may_be() {
    let site = Site::open().await;
    let mut operator = five(&site).await;
    for size in ["0", "-1", "ten", "1.5", "+2", "0x2"] {
        let answer = page(&mut operator, "/enrollments/query", size, None).await;
        assert_eq!(answer.code(), 400_004, "{size}");
    }
    let mut seen = BTreeSet::new();
    for size in ["1001", "1000", "99999999999999999999"] {
        let answer = page(&mut operator, "/enrollments/query", size, None).await;
        seen.insert(answer.headers["x-ms-max-item-count"].clone());
        assert_eq!(ids(&answer.ok()).len(), 5);
    }
    assert_eq!(seen, BTreeSet::from(["1000".to_owned()]));
}
