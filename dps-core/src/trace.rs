//! Why: the steps that a decision took.
//!
//! Typed, bounded, without secrets. The serde form of [`Step`] is part of the stored format: a
//! registration keeps the trace of its last attempt. Steps may be added; a name once stored stays.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The most steps that are kept; what comes after is dropped and counted.
pub const MAX_STEPS: usize = 48;

/// Room for the steps of an ordinary registration, which takes nine.
const USUAL_STEPS: usize = 12;

/// The steps of one attempt, in order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    steps: Vec<Step>,
    #[serde(default, skip_serializing_if = "is_zero")]
    dropped: u32,
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl Trace {
    /// Appends a step, up to [`MAX_STEPS`].
    pub fn push(&mut self, step: Step) {
        if self.steps.capacity() == 0 {
            self.steps.reserve(USUAL_STEPS);
        }
        if self.steps.len() < MAX_STEPS {
            self.steps.push(step);
        } else {
            self.dropped = self.dropped.saturating_add(1);
        }
    }

    /// The same steps, with room for more.
    pub(crate) fn continued(&self) -> Self {
        let mut steps = Vec::with_capacity(self.steps.len().max(USUAL_STEPS));
        steps.extend_from_slice(&self.steps);
        Self {
            steps,
            dropped: self.dropped,
        }
    }

    /// The steps, first to last.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }
}

impl fmt::Display for Trace {
    /// One line a step.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, step) in self.steps.iter().enumerate() {
            if nth > 0 {
                writeln!(f)?;
            }
            write!(f, "{step}")?;
        }
        if self.dropped > 0 {
            write!(f, "\n{} more steps", self.dropped)?;
        }
        Ok(())
    }
}

/// An enrollment, as a trace names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Entry {
    /// The individual enrollment of the device.
    Individual,
    /// The group of this id.
    Group(Arc<str>),
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Individual => f.write_str("the individual enrollment"),
            Self::Group(id) => write!(f, "group {id}"),
        }
    }
}

/// One step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
#[allow(
    missing_docs,
    reason = "each step's sentence is in its Display; fields are named by it"
)]
pub enum Step {
    NoSuchScope,
    NoEvidence,
    BadChain {
        because: Cow<'static, str>,
    },
    NoIndividual,
    NoGroup,
    GroupNamed {
        group: Arc<str>,
        certificate: Arc<str>,
    },
    NotBelieved {
        entry: Entry,
        because: Cow<'static, str>,
    },
    Believed {
        entry: Entry,
        by: Cow<'static, str>,
    },
    EntryDisabled {
        entry: Entry,
    },
    EntryChanged {
        entry: Entry,
    },
    Joined {
        operation: Arc<str>,
    },
    TookOver {
        operation: Arc<str>,
    },
    First,
    MustStay {
        hub: Arc<str>,
    },
    MayMove {
        hub: Arc<str>,
        migrate: bool,
    },
    CurrentUnlinked {
        hub: Arc<str>,
    },
    NotLinked {
        hub: Arc<str>,
    },
    OutOfPolicy {
        hub: Arc<str>,
    },
    NoCandidate,
    Candidates {
        count: u32,
        policy: Cow<'static, str>,
    },
    ChosenByScore {
        hub: Arc<str>,
        score: f64,
        among: u32,
    },
    ChosenByLatency {
        hub: Arc<str>,
        millis: u64,
        ties: u32,
    },
    LatencyUnknown,
    ChosenByName {
        hub: Arc<str>,
    },
    CannotChoose {
        because: Cow<'static, str>,
    },
    HookAsked,
    HookChose {
        hub: Arc<str>,
    },
    HookAgain {
        seconds: u64,
    },
    HookFailed {
        because: Cow<'static, str>,
    },
    Stays {
        hub: Arc<str>,
        device: Arc<str>,
    },
    Moves {
        from: Arc<str>,
        to: Arc<str>,
        device: Arc<str>,
    },
    Joins {
        hub: Arc<str>,
        device: Arc<str>,
    },
    ComesBack {
        hub: Arc<str>,
    },
    Linked {
        hub: Arc<str>,
        created: bool,
    },
    HubAgain {
        hub: Arc<str>,
        seconds: u64,
    },
    HubRefused {
        hub: Arc<str>,
        code: u32,
    },
    Cleaned {
        hub: Arc<str>,
    },
    OutOfTime,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchScope => write!(f, "there is no instance with this ID scope"),
            Self::NoEvidence => write!(f, "the caller shows neither certificate nor token"),
            Self::BadChain { because } => {
                write!(f, "the certificate chain cannot be followed: {because}")
            }
            Self::NoIndividual => write!(f, "there is no individual enrollment of this id"),
            Self::NoGroup => write!(f, "no enrollment group covers what the caller shows"),
            Self::GroupNamed { group, certificate } => {
                write!(f, "group {group} names {certificate} in the chain")
            }
            Self::NotBelieved { entry, because } => write!(f, "{entry} does not accept: {because}"),
            Self::Believed { entry, by } => write!(f, "{entry} accepts the caller's {by}"),
            Self::EntryDisabled { entry } => write!(f, "{entry} is disabled"),
            Self::EntryChanged { entry } => {
                write!(f, "{entry} is not as it was when the caller proved itself")
            }
            Self::Joined { operation } => write!(f, "joined operation {operation} in flight"),
            Self::TookOver { operation } => {
                write!(
                    f,
                    "took operation {operation} over, because it asked for something else"
                )
            }
            Self::First => write!(f, "the device has no hub yet"),
            Self::MustStay { hub } => write!(f, "the enrollment never moves it away from {hub}"),
            Self::MayMove { hub, migrate } => {
                let data = if *migrate {
                    "taking its data along"
                } else {
                    "beginning anew"
                };
                write!(f, "the device is on {hub} and may move, {data}")
            }
            Self::CurrentUnlinked { hub } => write!(f, "its hub {hub} is not linked any more"),
            Self::NotLinked { hub } => write!(f, "{hub} is named but not linked"),
            Self::OutOfPolicy { hub } => write!(f, "{hub} is excluded from allocation policies"),
            Self::NoCandidate => write!(f, "no hub is left to choose from"),
            Self::Candidates { count, policy } => {
                write!(f, "{count} candidate hubs, policy {policy}")
            }
            Self::ChosenByScore { hub, score, among } => {
                write!(f, "{hub} has the lowest score, {score:.4}, of {among}")
            }
            Self::ChosenByLatency { hub, millis, ties } => {
                write!(f, "{hub} is nearest, {millis} ms, one of {ties} as near")
            }
            Self::LatencyUnknown => write!(f, "no latency is known, so the score decides"),
            Self::ChosenByName { hub } => write!(f, "the enrollment names {hub}"),
            Self::CannotChoose { because } => write!(f, "no hub could be chosen: {because}"),
            Self::HookAsked => write!(f, "the allocation hook is asked"),
            Self::HookChose { hub } => write!(f, "the allocation hook chose {hub}"),
            Self::HookAgain { seconds } => {
                write!(
                    f,
                    "the allocation hook asks to be called again in {seconds} s"
                )
            }
            Self::HookFailed { because } => write!(f, "the allocation hook failed: {because}"),
            Self::Stays { hub, device } => write!(f, "stays on {hub} as {device}"),
            Self::Moves { from, to, device } => write!(f, "moves from {from} to {to} as {device}"),
            Self::Joins { hub, device } => write!(f, "joins {hub} as {device}"),
            Self::ComesBack { hub } => write!(f, "comes back to {hub} before it was cleaned"),
            Self::Linked { hub, created } => {
                let how = if *created {
                    "made the device"
                } else {
                    "has the device"
                };
                write!(f, "{hub} {how}")
            }
            Self::HubAgain { hub, seconds } => {
                write!(f, "{hub} asks to be called again in {seconds} s")
            }
            Self::HubRefused { hub, code } => write!(f, "{hub} refused the device with {code}"),
            Self::Cleaned { hub } => write!(f, "{hub} has removed the device"),
            Self::OutOfTime => write!(f, "the time for this operation is up"),
        }
    }
}
