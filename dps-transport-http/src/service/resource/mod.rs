//! What operators ask about: each resource reads a question, makes one call, and renders.

mod bulk;
mod entry;
mod query;
mod registration;
mod why;

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use dps_core::admin::{Admin, AdminError};
use dps_core::error::{Reason, ServiceError};
use dps_core::json;
use dps_core::operators::Operators;
use dps_core::store::StoreError;
use http::{HeaderMap, HeaderValue, StatusCode, header::HeaderName};
use serde::Serialize;
use serde_json::Value;

use super::route::{Kind, Operation};
use crate::reply::{Answer, Stamp};
use crate::transport;

/// How long to wait when a store does not answer, as callers are told.
const UNAVAILABLE_RETRY: Duration = Duration::from_secs(10);

/// A request that has been let in.
#[derive(Clone, Copy)]
pub(super) struct Question<'a> {
    pub(super) operators: &'a Operators,
    pub(super) admin: &'a Admin,
    pub(super) headers: &'a HeaderMap,
    /// What stands in the place of `{id}`.
    pub(super) id: &'a str,
    pub(super) body: &'a Bytes,
}

/// What was done.
pub(super) struct Done {
    body: Option<Vec<u8>>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Done {
    fn with(body: &impl Serialize) -> Self {
        Self {
            body: Some(json::to_ascii(body)),
            headers: Vec::new(),
        }
    }

    const fn empty() -> Self {
        Self {
            body: None,
            headers: Vec::new(),
        }
    }

    fn and(mut self, headers: Vec<(HeaderName, HeaderValue)>) -> Self {
        self.headers.extend(headers);
        self
    }

    pub(super) fn answer(self, stamp: Stamp) -> Answer {
        let mut answer = match self.body {
            Some(body) => stamp.json(StatusCode::OK, body),
            None => stamp.empty(StatusCode::NO_CONTENT),
        };
        answer.headers_mut().extend(self.headers);
        answer
    }
}

/// Each is boxed, so that a small question does not keep room for a large one.
pub(super) fn answer<'a>(
    operation: Operation,
    question: &'a Question<'a>,
) -> Pin<Box<dyn Future<Output = Result<Done, ServiceError>> + Send + 'a>> {
    match operation {
        Operation::Read(kind) => Box::pin(entry::read(question, kind)),
        Operation::Write(kind) => Box::pin(entry::write(question, kind)),
        Operation::Remove(kind) => Box::pin(entry::remove(question, kind)),
        Operation::Attestation(kind) => Box::pin(entry::attestation(question, kind)),
        Operation::Change(kind) => Box::pin(bulk::change(question, kind)),
        Operation::List(kind) => Box::pin(query::entries(question, kind)),
        Operation::ListRegistrations => Box::pin(query::registrations(question)),
        Operation::ListMembers => Box::pin(query::members(question)),
        Operation::ReadRegistration => Box::pin(registration::read(question)),
        Operation::Explain => Box::pin(why::explain(question)),
        Operation::RemoveRegistration => Box::pin(registration::remove(question)),
    }
}

/// What an error of the core is called on the wire.
fn fault(error: AdminError, kind: Kind) -> ServiceError {
    let reason = match &error {
        AdminError::Invalid(_) | AdminError::Proof(_) => Reason::Malformed,
        AdminError::NotFound => return missing(kind),
        AdminError::Exists if kind == Kind::Group => Reason::GroupExists,
        AdminError::Exists => Reason::EnrollmentExists,
        AdminError::Changed => Reason::PreconditionFailed,
        AdminError::Duplicate(_) => Reason::Duplicate,
        AdminError::Full { .. } => Reason::TooManyEntries,
        AdminError::BadContinuation => Reason::BadContinuation,
        AdminError::Store(StoreError::Corrupt(_)) => Reason::Internal,
        AdminError::Store(_) => Reason::Unavailable,
        _ => Reason::Internal,
    };
    match (reason, error) {
        (_, AdminError::Invalid(text) | AdminError::Duplicate(text)) => {
            ServiceError::new(reason).with_message(text)
        }
        (Reason::TooManyEntries | Reason::Malformed, error) => {
            ServiceError::new(reason).with_message(error.to_string())
        }
        (Reason::Unavailable, error) => {
            tracing::warn!(%error, "an operator could not be served");
            ServiceError::new(reason).with_retry_after(UNAVAILABLE_RETRY)
        }
        (Reason::Internal, error) => {
            tracing::error!(%error, "an operator could not be served");
            ServiceError::new(reason)
        }
        (reason, _) => ServiceError::new(reason),
    }
}

fn missing(kind: Kind) -> ServiceError {
    ServiceError::new(match kind {
        Kind::Individual => Reason::EnrollmentNotFound,
        Kind::Group => Reason::GroupNotFound,
    })
}

/// Whether a body is JSON by its own account. Parameters do not matter.
fn document(question: &Question<'_>) -> Result<Value, ServiceError> {
    if !transport::is_json(question.headers) {
        return Err(ServiceError::new(Reason::UnsupportedMediaType));
    }
    json::parse(question.body).map_err(|error| malformed(error.to_string()))
}

fn malformed(message: impl Into<std::borrow::Cow<'static, str>>) -> ServiceError {
    ServiceError::new(Reason::Malformed).with_message(message)
}
