//! The hubs that a device may be given.

use std::sync::Arc;

use super::{current, no_candidate, reprovision};
use crate::allocate::Policy;
use crate::enrollment::Enrollment;
use crate::error::Failure;
use crate::id::{ApiVersion, HubName};
use crate::instance::{Instance, LinkedHub};
use crate::registration::Registration;
use crate::trace::{Step, Trace};

/// Hubs to choose from, and how.
#[derive(Debug)]
pub(crate) struct Candidates<'a> {
    /// In the order of the instance; never empty.
    pub(crate) hubs: Vec<&'a LinkedHub>,
    pub(crate) policy: Policy,
    /// The one hub is where the device is, and it is not to move.
    pub(crate) must_stay: bool,
}

/// Finds the candidates: the enrollment's list, else all that are linked; within the linked; within
/// those in policy, except for a custom policy, which is offered all.
///
/// # Errors
/// The [`Failure`] that the operation ends with if none is left, or if the device must stay on a hub
/// that is not linked any more.
///
/// # Source
/// *How to use allocation policies*, *How to link and manage IoT hubs*.
pub(crate) fn candidates<'a>(
    instance: &'a Instance,
    enrollment: &Enrollment,
    record: Option<&Registration>,
    version: &ApiVersion,
    trace: &mut Trace,
) -> Result<Candidates<'a>, Failure> {
    let policy = policy(instance, enrollment);
    let rule = reprovision(enrollment, version);
    match current(record) {
        None => trace.push(Step::First),
        Some(here) if rule.update_hub => {
            let hub = Arc::clone(here.hub.folded());
            trace.push(match instance.hub(&here.hub) {
                Some(_) => Step::MayMove {
                    hub,
                    migrate: rule.migrate_data,
                },
                None => Step::CurrentUnlinked { hub },
            });
        }
        Some(here) => {
            let name = Arc::clone(here.hub.folded());
            trace.push(Step::MustStay {
                hub: Arc::clone(&name),
            });
            let Some(hub) = instance.hub(&here.hub) else {
                trace.push(Step::CurrentUnlinked { hub: name });
                let text = format!(
                    "the device must stay on {}, which is not linked any more",
                    here.hub
                );
                return Err(Failure::new(Failure::NO_CANDIDATE, text));
            };
            return Ok(Candidates {
                hubs: vec![hub],
                policy,
                must_stay: true,
            });
        }
    }
    let hubs = offered(instance, enrollment, policy, trace);
    if hubs.is_empty() {
        trace.push(Step::NoCandidate);
        return Err(no_candidate());
    }
    let count = u32::try_from(hubs.len()).unwrap_or(u32::MAX);
    trace.push(Step::Candidates {
        count,
        policy: policy.word().into(),
    });
    Ok(Candidates {
        hubs,
        policy,
        must_stay: false,
    })
}

/// The enrollment's policy, else the instance's. An entry from before there were policies, with one
/// hub and nothing else, is static.
fn policy(instance: &Instance, enrollment: &Enrollment) -> Policy {
    match enrollment.policy {
        Some(policy) => policy,
        None if enrollment.hubs.is_empty() && enrollment.pinned_hub.is_some() => Policy::Static,
        None => instance.policy,
    }
}

fn offered<'a>(
    instance: &'a Instance,
    enrollment: &Enrollment,
    policy: Policy,
    trace: &mut Trace,
) -> Vec<&'a LinkedHub> {
    let named: Vec<&HubName> = if enrollment.hubs.is_empty() {
        enrollment.pinned_hub.iter().collect()
    } else {
        enrollment.hubs.iter().collect()
    };
    for name in named
        .iter()
        .filter(|name| instance.hub(name).is_none())
        .take(4)
    {
        trace.push(Step::NotLinked {
            hub: Arc::clone(name.folded()),
        });
    }
    let wanted = |hub: &LinkedHub| named.is_empty() || named.iter().any(|name| **name == hub.name);
    let mut offered = Vec::with_capacity(instance.hubs.len());
    for hub in instance.hubs.iter().filter(|hub| wanted(hub)) {
        if hub.in_policy || policy == Policy::Custom {
            offered.push(hub);
        } else {
            trace.push(Step::OutOfPolicy {
                hub: Arc::clone(hub.name.folded()),
            });
        }
    }
    offered
}
