//! The examples that need nothing outside run to their end.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::path::Path;
use std::process::{Command, Output};

/// Cargo builds examples beside the tests of their package, unless told to build one test only.
fn run(name: &str, arguments: &[&str]) -> Output {
    let tests = std::env::current_exe().unwrap();
    let built = tests
        .parent()
        .and_then(Path::parent)
        .unwrap()
        .join("examples");
    Command::new(built.join(name))
        .args(arguments)
        .output()
        .unwrap()
}

#[test]
fn quickstart_ends_with_all_devices_assigned_and_shows_why() {
    let output = run("quickstart", &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    let last = if cfg!(feature = "tpm") {
        assert!(text.contains("6 devices with a TPM each"), "{text}");
        "406 of 406 devices assigned"
    } else {
        "400 of 400 devices assigned"
    };
    assert_eq!(text.lines().last(), Some(last));
    assert!(text.lines().count() <= 60, "{text}");
    for said in [
        "the individual enrollment accepts the caller's certificate",
        "initialAssignment",
        "80 over HTTPS",
        "80 over MQTT\n",
        "80 over MQTT in WebSockets",
        "80 over AMQP\n",
        "79 over AMQP in WebSockets",
        "tags {\"hall\":3}, desired {\"interval\":60}",
        "401 Unauthorized (401002)",
        "no enrollment group covers what the caller shows",
    ] {
        assert!(text.contains(said), "{said} is not in\n{text}");
    }
}

#[test]
fn embed_serves_its_own_route_and_devices() {
    let output = run("embed", &["--once"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(
        text.contains("200 {\"hello\":\"from the application itself\"}"),
        "{text}"
    );
    assert!(
        text.contains("202 assigned to contoso.example.net"),
        "{text}"
    );
}
