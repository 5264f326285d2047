//! What becomes of a register: join, stay, move, or begin. Pure.
//!
//! Everything is decided here from values that were read; nothing is read, written or awaited.

mod candidates;

use std::sync::Arc;

use serde_json::Value;

pub(crate) use self::candidates::{Candidates, candidates};
use crate::allocate::{self, AllocationRequest, ChooseError, LatencyOracle, Policy, Why};
use crate::api::Origin;
use crate::enrollment::{Enrollment, ReprovisionPolicy, Subject};
use crate::error::Failure;
use crate::hub::{DeviceAuth, Place};
use crate::id::{ApiVersion, DeviceId, IdScope, OperationId, RegistrationId};
use crate::instance::{Instance, LinkedHub};
use crate::registration::{Extras, Linking, Operation, Phase, Registration, Substatus, TwinSource};
use crate::time::Timestamp;
use crate::tpm;
use crate::trace::{Step, Trace};
use crate::twin::Twin;

/// A register, with everything it is decided from.
#[derive(Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) scope: &'a IdScope,
    pub(crate) registration: &'a RegistrationId,
    pub(crate) instance: &'a Instance,
    pub(crate) enrollment: &'a Enrollment,
    pub(crate) record: Option<&'a Registration>,
    /// How the device will sign in to its hub.
    pub(crate) auth: &'a DeviceAuth,
    pub(crate) asked: [u8; 32],
    pub(crate) token: Option<[u8; 32]>,
    pub(crate) storage_root_key: Option<&'a tpm::PublicKey>,
    pub(crate) version: &'a ApiVersion,
    pub(crate) payload: Option<&'a Value>,
    pub(crate) origin: &'a Origin,
    pub(crate) latency: Option<&'a dyn LatencyOracle>,
    pub(crate) now: Timestamp,
    /// The id the operation gets, if it is a new one.
    pub(crate) fresh: &'a OperationId,
}

/// What becomes of it. One lives at a time, and only for a moment, so its size does not matter.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "boxing would cost each registration an allocation"
)]
pub(crate) enum Decision {
    /// The operation in flight asks for the same.
    Join,
    /// A new operation.
    Begin {
        operation: Operation,
        /// A place that an operation in flight may have touched, and that this one gives up.
        abandons: Option<Place>,
        /// Until then somebody may still be at the operation that is taken over.
        not_before: Timestamp,
    },
}

/// Decides what becomes of a register.
pub(crate) fn decide(ask: &Ask<'_>, trace: &mut Trace) -> Decision {
    let in_flight = ask.record.filter(|record| {
        matches!(
            record.operation.phase,
            Phase::Accepted { .. } | Phase::Linking(_)
        )
    });
    if let Some(record) = in_flight {
        if ask.enrollment.enabled && record.operation.asked == ask.asked {
            trace.push(Step::Joined {
                operation: record.operation.id.as_str().into(),
            });
            return Decision::Join;
        }
        trace.push(Step::TookOver {
            operation: record.operation.id.as_str().into(),
        });
    }
    let touched = in_flight.and_then(|record| match &record.operation.phase {
        Phase::Linking(linking) => Some((linking, record.operation.resume_at)),
        _ => None,
    });
    if let Some((linking, until)) = touched
        && ask.enrollment.enabled
        && candidates(
            ask.instance,
            ask.enrollment,
            ask.record,
            ask.version,
            &mut Trace::default(),
        )
        .is_ok_and(|found| found.hubs.iter().any(|hub| hub.name == linking.place.hub))
    {
        // The hub is the same, so nothing is touched twice; only how the device signs in differs,
        // and that begins when whoever is at it must have given up.
        let phase = Phase::Linking(Linking {
            auth: ask.auth.clone(),
            ..linking.clone()
        });
        let mut operation = begin(ask, phase);
        if let Some(record) = in_flight {
            operation
                .extras
                .payload
                .clone_from(&record.operation.extras.payload);
        }
        return Decision::Begin {
            operation,
            abandons: None,
            not_before: until,
        };
    }
    let operation = begin(ask, first_phase(ask, trace));
    let stays_at = match &operation.phase {
        Phase::Linking(linking) => Some(&linking.place),
        _ => None,
    };
    let abandons = touched
        .map(|(linking, _)| &linking.place)
        .filter(|place| Some(*place) != stays_at && Some(*place) != current(ask.record))
        .cloned();
    let not_before = touched.map_or(ask.now, |(_, until)| until);
    Decision::Begin {
        operation,
        abandons,
        not_before,
    }
}

fn begin(ask: &Ask<'_>, phase: Phase) -> Operation {
    Operation {
        id: ask.fresh.clone(),
        phase,
        started: ask.now,
        since: ask.now,
        resume_at: ask.now,
        attempts: 0,
        token: ask.token,
        storage_root_key: ask.storage_root_key.cloned(),
        asked: ask.asked,
        version: ask.version.clone(),
        extras: Extras::default(),
    }
}

fn first_phase(ask: &Ask<'_>, trace: &mut Trace) -> Phase {
    if !ask.enrollment.enabled {
        return Phase::Disabled;
    }
    let found = match candidates(ask.instance, ask.enrollment, ask.record, ask.version, trace) {
        Ok(found) => found,
        Err(failure) => return Phase::Failed(failure),
    };
    if found.policy == Policy::Custom {
        trace.push(Step::HookAsked);
        return Phase::Accepted {
            auth: ask.auth.clone(),
            origin: ask.origin.address,
            payload: ask.payload.cloned(),
        };
    }
    let hub = match found.must_stay {
        true => found.hubs.first().copied(),
        false => match choose(ask, &found, trace) {
            Ok(hub) => Some(hub),
            Err(failure) => return Phase::Failed(failure),
        },
    };
    let Some(hub) = hub else {
        return Phase::Failed(no_candidate());
    };
    let chosen = Chosen {
        registration: ask.registration,
        instance: ask.instance,
        enrollment: ask.enrollment,
        record: ask.record,
        version: ask.version,
        hub,
        twin: None,
    };
    Phase::Linking(place(&chosen, ask.auth.clone(), trace))
}

fn choose<'a>(
    ask: &Ask<'a>,
    found: &Candidates<'a>,
    trace: &mut Trace,
) -> Result<&'a LinkedHub, Failure> {
    let mut request = AllocationRequest::new(
        ask.scope,
        ask.fresh,
        ask.registration,
        ask.enrollment,
        &found.hubs,
        ask.origin.address,
    );
    request.current = current(ask.record);
    request.payload = ask.payload;
    let latencies = match (found.policy, ask.latency) {
        (Policy::GeoLatency, Some(oracle)) => oracle.estimate(ask.origin.address, &found.hubs),
        _ => Vec::new(),
    };
    match allocate::choose(found.policy, &request, &latencies) {
        Ok(choice) => {
            explain(&choice.why, choice.hub, trace);
            // The choice borrows from the request; the hub itself is the instance's.
            let chosen = found
                .hubs
                .iter()
                .copied()
                .find(|hub| hub.name == choice.hub.name);
            chosen.ok_or_else(no_candidate)
        }
        Err(error) => {
            trace.push(Step::CannotChoose {
                because: error.to_string().into(),
            });
            Err(Failure::new(
                Failure::NO_CANDIDATE,
                match error {
                    ChooseError::NoCandidate => no_candidate().message,
                    other => other.to_string().into(),
                },
            ))
        }
    }
}

fn explain(why: &Why, hub: &LinkedHub, trace: &mut Trace) {
    let name = Arc::clone(hub.name.folded());
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    match *why {
        Why::Score { score, among } => {
            trace.push(Step::ChosenByScore {
                hub: name,
                score,
                among: count(among),
            });
        }
        Why::LatencyUnknown { score, among } => {
            trace.push(Step::LatencyUnknown);
            trace.push(Step::ChosenByScore {
                hub: name,
                score,
                among: count(among),
            });
        }
        Why::Latency { latency, ties } => trace.push(Step::ChosenByLatency {
            hub: name,
            millis: u64::try_from(latency.as_millis()).unwrap_or(u64::MAX),
            ties: count(ties),
        }),
        Why::Named => trace.push(Step::ChosenByName { hub: name }),
    }
}

/// A hub that was chosen, with what decides what happens there.
#[derive(Debug)]
pub(crate) struct Chosen<'a> {
    pub(crate) registration: &'a RegistrationId,
    pub(crate) instance: &'a Instance,
    pub(crate) enrollment: &'a Enrollment,
    pub(crate) record: Option<&'a Registration>,
    pub(crate) version: &'a ApiVersion,
    pub(crate) hub: &'a LinkedHub,
    /// The hook's, instead of the enrollment's.
    pub(crate) twin: Option<Twin>,
}

/// What happens at the hub that was chosen: the table of reprovisioning.
///
/// # Source
/// *Device reprovisioning concepts*; substatus as the C# SDK's `ReprovisioningE2ETests.cs` expects
/// them. Resetting on the same hub, and moving when only the device id changed, are our reading.
pub(crate) fn place(chosen: &Chosen<'_>, auth: DeviceAuth, trace: &mut Trace) -> Linking {
    let hub = &chosen.hub.name;
    let policy = reprovision(chosen.enrollment, chosen.version);
    let current = current(chosen.record);
    let device = device_id(chosen, policy);
    let place = Place {
        hub: hub.clone(),
        device,
    };
    let initial = || {
        chosen
            .twin
            .clone()
            .unwrap_or_else(|| chosen.enrollment.initial_twin.clone())
    };
    let name = |hub: &crate::id::HubName| Arc::clone(hub.folded());
    let device_name: Arc<str> = place.device.as_str().into();
    let (twin, substatus, leave) = match current {
        None => {
            trace.push(Step::Joins {
                hub: name(hub),
                device: device_name,
            });
            (
                TwinSource::IfNew(initial()),
                Substatus::InitialAssignment,
                None,
            )
        }
        Some(here) if *here == place => {
            trace.push(Step::Stays {
                hub: name(hub),
                device: device_name,
            });
            // The enrollment's own twin, whatever a hook says: the hub does not change.
            let twin = chosen.enrollment.initial_twin.clone();
            if policy.update_hub && !policy.migrate_data {
                (TwinSource::Reset(twin), Substatus::DeviceDataReset, None)
            } else {
                // A device that was deleted there is made again.
                (
                    TwinSource::IfNew(twin),
                    Substatus::ReprovisionedToInitialAssignment,
                    None,
                )
            }
        }
        Some(left) => {
            trace.push(Step::Moves {
                from: name(&left.hub),
                to: name(hub),
                device: device_name,
            });
            let reachable = chosen.instance.hub(&left.hub).is_some();
            let leave = reachable.then(|| left.clone());
            if reachable && policy.migrate_data {
                let otherwise = initial();
                (
                    TwinSource::Carry { otherwise },
                    Substatus::DeviceDataMigrated,
                    leave,
                )
            } else {
                (
                    TwinSource::Reset(initial()),
                    Substatus::DeviceDataReset,
                    leave,
                )
            }
        }
    };
    Linking {
        place,
        auth,
        edge: chosen.enrollment.edge,
        twin,
        substatus,
        leave,
    }
}

/// The device's name at the hub.
///
/// What it has, if it must stay; otherwise the enrollment's, else what it has, else the registration
/// id. Hubs mind the case, so an individual enrollment's spelling counts, and in a group the one that
/// the device used first.
fn device_id(chosen: &Chosen<'_>, policy: ReprovisionPolicy) -> DeviceId {
    let existing = current(chosen.record).map(|place| &place.device);
    let (named, spelled) = match &chosen.enrollment.subject {
        Subject::Individual {
            registration,
            device,
            ..
        } => (device.as_ref(), registration),
        Subject::Group { .. } => (
            None,
            chosen
                .record
                .map_or(chosen.registration, |record| &record.id),
        ),
    };
    let by_order = if policy.update_hub {
        [named, existing]
    } else {
        [existing, named]
    };
    by_order
        .into_iter()
        .flatten()
        .next()
        .cloned()
        .unwrap_or_else(|| spelled.into())
}

/// Where the device is.
pub(crate) fn current(record: Option<&Registration>) -> Option<&Place> {
    Some(&record?.assignment.as_ref()?.place)
}

/// What the enrollment says of registering again.
///
/// An entry that says nothing, met by a device that speaks a version from before there were such
/// policies, keeps the device where it is, as it was then.
///
/// # Source
/// "Backwards compatibility" in *Device reprovisioning concepts*.
pub(crate) fn reprovision(enrollment: &Enrollment, version: &ApiVersion) -> ReprovisionPolicy {
    match enrollment.reprovision {
        Some(policy) => policy,
        None if version.as_str() <= "2018-04-01" => ReprovisionPolicy::NEVER,
        None => ReprovisionPolicy::default(),
    }
}

pub(crate) fn no_candidate() -> Failure {
    Failure::new(
        Failure::NO_CANDIDATE,
        "no hub is left to choose from: none of those that the enrollment names is linked and in policy",
    )
}

#[cfg(test)]
mod tests;
