//! Several entries in one request.

use serde_json::{Value, json};

use crate::operator::Operator;
use crate::site::{ONE, Site};

fn entry(id: &str) -> Value {
    json!({"registrationId": id, "attestation": {"type": "symmetricKey"}})
}

fn request(mode: &str, items: &[Value]) -> Value {
    json!({"mode": mode, "enrollments": items})
}

#[tokio::test]
async fn one_that_is_there_already_keeps_none_of_the_others_back() {
    let site = Site::open().await;
    let mut operator = Operator::new(&site, ONE, "owner").await;
    operator
        .put("/enrollments/dev-001", &entry("dev-001"))
        .await
        .ok();
    // With a slash at the end, as Node.js and C ask.
    let create = request(
        "create",
        &[entry("new-1"), entry("Dev-001"), entry("new-2")],
    );
    let answer = operator.post("/enrollments/", &create).await.ok();
    let error = json!({
        "registrationId": "Dev-001", "errorCode": 409_201, "errorStatus": "Enrollment already exists",
    });
    assert_eq!(answer, json!({"isSuccessful": false, "errors": [error]}));
    for id in ["new-1", "new-2"] {
        operator.get(&format!("/enrollments/{id}")).await.ok();
    }
}

#[tokio::test]
async fn each_mode_does_what_it_says_in_any_case_of_letters() {
    let site = Site::open().await;
    let mut operator = Operator::new(&site, ONE, "owner").await;
    let done = json!({"isSuccessful": true, "errors": []});
    let both = [entry("a"), entry("b")];
    let answer = operator
        .post("/enrollments", &request("Create", &both))
        .await;
    assert_eq!(answer.ok(), done);
    let tag = operator.get("/enrollments/a").await.tag();
    let answer = operator
        .post("/enrollments", &request("update", &both))
        .await;
    assert_eq!(answer.ok(), done);
    let new = operator.get("/enrollments/a").await.tag();
    assert_ne!(new, tag);

    let tagged = |tag: &str| {
        let mut entry = entry("a");
        entry["etag"] = json!(tag);
        request("updateIfMatchEtag", &[entry])
    };
    for (said, code) in [(&*tag, 412_001), ("e0", 412_001), ("", 400_004)] {
        let answer = operator.post("/enrollments", &tagged(said)).await.ok();
        assert_eq!(answer["errors"][0]["errorCode"], code, "{said}");
    }
    let quoted = format!("\"{new}\"");
    let answer = operator.post("/enrollments", &tagged(&quoted)).await;
    assert_eq!(answer.ok(), done);

    // An id is enough, and a tag that is long gone does not matter.
    let gone = [
        json!({"registrationId": "A", "etag": tag}),
        json!({"registrationId": "b"}),
    ];
    let answer = operator
        .post("/enrollments", &request("DELETE", &gone))
        .await;
    assert_eq!(answer.ok(), done);
    for mode in ["update", "delete"] {
        let answer = operator
            .post("/enrollments", &request(mode, &[entry("a")]))
            .await
            .ok();
        assert_eq!(answer["errors"][0]["errorCode"], 404_201);
    }
}

#[tokio::test]
async fn groups_are_changed_by_their_own_names() {
    let site = Site::open().await;
    let mut operator = Operator::new(&site, ONE, "owner").await;
    let group = json!({"enrollmentGroupId": "g", "attestation": {"type": "symmetricKey"}});
    let create = json!({"mode": "create", "enrollmentGroups": [group]});
    let answer = operator.post("/enrollmentgroups/", &create).await.ok();
    assert_eq!(answer["isSuccessful"], true);
    let answer = operator.post("/enrollmentGroups", &create).await.ok();
    let error = json!({
        "enrollmentGroupId": "g", "errorCode": 409_202,
        "errorStatus": "Enrollment group already exists",
    });
    assert_eq!(answer["errors"], json!([error]));
}

#[tokio::test]
async fn an_entry_that_makes_no_sense_is_told_by_itself_and_in_its_place() {
    let site = Site::open().await;
    let mut operator = Operator::new(&site, ONE, "owner").await;
    operator
        .put("/enrollments/there", &entry("there"))
        .await
        .ok();
    let create = request(
        "create",
        &[
            json!({"registrationId": "no-key", "attestation": {}}),
            entry("there"),
            entry("fine"),
            json!({"registrationId": "none"}),
        ],
    );
    let answer = operator.post("/enrollments", &create).await.ok();
    let errors = answer["errors"].as_array().unwrap();
    let told: Vec<_> = errors
        .iter()
        .map(|error| {
            (
                &error["registrationId"],
                &error["errorCode"],
                &error["errorStatus"],
            )
        })
        .map(|(id, code, text)| format!("{id} {code} {text}"))
        .collect();
    let expected = [
        "\"no-key\" 400004 \"attestation.type: is missing\"",
        "\"there\" 409201 \"Enrollment already exists\"",
        "\"none\" 400004 \"attestation: is missing\"",
    ];
    assert_eq!(told, expected);
    operator.get("/enrollments/fine").await.ok();
}

#[tokio::test]
async fn a_request_that_is_wrong_as_a_whole_changes_nothing() {
    let site = Site::open().await;
    let mut operator = Operator::new(&site, ONE, "owner").await;
    let eleven: Vec<_> = (0..11).map(|nth| entry(&format!("a{nth}"))).collect();
    let fine = || vec![entry("a")];
    for (document, text) in [
        (json!([]), "$: must be an object"),
        (json!({"enrollments": fine()}), "mode: must be one of"),
        (
            json!({"mode": 1, "enrollments": fine()}),
            "mode: must be a string",
        ),
        (
            json!({"mode": "upsert", "enrollments": fine()}),
            "mode: must be one of",
        ),
        (json!({"mode": "create"}), "enrollments: must be an array"),
        (
            json!({"mode": "create", "enrollments": {}}),
            "enrollments: must be an array",
        ),
        (
            json!({"mode": "create", "enrollments": null}),
            "enrollments: must be an array",
        ),
        (
            json!({"mode": "create", "enrollmentGroups": fine()}),
            "enrollments: must be an array",
        ),
        (request("create", &[]), "enrollments: must have 1 to 10"),
        (request("create", &eleven), "enrollments: must have 1 to 10"),
        (
            request("create", &[entry("a"), json!(7)]),
            "enrollments[1].registrationId: must be a",
        ),
        (
            request("create", &[entry("a"), entry("")]),
            "enrollments[1].registrationId: ",
        ),
        (
            request("delete", &[entry("a"), entry("b/c")]),
            "enrollments[1].registrationId: ",
        ),
        (
            request("create", &[entry("a"), entry("A")]),
            "enrollments[1].registrationId: stands in",
        ),
    ] {
        let answer = operator.post("/enrollments", &document).await;
        assert_eq!(answer.code(), 400_004);
        assert!(
            answer.message().starts_with(text),
            "{} for {document}",
            answer.message()
        );
    }
    assert_eq!(operator.get("/enrollments/a").await.code(), 404_201);
}
