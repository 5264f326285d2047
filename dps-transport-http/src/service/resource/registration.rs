//! Registrations: read, and forget.

use dps_core::admin::Precondition;
use dps_core::error::ServiceError;
use dps_core::id::RegistrationId;
use dps_core::registration::RegistrationState;

use super::{Done, Question, What, fault, malformed, missing, stale};
use crate::service::precondition::IfMatch;
use crate::service::shape::State;

pub(super) async fn read(question: &Question<'_>) -> Result<Done, ServiceError> {
    let found = question.registration(&question.registration_id()?).await?;
    let found = found.ok_or_else(|| missing(What::Registration))?;
    Ok(Done::with(&State::of(&found)))
}

pub(super) async fn remove(question: &Question<'_>) -> Result<Done, ServiceError> {
    let id = question.registration_id()?;
    let precondition = match IfMatch::read(question.headers)? {
        IfMatch::Unsaid | IfMatch::Star => Precondition::Any,
        IfMatch::Tag(version) => Precondition::Version(version),
        IfMatch::Unknown => {
            question
                .registration(&id)
                .await?
                .ok_or_else(|| missing(What::Registration))?;
            return Err(stale());
        }
    };
    let removed = question.admin.remove_registration(&id, precondition).await;
    removed.map_err(|error| fault(error, What::Registration))?;
    Ok(Done::empty())
}

impl Question<'_> {
    pub(super) fn registration_id(&self) -> Result<RegistrationId, ServiceError> {
        let id = RegistrationId::parse(self.id);
        id.map_err(|error| malformed(format!("registrationId: {error}")))
    }

    /// How a device stands; `None` if it has never registered.
    pub(super) async fn registration(
        &self,
        id: &RegistrationId,
    ) -> Result<Option<RegistrationState>, ServiceError> {
        let found = self.admin.recorded(id).await;
        let found = found.map_err(|error| fault(error, What::Registration))?;
        Ok(found.map(|found| RegistrationState::of(&found.value, found.version, &found.value.id)))
    }
}
