//! What operators ask about: each resource reads a question, makes one call, and renders.

mod bulk;
mod certificate;
mod entry;
mod fault;
mod hub;
mod instance;
mod issuer;
mod policy;
mod query;
mod registration;
mod why;

use std::pin::Pin;

use bytes::Bytes;
use dps_core::admin::Admin;
use dps_core::error::{Reason, ServiceError};
use dps_core::json;
use dps_core::operators::Operators;
use http::{HeaderMap, HeaderValue, StatusCode, header::HeaderName};
use serde::Serialize;
use serde_json::Value;

use self::fault::{What, fault, malformed, missing};
use super::error::{EnrollmentError, Problem};
use super::object::Object;
use super::route::Operation;
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
        Operation::ReadInstance => Box::pin(instance::read(question)),
        Operation::ReadPart(part) => Box::pin(instance::read_part(question, part)),
        Operation::WritePart(part) => Box::pin(instance::write_part(question, part)),
        Operation::ListHubs => Box::pin(hub::list(question)),
        Operation::ReadHub => Box::pin(hub::read(question)),
        Operation::WriteHub => Box::pin(hub::write(question)),
        Operation::RemoveHub => Box::pin(hub::remove(question)),
        Operation::ListPolicies => Box::pin(policy::list(question)),
        Operation::ReadPolicy => Box::pin(policy::read(question)),
        Operation::WritePolicy => Box::pin(policy::write(question)),
        Operation::RemovePolicy => Box::pin(policy::remove(question)),
        Operation::ListKeys => Box::pin(policy::list_keys(question)),
        Operation::ReadKeys => Box::pin(policy::read_keys(question)),
        Operation::RegenerateKey => Box::pin(policy::regenerate(question)),
        Operation::ListCertificates => Box::pin(certificate::list(question)),
        Operation::ReadCertificate => Box::pin(certificate::read(question)),
        Operation::WriteCertificate => Box::pin(certificate::write(question)),
        Operation::RemoveCertificate => Box::pin(certificate::remove(question)),
        Operation::GenerateCode => Box::pin(certificate::generate_code(question)),
        Operation::Verify => Box::pin(certificate::verify(question)),
    }
}

/// Whether a body is JSON by its own account. Parameters do not matter.
fn document(question: &Question<'_>) -> Result<Value, ServiceError> {
    if !transport::is_json(question.headers) {
        return Err(ServiceError::new(Reason::UnsupportedMediaType));
    }
    json::parse(question.body).map_err(|error| malformed(error.to_string()))
}

/// Reads a document's members; what is wrong with one is told with its path.
fn members<'a, T>(
    document: &'a Value,
    read: impl FnOnce(&Object<'a>) -> Result<T, EnrollmentError>,
) -> Result<T, ServiceError> {
    let read = Object::root(document).and_then(|members| read(&members));
    read.map_err(|error| malformed(error.to_string()))
}

/// Holds that a document that says its own name says that of its path, in any case of letters; gives it
/// as the document spells it.
fn named<'a>(
    question: &Question<'a>,
    members: &Object<'a>,
    name: &str,
) -> Result<&'a str, EnrollmentError> {
    let said = members.text(name)?.unwrap_or(question.id);
    if !said.eq_ignore_ascii_case(question.id) {
        return Err(members.fault(name, Problem::Unfit("is not the one in the path")));
    }
    Ok(said)
}

/// That a tag names no version that ever was.
fn stale() -> ServiceError {
    ServiceError::new(Reason::PreconditionFailed)
}
