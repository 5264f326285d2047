//! Enrollments as documents that can be read again.

use dps_core::enrollment::Enrollment;
use dps_core::json;
use serde_json::Value;

use super::shape::{Entry, Keys};

/// Writes enrollments as an [`EnrollmentReader`](super::EnrollmentReader) reads them: an
/// `IndividualEnrollment` or an `EnrollmentGroup` with its certificates, and with its symmetric keys if
/// that is asked for.
///
/// What is written without keys and read again gets new ones. The address of a custom policy is written
/// whole, and may hold a secret.
#[derive(Clone, Copy, Debug, Default)]
pub struct EnrollmentWriter {
    keys: bool,
}

impl EnrollmentWriter {
    /// Leaves symmetric keys out.
    #[must_use]
    pub const fn new() -> Self {
        Self { keys: false }
    }

    /// Writes symmetric keys, too: whoever reads the documents can pretend to be the devices.
    #[must_use]
    pub const fn with_keys(self) -> Self {
        Self { keys: true }
    }

    /// One document in ASCII, without a line break.
    #[must_use]
    pub fn to_vec(self, entry: &Enrollment) -> Vec<u8> {
        json::to_ascii(&self.shape(entry))
    }

    /// One document.
    #[must_use]
    pub fn to_value(self, entry: &Enrollment) -> Value {
        serde_json::to_value(self.shape(entry)).unwrap_or_default()
    }

    fn shape(self, entry: &Enrollment) -> Entry<'_> {
        let keys = if self.keys { Keys::Told } else { Keys::Hidden };
        Entry::exported(entry, keys)
    }
}
