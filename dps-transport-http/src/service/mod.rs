//! The JSON shapes of the service API: how operators write what devices meet.
//!
//! [`EnrollmentReader`] turns an `IndividualEnrollment` or an `EnrollmentGroup` into a
//! [`dps_core::enrollment::Enrollment`]. Nothing here speaks HTTP: the same documents come as request
//! bodies, as files beside a configuration, and as exports of another service.

mod attestation;
mod certificate;
mod enrollment;
mod error;
mod object;

pub use self::enrollment::{EnrollmentReader, MAX_ENROLLMENT_BYTES, ReadEnrollment};
pub use self::error::{EnrollmentError, Problem};
