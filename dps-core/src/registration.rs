//! What is known of a device that has registered: where it is, and its last attempt.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::error::Failure;
use crate::hub::{DeviceAuth, Place};
use crate::id::{ApiVersion, GroupId, OperationId, RegistrationId};
use crate::store::Version;
use crate::time::Timestamp;
use crate::tpm;
use crate::trace::Trace;
use crate::twin::Twin;

/// A device's record. The last assignment and the last operation are kept apart: an attempt that is
/// refused, fails, or meets a disabled enrollment never erases where the device is.
#[derive(Clone, Debug)]
pub struct Registration {
    /// As the device spelled it at first.
    pub id: RegistrationId,
    /// When it registered for the first time.
    pub created: Timestamp,
    /// When the record changed last.
    pub updated: Timestamp,
    /// The entry it came through last.
    pub owner: Owner,
    /// Where it is.
    pub assignment: Option<Assignment>,
    /// Its last attempt.
    pub operation: Operation,
    /// Why that attempt went as it did.
    pub trace: Arc<Trace>,
}

/// The entry that a device came through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// `None` for the individual enrollment.
    pub group: Option<GroupId>,
    /// By what the device proved itself.
    pub mechanism: Mechanism,
}

/// Kinds of proof, as far as answers show them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mechanism {
    /// A certificate.
    X509,
    /// A token signed with a key.
    SymmetricKey,
    /// A token signed by a TPM.
    Tpm,
}

/// Where a device is.
#[derive(Clone, Debug)]
pub struct Assignment {
    /// Hub and name there.
    pub place: Place,
    /// How it came there.
    pub substatus: Substatus,
    /// What the allocation hook had for it.
    pub payload: Option<Map<String, Value>>,
}

/// How a device came to be where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Substatus {
    /// It was assigned for the first time.
    InitialAssignment,
    /// It moved and took its twin along.
    DeviceDataMigrated,
    /// It began anew, on another hub or on the same.
    DeviceDataReset,
    /// It is where it was, or where a hub already knew it.
    ReprovisionedToInitialAssignment,
}

impl Substatus {
    /// The word both APIs use.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::InitialAssignment => "initialAssignment",
            Self::DeviceDataMigrated => "deviceDataMigrated",
            Self::DeviceDataReset => "deviceDataReset",
            Self::ReprovisionedToInitialAssignment => "reprovisionedToInitialAssignment",
        }
    }
}

/// One attempt to register.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Its name.
    pub id: OperationId,
    /// How far it is.
    pub phase: Phase,
    /// When it began.
    pub started: Timestamp,
    /// When its phase began. A phase ends after a bounded time, whatever hubs and hooks say.
    pub since: Timestamp,
    /// Nobody takes it up before this: a lease while someone is at it, or a delay that was asked for.
    pub resume_at: Timestamp,
    /// How often it was taken up again; counted anew when its place is chosen.
    pub attempts: u32,
    /// SHA-256 of the token it was begun with, if it was a token: it stays good for asking after it.
    pub token: Option<[u8; 32]>,
    /// The storage root key of the TPM it was begun with: the next token may come without it.
    pub storage_root_key: Option<tpm::PublicKey>,
    /// SHA-256 over the entry that lets the device in and how it will sign in: what a repeated
    /// register must share to join.
    pub asked: [u8; 32],
    /// The version of the device API it was begun with; decides two legacy rules.
    pub version: ApiVersion,
    /// Told with `assigned`.
    pub extras: Extras,
}

/// What a device is told with `assigned`, at each poll. Stored at the latest with [`Phase::Linking`].
///
/// `issued` is part of the stored format; nothing fills it yet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Extras {
    /// The allocation hook's.
    pub payload: Option<Map<String, Value>>,
    /// A TPM's new hub key, wrapped.
    pub tpm: Option<Bytes>,
    /// A new certificate and its issuers, leaf first; empty unless one was asked for.
    pub issued: Vec<Bytes>,
}

/// How far an operation is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Phase {
    /// The device has the operation id, or is about to. Only a custom policy waits here.
    Accepted {
        /// How it will sign in to its hub.
        auth: DeviceAuth,
        /// Where it calls from.
        origin: IpAddr,
        /// What it sent along.
        payload: Option<Value>,
    },
    /// The one hub this operation may touch. Stored before the hub is called.
    Linking(Linking),
    /// Assigned and told so; the old place still has to be cleaned.
    Leaving {
        /// The old place.
        leave: Place,
    },
    /// Assigned.
    Done,
    /// Ended without a hub.
    Failed(Failure),
    /// The device is who it says, but its entry is disabled.
    Disabled,
}

/// The one place an operation may touch, and what it does there.
#[derive(Clone, Debug)]
pub struct Linking {
    /// Where.
    pub place: Place,
    /// How the device will sign in.
    pub auth: DeviceAuth,
    /// Whether it is made an IoT Edge device.
    pub edge: bool,
    /// What happens to its twin.
    pub twin: TwinSource,
    /// What it will be told. Of a first assignment the hub still has to say whether it knew the
    /// device.
    pub substatus: Substatus,
    /// The place to clean when the device is at the new one.
    pub leave: Option<Place>,
}

/// Where a twin comes from. What is stored; the hub gets a plan.
#[derive(Clone, Debug, PartialEq)]
pub enum TwinSource {
    /// For every stay and first assignment: a device that is not there any more is made again.
    IfNew(Twin),
    /// It begins anew.
    Reset(Twin),
    /// It is read at the place that is left; if the device is not there, it begins anew.
    ///
    /// Read anew by each attempt: until the move is recorded the device still lives there.
    Carry {
        /// What it begins with then.
        otherwise: Twin,
    },
}

/// The word for how far an operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// Not yet decided or not yet done.
    Assigning,
    /// The device has a hub.
    Assigned,
    /// It has none, and this operation will not give it one.
    Failed,
    /// Its entry is disabled.
    Disabled,
}

impl Status {
    /// The word both APIs use.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Assigning => "assigning",
            Self::Assigned => "assigned",
            Self::Failed => "failed",
            Self::Disabled => "disabled",
        }
    }

    /// Whether nothing more will come.
    #[must_use]
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Assigning)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl Operation {
    /// The word for how far it is.
    #[must_use]
    pub const fn status(&self) -> Status {
        match self.phase {
            Phase::Accepted { .. } | Phase::Linking(_) => Status::Assigning,
            Phase::Leaving { .. } | Phase::Done => Status::Assigned,
            Phase::Failed(_) => Status::Failed,
            Phase::Disabled => Status::Disabled,
        }
    }
}

/// What a device, or an operator, is told of a registration.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RegistrationState {
    /// As the caller spelled it.
    pub registration: RegistrationId,
    /// When it registered for the first time.
    pub created: Timestamp,
    /// When the record changed last.
    pub updated: Timestamp,
    /// How far the last operation is.
    pub status: Status,
    /// Where the device is, and how it came there; with `assigned` only.
    pub assignment: Option<Assignment>,
    /// Why it failed; with `failed` only.
    pub failure: Option<Failure>,
    /// The entry it came through.
    pub owner: Owner,
    /// The record's version, from which its entity tag is made.
    pub version: Version,
    /// What else it is told; with `assigned` only.
    pub extras: Extras,
}

impl RegistrationState {
    /// What is told of `record`.
    ///
    /// * `version`: the one the record was read or written at.
    /// * `spelled`: the device's name as the caller wrote it, which is how it is echoed.
    #[must_use]
    pub fn of(record: &Registration, version: Version, spelled: &RegistrationId) -> Self {
        let status = record.operation.status();
        let assigned = status == Status::Assigned;
        Self {
            registration: spelled.clone(),
            created: record.created,
            updated: record.updated,
            status,
            assignment: record.assignment.clone().filter(|_| assigned),
            failure: match &record.operation.phase {
                Phase::Failed(failure) => Some(failure.clone()),
                _ => None,
            },
            owner: record.owner.clone(),
            version,
            extras: if assigned {
                record.operation.extras.clone()
            } else {
                Extras::default()
            },
        }
    }
}
