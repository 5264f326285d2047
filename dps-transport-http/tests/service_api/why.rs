//! Operators are told why.

use dps_core::id::SecretBytes;
use dps_core::time::Clock;
use dps_testkit::sas::token;
use serde_json::{Value, json};

use crate::operator::Operator;
use crate::registrations::{decoded, register};
use crate::site::{HOUR, ONE, Site, TWO, scope};

const WHY: &str = "/registrations/press-1/why";

fn steps(of: &Value) -> String {
    let steps = of["steps"].as_array().unwrap();
    let steps: Vec<_> = steps.iter().map(|step| step.as_str().unwrap()).collect();
    steps.join("\n")
}

/// Calls with a wrong key, and gives the tracking id that it is told.
async fn refused(site: &Site, id: &str) -> String {
    let scope = scope(ONE);
    let scope = scope.as_str();
    let wrong = SecretBytes::from([9; 32]);
    let shown = token(&wrong, scope, id, site.clock.now().plus(HOUR));
    let mut device = Operator::with_token(site, ONE, Some(shown)).await;
    let path = format!("/{scope}/registrations/{id}/register");
    let answer = device.put(&path, &json!({"registrationId": id})).await;
    assert_eq!(answer.status, 401);
    assert!(answer.body.get("info").is_none());
    answer.body["trackingId"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn who_was_refused_is_found_by_the_tracking_id_with_the_reason_that_nobody_else_is_told() {
    let site = Site::open().await;
    let mut operator = Operator::new(&site, ONE, "state-reader").await;
    let nothing = operator.get(WHY).await.ok();
    assert_eq!(nothing, json!({"registrationId": "press-1", "recent": []}));
    let tracking = refused(&site, "Press-1").await;
    let why = operator.get(WHY).await.ok();
    let [refusal] = why["recent"].as_array().unwrap().as_slice() else {
        panic!("{why}");
    };
    assert_eq!(refusal["what"], "refused");
    assert_eq!(refusal["trackingId"], tracking);
    assert_eq!(refusal["address"], "127.0.0.1");
    assert!(steps(refusal).contains("there is no individual enrollment of this id"));
    let mut other = Operator::new(&site, TWO, "owner").await;
    let theirs = other.get(WHY).await.ok();
    assert_eq!(theirs["recent"], json!([]), "tenants do not see each other");
}

#[tokio::test]
async fn the_last_operation_is_told_with_every_step_and_no_key() {
    let site = Site::open().await;
    let mut operator = Operator::new(&site, ONE, "owner").await;
    let entry = json!({"registrationId": "press-1", "attestation": {"type": "symmetricKey"}});
    let made = operator.put("/enrollments/press-1", &entry).await.ok();
    let keys = &made["attestation"]["symmetricKey"];
    register(&site, "Press-1", &decoded(&keys["primaryKey"])).await;
    refused(&site, "press-1").await;
    let why = operator.get(WHY).await.ok();
    let last = &why["lastOperation"];
    assert_eq!(why["registrationId"], "Press-1");
    assert_eq!(last["status"], "assigned");
    for step in [
        "accepts the caller's key",
        "has the lowest score",
        "made the device",
    ] {
        assert!(steps(last).contains(step), "{last}");
    }
    let what: Vec<_> = why["recent"].as_array().unwrap().iter().collect();
    let what: Vec<_> = what
        .iter()
        .map(|event| event["what"].as_str().unwrap())
        .collect();
    assert_eq!(what, ["began", "assigned", "refused"]);
    for slot in ["primaryKey", "secondaryKey"] {
        let key = keys[slot].as_str().unwrap();
        assert!(!why.to_string().contains(&key[..12]));
    }
}
