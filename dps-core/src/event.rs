//! What happened, for whoever wants to know.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};

use crate::api::Origin;
use crate::id::{IdScope, OperationId, RegistrationId, TrackingId};
use crate::registration::Status;
use crate::time::Timestamp;
use crate::trace::Trace;

/// One thing that happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// To which tenant; as the caller named it, if there is no such tenant.
    pub scope: IdScope,
    /// To which device; as the caller named it, if it was not believed.
    pub registration: RegistrationId,
    /// In which attempt; the device is told the same name where it is refused.
    pub tracking: TrackingId,
    /// What.
    pub kind: EventKind,
    /// Why.
    pub trace: Arc<Trace>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventKind {
    /// A caller was not believed. Nothing was written.
    Refused {
        /// Where it called from.
        origin: Origin,
    },
    /// A caller showed keys of a TPM, and was asked to sign with it. Nothing else was written than, for an
    /// enrolled endorsement key, the storage root key that came with it.
    Challenged {
        /// Where it called from.
        origin: Origin,
    },
    /// A proven device asked to register, and has an operation.
    Accepted {
        /// The operation.
        operation: OperationId,
        /// Whether this call began it; otherwise it joined one in flight.
        began: bool,
    },
    /// A proven device asked to register for the first time, and there are as many registrations as may be.
    /// Nothing was written.
    TurnedAway,
    /// An operation came to an end, or to another wait.
    Worked {
        /// The operation.
        operation: OperationId,
        /// How far it is.
        status: Status,
    },
    /// A place that a device had left was cleaned.
    Cleaned,
}

/// Takes events. Called in the middle of requests: it must be quick and must not wait.
///
/// Strangers cause [`EventKind::Refused`] and [`EventKind::Challenged`] as often as they like: a sink that writes has to bound that.
pub trait EventSink: Debug + Send + Sync + 'static {
    /// Takes one event.
    fn emit(&self, event: Event);
}

/// Both are told, the first one first.
impl<A: EventSink, B: EventSink> EventSink for (A, B) {
    fn emit(&self, event: Event) {
        self.0.emit(event.clone());
        self.1.emit(event);
    }
}

/// Drops all events.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoEvents;

impl EventSink for NoEvents {
    fn emit(&self, _: Event) {}
}

/// Keeps the last events in memory, to ask about later.
///
/// Refusals of callers who have not proven themselves are written nowhere else.
#[derive(Clone, Debug)]
pub struct Recent {
    events: Arc<Mutex<VecDeque<Event>>>,
    capacity: usize,
}

impl Recent {
    /// Keeps the last `capacity` events of all tenants together; 0 keeps none.
    ///
    /// An event holds its trace, which has up to [`MAX_STEPS`](crate::trace::MAX_STEPS) steps.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            events: Arc::default(),
            capacity,
        }
    }

    /// The events of one device, oldest first.
    #[must_use]
    pub fn of(&self, scope: &IdScope, registration: &RegistrationId) -> Vec<Event> {
        self.select(|event| event.scope == *scope && event.registration == *registration)
    }

    /// The events of one attempt, oldest first.
    #[must_use]
    pub fn tracked(&self, tracking: &str) -> Vec<Event> {
        self.select(|event| event.tracking.to_string().eq_ignore_ascii_case(tracking))
    }

    fn select(&self, wanted: impl Fn(&Event) -> bool) -> Vec<Event> {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events
            .iter()
            .filter(|event| wanted(event))
            .cloned()
            .collect()
    }
}

impl EventSink for Recent {
    fn emit(&self, event: Event) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        if events.len() >= self.capacity {
            events.pop_front();
        }
        if self.capacity > 0 {
            events.push_back(event);
        }
    }
}
