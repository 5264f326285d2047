//! Why a device stands as it does: for operators, who can do something about it.

use dps_core::event::{Event, EventKind};
use dps_core::id::RegistrationId;
use dps_core::registration::Registration;
use dps_core::time::Timestamp;
use dps_core::trace::Trace;
use serde::Serialize;

use super::shown;

/// The last decision, and what this node has seen lately.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::service) struct Why<'a> {
    registration_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_operation: Option<LastOperation<'a>>,
    /// Oldest first.
    recent: Vec<Happened<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LastOperation<'a> {
    operation_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    enrollment_group_id: Option<&'a str>,
    status: &'static str,
    #[serde(serialize_with = "shown")]
    started_date_time_utc: Timestamp,
    steps: Vec<String>,
}

/// One thing that happened. Its tracking id is the one that the device was told, if it was refused.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Happened<'a> {
    #[serde(serialize_with = "shown")]
    timestamp_utc: Timestamp,
    tracking_id: String,
    what: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operation_id: Option<&'a str>,
    steps: Vec<String>,
}

impl<'a> Why<'a> {
    pub(in crate::service) fn of(
        id: &'a RegistrationId,
        last: Option<&'a Registration>,
        events: &'a [Event],
    ) -> Self {
        Self {
            registration_id: last.map_or(id, |last| &last.id).as_str(),
            last_operation: last.map(|record| LastOperation {
                operation_id: record.operation.id.as_str(),
                enrollment_group_id: record.owner.group.as_ref().map(|group| group.as_str()),
                status: record.operation.status().word(),
                started_date_time_utc: record.operation.started,
                steps: steps(&record.trace),
            }),
            recent: events.iter().map(happened).collect(),
        }
    }
}

fn happened(event: &Event) -> Happened<'_> {
    let (what, origin, operation) = match &event.kind {
        EventKind::Refused { origin } => ("refused", Some(origin), None),
        EventKind::Challenged { origin } => ("challenged", Some(origin), None),
        EventKind::Accepted { operation, began } => {
            let what = if *began { "began" } else { "joined" };
            (what, None, Some(operation))
        }
        EventKind::Worked { operation, status } => (status.word(), None, Some(operation)),
        EventKind::TurnedAway => ("turnedAway", None, None),
        EventKind::Cleaned => ("cleaned", None, None),
        _ => ("other", None, None),
    };
    Happened {
        timestamp_utc: event.at,
        tracking_id: event.tracking.to_string(),
        what,
        address: origin.map(|origin| origin.address.to_string()),
        operation_id: operation.map(|operation| operation.as_str()),
        steps: steps(&event.trace),
    }
}

fn steps(trace: &Trace) -> Vec<String> {
    trace.to_string().lines().map(str::to_owned).collect()
}
