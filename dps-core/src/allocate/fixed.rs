//! The hub that the enrollment names.

use super::{AllocationRequest, Choice, ChooseError, Why};

pub(super) fn choose<'a>(request: &AllocationRequest<'a>) -> Result<Choice<'a>, ChooseError> {
    let enrollment = request.enrollment;
    let mut named = enrollment
        .hubs
        .iter()
        .chain(&enrollment.pinned_hub)
        .peekable();
    if named.peek().is_none() {
        return Err(ChooseError::NoHubNamed);
    }
    named
        .find_map(|name| request.hubs.iter().copied().find(|hub| hub.name == *name))
        .map(|hub| Choice {
            hub,
            why: Why::Named,
        })
        .ok_or(ChooseError::NoCandidate)
}
