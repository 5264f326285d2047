//! Two operators who write the same thing at the same moment.

use serde_json::{Value, json};

use crate::certificates::{ROOT, body, der};
use crate::operator::Operator;
use crate::site::{HUB, ONE, Site};

const ROUNDS: usize = 8;

/// Both ask for the same with the same tag; gives what the loser was told.
async fn race(
    (one, two): (&mut Operator, &mut Operator),
    (method, path): (&str, &str),
    headers: &[(&str, &str)],
    documents: [&Value; 2],
) -> u64 {
    let texts = documents.map(Value::to_string);
    let (first, second) = tokio::join!(
        one.ask(method, path, headers, texts[0].as_bytes()),
        two.ask(method, path, headers, texts[1].as_bytes()),
    );
    let won = |status: u16| status == 200 || status == 204;
    let loser = match (won(first.status), won(second.status)) {
        (true, false) => second,
        (false, true) => first,
        _ => panic!("{method} {path}: {first:?} {second:?}"),
    };
    loser.code()
}

#[tokio::test]
async fn of_two_who_replace_an_entry_as_they_saw_it_exactly_one_does() {
    let site = Site::open().await;
    let mut one = Operator::new(&site, ONE, "owner").await;
    let mut two = Operator::new(&site, ONE, "writer").await;
    for (path, name, exists) in [
        ("/enrollments/a", "registrationId", 409_201),
        ("/enrollmentGroups/a", "enrollmentGroupId", 409_202),
    ] {
        let document = |status: &str| json!({name: "a", "provisioningStatus": status, "attestation": {"type": "symmetricKey"}});
        let (on, off) = (document("enabled"), document("disabled"));
        let both = [&on, &off];
        let put = ("PUT", path);
        assert_eq!(race((&mut one, &mut two), put, &[], both).await, exists);
        for _ in 0..ROUNDS {
            let tag = one.get(path).await.tag();
            let seen = [("if-match", &*tag)];
            assert_eq!(race((&mut one, &mut two), put, &seen, both).await, 412_001);
            assert_ne!(one.get(path).await.tag(), tag);
        }
        let tag = one.get(path).await.tag();
        let seen = [("if-match", &*tag)];
        let lost = race((&mut one, &mut two), ("DELETE", path), &seen, both).await;
        assert!([404_201, 404_204].contains(&lost), "{lost}");
    }
}

#[tokio::test]
async fn of_two_who_change_the_instance_as_they_saw_it_exactly_one_does() {
    let site = Site::open().await;
    let mut one = Operator::new(&site, ONE, "owner").await;
    let mut two = Operator::new(&site, ONE, "config").await;
    let rule = |name: &str| {
        let rule = json!({"filterName": name, "action": "Reject", "ipMask": "192.0.2.7"});
        json!({"ipFilterRules": [rule]})
    };
    let hub = format!("/instance/iotHubs/{HUB}");
    for (method, path, first, second) in [
        (
            "PUT",
            &*hub,
            json!({"location": "a"}),
            json!({"location": "b"}),
        ),
        (
            "PUT",
            "/instance/allocationPolicy",
            json!({"allocationPolicy": "Static"}),
            json!({"allocationPolicy": "Hashed"}),
        ),
        ("PUT", "/instance/ipFilterRules", rule("a"), rule("b")),
        (
            "PUT",
            "/instance/quotas",
            json!({"quotas": {"certificates": 3}}),
            json!({"quotas": {"certificates": 4}}),
        ),
        (
            "PUT",
            "/instance/authorizationPolicies/new",
            json!({"rights": "EnrollmentRead"}),
            json!({"rights": "EnrollmentWrite"}),
        ),
        (
            "POST",
            "/instance/keys/reader/regenerate",
            json!({"keyType": "Primary"}),
            json!({"keyType": "Primary"}),
        ),
    ] {
        for _ in 0..ROUNDS {
            let tag = two.get("/instance").await.tag();
            let seen = [("if-match", &*tag)];
            let lost = race(
                (&mut one, &mut two),
                (method, path),
                &seen,
                [&first, &second],
            )
            .await;
            assert_eq!(lost, 412_001, "{path}");
        }
    }
    let new = [("if-none-match", "*")];
    let (path, hub) = ("/instance/iotHubs/new.example", json!({"location": "a"}));
    let lost = race((&mut one, &mut two), ("PUT", path), &new, [&hub, &hub]).await;
    assert_eq!(lost, 409_211);
    let tag = two.get("/instance").await.tag();
    let seen = [("if-match", &*tag)];
    let lost = race((&mut one, &mut two), ("DELETE", path), &seen, [&hub, &hub]).await;
    assert!([404_211, 412_001].contains(&lost), "{lost}");
}

#[tokio::test]
async fn of_two_who_change_a_certificate_as_they_saw_it_exactly_one_does() {
    let site = Site::open().await;
    let mut one = Operator::new(&site, ONE, "owner").await;
    let mut two = Operator::new(&site, ONE, "config").await;
    let root = dps_testkit::certs::Ca::root("Root");
    let document = body(der(&root));
    let both = [&document, &document];
    let lost = race((&mut one, &mut two), ("PUT", ROOT), &[], both).await;
    assert_eq!(lost, 409_213);
    let generate = format!("{ROOT}/generateVerificationCode");
    for (method, path) in [("PUT", ROOT), ("POST", &*generate)] {
        for _ in 0..ROUNDS {
            let tag = one.get(ROOT).await.tag();
            let seen = [("if-match", &*tag)];
            let lost = race((&mut one, &mut two), (method, path), &seen, both).await;
            assert_eq!(lost, 412_001, "{path}");
        }
    }
    // Of two who prove it with one code, one finds it used.
    let made = one
        .ask("POST", &generate, &[("if-match", "*")], b"")
        .await
        .ok();
    let code = made["properties"]["verificationCode"].as_str().unwrap();
    let proof = json!({"certificate": root.device(code).certificate_pem()});
    let verify = format!("{ROOT}/verify");
    let any = [("if-match", "*")];
    let lost = race(
        (&mut one, &mut two),
        ("POST", &verify),
        &any,
        [&proof, &proof],
    )
    .await;
    assert_eq!(lost, 400_004);
}
