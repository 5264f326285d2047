//! What operators see of devices, and make them forget.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use dps_core::id::SecretBytes;
use dps_core::time::Clock;
use dps_testkit::sas::{derive_device_key, token};
use serde_json::{Value, json};

use crate::operator::Operator;
use crate::site::{HOUR, HUB, ONE, Site, scope};

/// A device that registers at the port that its operator uses.
pub async fn register(site: &Site, id: &str, key: &SecretBytes) -> Value {
    let scope = scope(ONE);
    let scope = scope.as_str();
    let shown = token(key, scope, id, site.clock.now().plus(HOUR));
    let mut device = Operator::with_token(site, ONE, Some(shown)).await;
    let path = format!("/{scope}/registrations/{id}/register");
    let answer = device.put(&path, &json!({"registrationId": id})).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.body["registrationState"].clone()
}

/// Enrolls a device and gives its first key.
pub async fn enrolled(operator: &mut Operator, id: &str) -> SecretBytes {
    let entry = json!({"registrationId": id, "attestation": {"type": "symmetricKey"}});
    let made = operator
        .put(&format!("/enrollments/{id}"), &entry)
        .await
        .ok();
    decoded(&made["attestation"]["symmetricKey"]["primaryKey"])
}

pub fn decoded(key: &Value) -> SecretBytes {
    SecretBytes::new(BASE64_STANDARD.decode(key.as_str().unwrap()).unwrap())
}

#[tokio::test]
async fn an_enrollment_says_how_its_device_stands_and_a_registration_can_be_forgotten() {
    let site = Site::open().await;
    let mut operator = Operator::new(&site, ONE, "owner").await;
    let entry = json!({"registrationId": "Press-1", "attestation": {"type": "symmetricKey"}});
    let made = operator.put("/enrollments/press-1", &entry).await.ok();
    let never = json!({"registrationId": "press-1", "status": "unassigned"});
    let read = operator.get("/enrollments/press-1").await.ok();
    assert_eq!(read["registrationState"], never);
    assert_eq!(operator.get("/registrations/press-1").await.code(), 404_202);

    let key = decoded(&made["attestation"]["symmetricKey"]["secondaryKey"]);
    let told = register(&site, "Press-1", &key).await;
    let state = operator.get("/registrations/PRESS-1").await.ok();
    let tag = state["etag"].as_str().unwrap().to_owned();
    let quoted = BASE64_STANDARD.decode(&tag).unwrap();
    assert!(quoted.starts_with(b"\"") && quoted.ends_with(b"\""));
    let expected = json!({
        "registrationId": "Press-1",
        "createdDateTimeUtc": told["createdDateTimeUtc"],
        "assignedHub": HUB,
        "deviceId": "Press-1",
        "status": "assigned",
        "substatus": "initialAssignment",
        "lastUpdatedDateTimeUtc": told["lastUpdatedDateTimeUtc"],
        "etag": tag,
    });
    assert_eq!(state, expected);
    let date = state["createdDateTimeUtc"].as_str().unwrap();
    assert_eq!((date.len(), date.ends_with('Z')), (28, true), "{date}");
    let read = operator.get("/enrollments/press-1").await.ok();
    assert_eq!(read["registrationState"], expected);

    let path = "/registrations/press-1";
    for tag in ["\"e0\"", "0000000000000000"] {
        let stale = operator
            .ask("DELETE", path, &[("if-match", tag)], b"")
            .await;
        assert_eq!(stale.code(), 412_001, "{tag}");
    }
    let forgotten = operator
        .ask("DELETE", path, &[("if-match", &tag)], b"")
        .await;
    assert_eq!(forgotten.status, 204);
    for tag in ["*", "e0"] {
        let missing = operator
            .ask("DELETE", path, &[("if-match", tag)], b"")
            .await;
        assert_eq!(missing.code(), 404_202);
    }
    let read = operator.get("/enrollments/press-1").await.ok();
    assert_eq!(read["registrationState"], never);
}

#[tokio::test]
async fn the_devices_of_a_group_are_listed_and_stay_known_when_it_goes() {
    let site = Site::open().await;
    let mut operator = Operator::new(&site, ONE, "owner").await;
    let group = json!({"enrollmentGroupId": "Sensors", "attestation": {"type": "symmetricKey"}});
    let made = operator.put("/enrollmentGroups/Sensors", &group).await.ok();
    let key = decoded(&made["attestation"]["symmetricKey"]["primaryKey"]);
    for id in ["s-1", "s-2", "s-3"] {
        register(&site, id, &derive_device_key(&key, id)).await;
    }
    let ids = |body: Value| -> Vec<String> {
        let all = body.as_array().unwrap().iter();
        all.map(|state| state["registrationId"].as_str().unwrap().to_owned())
            .collect()
    };
    let listed = operator
        .post("/registrations/sensors/query", &json!({}))
        .await
        .ok();
    assert_eq!(ids(listed), ["s-1", "s-2", "s-3"]);
    let filter = json!({"query": "SELECT * WHERE status = 'assigned' AND registrationId > 's-1'"});
    let listed = operator.post("/registrations/query", &filter).await.ok();
    assert_eq!(ids(listed), ["s-2", "s-3"]);
    assert_eq!(operator.delete("/registrations/s-2").await.status, 204);
    assert_eq!(
        operator.delete("/enrollmentGroups/sensors").await.status,
        204
    );
    let listed = operator
        .post("/registrations/Sensors/query", &json!({}))
        .await
        .ok();
    assert_eq!(ids(listed), ["s-1", "s-3"]);
}

#[tokio::test]
async fn a_disabled_enrollment_refuses_from_the_next_request() {
    let site = Site::open().await;
    let mut operator = Operator::new(&site, ONE, "owner").await;
    let mut entry = json!({"registrationId": "a", "attestation": {"type": "symmetricKey"}});
    let made = operator.put("/enrollments/a", &entry).await.ok();
    let key = decoded(&made["attestation"]["symmetricKey"]["primaryKey"]);
    assert_eq!(register(&site, "a", &key).await["status"], "assigned");
    entry["provisioningStatus"] = json!("disabled");
    operator.put_if("/enrollments/a", "*", &entry).await.ok();
    assert_eq!(register(&site, "a", &key).await["status"], "disabled");
}
