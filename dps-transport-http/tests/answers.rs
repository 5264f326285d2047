//! What devices are answered, through the tower service.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use common::*;
use dps_core::api::{Authentication, Reply, Transport, Work};
use dps_core::attest::Evidence;
use dps_core::error::{Reason, ServiceError};
use dps_core::id::TrackingId;
use dps_core::registration::Phase;
use dps_core::time::{Clock, Timestamp};
use dps_core::tpm::{PublicKey, TpmKeys};
use dps_testkit::tpm::{Kind, SoftTpm};
use dps_transport::Tasks;
use serde_json::json;

fn answering(phase: fn() -> Phase) -> dps_transport_http::Http {
    Script::saying(move |session, request| answer(session, request, phase()).into())
        .served()
        .1
}

#[tokio::test]
async fn a_register_that_is_done_at_once_is_202_with_the_whole_result() {
    let told = ask(&answering(|| Phase::Done), request("PUT", REGISTER, "")).await;
    assert_eq!(told.status, 202);
    assert_eq!(
        told.body,
        concat!(
            r#"{"operationId":"5.0.a","status":"assigned","registrationState":{"x509":{},"#,
            r#""registrationId":"Press-1","createdDateTimeUtc":"2022-08-27T17:53:19.5140000Z","#,
            r#""assignedHub":"north.example.net","deviceId":"Press-1","status":"assigned","#,
            r#""substatus":"initialAssignment","#,
            r#""lastUpdatedDateTimeUtc":"2022-08-27T17:53:19.5140000Z","#,
            r#""etag":"IjAwMDAwMDAwMDAwMDAwMDci"}}"#,
        )
    );
    assert_eq!(
        told.header("content-type"),
        Some("application/json; charset=utf-8")
    );
    assert_eq!(told.header("retry-after"), Some("1"));
    assert_eq!(
        told.header("location"),
        Some("https://dps.example.net/0neS/registrations/Press-1/register")
    );
    assert_eq!(
        told.header("strict-transport-security"),
        Some("max-age=31536000; includeSubDomains")
    );
    assert_eq!(told.header("x-ms-request-id").unwrap().len(), 36);
    assert_eq!(told.header("x-ms-error-code"), None);
}

#[tokio::test]
async fn every_outcome_of_a_register_is_202() {
    for (phase, word, delay) in [
        (waiting as fn() -> Phase, "assigning", "3"),
        (failed, "failed", "1"),
        (|| Phase::Disabled, "disabled", "1"),
    ] {
        let told = ask(&answering(phase), request("PUT", REGISTER, "")).await;
        assert_eq!(told.status, 202);
        assert_eq!(told.json()["status"], word);
        assert_eq!(told.json()["registrationState"]["status"], word);
        assert_eq!(
            told.json()["registrationState"]["registrationId"],
            "Press-1"
        );
        assert_eq!(told.header("retry-after"), Some(delay));
    }
}

#[tokio::test]
async fn a_poll_is_202_while_running_and_200_at_the_end() {
    let told = ask(&answering(waiting), request("GET", POLL, "")).await;
    assert_eq!((told.status, told.header("retry-after")), (202, Some("3")));
    assert_eq!(
        told.json(),
        json!({"operationId": "5.0.a", "status": "assigning",
            "registrationState": {"registrationId": "Press-1", "status": "assigning"}})
    );
    for phase in [|| Phase::Done, failed, || Phase::Disabled] {
        let told = ask(&answering(phase), request("GET", POLL, "")).await;
        assert_eq!(told.status, 200);
        assert_eq!(told.header("retry-after"), None);
        assert_eq!(told.header("location"), None);
    }
}

#[tokio::test]
async fn a_lookup_is_answered_with_the_bare_state() {
    let told = ask(&answering(|| Phase::Done), request("POST", LOOK_UP, "{}")).await;
    assert_eq!(told.status, 200);
    assert_eq!(told.json()["assignedHub"], "north.example.net");
    assert_eq!(told.json().get("operationId"), None);
}

#[tokio::test]
async fn the_id_is_echoed_as_spelled_and_delays_stay_below_six_seconds() {
    let (_, http) = Script::saying(|session, request| {
        let mut response = answer(session, request, waiting());
        if let dps_core::api::DeviceResponse::Operation { retry_after, .. } = &mut response {
            *retry_after = Some(Duration::from_millis(9_400));
        }
        response.into()
    })
    .served();
    let uri = "/0NEs/Registrations/pReSS-1/Register/?forceRegistration=true&api-version=x";
    let told = ask(&http, request("PUT", uri, "")).await;
    assert_eq!(told.header("retry-after"), Some("5"));
    assert_eq!(
        told.json()["registrationState"]["registrationId"],
        "pReSS-1"
    );
}

#[tokio::test]
async fn what_is_asked_reaches_the_api_as_it_was_sent() {
    let (script, http) = Script::assigning_all().served();
    let body = r#"{"registrationId":"press-1","payload":{"a":1}}"#;
    ask(&http, request("PUT", REGISTER, body)).await;
    let mut poll = request("GET", POLL, "{}");
    let token = TOKEN.parse().unwrap();
    poll.headers_mut().insert("authorization", token);
    ask(&http, poll).await;
    let hellos = script.hellos.lock().unwrap();
    assert_eq!(hellos[0].scope.as_str(), "0neS");
    assert_eq!(hellos[0].registration.as_str(), "Press-1");
    assert!(hellos[0].evidence.is_none() && hellos[0].operation.is_none());
    assert_eq!(hellos[0].origin.address, peer().address);
    assert_eq!(hellos[0].origin.transport, Transport::Http);
    assert_eq!(hellos[1].operation.as_ref().unwrap().as_str(), "5.0.a");
    let Some(Evidence::Sas { token }) = &hellos[1].evidence else {
        panic!("a token was sent");
    };
    assert_eq!(token, TOKEN);
    let calls = script.calls.lock().unwrap();
    assert_eq!(calls[0].0.as_str(), "2019-03-31");
    assert!(calls[0].1.contains(r#""a": Number(1)"#), "{}", calls[0].1);
    assert!(calls[1].1.contains("OperationStatus"));
}

async fn evidence_of(chain: usize, authorization: &[&str]) -> Option<Evidence> {
    let (script, http) = Script::assigning_all().served();
    let mut put = request("PUT", REGISTER, "");
    let mut peer = peer();
    peer.chain = (0..chain).map(|nth| vec![nth as u8].into()).collect();
    put.extensions_mut().insert(peer);
    for value in authorization {
        put.headers_mut()
            .append("authorization", value.parse().unwrap());
    }
    ask(&http, put).await;
    let hello = script.hellos.lock().unwrap().remove(0);
    hello.evidence
}

#[tokio::test]
async fn a_token_goes_before_a_certificate() {
    assert!(matches!(
        evidence_of(2, &[TOKEN]).await,
        Some(Evidence::Sas { .. })
    ));
    match evidence_of(2, &[]).await {
        Some(Evidence::X509 { chain }) => assert_eq!(chain.len(), 2),
        other => panic!("{other:?}"),
    }
    assert!(evidence_of(0, &[]).await.is_none());
}

#[tokio::test]
async fn credentials_of_another_kind_are_none() {
    for given in [
        &["Bearer x"][..],
        &[""],
        &["SharedAccessSignature"],
        &[TOKEN, TOKEN],
    ] {
        assert!(evidence_of(1, given).await.is_none(), "{given:?}");
    }
}

fn shown(keys: &TpmKeys) -> String {
    let base64 = |key: &PublicKey| STANDARD.encode(key.bytes());
    json!({"registrationId": "press-1", "tpm": {
        "endorsementKey": base64(&keys.endorsement_key),
        "storageRootKey": base64(&keys.storage_root_key),
    }})
    .to_string()
}

/// What is believed to be shown by a request with this body over a connection with a certificate.
async fn evidence_beside(
    request: (&str, &str),
    body: &str,
    token: Option<&str>,
) -> Option<Evidence> {
    let (script, http) = Script::assigning_all().served();
    let mut request = common::request(request.0, request.1, body.to_owned());
    let mut peer = peer();
    peer.chain = Arc::from([vec![1].into()]);
    request.extensions_mut().insert(peer);
    if let Some(token) = token {
        let token = token.parse().unwrap();
        request.headers_mut().insert("authorization", token);
    }
    ask(&http, request).await;
    let hello = script.hellos.lock().unwrap().remove(0);
    hello.evidence
}

#[tokio::test]
async fn the_keys_of_a_tpm_go_before_the_certificate_with_a_token_or_without() {
    let shows = SoftTpm::new(Kind::Ecc).keys();
    let body = shown(&shows);
    for request in [("PUT", REGISTER), ("POST", LOOK_UP)] {
        for given in [None, Some(TOKEN)] {
            match evidence_beside(request, &body, given).await {
                Some(Evidence::Tpm { keys, token }) => {
                    assert_eq!(keys, shows);
                    assert_eq!(token.as_deref(), given);
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(
            evidence_beside(request, &body, Some("Bearer x"))
                .await
                .is_none()
        );
        for nothing in ["", "{}", r#"{"tpm":null}"#] {
            let alone = evidence_beside(request, nothing, Some(TOKEN)).await;
            assert!(matches!(alone, Some(Evidence::Sas { .. })));
            let certified = evidence_beside(request, nothing, None).await;
            assert!(matches!(certified, Some(Evidence::X509 { .. })));
        }
    }
}

#[tokio::test]
async fn a_poll_shows_no_tpm_whatever_its_body_is() {
    let body = shown(&SoftTpm::new(Kind::Ecc).keys());
    for body in [&body, r#"{"tpm":7}"#] {
        let evidence = evidence_beside(("GET", POLL), body, Some(TOKEN)).await;
        assert!(matches!(evidence, Some(Evidence::Sas { .. })));
    }
}

#[tokio::test]
async fn a_key_that_is_none_is_400_and_says_which() {
    let (script, http) = Script::assigning_all().served();
    let body = r#"{"tpm":{"endorsementKey":"AAAA"}}"#;
    for wish in [("PUT", REGISTER), ("POST", LOOK_UP)] {
        let told = ask(&http, request(wish.0, wish.1, body)).await;
        assert_eq!((told.status, told.code()), (400, 400_004));
        assert_eq!(
            told.message(),
            "tpm.endorsementKey: the size in front of the key says 0 bytes, and 1 follow"
        );
    }
    assert!(script.hellos.lock().unwrap().is_empty(), "nobody was asked");
}

#[derive(Debug)]
struct Noon;
impl Clock for Noon {
    fn now(&self) -> Timestamp {
        Timestamp(1_700_000_000_000)
    }
}

#[tokio::test]
async fn an_error_is_json_and_its_tracking_id_is_in_the_headers() {
    let http = Script::refusing(unauthorized).served().1;
    let http = http.with_clock(Arc::new(Noon));
    let told = ask(&http, request("PUT", REGISTER, "")).await;
    assert_eq!(told.status, 401);
    let id = told.header("x-ms-request-id").unwrap();
    assert_eq!(
        told.body,
        format!(
            concat!(
                r#"{{"errorCode":401002,"trackingId":"{}","message":"Unauthorized","#,
                r#""timestampUtc":"2023-11-14T22:13:20.0000000Z"}}"#
            ),
            id
        )
    );
    assert_eq!(told.header("x-ms-error-code"), Some("401002"));
    assert_eq!(told.header("www-authenticate"), None);
    let again = ask(&http, request("PUT", REGISTER, "")).await;
    assert_ne!(again.header("x-ms-request-id"), Some(id));
}

#[tokio::test]
async fn an_error_of_the_core_keeps_its_own_tracking_id_and_delay() {
    let (_, http) = Script::saying(|_, _| {
        let error = ServiceError::new(Reason::Throttled)
            .with_detail("busy")
            .with_tracking(TrackingId::from_random([9; 16]))
            .with_retry_after(Duration::from_millis(20_001));
        dps_core::api::DeviceResponse::Error(error).into()
    })
    .served();
    for (method, uri) in [("PUT", REGISTER), ("GET", POLL), ("POST", LOOK_UP)] {
        let told = ask(&http, request(method, uri, "")).await;
        assert_eq!(told.status, 429);
        assert_eq!(told.json()["info"]["reason"], "busy");
        assert_eq!(told.header("retry-after"), Some("21"));
        let id = "09090909-0909-0909-0909-090909090909";
        assert_eq!(told.header("x-ms-request-id"), Some(id));
        assert_eq!(told.json()["trackingId"], id);
    }
}

#[tokio::test]
async fn a_challenge_is_401_without_a_status() {
    let http = Script::refusing(|| Authentication::Challenge {
        authentication_key: vec![1, 2, 3],
    })
    .served()
    .1;
    let told = ask(&http, request("PUT", REGISTER, "")).await;
    assert_eq!(told.status, 401);
    // The service sends none (Azure/iotedge issue 5088), and it is no error with a code of its own.
    for absent in ["www-authenticate", "x-ms-error-code", "connection"] {
        assert_eq!(told.header(absent), None);
    }
    assert_eq!(
        told.json(),
        json!({"message": "Authorization required, resend request using supplied key",
            "keyName": "registration", "authenticationKey": "AQID"})
    );
}

#[tokio::test]
async fn an_answer_to_another_question_is_our_own_fault() {
    let (_, http) = Script::saying(|session, _| {
        let other = dps_core::api::DeviceRequest::RegistrationStatus;
        answer(session, &other, Phase::Done).into()
    })
    .served();
    let told = ask(&http, request("PUT", REGISTER, "")).await;
    assert_eq!((told.status, told.code()), (500, 500_001));
}

/// Says "assigning" at once and owes "assigned", after `delay`.
fn owing(delay: Duration, done: &Arc<AtomicBool>) -> Script {
    let done = Arc::clone(done);
    Script::saying(move |session, request| {
        let later = answer(session, request, Phase::Done);
        let done = Arc::clone(&done);
        Reply {
            response: answer(session, request, waiting()),
            work: Some(Work::new(async move {
                tokio::time::sleep(delay).await;
                done.store(true, Ordering::Relaxed);
                later.into()
            })),
        }
    })
}

#[tokio::test(start_paused = true)]
async fn what_is_done_within_the_grace_time_is_told_in_the_same_answer() {
    let done = Arc::default();
    let http = owing(Duration::from_millis(200), &done).served().1;
    for (method, uri, status) in [("PUT", REGISTER, 202), ("GET", POLL, 200)] {
        let told = ask(&http, request(method, uri, "")).await;
        assert_eq!(told.status, status);
        assert_eq!(told.json()["status"], "assigned");
    }
}

#[tokio::test(start_paused = true)]
async fn what_takes_longer_goes_on_after_the_answer() {
    let done: Arc<AtomicBool> = Arc::default();
    let tasks = Tasks::new();
    let http = owing(Duration::from_secs(5), &done).served().1;
    let http = http.with_tasks(tasks.clone());
    let told = ask(&http, request("PUT", REGISTER, "")).await;
    assert_eq!(told.json()["status"], "assigning");
    assert!(!done.load(Ordering::Relaxed));
    let drained = tasks.drain(Duration::from_secs(60)).await;
    assert_eq!(drained.work, 0);
    assert!(done.load(Ordering::Relaxed));
}

#[tokio::test(start_paused = true)]
async fn without_grace_every_registration_takes_two_steps() {
    let done = Arc::default();
    let http = owing(Duration::ZERO, &done).served().1;
    let http = http.with_grace(Duration::ZERO);
    let told = ask(&http, request("PUT", REGISTER, "")).await;
    assert_eq!(told.json()["status"], "assigning");
}

#[tokio::test]
async fn a_request_without_a_peer_is_our_own_fault_and_headers_are_no_peer() {
    let (script, http) = Script::assigning_all().served();
    let mut put = request("PUT", REGISTER, "");
    put.extensions_mut().clear();
    put.headers_mut()
        .insert("x-forwarded-for", "192.0.2.1".parse().unwrap());
    put.headers_mut()
        .insert("x-arr-clientcert", "AAAA".parse().unwrap());
    let told = ask(&http, put).await;
    assert_eq!((told.status, told.code()), (500, 500_001));
    assert!(script.hellos.lock().unwrap().is_empty());
}
