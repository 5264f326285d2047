//! What errors of the core are called on the wire.

use std::borrow::Cow;

use dps_core::admin::AdminError;
use dps_core::error::{Reason, ServiceError, UNAVAILABLE_RETRY};
use dps_core::store::StoreError;

use crate::service::route::Kind;

/// What a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Entry(Kind),
    Registration,
    Instance,
    Hub,
    Policy,
    Certificate,
}

impl From<Kind> for What {
    fn from(kind: Kind) -> Self {
        Self::Entry(kind)
    }
}

impl What {
    const fn is_missing(self) -> Reason {
        match self {
            Self::Entry(Kind::Individual) => Reason::EnrollmentNotFound,
            Self::Entry(Kind::Group) => Reason::GroupNotFound,
            Self::Registration => Reason::RegistrationNotFound,
            Self::Instance => Reason::InstanceNotFound,
            Self::Hub => Reason::HubNotFound,
            Self::Policy => Reason::PolicyNotFound,
            Self::Certificate => Reason::CertificateNotFound,
        }
    }

    const fn exists(self) -> Reason {
        match self {
            Self::Entry(Kind::Individual) => Reason::EnrollmentExists,
            Self::Entry(Kind::Group) => Reason::GroupExists,
            // Nobody but its device makes one.
            Self::Registration => Reason::PreconditionFailed,
            Self::Instance => Reason::InstanceExists,
            Self::Hub => Reason::HubExists,
            Self::Policy => Reason::PolicyExists,
            Self::Certificate => Reason::CertificateExists,
        }
    }
}

/// What an error of the core is called on the wire.
pub(super) fn fault(error: AdminError, what: impl Into<What>) -> ServiceError {
    let what = what.into();
    let reason = match &error {
        AdminError::Invalid(_) | AdminError::Proof(_) => Reason::Malformed,
        AdminError::NotFound => what.is_missing(),
        AdminError::Exists => what.exists(),
        AdminError::Changed => Reason::PreconditionFailed,
        AdminError::Duplicate(_) => Reason::Duplicate,
        AdminError::Full { .. } => Reason::TooManyEntries,
        AdminError::BadContinuation => Reason::BadContinuation,
        AdminError::Store(StoreError::Corrupt(_) | StoreError::TooLarge { .. }) => Reason::Internal,
        AdminError::Store(_) => Reason::Unavailable,
        _ => Reason::Internal,
    };
    match (reason, error) {
        (_, AdminError::Invalid(text) | AdminError::Duplicate(text)) => {
            ServiceError::new(reason).with_message(text)
        }
        (Reason::TooManyEntries | Reason::Malformed, error) => {
            ServiceError::new(reason).with_message(error.to_string())
        }
        (Reason::Unavailable, error) => {
            tracing::warn!(%error, "an operator could not be served");
            ServiceError::new(reason).with_retry_after(UNAVAILABLE_RETRY)
        }
        (Reason::Internal, error) => {
            tracing::error!(%error, "an operator could not be served");
            ServiceError::new(reason)
        }
        (reason, _) => ServiceError::new(reason),
    }
}

/// What an error of a change is called that makes what is missing: it is the instance that is not there.
pub(super) fn unmade(error: AdminError, what: What) -> ServiceError {
    match error {
        AdminError::NotFound => missing(What::Instance),
        error => fault(error, what),
    }
}

pub(super) fn missing(what: impl Into<What>) -> ServiceError {
    ServiceError::new(what.into().is_missing())
}

pub(super) fn malformed(message: impl Into<Cow<'static, str>>) -> ServiceError {
    ServiceError::new(Reason::Malformed).with_message(message)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_thing_is_missing_and_there_by_a_code_of_its_own() {
        let all = [
            What::Entry(Kind::Individual),
            What::Entry(Kind::Group),
            What::Registration,
            What::Instance,
            What::Hub,
            What::Policy,
            What::Certificate,
        ];
        let distinct = |codes: [u32; 7]| codes.into_iter().collect::<BTreeSet<_>>().len();
        let missing = all.map(|what| fault(AdminError::NotFound, what).reason().code());
        let there = all.map(|what| fault(AdminError::Exists, what).reason().code());
        assert_eq!((distinct(missing), distinct(there)), (7, 7));
        for what in all {
            let unmade = unmade(AdminError::NotFound, what);
            assert_eq!(unmade.reason(), Reason::InstanceNotFound, "{what:?}");
        }
    }
}
