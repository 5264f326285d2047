//! Individual enrollments and groups: read, write, remove, and tell the keys of.

use dps_core::admin::{EntryId, Precondition, Revision};
use dps_core::enrollment::{Draft, Enrollment};
use dps_core::error::{Reason, ServiceError};
use dps_core::registration::RegistrationState;
use serde_json::Value;

use super::bulk::entry_id;
use super::{Done, Question, document, fault, malformed, missing, stale};
use crate::service::enrollment::EnrollmentReader;
use crate::service::precondition::{self, IfMatch};
use crate::service::route::Kind;
use crate::service::shape::{Entry, Keys, Mechanism, State};

pub(super) async fn read(question: &Question<'_>, kind: Kind) -> Result<Done, ServiceError> {
    let id = question.entry_id(kind)?;
    let EntryId::Individual(registration) = &id else {
        let found = question.found(&id, kind).await?;
        return Ok(Done::with(&Entry::of(&found, Keys::Hidden)));
    };
    let found = question.admin.enrolled(registration).await;
    let (entry, state) = found.map_err(|error| fault(error, kind))?;
    let entry = entry.ok_or_else(|| missing(kind))?;
    let state =
        state.map(|found| RegistrationState::of(&found.value, found.version, &found.value.id));
    let state = match &state {
        Some(state) => State::of(state),
        None => State::never(registration),
    };
    let entry = Entry::of(&entry, Keys::Hidden);
    Ok(Done::with(&entry.with_state(state)))
}

/// Makes an entry or replaces one. Which of the two is meant is in the headers alone: a tag in the
/// document is what the client has read, and counts for nothing.
pub(super) async fn write(question: &Question<'_>, kind: Kind) -> Result<Done, ServiceError> {
    let id = question.entry_id(kind)?;
    let precondition = precondition::of_write(question.headers, Precondition::Absent)?;
    let document = document(question)?;
    let draft = question.draft(&document, kind)?;
    if EntryId::of(&draft.subject) != id {
        let (name, _) = words(kind);
        return Err(malformed(format!("{name}: is not the one in the path")));
    }
    let precondition = precondition.ok_or_else(stale)?;
    let now = question.operators.now();
    let written = question.admin.write_entry(draft, precondition, now).await;
    let written = written.map_err(|error| fault(error, kind))?;
    Ok(Done::with(&Entry::of(&written, Keys::Told)))
}

pub(super) async fn remove(question: &Question<'_>, kind: Kind) -> Result<Done, ServiceError> {
    let id = question.entry_id(kind)?;
    let precondition = match IfMatch::read(question.headers)? {
        IfMatch::Unsaid | IfMatch::Star => Precondition::Any,
        IfMatch::Tag(version) => Precondition::Version(version),
        IfMatch::Unknown => {
            question.found(&id, kind).await?;
            return Err(stale());
        }
    };
    let removed = question.admin.remove_entry(&id, precondition).await;
    removed.map_err(|error| fault(error, kind))?;
    Ok(Done::empty())
}

pub(super) async fn attestation(question: &Question<'_>, kind: Kind) -> Result<Done, ServiceError> {
    let id = question.entry_id(kind)?;
    let found = question.found(&id, kind).await?;
    Ok(Done::with(&Mechanism::of(
        &found.value.attestation,
        Keys::Told,
    )))
}

/// What the id is called, and in which member of a bulk operation entries stand.
pub(super) const fn words(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Individual => ("registrationId", "enrollments"),
        Kind::Group => ("enrollmentGroupId", "enrollmentGroups"),
    }
}

impl Question<'_> {
    fn entry_id(&self, kind: Kind) -> Result<EntryId, ServiceError> {
        let id = entry_id(self.id, kind);
        id.map_err(|error| malformed(format!("{}: {error}", words(kind).0)))
    }

    async fn found(&self, id: &EntryId, kind: Kind) -> Result<Revision<Enrollment>, ServiceError> {
        let found = self.admin.entry(id).await;
        found
            .map_err(|error| fault(error, kind))?
            .ok_or_else(|| missing(kind))
    }

    pub(super) fn draft(&self, document: &Value, kind: Kind) -> Result<Draft, ServiceError> {
        let crypto = self.operators.crypto();
        let crypto = crypto.ok_or_else(|| ServiceError::new(Reason::Internal))?;
        let reader = EnrollmentReader::new(crypto, self.operators.now());
        let read = match kind {
            Kind::Individual => reader.individual(document),
            Kind::Group => reader.group(document),
        };
        let read = read.map_err(|error| malformed(error.to_string()))?;
        Ok(read.draft)
    }
}
