//! What strangers and broken devices send: each gets a clear error, and nothing is asked of the API.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use common::*;
use dps_core::api::{Reply, Work};
use dps_core::registration::Phase;
use http::Request;
use http_body_util::Full;
use proptest::prelude::*;

/// Asks once; the API must not have heard of it.
async fn refused(request: Request<Full<Bytes>>) -> Told {
    let (script, http) = Script::assigning_all().served();
    let told = ask(&http, request).await;
    assert!(script.hellos.lock().unwrap().is_empty());
    assert_eq!(
        told.header("content-type"),
        Some("application/json; charset=utf-8")
    );
    assert_eq!(
        told.json()["trackingId"].as_str(),
        told.header("x-ms-request-id")
    );
    assert_eq!(
        told.header("x-ms-error-code"),
        Some(&*told.code().to_string())
    );
    told
}

async fn refused_body(body: impl Into<Bytes>) -> Told {
    let told = refused(request("PUT", REGISTER, body)).await;
    assert_eq!((told.status, told.code()), (400, 400_004));
    told
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_one() {
    for (method, uri, right) in [
        ("POST", REGISTER, "PUT"),
        ("HEAD", POLL, "GET"),
        ("PUT", POLL, "GET"),
        ("GET", LOOK_UP, "POST"),
        ("OPTIONS", LOOK_UP, "POST"),
    ] {
        let told = refused(request(method, uri, "")).await;
        assert_eq!((told.status, told.code()), (405, 405_000));
        assert_eq!(told.header("allow"), Some(right));
    }
}

#[tokio::test]
async fn a_wrong_path_is_not_found() {
    for path in [
        "/",
        "//",
        "/0neS",
        "/0neS/registrations",
        "/0neS/devices/Press-1/register",
        "/0neS/registrations/Press-1/unregister",
        "/0neS/registrations/Press-1/operations",
        "/0neS/registrations/Press-1/register/more",
        "/0neS/registrations/Press-1/operations/5.0.a/x",
        "/a/b/c/d/e/f/g/h",
    ] {
        let told = refused(request("PUT", &format!("{path}?api-version=1"), "")).await;
        assert_eq!((told.status, told.code()), (404, 404_000), "{path}");
    }
}

#[tokio::test]
async fn a_path_that_begins_with_a_word_of_the_service_api_is_nobodys_scope() {
    for word in [
        "enrollments",
        "EnrollmentGroups",
        "REGISTRATIONS",
        "Instance",
        "_Admin",
        "%65nrollments",
    ] {
        let path = format!("/{word}/registrations/a/register?api-version=1");
        let told = refused(request("PUT", &path, "")).await;
        assert_eq!((told.status, told.code()), (404, 404_000), "{word}");
    }
}

#[tokio::test]
async fn a_missing_api_version_is_said() {
    for query in ["", "?", "?api-version", "?api-version=", "?x=y"] {
        let path = format!("/0neS/registrations/a/register{query}");
        let told = refused(request("PUT", &path, "")).await;
        assert_eq!((told.status, told.code()), (400, 400_001), "{query}");
        assert!(told.message().contains("api-version"));
    }
}

#[tokio::test]
async fn a_body_that_is_not_json_by_its_own_account_is_refused() {
    for kind in ["text/plain", "application/jsonx", "", "application/xml"] {
        let mut put = request("PUT", REGISTER, "{}");
        put.headers_mut()
            .insert("content-type", kind.parse().unwrap());
        let told = refused(put).await;
        assert_eq!((told.status, told.code()), (415, 415_000), "{kind}");
    }
    let mut put = request("PUT", REGISTER, "{}");
    put.headers_mut().remove("content-type");
    assert_eq!(refused(put).await.status, 415);
}

#[tokio::test]
async fn content_types_and_encodings_that_devices_send_are_taken() {
    let http = Script::assigning_all().served().1;
    let mut put = request("PUT", REGISTER, "{}");
    let kind = "Application/JSON ; charset=utf-8".parse().unwrap();
    put.headers_mut().insert("content-type", kind);
    put.headers_mut()
        .insert("content-encoding", "utf-8".parse().unwrap());
    assert_eq!(ask(&http, put).await.status, 202);
    let mut put = request("PUT", REGISTER, "");
    put.headers_mut().remove("content-type");
    assert_eq!(ask(&http, put).await.status, 202);
}

#[tokio::test]
async fn ids_with_bad_characters_or_129_of_them_are_refused() {
    let long = "a".repeat(129);
    for id in ["a%20b", "a%2fb", "a.", "", "%c3%bc", "a'b", "..", &*long] {
        let path = format!("/0neS/registrations/{id}/register?api-version=1");
        let told = refused(request("PUT", &path, "")).await;
        assert_eq!((told.status, told.code()), (400, 400_004), "{id}");
        assert!(
            told.message().starts_with("registration id:"),
            "{}",
            told.message()
        );
    }
    let longest = format!(
        "/0neS/registrations/{}/register?api-version=1",
        "a".repeat(128)
    );
    let http = Script::assigning_all().served().1;
    assert_eq!(ask(&http, request("PUT", &longest, "")).await.status, 202);
}

#[tokio::test]
async fn bad_scopes_operations_and_versions_are_refused() {
    for (method, path) in [
        ("PUT", "/0ne_S/registrations/a/register?api-version=1"),
        ("PUT", "//registrations/a/register?api-version=1"),
        ("GET", "/0neS/registrations/a/operations/a_b?api-version=1"),
        ("PUT", "/0neS/registrations/a/register?api-version=%00"),
        ("PUT", "/0neS/registrations/a%/register?api-version=1"),
    ] {
        let told = refused(request(method, path, "")).await;
        assert_eq!((told.status, told.code()), (400, 400_004), "{path}");
    }
}

#[tokio::test]
async fn a_body_for_another_device_is_refused() {
    let told = refused_body(r#"{"registrationId":"Press-2"}"#).await;
    assert!(told.message().contains("registrationId"));
}

#[tokio::test]
async fn broken_json_is_refused() {
    for body in ["{", "{}x", "nul", "[]", "7", r#"{"payload":}"#] {
        assert!(!refused_body(body).await.message().is_empty());
    }
}

#[tokio::test]
async fn deeply_nested_json_is_refused() {
    let body = format!(
        r#"{{"payload":{}{}}}"#,
        "[".repeat(40_000),
        "]".repeat(40_000)
    );
    assert!(refused_body(body).await.message().contains("nest deeper"));
}

#[tokio::test]
async fn a_member_named_twice_is_refused() {
    let body = r#"{"payload":{"a":1,"a":2}}"#;
    assert!(refused_body(body).await.message().contains("twice"));
}

#[tokio::test]
async fn bytes_that_are_not_utf8_are_refused() {
    refused_body(&b"{\"payload\":\"\xff\"}"[..]).await;
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_before_it_is_read() {
    let (script, http) = Script::assigning_all().served();
    let mut wire = Wire::to(&http);
    let head = raw("PUT", REGISTER, "").replace("content-length: 0", "content-length: 98305");
    let told = wire.ask(&head).await;
    assert_eq!((told.status, told.code()), (413, 413_000));
    assert!(wire.rest().await.is_empty());
    assert!(script.hellos.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_chunked_body_over_the_limit_is_refused_at_the_limit() {
    let http = Script::assigning_all().served().1;
    let mut wire = Wire::with_pipe(&http, 1024 * 1024);
    let head = raw("PUT", REGISTER, "").replace("content-length: 0", "transfer-encoding: chunked");
    wire.write(&head).await;
    let chunk = format!("4000\r\n{}\r\n", " ".repeat(0x4000));
    for _ in 0..7 {
        wire.write(&chunk).await;
    }
    assert_eq!(wire.read().await.status, 413);
    let rest = wire.rest().await;
    assert!(rest.is_empty(), "nothing of a body is taken for a request");
}

#[tokio::test]
async fn the_largest_body_is_taken() {
    let http = Script::assigning_all().served().1;
    let body = format!(r#"{{"payload":"{}"}}"#, "x".repeat(96 * 1024 - 14));
    assert_eq!(body.len(), 96 * 1024);
    let told = ask(&http, request("PUT", REGISTER, body.clone())).await;
    assert_eq!(told.status, 202);
    let told = refused(request("PUT", REGISTER, body + " ")).await;
    assert_eq!((told.status, told.code()), (413, 413_000));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_not_waited_for_forever() {
    let http = Script::assigning_all().served().1;
    let mut wire = Wire::to(&http);
    let head = raw("PUT", REGISTER, "").replace("content-length: 0", "content-length: 9");
    let told = wire.ask(&format!("{head}{{")).await;
    assert_eq!((told.status, told.code()), (408, 408_000));
    assert!(wire.rest().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_head_that_does_not_come_is_not_waited_for_forever() {
    let http = Script::assigning_all().served().1;
    let mut wire = Wire::to(&http);
    wire.write("PUT /0neS/regis").await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    wire.write("trations").await;
    let began = tokio::time::Instant::now();
    let told = wire.read().await;
    assert!(began.elapsed() <= Duration::from_secs(12));
    assert_eq!((told.status, told.code()), (408, 408_000));
    assert_eq!(told.header("connection"), Some("close"));
    assert!(wire.rest().await.is_empty());
}

#[tokio::test]
async fn a_head_over_the_limit_is_refused() {
    let http = Script::assigning_all().served().1;
    let mut wire = Wire::to(&http);
    let head = raw("PUT", REGISTER, "");
    let long = head.replace(
        "\r\n\r\n",
        &format!("\r\nx: {}\r\n\r\n", "x".repeat(20_000)),
    );
    assert_eq!(wire.ask(&long).await.status, 431);
    assert!(wire.rest().await.is_empty());
}

#[tokio::test]
async fn what_is_not_http_is_refused() {
    let http = Script::assigning_all().served().1;
    let mut wire = Wire::to(&http);
    assert_eq!(wire.ask("\x10\x1f\0\x04MQTT\r\n\r\n").await.status, 400);
    assert!(wire.rest().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn work_goes_on_for_a_client_that_vanishes_before_the_answer() {
    static DONE: AtomicUsize = AtomicUsize::new(0);
    let (script, http) = Script::saying(|session, request| Reply {
        response: answer(session, request, waiting()),
        work: Some(Work::new({
            let later = answer(session, request, Phase::Done);
            async move {
                tokio::time::sleep(Duration::from_secs(3)).await;
                DONE.fetch_add(1, Ordering::Relaxed);
                later.into()
            }
        })),
    })
    .served();
    let http = http.with_grace(Duration::from_secs(5));
    let mut wire = Wire::to(&http);
    wire.write(&raw("PUT", REGISTER, "{}")).await;
    while script.calls.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    let Wire { io, served, tasks } = wire;
    drop(io);
    served.await.unwrap();
    assert_eq!(DONE.load(Ordering::Relaxed), 0);
    let drained = tasks.drain(Duration::from_secs(60)).await;
    assert_eq!((drained.work, DONE.load(Ordering::Relaxed)), (0, 1));
}

fn answered(request: Request<Full<Bytes>>) -> Told {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let http = Script::assigning_all().served().1;
    runtime.block_on(ask(&http, request))
}

proptest! {
    #[test]
    fn any_path_query_header_and_body_has_an_answer(
        path in "/[!-~&&[^?# \"<>`{}\\\\^|]]{0,80}",
        query in "[!-~&&[^# \"<>]]{0,40}",
        authorization in proptest::collection::vec(32_u8..=255, 0..60),
        kind in "[ -~]{0,30}",
        body in proptest::collection::vec(any::<u8>(), 0..100),
        method in "(GET|PUT|POST|HEAD|PATCH|X)",
    ) {
        let Ok(uri) = format!("{path}?{query}").parse::<http::Uri>() else {
            return Ok(());
        };
        let mut request = request(&method, "/", body);
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        if let Ok(value) = http::HeaderValue::from_bytes(&authorization) {
            headers.insert("authorization", value);
        }
        headers.insert("content-type", kind.parse().unwrap());
        let told = answered(request);
        prop_assert!((200..500).contains(&told.status));
        prop_assert!(told.json().is_object());
    }

    #[test]
    fn any_body_of_a_register_has_an_answer(
        body in proptest::collection::vec(any::<u8>(), 0..200),
        json in "\\{\"(payload|registrationId|tpm)\":[ -~]{0,40}\\}",
    ) {
        for body in [body, json.into_bytes()] {
            let told = answered(request("PUT", REGISTER, body));
            prop_assert!(matches!(told.status, 202 | 400));
        }
    }
}
