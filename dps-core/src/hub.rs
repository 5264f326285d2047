//! What is asked of hubs: to have a device, not to have it any more, to say what it has.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;

use crate::id::{DeviceId, HubName, OperationId, SecretBytes};
use crate::instance::LinkedHub;
use crate::store::BoxError;
use crate::twin::Twin;

/// Where a device is. The two belong together: a changed device id is a move too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The hub.
    pub hub: HubName,
    /// The device's name there.
    pub device: DeviceId,
}

/// How a device will sign in to its hub. Decided once, when the operation is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeviceAuth {
    /// By a certificate of its own. SHA-256; a single certificate stands in both.
    Thumbprints {
        /// First slot.
        primary: [u8; 32],
        /// Second slot.
        secondary: [u8; 32],
    },
    /// By any certificate of a CA that the hub trusts.
    CertificateAuthority,
    /// By tokens signed with one of these.
    Keys {
        /// First slot.
        primary: SecretBytes,
        /// Second slot.
        secondary: SecretBytes,
    },
}

/// A device as a hub is to have it.
#[derive(Clone, Debug)]
pub struct DeviceLink {
    /// Same operation, same link: a repeat must change nothing.
    pub operation: OperationId,
    /// The device's name at the hub.
    pub device: DeviceId,
    /// How it signs in.
    pub auth: DeviceAuth,
    /// For a device this call creates: whether it is an IoT Edge device.
    pub edge: bool,
    /// For a device this call creates: false only if its old hub had shut it out. A device that is
    /// there keeps its own.
    pub enabled: bool,
    /// What happens to its twin.
    pub twin: TwinPlan,
    /// Give up after this long; always shorter than an operation's lease.
    pub deadline: Duration,
}

/// What happens to a twin.
#[derive(Clone, Debug, PartialEq)]
pub enum TwinPlan {
    /// Nothing; a device this call creates begins with an empty one.
    Keep,
    /// For a device this call creates. Creating it and giving it the twin is one effect.
    IfNew(Twin),
    /// In any case: a reset to the enrollment's twin, or another hub's carried over.
    Replace(Twin),
}

/// A device as a hub has it: what a move takes along.
#[derive(Clone, Debug, PartialEq)]
pub struct HubDevice {
    /// All of its twin.
    pub twin: Twin,
    /// Whether it is an IoT Edge device.
    pub edge: bool,
    /// Whether the hub lets it in.
    pub enabled: bool,
}

/// The device is on the hub as asked.
#[derive(Clone, Copy, Debug)]
pub struct Linked {
    /// Whether this call made it. Only chooses the substatus; a repeat after a crash may say false.
    pub created: bool,
}

/// Why a hub did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// Again later. Whether the call took hold is unknown.
    #[error("the hub asks to be called again")]
    Retry {
        /// When; at most 5 minutes count. `None`: after 1, 2, 4 … 32 seconds.
        after: Option<Duration>,
        /// What happened, for logs.
        #[source]
        source: Option<BoxError>,
    },
    /// Never. The device is told.
    #[error("the hub refused the device: {reason}")]
    Refused {
        /// Six digits, such as 401002 for a link that is broken.
        code: u32,
        /// What the device is told.
        reason: String,
    },
}

/// Links devices to hubs.
///
/// # Contract
/// - Every call can come again, after a crash or beside another of the same operation, and must
///   then change nothing.
/// - Creating a device and giving it its twin is one effect.
/// - A call gives up by its `deadline`: no effect of it may land later. An operation's lease is
///   longer, and nothing else keeps a call that was frozen from undoing a later one.
/// - A device that the hub shuts out stays shut out.
#[async_trait]
pub trait HubLinker: Debug + Send + Sync + 'static {
    /// Creates the device on `hub`, or brings it to `link`.
    ///
    /// # Errors
    /// [`HubError::Retry`] keeps the operation going until it has been at it for 5 minutes; so do
    /// calls that never come back.
    /// [`HubError::Refused`] ends it; the device stays where it was.
    async fn link(&self, hub: &LinkedHub, link: &DeviceLink) -> Result<Linked, HubError>;

    /// Removes the device; one that is not there is success.
    ///
    /// # Errors
    /// Any [`HubError`]: the device is left to [`Provisioner::sweep`](crate::Provisioner::sweep),
    /// which tries again, at the latest every hour.
    async fn unlink(
        &self,
        hub: &LinkedHub,
        device: &DeviceId,
        deadline: Duration,
    ) -> Result<(), HubError>;

    /// What the hub has of the device; `None` if it is not there. Asked before a move, so that the
    /// twin can go along.
    ///
    /// # Errors
    /// As for [`HubLinker::link`].
    async fn read(
        &self,
        hub: &LinkedHub,
        device: &DeviceId,
        deadline: Duration,
    ) -> Result<Option<HubDevice>, HubError>;
}
