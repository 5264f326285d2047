//! Several entries in one request.

use dps_core::admin::{BulkFailure, BulkItem, BulkMode, EntryId, MAX_BULK_ITEMS};
use dps_core::error::{Reason, ServiceError};
use dps_core::id::{GroupId, IdError, RegistrationId};
use dps_core::store::Version;
use serde::Serialize;
use serde_json::Value;

use super::entry::words;
use super::{Done, Question, document, fault, malformed};
use crate::service::object::Object;
use crate::service::precondition::IfMatch;
use crate::service::route::Kind;

/// Changes entries each by itself, in their order. Says 200 also if none could be changed: what became of
/// them is in the answer.
pub(super) async fn change(question: &Question<'_>, kind: Kind) -> Result<Done, ServiceError> {
    let document = document(question)?;
    let (mode, items) = request(&document, kind)?;
    let mut refused = Vec::new();
    let mut taken = Vec::new();
    for (nth, (id, item)) in items.into_iter().enumerate() {
        match question.item(mode, id.clone(), item, kind) {
            Ok(item) => taken.push((nth, item)),
            Err(error) => refused.push((nth, id, error)),
        }
    }
    let order: Vec<_> = taken
        .iter()
        .map(|(nth, item)| (*nth, item.id.clone()))
        .collect();
    let taken: Vec<_> = taken.into_iter().map(|(_, item)| item).collect();
    if !taken.is_empty() {
        let now = question.operators.now();
        let failed = question.admin.bulk(mode, taken, now).await;
        for BulkFailure { id, error } in failed.map_err(|error| fault(error, kind))? {
            let nth = order.iter().find(|(_, other)| *other == id);
            refused.push((nth.map_or(0, |(nth, _)| *nth), id, fault(error, kind)));
        }
    }
    refused.sort_by_key(|(nth, ..)| *nth);
    let errors: Vec<_> = refused
        .iter()
        .map(|(_, id, error)| Failure::of(id, error))
        .collect();
    Ok(Done::with(&Outcome {
        is_successful: errors.is_empty(),
        errors,
    }))
}

type Items<'a> = Vec<(EntryId, &'a Value)>;

/// What is asked as a whole; if that is wrong, nothing is done.
fn request(document: &Value, kind: Kind) -> Result<(BulkMode, Items<'_>), ServiceError> {
    const MODES: &str = "mode: must be one of create, update, updateIfMatchETag, delete";
    let (name, list) = words(kind);
    let members = Object::root(document).map_err(|error| malformed(error.to_string()))?;
    let mode = members
        .text("mode")
        .map_err(|error| malformed(error.to_string()))?;
    let mode = mode
        .and_then(BulkMode::parse)
        .ok_or_else(|| malformed(MODES))?;
    let items = document.get(list).and_then(Value::as_array);
    let items = items.ok_or_else(|| malformed(format!("{list}: must be an array of entries")))?;
    if items.is_empty() || items.len() > MAX_BULK_ITEMS {
        return Err(malformed(format!(
            "{list}: must have 1 to {MAX_BULK_ITEMS} entries"
        )));
    }
    let mut found: Items<'_> = Vec::with_capacity(items.len());
    for (nth, item) in items.iter().enumerate() {
        let at = |what: &str| malformed(format!("{list}[{nth}].{name}: {what}"));
        let id = item.get(name).and_then(Value::as_str);
        let id = id.ok_or_else(|| at("must be a string"))?;
        let id = entry_id(id, kind).map_err(|error| at(&error.to_string()))?;
        if found.iter().any(|(other, _)| *other == id) {
            return Err(at("stands in the request more than once"));
        }
        found.push((id, item));
    }
    Ok((mode, found))
}

pub(super) fn entry_id(text: &str, kind: Kind) -> Result<EntryId, IdError> {
    match kind {
        Kind::Individual => RegistrationId::parse(text).map(EntryId::Individual),
        Kind::Group => GroupId::parse(text).map(EntryId::Group),
    }
}

impl Question<'_> {
    fn item(
        &self,
        mode: BulkMode,
        id: EntryId,
        item: &Value,
        kind: Kind,
    ) -> Result<BulkItem, ServiceError> {
        let (mut draft, mut version) = (None, None);
        if mode != BulkMode::Delete {
            draft = Some(self.draft(item, kind)?);
        }
        if mode == BulkMode::UpdateIfMatch {
            version = seen(item)?;
        }
        Ok(BulkItem { id, draft, version })
    }
}

/// The version that the client has seen; `None` if it does not say.
fn seen(item: &Value) -> Result<Option<Version>, ServiceError> {
    let tag = item.get("etag").filter(|tag| !tag.is_null());
    let tag = tag.map(|tag| {
        tag.as_str()
            .ok_or_else(|| malformed("etag: must be a string"))
    });
    match tag
        .transpose()?
        .filter(|tag| !tag.is_empty())
        .map(IfMatch::of)
    {
        None => Ok(None),
        Some(IfMatch::Tag(version)) => Ok(Some(version)),
        Some(_) => Err(ServiceError::new(Reason::PreconditionFailed)),
    }
}

/// # Source
/// `BulkEnrollmentOperationResult`. The SDK for C rejects one without `errors`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcome<'a> {
    is_successful: bool,
    errors: Vec<Failure<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Failure<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    registration_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enrollment_group_id: Option<&'a str>,
    error_code: u32,
    error_status: &'a str,
}

impl<'a> Failure<'a> {
    fn of(id: &'a EntryId, error: &'a ServiceError) -> Self {
        let (registration_id, enrollment_group_id) = match id {
            EntryId::Individual(id) => (Some(id.as_str()), None),
            EntryId::Group(id) => (None, Some(id.as_str())),
        };
        Self {
            registration_id,
            enrollment_group_id,
            error_code: error.reason().code(),
            error_status: error.message(),
        }
    }
}
