//! The OpenAPI document: that it says what there is, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use dps_core::access::Rights;
use dps_core::error::Reason;
use dps_transport_http::service::ROUTES;
use serde_json::Value;

use crate::described::SERVICE;

/// Everything that operators can be told. The others are for devices.
const TOLD: [Reason; 27] = [
    Reason::Malformed,
    Reason::NoApiVersion,
    Reason::BadContinuation,
    Reason::TooManyEntries,
    Reason::NotAllowed,
    Reason::NoSuchPath,
    Reason::EnrollmentNotFound,
    Reason::GroupNotFound,
    Reason::InstanceNotFound,
    Reason::HubNotFound,
    Reason::PolicyNotFound,
    Reason::CertificateNotFound,
    Reason::EnrollmentExists,
    Reason::GroupExists,
    Reason::InstanceExists,
    Reason::HubExists,
    Reason::PolicyExists,
    Reason::CertificateExists,
    Reason::Duplicate,
    Reason::PreconditionFailed,
    Reason::RegistrationNotFound,
    Reason::MethodNotAllowed,
    Reason::RequestTimeout,
    Reason::TooLarge,
    Reason::UnsupportedMediaType,
    Reason::Internal,
    Reason::Unavailable,
];

fn texts(value: &Value) -> Vec<&str> {
    let items = value.as_array().into_iter().flatten();
    items.map(|item| item.as_str().unwrap()).collect()
}

#[test]
fn every_route_is_described_with_what_it_takes_and_nothing_else_is() {
    let described: BTreeMap<_, _> = SERVICE
        .operations()
        .map(|(path, method, operation)| ((path, method.to_ascii_uppercase()), operation))
        .collect();
    for route in ROUTES {
        let name = (route.path, route.method.to_string());
        let operation = described
            .get(&name)
            .unwrap_or_else(|| panic!("{name:?} is not described"));
        let actions: Vec<_> = route.needs.iter().map(|need| format!("{need:?}")).collect();
        assert_eq!(texts(&operation["x-dps-actions"]), actions, "{name:?}");
        let rights = route.needs.iter().map(|need| need.needs());
        let rights = rights.fold(Rights::NONE, Rights::and).to_string();
        assert_eq!(
            texts(&operation["x-dps-rights"]).join(", "),
            rights,
            "{name:?}"
        );
        assert_eq!(
            operation["x-dps-body-bytes"],
            route.body_bytes(),
            "{name:?}"
        );
    }
    assert_eq!(described.len(), ROUTES.len());
}

#[test]
fn operations_have_names_of_their_own_and_every_status_that_any_of_them_has() {
    let mut names = BTreeSet::new();
    for (path, method, operation) in SERVICE.operations() {
        assert!(names.insert(operation["operationId"].as_str().unwrap()));
        for status in ["400", "401", "405", "408", "413", "500", "503"] {
            let answer = &operation["responses"][status];
            assert!(!answer.is_null(), "{method} {path}: {status}");
        }
    }
}

#[test]
fn every_code_that_can_be_told_is_listed_under_its_status() {
    let mut listed = BTreeSet::new();
    let answers = SERVICE.document["components"]["responses"].as_object();
    for answer in answers.unwrap().values() {
        let schema = &answer["content"]["application/json"]["schema"];
        let codes = &schema["allOf"][1]["properties"]["errorCode"]["enum"];
        listed.extend(
            codes
                .as_array()
                .unwrap()
                .iter()
                .map(|code| code.as_u64().unwrap()),
        );
    }
    let told: BTreeSet<_> = TOLD.iter().map(|reason| u64::from(reason.code())).collect();
    assert_eq!(listed, told);
}

#[test]
fn every_part_of_the_document_is_referred_to_and_there() {
    let mut referred = BTreeSet::new();
    collect(&SERVICE.document, &mut referred);
    for place in &referred {
        assert!(SERVICE.document.pointer(&place[1..]).is_some(), "{place}");
    }
    let components = SERVICE.document["components"].as_object().unwrap();
    for (kind, parts) in components
        .iter()
        .filter(|(kind, _)| *kind != "securitySchemes")
    {
        for name in parts.as_object().unwrap().keys() {
            let place = format!("#/components/{kind}/{name}");
            assert!(referred.contains(&*place), "nothing refers to {place}");
        }
    }
}

fn collect<'a>(value: &'a Value, places: &mut BTreeSet<&'a str>) {
    match value {
        Value::Object(members) => {
            places.extend(members.get("$ref").and_then(Value::as_str));
            members.values().for_each(|member| collect(member, places));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, places)),
        _ => {}
    }
}
