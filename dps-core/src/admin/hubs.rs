//! Linked hubs, one at a time.

use std::sync::Arc;

use super::{Admin, AdminError, Precondition, Revision};
use crate::id::{HubName, SecretBytes};
use crate::instance::{LinkedHub, MAX_HUBS};

/// What a hub may weigh.
///
/// # Source
/// *How to use allocation policies*: 1 to 1000, 1 if nothing is said.
const WEIGHTS: std::ops::RangeInclusive<u32> = 1..=1000;
const USUAL_WEIGHT: u32 = 1;

/// The longest location, in bytes. Our choice; names of regions have up to 20.
pub const MAX_LOCATION_BYTES: usize = 256;

/// The longest credential of a hub, in bytes. Our choice; connection strings have about 200.
pub const MAX_CREDENTIAL_BYTES: usize = 4096;

/// A linked hub as an operator writes it.
#[derive(Clone, Debug)]
pub struct HubDraft {
    /// Its host name; hubs are told apart by it, without regard to case.
    pub name: HubName,
    /// Where it is; at most [`MAX_LOCATION_BYTES`].
    pub location: Arc<str>,
    /// Its share among the candidates, 1 to 1000. Default: 1.
    pub weight: Option<u32>,
    /// Whether policies may choose it. Default: yes.
    pub in_policy: Option<bool>,
    /// How the service signs in to it; at most [`MAX_CREDENTIAL_BYTES`]. What is not said stays, for
    /// whoever reads a hub is not told it.
    pub credential: Option<SecretBytes>,
}

impl Admin {
    /// The linked hubs, with the version of the instance.
    ///
    /// # Errors
    /// [`AdminError::NotFound`] without an instance.
    pub async fn hubs(&self) -> Result<Revision<Vec<LinkedHub>>, AdminError> {
        let Revision { version, value } = self.settings().await?;
        let value = value.hubs;
        Ok(Revision { version, value })
    }

    /// Links a hub, or changes how it is linked. Counts from the next registration of any device.
    ///
    /// * `precondition`: of the hub, whether it is linked; of the instance, its version.
    ///
    /// Nobody calls the hub to see whether it is there.
    ///
    /// # Errors
    /// [`AdminError::Invalid`] for a weight, location or credential out of its bounds, and for a name that
    /// the service may not call ([`Admin::with_egress`]);
    /// [`AdminError::Full`] for more than [`MAX_HUBS`]; [`AdminError::NotFound`] without an instance;
    /// [`AdminError::Exists`] or [`AdminError::Changed`] if `precondition` does not hold.
    pub async fn put_hub(
        &self,
        draft: HubDraft,
        precondition: Precondition,
    ) -> Result<Revision<LinkedHub>, AdminError> {
        check(&draft)?;
        if !self.egress.permits_host(draft.name.as_str()) {
            return Err(AdminError::invalid(
                "the service may not call a hub of this name",
            ));
        }
        self.change_instance(|instance, version| {
            let hubs = &mut instance.hubs;
            let count = hubs.len();
            let before = hubs.iter_mut().find(|hub| hub.name == draft.name);
            precondition.holds(version, before.is_some())?;
            let kept = before.as_ref().and_then(|hub| hub.credential.clone());
            let hub = LinkedHub {
                name: draft.name.clone(),
                location: Arc::clone(&draft.location),
                weight: draft.weight.unwrap_or(USUAL_WEIGHT),
                in_policy: draft.in_policy.unwrap_or(true),
                credential: draft.credential.clone().or(kept),
            };
            match before {
                Some(before) => before.clone_from(&hub),
                None if count >= MAX_HUBS => {
                    let limit = MAX_HUBS as u64;
                    return Err(AdminError::Full { limit });
                }
                None => hubs.push(hub.clone()),
            }
            Ok(hub)
        })
        .await
    }

    /// Unlinks a hub. Devices stay on it until they register again; enrollments that name it are left alone.
    ///
    /// * `precondition`: as with [`Admin::put_hub`].
    ///
    /// # Errors
    /// [`AdminError::NotFound`] if it is not linked; [`AdminError::Exists`] or [`AdminError::Changed`] if
    /// `precondition` does not hold.
    pub async fn remove_hub(
        &self,
        name: &HubName,
        precondition: Precondition,
    ) -> Result<Revision<()>, AdminError> {
        self.change_instance(|instance, version| {
            let nth = instance.hubs.iter().position(|hub| hub.name == *name);
            let nth = nth.ok_or(AdminError::NotFound)?;
            precondition.holds(version, true)?;
            instance.hubs.remove(nth);
            Ok(())
        })
        .await
    }
}

fn check(draft: &HubDraft) -> Result<(), AdminError> {
    if draft
        .weight
        .is_some_and(|weight| !WEIGHTS.contains(&weight))
    {
        return Err(AdminError::invalid("the weight of a hub is 1 to 1000"));
    }
    if draft.location.len() > MAX_LOCATION_BYTES {
        return Err(AdminError::invalid("a location has at most 256 bytes"));
    }
    let credential = draft.credential.as_ref().map_or(0, |c| c.expose().len());
    if credential > MAX_CREDENTIAL_BYTES {
        return Err(AdminError::invalid(
            "the credential of a hub has at most 4096 bytes",
        ));
    }
    Ok(())
}
