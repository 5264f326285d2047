//! The policy `custom`, for demonstrations.

use async_trait::async_trait;
use dps_core::allocate::{
    Allocation, AllocationHook, AllocationRequest, BuiltIn, HookError, Policy,
};
use serde_json::Map;

/// Spreads devices by weight over the hubs in policy, as the policy `hashed` does, and sends each device
/// what it sent along: `{"echo": …}` comes back as `registrationState.payload`. A demonstration of the
/// policy `custom`.
#[derive(Debug)]
pub(super) struct SpreadAndEcho;

#[async_trait]
impl AllocationHook for SpreadAndEcho {
    async fn allocate(&self, request: &AllocationRequest<'_>) -> Result<Allocation, HookError> {
        // A hook is offered all linked hubs, also those that are out of policy.
        let hubs: Vec<_> = request
            .hubs
            .iter()
            .copied()
            .filter(|hub| hub.in_policy)
            .collect();
        let mut narrowed = request.clone();
        narrowed.hubs = &hubs;
        let mut allocation = BuiltIn::new(Policy::Hashed).allocate(&narrowed).await?;
        allocation.payload = request
            .payload
            .map(|sent| Map::from_iter([("echo".to_owned(), sent.clone())]));
        Ok(allocation)
    }
}
