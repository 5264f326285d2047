use std::sync::Arc;

use dps_core::error::{Failure, Reason};
use dps_core::hub::Place;
use dps_core::id::{ApiVersion, DeviceId, GroupId, HubName, RegistrationId};
use dps_core::registration::{
    Assignment, Extras, Operation, Owner, Phase, Registration, Substatus,
};
use dps_core::trace::Trace;
use serde_json::json;

use super::*;

const CREATED: Timestamp = Timestamp(1_661_622_799_514);
const UPDATED: Timestamp = Timestamp(1_661_622_799_751);

fn record(phase: Phase) -> Registration {
    let id = RegistrationId::parse("Press-1").unwrap();
    Registration {
        created: CREATED,
        updated: UPDATED,
        owner: Owner {
            group: None,
            mechanism: Mechanism::X509,
        },
        assignment: Some(Assignment {
            place: Place {
                hub: HubName::parse("north.example.net").unwrap(),
                device: DeviceId::from(&id),
            },
            substatus: Substatus::InitialAssignment,
            payload: None,
        }),
        operation: Operation {
            id: OperationId::parse("5.0.a").unwrap(),
            phase,
            started: CREATED,
            since: CREATED,
            resume_at: CREATED,
            attempts: 1,
            token: None,
            storage_root_key: None,
            asked: [0; 32],
            version: ApiVersion::usual(),
            extras: Extras::default(),
        },
        trace: Arc::new(Trace::default()),
        id,
    }
}

fn told(record: &Registration) -> String {
    let state = RegistrationState::of(record, Version(0x1234), &record.id);
    let body = operation(&record.operation.id, &state);
    let bare = registration(&state);
    let body = String::from_utf8(body).unwrap();
    assert!(body.is_ascii() && !body.contains("null"));
    assert!(body.contains(&String::from_utf8(bare).unwrap()));
    body
}

#[test]
fn a_device_with_a_certificate_is_told_its_hub_in_the_order_of_the_service() {
    assert_eq!(
        told(&record(Phase::Done)),
        concat!(
            r#"{"operationId":"5.0.a","status":"assigned","registrationState":{"x509":{},"#,
            r#""registrationId":"Press-1","createdDateTimeUtc":"2022-08-27T17:53:19.5140000Z","#,
            r#""assignedHub":"north.example.net","deviceId":"Press-1","status":"assigned","#,
            r#""substatus":"initialAssignment","#,
            r#""lastUpdatedDateTimeUtc":"2022-08-27T17:53:19.7510000Z","#,
            r#""etag":"IjAwMDAwMDAwMDAwMDEyMzQi"}}"#,
        )
    );
}

#[test]
fn a_group_is_named_and_an_individual_key_is_not() {
    let mut record = record(Phase::Done);
    record.owner.mechanism = Mechanism::SymmetricKey;
    assert!(
        told(&record).contains(r#""registrationState":{"registrationId":"#),
        "{}",
        told(&record)
    );
    record.owner.group = Some(GroupId::parse("Presses").unwrap());
    assert!(told(&record).contains(r#"{"symmetricKey":{"enrollmentGroupId":"Presses"},"reg"#));
    record.owner.mechanism = Mechanism::X509;
    assert!(told(&record).contains(r#"{"x509":{"enrollmentGroupId":"Presses"},"reg"#));
}

#[test]
fn extras_are_told_with_assigned_and_other_characters_are_escaped() {
    let mut record = record(Phase::Done);
    record.operation.extras.payload = json!({"color": "grün"}).as_object().cloned();
    record.operation.extras.tpm = Some(bytes::Bytes::from_static(&[1, 2, 3]));
    let body = told(&record);
    assert!(body.contains(r#""registrationState":{"tpm":{"authenticationKey":"AQID"},"#));
    assert!(body.ends_with(r#""payload":{"color":"gr\u00fcn"}}}"#));
}

#[test]
fn a_device_that_waits_or_is_disabled_is_told_no_more_than_that() {
    let waiting = Phase::Accepted {
        auth: dps_core::hub::DeviceAuth::CertificateAuthority,
        origin: std::net::IpAddr::from([127, 0, 0, 1]),
        payload: None,
    };
    for (phase, word) in [(waiting, "assigning"), (Phase::Disabled, "disabled")] {
        assert_eq!(
            told(&record(phase)),
            format!(
                concat!(
                    r#"{{"operationId":"5.0.a","status":"{0}","registrationState":"#,
                    r#"{{"registrationId":"Press-1","status":"{0}"}}}}"#
                ),
                word
            )
        );
    }
}

#[test]
fn a_failed_device_is_told_why() {
    let failure = Failure::new(Failure::CUSTOM_ALLOCATION, "no \"hub\" for you");
    assert_eq!(
        told(&record(Phase::Failed(failure))),
        concat!(
            r#"{"operationId":"5.0.a","status":"failed","registrationState":{"#,
            r#""registrationId":"Press-1","createdDateTimeUtc":"2022-08-27T17:53:19.5140000Z","#,
            r#""status":"failed","errorCode":400207,"errorMessage":"no \"hub\" for you","#,
            r#""lastUpdatedDateTimeUtc":"2022-08-27T17:53:19.7510000Z"}}"#,
        )
    );
}

#[test]
fn errors_have_five_members_at_most() {
    let (ours, its) = (
        TrackingId::from_random([1; 16]),
        TrackingId::from_random([2; 16]),
    );
    let plain = ServiceError::new(Reason::Unauthorized);
    assert_eq!(
        String::from_utf8(error(&plain, ours, CREATED)).unwrap(),
        concat!(
            r#"{"errorCode":401002,"trackingId":"01010101-0101-0101-0101-010101010101","#,
            r#""message":"Unauthorized","timestampUtc":"2022-08-27T17:53:19.5140000Z"}"#,
        )
    );
    let more = plain.with_detail("hub-gone").with_tracking(its);
    assert_eq!(
        String::from_utf8(error(&more, ours, CREATED)).unwrap(),
        concat!(
            r#"{"errorCode":401002,"trackingId":"02020202-0202-0202-0202-020202020202","#,
            r#""message":"Unauthorized","info":{"reason":"hub-gone"},"#,
            r#""timestampUtc":"2022-08-27T17:53:19.5140000Z"}"#,
        )
    );
}

#[test]
fn a_challenge_names_the_key_and_has_no_status() {
    assert_eq!(
        String::from_utf8(challenge(&[255, 254])).unwrap(),
        concat!(
            r#"{"message":"Authorization required, resend request using supplied key","#,
            r#""keyName":"registration","authenticationKey":"//4="}"#,
        )
    );
}

#[test]
fn beside_an_operation_no_delay_is_longer_than_java_believes() {
    let of = |millis| short_seconds(Duration::from_millis(millis));
    assert_eq!([0, 1, 4_001, 5_001, 60_000].map(of), [1, 1, 5, 5, 5]);
}

#[test]
fn delays_are_whole_seconds_and_never_none() {
    let of = |millis| whole_seconds(Duration::from_millis(millis));
    assert_eq!(
        [of(0), of(1), of(1000), of(1001), of(60_000)],
        [1, 1, 1, 2, 60]
    );
}
