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
        Operation::ReadInstance => instance::read(question).await,
        Operation::ReadPart(part) => instance::read_part(question, part).await,
        Operation::WritePart(part) => instance::write_part(question, part).await,
        Operation::ListHubs => hub::list(question).await,
        Operation::ReadHub => hub::read(question).await,
        Operation::WriteHub => hub::write(question).await,
        Operation::RemoveHub => hub::remove(question).await,
        Operation::ListPolicies => policy::list(question).await,
        Operation::ReadPolicy => policy::read(question).await,
        Operation::WritePolicy => policy::write(question).await,
        Operation::RemovePolicy => policy::remove(question).await,
        Operation::ListKeys => policy::list_keys(question).await,
        Operation::ReadKeys => policy::read_keys(question).await,
        Operation::RegenerateKey => policy::regenerate(question).await,
        Operation::ListCertificates => certificate::list(question).await,
        Operation::ReadCertificate => certificate::read(question).await,
        Operation::WriteCertificate => certificate::write(question).await,
        Operation::RemoveCertificate => certificate::remove(question).await,
        Operation::GenerateCode => certificate::generate_code(question).await,
        Operation::Verify => certificate::verify(question).await,
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
