//! Where simulated devices ended up.

use dps_core::allocate::{Allocation, HookError};
use dps_core::id::HubName;
use dps_core::instance::LinkedHub;

/// What a policy said of one device.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It goes to this candidate.
    Hub(HubName),
    /// It was sent to a hub that is no candidate: the service ends the operation with 400207.
    Stray(HubName),
    /// It gets no hub, and is told this.
    Refused(String),
    /// It is asked to come again.
    Retry,
}

impl Outcome {
    pub(super) fn of(answer: Result<Allocation, HookError>, hubs: &[LinkedHub]) -> Self {
        match answer {
            Ok(Allocation { hub, .. }) if hubs.iter().any(|known| known.name == hub) => {
                Self::Hub(hub)
            }
            Ok(Allocation { hub, .. }) => Self::Stray(hub),
            Err(HookError::Retry { .. }) => Self::Retry,
            Err(HookError::Refused { reason }) => Self::Refused(reason),
            Err(other) => Self::Refused(other.to_string()),
        }
    }
}

/// Where each device of a fleet is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    hubs: Vec<(HubName, u32)>,
    outcomes: Vec<Outcome>,
}

impl Placement {
    pub(super) fn new(hubs: &[LinkedHub], outcomes: Vec<Outcome>) -> Self {
        let hubs = hubs.iter().map(|hub| (hub.name.clone(), hub.weight));
        Self {
            hubs: hubs.collect(),
            outcomes,
        }
    }

    /// What the policy said of each device, by number.
    #[must_use]
    pub fn outcomes(&self) -> &[Outcome] {
        &self.outcomes
    }

    /// Where a device is; `None` if it has no hub, and for a number beyond the fleet.
    #[must_use]
    pub fn hub_of(&self, nth: usize) -> Option<&HubName> {
        match self.outcomes.get(nth)? {
            Outcome::Hub(hub) => Some(hub),
            _ => None,
        }
    }

    /// How many devices a hub has.
    #[must_use]
    pub fn count(&self, hub: &HubName) -> usize {
        let there = |outcome: &&Outcome| matches!(outcome, Outcome::Hub(own) if own == hub);
        self.outcomes.iter().filter(there).count()
    }

    /// How many devices have a hub.
    #[must_use]
    pub fn placed(&self) -> usize {
        let placed = |outcome: &&Outcome| matches!(outcome, Outcome::Hub(_));
        self.outcomes.iter().filter(placed).count()
    }

    /// A hub's part of the devices that have one, from 0 to 1; 0 if none has.
    #[must_use]
    pub fn share(&self, hub: &HubName) -> f64 {
        ratio(self.count(hub), self.placed())
    }

    /// How many devices got no hub: refused, sent astray, or asked to come again.
    #[must_use]
    pub fn refused(&self) -> usize {
        self.outcomes.len() - self.placed()
    }

    /// The part of the fleet, from 0 to 1, that has a hub in both placements, and not the same.
    ///
    /// Both must be of the same fleet; a device that only one of them knows has not moved.
    #[must_use]
    pub fn moved(&self, after: &Self) -> f64 {
        let moved = (0..self.outcomes.len())
            .filter_map(|nth| Some((self.hub_of(nth)?, after.hub_of(nth)?)))
            .filter(|(from, to)| from != to)
            .count();
        ratio(moved, self.outcomes.len())
    }

    /// The largest distance of a hub from the share its weight asks for, relative to that share.
    ///
    /// 0 is perfect; 0.05 means that a hub which should have 1000 devices has 950 or 1050. Hubs
    /// without weight count only if they have devices: their distance is then infinite.
    #[must_use]
    pub fn skew(&self) -> f64 {
        let distances = self.expected().map(|(count, expected)| {
            if expected > 0.0 {
                (count - expected).abs() / expected
            } else if count > 0.0 {
                f64::INFINITY
            } else {
                0.0
            }
        });
        distances.fold(0.0, f64::max)
    }

    /// Pearson's sum of squared distances from what the weights ask for, each relative to it.
    ///
    /// For a policy that follows the weights it is about the number of hubs less one, and for ten
    /// hubs it stays below 27.9 in 999 fleets of 1000. Hubs without weight are left out.
    #[must_use]
    pub fn chi_square(&self) -> f64 {
        self.expected()
            .filter(|(_, expected)| *expected > 0.0)
            .map(|(count, expected)| (count - expected).powi(2) / expected)
            .sum()
    }

    /// Of each hub: how many devices it has, and how many its weight asks for.
    fn expected(&self) -> impl Iterator<Item = (f64, f64)> {
        let total: u64 = self.hubs.iter().map(|(_, weight)| u64::from(*weight)).sum();
        let placed = self.placed() as f64;
        self.hubs.iter().map(move |(hub, weight)| {
            let expected = if total == 0 {
                0.0
            } else {
                placed * f64::from(*weight) / total as f64
            };
            (self.count(hub) as f64, expected)
        })
    }
}

fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    part as f64 / whole as f64
}
