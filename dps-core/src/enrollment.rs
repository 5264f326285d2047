//! Enrollments: which devices may register, and what they get.

mod draft;

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::allocate::Policy;
use crate::certificate::Certificate;
use crate::id::{DeviceId, GroupId, HubName, RegistrationId, SecretBytes};
use crate::time::Timestamp;
use crate::tpm;

pub use self::draft::{AttestationDraft, CertificateDraft, Draft, DraftError};
use crate::twin::Twin;

/// One entry of the enrollment list.
///
/// `A` is how a device proves itself; in a [`Draft`] it leaves out what the service fills in.
#[derive(Clone, Debug, PartialEq)]
pub struct Enrollment<A = Attestation> {
    /// One device, or all that can show a group's credentials.
    pub subject: Subject,
    /// How a device proves itself.
    pub attestation: A,
    /// A disabled entry refuses.
    pub enabled: bool,
    /// Whether devices are made IoT Edge devices at their hub.
    pub edge: bool,
    /// The hubs to choose from; empty for all that are linked.
    pub hubs: Vec<HubName>,
    /// The one hub of entries written before there were policies (`iotHubHostName`).
    ///
    /// Without hubs and a policy it means the static policy with this hub.
    pub pinned_hub: Option<HubName>,
    /// How to choose; `None` for the instance's policy.
    pub policy: Option<Policy>,
    /// Where the custom policy is; kept with every policy, for an
    /// [`AllocationHook`](crate::allocate::AllocationHook) that asks there.
    pub custom_allocation: Option<CustomAllocation>,
    /// The twin a device begins with; of it only tags and desired properties.
    pub initial_twin: Twin,
    /// What happens when a device registers again; `None` if the entry says nothing of it.
    pub reprovision: Option<ReprovisionPolicy>,
    /// When the entry was written first.
    pub created: Timestamp,
    /// When it was written last.
    pub updated: Timestamp,
}

/// Whom an enrollment is for.
#[derive(Clone, Debug, PartialEq)]
pub enum Subject {
    /// One device.
    Individual {
        /// The device.
        registration: RegistrationId,
        /// Its name at the hub, if it is not the registration id.
        device: Option<DeviceId>,
        /// Whatever the operator wants to keep with it (`optionalDeviceInformation`).
        information: Option<Map<String, Value>>,
    },
    /// Every device that proves to belong to the group.
    Group {
        /// The group.
        id: GroupId,
    },
}

/// How a device proves itself. Never shows keys in `Debug`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Attestation {
    /// By a certificate.
    X509(X509Attestation),
    /// By a token signed with a key. A group's keys are the ones that device keys are derived from.
    SymmetricKey {
        /// 16 to 64 bytes.
        primary: SecretBytes,
        /// 16 to 64 bytes.
        secondary: SecretBytes,
    },
    /// By keys that a TPM 2.0 holds. Individual enrollments only.
    Tpm {
        /// The device's identity.
        endorsement_key: tpm::PublicKey,
        /// As the operator wrote it, decoded. Kept for operators; a device may show another one,
        /// because it changes when its TPM is cleared.
        storage_root_key: Option<Bytes>,
    },
}

/// Which certificates count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum X509Attestation {
    /// The device's own certificate is one of these. Individual enrollments only.
    Leaf(Slots<Certificate>),
    /// The device's chain goes through one of these. Groups only.
    Signing(Slots<Certificate>),
    /// The same, by the names of the instance's certificates. Groups only.
    CaReferences(Slots<Arc<str>>),
}

/// A primary and a secondary, both good at any time, so that one can be rolled while the other works.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slots<T> {
    /// The first slot.
    pub primary: Option<T>,
    /// The second slot.
    pub secondary: Option<T>,
}

impl<T> Slots<T> {
    /// What is filled, primary first.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.primary.iter().chain(&self.secondary)
    }
}

/// A custom policy's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomAllocation {
    /// Where to ask. Its query may hold a secret, so it is not shown.
    pub url: Url,
    /// Which version of the service API the question is written in.
    pub api_version: Arc<str>,
}

/// An address whose query may hold a key. `Debug` leaves the query out.
#[derive(Clone, PartialEq, Eq)]
pub struct Url(Arc<str>);

impl Url {
    /// Keeps `text` as it is.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(Arc::from(text))
    }

    /// All of it, with what may be secret.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Url({})", self.0.split('?').next().unwrap_or_default())
    }
}

/// What happens when a device that has a hub registers again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReprovisionPolicy {
    /// Whether it may be given another hub.
    pub update_hub: bool,
    /// Whether its twin goes along; otherwise it begins anew.
    pub migrate_data: bool,
}

impl Default for ReprovisionPolicy {
    /// Move, and take the data along.
    fn default() -> Self {
        Self {
            update_hub: true,
            migrate_data: true,
        }
    }
}

impl ReprovisionPolicy {
    /// Stay where the device is.
    pub const NEVER: Self = Self {
        update_hub: false,
        migrate_data: false,
    };
}

impl<A> Enrollment<A> {
    /// An enabled entry written at `now`: all hubs, the instance's policy, an empty twin, and nothing
    /// said of registering again.
    #[must_use]
    pub fn new(subject: Subject, attestation: A, now: Timestamp) -> Self {
        Self {
            subject,
            attestation,
            enabled: true,
            edge: false,
            hubs: Vec::new(),
            pinned_hub: None,
            policy: None,
            custom_allocation: None,
            initial_twin: Twin::default(),
            reprovision: None,
            created: now,
            updated: now,
        }
    }

    /// The same entry with another attestation.
    #[must_use]
    pub fn with_attestation<B>(self, attestation: B) -> Enrollment<B> {
        Enrollment {
            subject: self.subject,
            attestation,
            enabled: self.enabled,
            edge: self.edge,
            hubs: self.hubs,
            pinned_hub: self.pinned_hub,
            policy: self.policy,
            custom_allocation: self.custom_allocation,
            initial_twin: self.initial_twin,
            reprovision: self.reprovision,
            created: self.created,
            updated: self.updated,
        }
    }

    /// The group's id; `None` for an individual enrollment.
    #[must_use]
    pub const fn group(&self) -> Option<&GroupId> {
        match &self.subject {
            Subject::Individual { .. } => None,
            Subject::Group { id } => Some(id),
        }
    }
}
