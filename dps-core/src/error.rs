//! What callers are told: the one table from our reasons to status, code and text.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::id::TrackingId;

/// How long to wait when a store or a resolver does not answer, as callers are told. Our choice.
pub const UNAVAILABLE_RETRY: Duration = Duration::from_secs(10);

/// Why a request was not done. Each reason has one status, one code and one default text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The request cannot be understood.
    Malformed,
    /// The request names no `api-version`.
    NoApiVersion,
    /// A position in a list is none that we have handed out.
    BadContinuation,
    /// There are as many entries as there may be.
    TooManyEntries,
    /// The operator shows nothing that lets it in, or may not do what it asks; the two are not told
    /// apart.
    NotAllowed,
    /// The caller is not who it says, or nobody we know; the two are not told apart.
    Unauthorized,
    /// There is no such path.
    NoSuchPath,
    /// There is no such individual enrollment.
    EnrollmentNotFound,
    /// There is no such enrollment group.
    GroupNotFound,
    /// There is no such instance any more.
    InstanceNotFound,
    /// The instance links no such hub.
    HubNotFound,
    /// The instance has no such shared access policy.
    PolicyNotFound,
    /// The instance has no such certificate.
    CertificateNotFound,
    /// There is an individual enrollment already.
    EnrollmentExists,
    /// There is an enrollment group already.
    GroupExists,
    /// There is an instance already.
    InstanceExists,
    /// The instance links the hub already.
    HubExists,
    /// The instance has a shared access policy of this name already.
    PolicyExists,
    /// The instance has a certificate of this name already.
    CertificateExists,
    /// Another entry has the same certificate or key.
    Duplicate,
    /// The record is not as the operator expects.
    PreconditionFailed,
    /// The device is proven but has never registered.
    RegistrationNotFound,
    /// The device is proven, but the operation is not its last one.
    OperationNotFound,
    /// The path is known, the method is not.
    MethodNotAllowed,
    /// The request took too long to arrive.
    RequestTimeout,
    /// The body is larger than is taken.
    TooLarge,
    /// The body is not JSON by its own account.
    UnsupportedMediaType,
    /// The WebSocket upgrade is of another version than 13.
    UpgradeRequired,
    /// Too many requests; come back later.
    Throttled,
    /// Our own fault.
    Internal,
    /// Something we need does not answer; come back later.
    Unavailable,
}

impl Reason {
    /// HTTP status; over MQTT the status in the topic.
    #[must_use]
    pub const fn status(self) -> u16 {
        self.row().0
    }

    /// Six digits: the status, and three of detail.
    ///
    /// # Source
    /// Observed answers of the service: 400004, 401002, 404202, 404203, and 429001, 500001 from the
    /// error list it shares with IoT Hub (`ErrorCode.cs` of the C# service SDK). The rest follow the
    /// same pattern and are ours; those of the instance and what is in it end in 210 to 213, away from
    /// the numbers that the service is known to use.
    #[must_use]
    pub const fn code(self) -> u32 {
        self.row().1
    }

    /// What is said when there is nothing more exact to say.
    #[must_use]
    pub const fn text(self) -> &'static str {
        self.row().2
    }

    const fn row(self) -> (u16, u32, &'static str) {
        match self {
            Self::Malformed => (400, 400_004, "Bad request"),
            Self::NoApiVersion => (400, 400_001, "The query parameter api-version is missing"),
            Self::BadContinuation => (400, 400_000, "The continuation token is not one of ours"),
            Self::TooManyEntries => (400, 400_205, "There are as many entries as there may be"),
            Self::NotAllowed => (401, 401_000, "Unauthorized"),
            Self::EnrollmentNotFound => (404, 404_201, "There is no such enrollment"),
            Self::GroupNotFound => (404, 404_204, "There is no such enrollment group"),
            Self::InstanceNotFound => (404, 404_210, "There is no such instance"),
            Self::HubNotFound => (404, 404_211, "The instance links no such hub"),
            Self::PolicyNotFound => (404, 404_212, "There is no such shared access policy"),
            Self::CertificateNotFound => (404, 404_213, "There is no such certificate"),
            Self::EnrollmentExists => (409, 409_201, "Enrollment already exists"),
            Self::GroupExists => (409, 409_202, "Enrollment group already exists"),
            Self::InstanceExists => (409, 409_210, "The instance exists already"),
            Self::HubExists => (409, 409_211, "The instance links the hub already"),
            Self::PolicyExists => (409, 409_212, "The shared access policy exists already"),
            Self::CertificateExists => (409, 409_213, "The certificate exists already"),
            Self::Duplicate => (
                409,
                409_000,
                "Another entry has the same certificate or key",
            ),
            Self::PreconditionFailed => (412, 412_001, "Precondition failed"),
            Self::Unauthorized => (401, 401_002, "Unauthorized"),
            Self::NoSuchPath => (404, 404_000, "There is nothing at this path"),
            Self::RegistrationNotFound => (404, 404_202, "The device has not registered"),
            Self::OperationNotFound => (404, 404_203, "There is no such operation"),
            Self::MethodNotAllowed => (405, 405_000, "The method is not allowed here"),
            Self::RequestTimeout => (408, 408_000, "The request took too long to arrive"),
            Self::TooLarge => (413, 413_000, "The body is too large"),
            Self::UnsupportedMediaType => (415, 415_000, "The body has to be application/json"),
            Self::UpgradeRequired => (426, 426_000, "WebSockets are spoken in version 13 only"),
            Self::Throttled => (429, 429_001, "Too many requests"),
            Self::Internal => (500, 500_001, "Internal error"),
            Self::Unavailable => (503, 503_000, "The service is not available right now"),
        }
    }
}

/// An error as a caller is told it. Holds no secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceError {
    reason: Reason,
    message: Cow<'static, str>,
    detail: Option<&'static str>,
    retry_after: Option<Duration>,
    tracking: Option<TrackingId>,
}

impl ServiceError {
    /// An error with the text of its reason.
    #[must_use]
    pub const fn new(reason: Reason) -> Self {
        let message = Cow::Borrowed(reason.text());
        Self {
            reason,
            message,
            detail: None,
            retry_after: None,
            tracking: None,
        }
    }

    /// Says something more exact than the reason's own text.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<Cow<'static, str>>) -> Self {
        self.message = message.into();
        self
    }

    /// Adds a short stable word, told as `info.reason`. For callers who have proven themselves only.
    #[must_use]
    pub const fn with_detail(mut self, detail: &'static str) -> Self {
        self.detail = Some(detail);
        self
    }

    /// Asks the caller to wait; whole seconds are sent.
    #[must_use]
    pub const fn with_retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }

    /// Names the attempt.
    #[must_use]
    pub const fn with_tracking(mut self, tracking: TrackingId) -> Self {
        self.tracking = Some(tracking);
        self
    }

    /// Why.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        self.reason
    }

    /// One sentence for people.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The word for `info.reason`, if the caller may know more.
    #[must_use]
    pub const fn detail(&self) -> Option<&'static str> {
        self.detail
    }

    /// How long to wait before asking again.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Which attempt this was.
    #[must_use]
    pub const fn tracking(&self) -> Option<TrackingId> {
        self.tracking
    }
}

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.reason.code())
    }
}
impl std::error::Error for ServiceError {}

/// Why an operation ended without a hub. Stored with it, and told to the device at each poll.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Six digits, as in [`Reason::code`], or a hub's own.
    pub code: u32,
    /// One sentence for people.
    pub message: Arc<str>,
}

impl Failure {
    /// The allocation hook refused, failed for good, or answered what cannot be used.
    ///
    /// # Source
    /// 400207 to 400209: *Tutorial: use custom allocation policies*.
    pub const CUSTOM_ALLOCATION: u32 = 400_207;
    /// The allocation hook named no hub.
    pub const NO_HUB_NAMED: u32 = 400_208;
    /// The allocation hook did not let us in.
    pub const HOOK_UNAUTHORIZED: u32 = 400_209;
    /// No hub is left to choose from. The number is ours.
    pub const NO_CANDIDATE: u32 = 404_000;
    /// A hub kept asking to be called again until the time was up. The number is ours.
    pub const HUB_UNAVAILABLE: u32 = 503_000;

    /// There are as many registrations as may be. The number is that of too many enrollments; that devices
    /// are told it is ours.
    pub const TOO_MANY_REGISTRATIONS: u32 = 400_205;

    /// A failure with this code and text.
    #[must_use]
    pub fn new(code: u32, message: impl Into<Arc<str>>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_begins_with_its_status() {
        use Reason::*;
        for reason in [
            Malformed,
            NoApiVersion,
            BadContinuation,
            TooManyEntries,
            NotAllowed,
            EnrollmentNotFound,
            GroupNotFound,
            InstanceNotFound,
            HubNotFound,
            PolicyNotFound,
            CertificateNotFound,
            EnrollmentExists,
            GroupExists,
            InstanceExists,
            HubExists,
            PolicyExists,
            CertificateExists,
            Duplicate,
            PreconditionFailed,
            Unauthorized,
            NoSuchPath,
            RegistrationNotFound,
            OperationNotFound,
            MethodNotAllowed,
            RequestTimeout,
            TooLarge,
            UnsupportedMediaType,
            UpgradeRequired,
            Throttled,
            Internal,
            Unavailable,
        ] {
            assert_eq!(u32::from(reason.status()), reason.code() / 1000);
        }
    }
}
