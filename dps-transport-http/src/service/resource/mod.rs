//! What operators ask about: each resource reads a question, makes one call, and renders.

mod bulk;
mod entry;
mod query;
mod registration;
mod why;

use bytes::Bytes;
use dps_core::admin::{Admin, AdminError};
use dps_core::error::{Reason, ServiceError, UNAVAILABLE_RETRY};
use dps_core::json;
use dps_core::operators::Operators;
use dps_core::store::StoreError;
use http::{HeaderMap, HeaderValue, StatusCode, header::HeaderName};
use serde::Serialize;
use serde_json::Value;

use super::route::{Kind, Operation};
use crate::reply::{Answer, Stamp};
use crate::transport;

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

pub(super) async fn answer(
    operation: Operation,
    question: &Question<'_>,
) -> Result<Done, ServiceError> {
    match operation {
        Operation::Read(kind) => entry::read(question, kind).await,
        Operation::Write(kind) => entry::write(question, kind).await,
        Operation::Remove(kind) => entry::remove(question, kind).await,
        Operation::Attestation(kind) => entry::attestation(question, kind).await,
        Operation::Change(kind) => bulk::change(question, kind).await,
        Operation::List(kind) => query::entries(question, kind).await,
        Operation::ListRegistrations => query::registrations(question).await,
        Operation::ListMembers => query::members(question).await,
        Operation::ReadRegistration => registration::read(question).await,
        Operation::Explain => why::explain(question).await,
        Operation::RemoveRegistration => registration::remove(question).await,
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
