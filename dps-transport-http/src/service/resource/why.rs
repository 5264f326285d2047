//! Why a device stands as it does.

use dps_core::error::ServiceError;

use super::{Done, Question, fault};
use crate::service::route::Kind;
use crate::service::shape::Why;

/// What decided the last attempt that is stored, and what this node remembers beside. A device of which
/// nothing is known has never called, or has called another node: no error.
pub(super) async fn explain(question: &Question<'_>) -> Result<Done, ServiceError> {
    let id = question.registration_id()?;
    let found = question.admin.recorded(&id).await;
    let found = found.map_err(|error| fault(error, Kind::Individual))?;
    let events = question.operators.events(question.admin.scope(), &id);
    let last = found.as_ref().map(|found| &found.value);
    Ok(Done::with(&Why::of(&id, last, &events)))
}
