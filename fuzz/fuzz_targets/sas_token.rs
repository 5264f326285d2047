//! Tokens from strangers.
#![no_main]

use dps_core::attest::{AttestRequest, AttestationVerifier, Evidence, Mechanisms, SasToken};
use dps_core::crypto::RING;
use dps_core::enrollment::Attestation;
use dps_core::id::{IdScope, RegistrationId, SecretBytes};
use dps_core::time::Timestamp;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let scope = IdScope::parse("0ne00111111").expect("a scope");
    let registration = RegistrationId::parse("Dev-1").expect("an id");
    if let Ok(token) = SasToken::parse(text) {
        let _ = (token.names(&scope, &registration), token.expires());
        assert!(!token.is_signed_with(b"a key that no seed was signed with"));
    }
    let attestation = Attestation::SymmetricKey {
        primary: SecretBytes::new(vec![250; 64]),
        secondary: SecretBytes::new(vec![251; 64]),
    };
    let evidence = Evidence::Sas {
        token: text.to_owned(),
    };
    let now = Timestamp(1_700_000_000_000);
    let mut request =
        AttestRequest::new(&scope, &registration, &evidence, &attestation, &RING, now);
    for group in [false, true] {
        request.group = group;
        assert!(Mechanisms::default().verify(&request).is_err());
    }
});
