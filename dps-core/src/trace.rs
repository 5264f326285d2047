//! Why: the steps that a decision took.
//!
//! Typed, bounded, without secrets. The serde form of [`Step`] is part of the stored format: a
//! registration keeps the trace of its last attempt. Steps may be added, because a version that does not know one reads
//! the rest without it; a name once stored stays, and so do its fields.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::access::Rejection;

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

    /// The same steps, with room for no more: a session may last for hours.
    pub(crate) fn kept(mut self) -> Self {
        self.steps.shrink_to_fit();
        self
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

impl From<Rejection<'_>> for Step {
    fn from(rejection: Rejection<'_>) -> Self {
        match rejection {
            Rejection::Ingress => Self::IngressRejected,
            Rejection::Rule(rule) => Self::AddressRejected {
                rule: Arc::clone(&rule.name),
            },
        }
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

/// One step. Its `Display` is one sentence for operators.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
#[allow(
    missing_docs,
    reason = "the fields are named by the sentence in Display"
)]
pub enum Step {
    /// No tenant has the ID scope that the caller names.
    NoSuchScope,
    /// A rule of the instance keeps callers from this address out.
    AddressRejected { rule: Arc<str> },
    /// The instance cannot be reached by the door that the caller came through.
    IngressRejected,
    /// The caller shows nothing for itself.
    NoEvidence,
    /// The caller shows keys of a TPM, and is asked to sign with it.
    Challenged { enrolled: bool },
    /// The caller shows keys of a TPM, and cannot be asked to sign with it.
    CannotChallenge { because: Cow<'static, str> },
    /// The chain cannot be read or followed.
    BadChain { because: Cow<'static, str> },
    /// There is no individual enrollment; groups are looked at next.
    NoIndividual,
    /// No group answers for the caller.
    NoGroup,
    /// A group names a certificate of the chain, or the issuer that the chain leaves out.
    GroupNamed {
        group: Arc<str>,
        certificate: Arc<str>,
    },
    /// An entry was asked and does not accept.
    NotBelieved {
        entry: Entry,
        because: Cow<'static, str>,
    },
    /// An entry accepts the caller.
    Believed { entry: Entry, by: Cow<'static, str> },
    /// The entry that accepts is disabled: the device is told so.
    EntryDisabled { entry: Entry },
    /// The session ends, because its entry is another one now.
    EntryChanged { entry: Entry },
    /// There are as many registrations as may be.
    TooManyRegistrations { limit: u64 },
    /// An operation for the same was in flight, and is the answer.
    Joined { operation: Arc<str> },
    /// An operation for something else was in flight, and is replaced.
    TookOver { operation: Arc<str> },
    /// The device has no hub yet.
    First,
    /// The reprovision policy keeps the device where it is.
    MustStay { hub: Arc<str> },
    /// The reprovision policy lets the device move.
    MayMove { hub: Arc<str>, migrate: bool },
    /// The hub that the device is on is not linked any more.
    CurrentUnlinked { hub: Arc<str> },
    /// The enrollment names a hub that is not linked.
    NotLinked { hub: Arc<str> },
    /// A hub is left out, because policies may not choose it.
    OutOfPolicy { hub: Arc<str> },
    /// No hub is left to choose from.
    NoCandidate,
    /// So many hubs are left, for this policy.
    Candidates {
        count: u32,
        policy: Cow<'static, str>,
    },
    /// The lowest rendezvous score decided.
    ChosenByScore {
        hub: Arc<str>,
        score: f64,
        among: u32,
    },
    /// The lowest latency decided.
    ChosenByLatency {
        hub: Arc<str>,
        millis: u64,
        ties: u32,
    },
    /// No latency is known, so the score decides.
    LatencyUnknown,
    /// The enrollment names the hub.
    ChosenByName { hub: Arc<str> },
    /// The built-in policy could not choose.
    CannotChoose { because: Cow<'static, str> },
    /// The policy is custom.
    HookAsked,
    /// The allocation hook answered with a candidate.
    HookChose { hub: Arc<str> },
    /// The allocation hook asks to be called again.
    HookAgain { seconds: u64 },
    /// The allocation hook refused, failed, or named no candidate.
    HookFailed { because: Cow<'static, str> },
    /// The device stays at its place.
    Stays { hub: Arc<str>, device: Arc<str> },
    /// The device gets another place.
    Moves {
        from: Arc<str>,
        to: Arc<str>,
        device: Arc<str>,
    },
    /// The device gets its first place.
    Joins { hub: Arc<str>, device: Arc<str> },
    /// The chosen place was still to be cleaned; the operation may have to wait for that.
    ComesBack { hub: Arc<str> },
    /// The hub has the device as asked.
    Linked { hub: Arc<str>, created: bool },
    /// The hub asks to be called again.
    HubAgain { hub: Arc<str>, seconds: u64 },
    /// The hub refused for good.
    HubRefused { hub: Arc<str>, code: u32 },
    /// A place that the device had left is clean.
    Cleaned { hub: Arc<str> },
    /// A hub or hook asked for more time than there is.
    OutOfTime,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchScope => write!(f, "there is no instance with this ID scope"),
            Self::AddressRejected { rule } => {
                write!(f, "IP rule {rule} rejects the caller's address")
            }
            Self::IngressRejected => f.write_str(
                "the instance cannot be reached by the endpoint that the caller came through",
            ),
            Self::NoEvidence => write!(
                f,
                "the caller shows neither a certificate, nor a token, nor keys of a TPM"
            ),
            Self::Challenged { enrolled } => {
                let are = if *enrolled { "is" } else { "is not" };
                write!(
                    f,
                    "the caller is asked to sign with its TPM, whose endorsement key {are} enrolled for it"
                )
            }
            Self::CannotChallenge { because } => {
                write!(
                    f,
                    "the caller cannot be asked to sign with its TPM: {because}"
                )
            }
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
            Self::TooManyRegistrations { limit } => {
                write!(
                    f,
                    "there are {limit} registrations already, which is as many as may be"
                )
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
