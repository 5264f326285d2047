//! Events as log lines.

use dps_core::event::{Event, EventKind, EventSink};

/// Writes each event as one line of `tracing`, under the target `dps::events`.
///
/// Refusals and acceptances are `info`, what follows is `debug`, and the steps that led to either are
/// in the field `trace` at `debug`. No event holds a secret.
#[derive(Clone, Copy, Debug, Default)]
pub struct Logging;

impl EventSink for Logging {
    fn emit(&self, event: Event) {
        let Event {
            scope,
            registration,
            tracking,
            kind,
            trace,
            ..
        } = &event;
        match kind {
            EventKind::Refused { origin } => tracing::info!(
                target: "dps::events", %scope, %registration, %tracking,
                address = %origin.address, transport = ?origin.transport, "refused"
            ),
            EventKind::Accepted { operation, began } => tracing::info!(
                target: "dps::events", %scope, %registration, %tracking, %operation, began,
                "accepted"
            ),
            EventKind::TurnedAway => tracing::warn!(
                target: "dps::events", %scope, %registration, %tracking, "too many registrations"
            ),
            EventKind::Worked { operation, status } => tracing::debug!(
                target: "dps::events", %scope, %registration, %tracking, %operation, ?status,
                "worked"
            ),
            EventKind::Cleaned => tracing::debug!(
                target: "dps::events", %scope, %registration, %tracking, "cleaned"
            ),
            other => tracing::debug!(
                target: "dps::events", %scope, %registration, %tracking, kind = ?other, "event"
            ),
        }
        tracing::debug!(target: "dps::events", %tracking, trace = %trace, "steps");
    }
}
