//! The descriptions of what is served, ours and the original's, to hold each answer against.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    reason = "shared by tests that each use a part of it"
)]

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use dps_transport::percent_decode;
use jsonschema::Validator;
use serde_json::{Map, Value, json};

pub static SERVICE: LazyLock<Described> = LazyLock::new(|| {
    Described::new(
        dps_transport_http::service::OPENAPI,
        include_str!("../official/service-2021-10-01.json"),
        include_str!("../official/resource-2022-12-12.json"),
    )
});

pub static DEVICE: LazyLock<Described> = LazyLock::new(|| {
    Described::new(
        dps_transport_http::OPENAPI,
        include_str!("../official/device-2025-07-01-preview.json"),
        "{}",
    )
});

/// Headers that every HTTP answer may have.
const GENERAL: [&str; 5] = [
    "content-type",
    "content-length",
    "date",
    "connection",
    "strict-transport-security",
];

/// Nothing is served at a path.
const NOWHERE: u64 = 404_000;

/// What else is told of what is not described: the method is another, or the path cannot be read.
const ELSEWHERE: [u64; 2] = [405_000, 400_004];

pub struct Described {
    pub document: Value,
    /// The document, with nothing allowed in an answer that it does not name.
    closed: Value,
    /// What the original is described to be: its paths, requests and answers.
    pub official: Value,
    /// The same of its resource API, at the paths that its resources have here.
    resource: Value,
    validators: Mutex<BTreeMap<String, Arc<Validator>>>,
}

impl Described {
    fn new(document: &str, official: &str, resource: &str) -> Self {
        let [document, mut official, mut resource] =
            [document, official, resource].map(|text| serde_json::from_str::<Value>(text).unwrap());
        as_it_is(&mut official);
        as_it_is(&mut resource);
        let mut closed = document.clone();
        close(&mut closed["components"]["schemas"]);
        Self {
            document,
            closed,
            official,
            resource,
            validators: Mutex::default(),
        }
    }

    /// Every operation: its path, its method, and what is said of it.
    pub fn operations(&self) -> impl Iterator<Item = (&str, &str, &Value)> {
        members(&self.document["paths"]).flat_map(|(path, methods)| {
            members(methods).map(move |(method, operation)| (path, method, operation))
        })
    }

    /// Holds that an answer is one of those that are described.
    ///
    /// * `target`: as it was asked, with its query.
    /// * `headers`: their names in lower case.
    /// * `body`: null if there is none.
    #[track_caller]
    pub fn hold(
        &self,
        (method, target): (&str, &str),
        status: u16,
        headers: &BTreeMap<String, String>,
        body: &Value,
    ) {
        let asked = format!("{method} {target} -> {status} {body}");
        let code = body["errorCode"].as_u64().unwrap_or_default();
        let found = self.find(method, target).filter(|_| code != NOWHERE);
        let Some((path, operation)) = found else {
            let error = json!({"$ref": "#/components/schemas/Error"});
            self.fits(&error, body, &asked);
            let known = code == NOWHERE || ELSEWHERE.contains(&code);
            return assert!(known, "{asked}: at no path that is described");
        };
        let answer = &operation["responses"][status.to_string()];
        assert!(!answer.is_null(), "{asked}: the status is not described");
        let answer = self.resolved(answer);
        self.hold_headers(answer, headers, &asked);
        match &answer["content"]["application/json"]["schema"] {
            Value::Null => assert!(body.is_null(), "{asked}: no body is described"),
            schema => self.fits(schema, body, &asked),
        }
        let ours = operation["description"]
            .as_str()
            .is_some_and(|text| text.starts_with("Not in the original."));
        let theirs = |of: &Value| !of["paths"][path][method.to_ascii_lowercase()].is_null();
        assert_eq!(
            theirs(&self.official),
            !ours,
            "{asked}: whose operation it is"
        );
        for official in [&self.official, &self.resource]
            .into_iter()
            .filter(|of| theirs(of))
        {
            let answers = &official["paths"][path][method.to_ascii_lowercase()]["answers"];
            let answer = answers
                .get(status.to_string())
                .or_else(|| answers.get("default"));
            if let Some(schema) = answer {
                self.hold_official(official, schema, body, &asked);
            }
        }
    }

    #[track_caller]
    fn hold_headers(&self, answer: &Value, headers: &BTreeMap<String, String>, asked: &str) {
        let described: BTreeMap<_, _> = members(&answer["headers"])
            .map(|(name, header)| (name, self.resolved(header)))
            .collect();
        for (name, header) in &described {
            match headers.get(*name) {
                Some(value) => self.fits(&header["schema"], &json!(value), asked),
                None => assert_ne!(header["required"], true, "{asked}: {name} is missing"),
            }
        }
        for name in headers.keys() {
            let known = described.contains_key(&**name) || GENERAL.contains(&&**name);
            assert!(known, "{asked}: the header {name} is not described");
        }
    }

    /// Clients of the original drop nulls before they look at anything.
    #[track_caller]
    fn hold_official(&self, official: &Value, schema: &Value, body: &Value, asked: &str) {
        if schema.is_null() {
            return assert!(body.is_null(), "{asked}: the original answers nothing");
        }
        let validator = self.kept(schema, || {
            let schema = json!({"definitions": official["definitions"], "allOf": [schema]});
            jsonschema::draft4::options().build(&schema).unwrap()
        });
        complain(&validator, &without_nulls(body), asked, "the original");
    }

    /// The operation that a request is for, and its path as it is described.
    fn find(&self, method: &str, target: &str) -> Option<(&str, &Value)> {
        let path = target.split('?').next().unwrap_or_default();
        let path = path.strip_prefix('/').unwrap_or(path);
        let path = path.strip_suffix('/').unwrap_or(path);
        let segments: Vec<_> = path.split('/').map(percent_decode).collect::<Option<_>>()?;
        let fits = |path: &str| {
            let words: Vec<_> = path.split('/').skip(1).collect();
            words.len() == segments.len()
                && words.iter().zip(&segments).all(|(word, segment)| {
                    let any = word.starts_with('{') && !segment.is_empty();
                    any || word.eq_ignore_ascii_case(segment)
                })
        };
        // What is spelled out goes before what stands for anything.
        let found = self
            .operations()
            .filter(|(path, own, _)| own.eq_ignore_ascii_case(method) && fits(path))
            .min_by_key(|(path, ..)| path.matches('{').count());
        found.map(|(path, _, operation)| (path, operation))
    }

    fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(place) => self.document.pointer(&place[1..]).unwrap(),
            None => value,
        }
    }

    #[track_caller]
    fn fits(&self, schema: &Value, value: &Value, asked: &str) {
        let validator = self.kept(schema, || {
            let schema = json!({"components": self.closed["components"], "allOf": [schema]});
            let options = jsonschema::draft202012::options().should_validate_formats(true);
            options.build(&schema).unwrap()
        });
        complain(&validator, value, asked, "the description");
    }

    /// What judges by `schema`, made once.
    fn kept(&self, schema: &Value, make: impl FnOnce() -> Validator) -> Arc<Validator> {
        let kept = self.validators.lock();
        let mut kept = kept.unwrap_or_else(PoisonError::into_inner);
        let made = kept.entry(schema.to_string());
        Arc::clone(made.or_insert_with(|| Arc::new(make())))
    }
}

#[track_caller]
fn complain(schema: &Validator, value: &Value, asked: &str, whose: &str) {
    let wrong: Vec<_> = schema
        .iter_errors(value)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(
        wrong.is_empty(),
        "{asked}: not as {whose} has it: {wrong:?}"
    );
}

/// Mends what the original is not as its description has it.
fn as_it_is(official: &mut Value) {
    let Some(definitions) = official
        .get_mut("definitions")
        .and_then(Value::as_object_mut)
    else {
        return;
    };
    // Kept as any object (Azure/azure-cli#30610).
    definitions.insert("TwinCollection".into(), json!({"type": "object"}));
    // Required no more since 2026-08-01.
    if let Some(hub) = definitions.get_mut("IotHubDefinitionDescription") {
        hub["required"] = json!(["location"]);
    }
    // Several, with commas between them (Azure/azure-rest-api-specs#9285).
    if let Some(rule) = definitions.get_mut("SharedAccessSignatureAuthorizationRule") {
        rule["properties"]["rights"] = json!({"type": "string"});
    }
}

fn members(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let members = value.as_object().into_iter().flatten();
    members.map(|(name, member)| (&**name, member))
}

/// Allows no members but those that are named. Parts of a schema that is put together know only some.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            let open = members.contains_key("properties") && members.contains_key("type");
            for (name, member) in members.iter_mut() {
                if !["anyOf", "allOf", "oneOf"].contains(&&**name) {
                    close(member);
                }
            }
            if open {
                members
                    .entry("additionalProperties")
                    .or_insert(Value::Bool(false));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let kept = members.iter().filter(|(_, member)| !member.is_null());
            let kept = kept.map(|(name, member)| (name.clone(), without_nulls(member)));
            Value::Object(kept.collect::<Map<_, _>>())
        }
        Value::Array(items) => items.iter().map(without_nulls).collect(),
        other => other.clone(),
    }
}
