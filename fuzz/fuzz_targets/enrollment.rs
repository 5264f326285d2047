//! Enrollments, as operators and their tools write them.
#![no_main]

use dps_core::crypto::RING;
use dps_core::enrollment::{Attestation, Enrollment, X509Attestation};
use dps_core::time::Timestamp;
use dps_transport_http::service::EnrollmentReader;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let reader = EnrollmentReader::new(RING, Timestamp(1_763_683_200_000));
    if let Ok(read) = reader.individual_from_slice(bytes) {
        check(&read.enrollment, false);
    }
    if let Ok(read) = reader.group_from_slice(bytes) {
        check(&read.enrollment, true);
    }
});

/// What every enrollment that was taken keeps to.
fn check(enrollment: &Enrollment, group: bool) {
    match &enrollment.attestation {
        Attestation::SymmetricKey { primary, secondary } => {
            for key in [primary, secondary] {
                assert!((16..=64).contains(&key.expose().len()));
            }
        }
        Attestation::X509(X509Attestation::Leaf(slots)) => {
            assert!(!group && slots.iter().next().is_some());
        }
        Attestation::X509(X509Attestation::Signing(slots)) => {
            assert!(group && slots.iter().next().is_some());
        }
        Attestation::X509(X509Attestation::CaReferences(slots)) => {
            assert!(group && slots.iter().next().is_some());
        }
        other => panic!("{other:?}"),
    }
}
