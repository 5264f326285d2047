//! Enrollments, as operators and their tools write them.
#![no_main]

use dps_core::crypto::{CryptoError, ParentKeys, RING};
use dps_core::enrollment::{Attestation, X509Attestation};
use dps_core::time::Timestamp;
use dps_core::tpm::MAX_PUBLIC_KEY_BYTES;
use dps_transport_http::service::{EnrollmentReader, ReadEnrollment};
use libfuzzer_sys::fuzz_target;

/// TPMs can be enrolled where something can be encrypted for them. Nothing is here.
#[derive(Debug)]
struct Nothing;

impl ParentKeys for Nothing {
    fn oaep(&self, _: &[u8], _: u32, _: &[u8], _: &[u8]) -> Result<Vec<u8>, CryptoError> {
        Err(CryptoError)
    }

    fn ecdh_p256(&self, _: &[u8; 65]) -> Result<([u8; 65], [u8; 32]), CryptoError> {
        Err(CryptoError)
    }
}

fuzz_target!(|bytes: &[u8]| {
    let crypto = RING.with_parents(&Nothing);
    let reader = EnrollmentReader::new(crypto, Timestamp(1_763_683_200_000));
    if let Ok(read) = reader.individual_from_slice(bytes) {
        check(&read, false);
    }
    if let Ok(read) = reader.group_from_slice(bytes) {
        check(&read, true);
    }
});

/// What every enrollment that was taken keeps to.
fn check(read: &ReadEnrollment, group: bool) {
    // A certificate of which only its thumbprints are said cannot be kept by what is not there yet.
    let Ok(enrollment) = read.enrollment() else {
        return;
    };
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
        Attestation::Tpm {
            storage_root_key, ..
        } => {
            let length = storage_root_key.as_ref().map_or(0, |key| key.len());
            assert!(!group && length <= MAX_PUBLIC_KEY_BYTES);
        }
        other => panic!("{other:?}"),
    }
}
