//! Certificates from strangers.
#![no_main]

use std::sync::LazyLock;

use dps_core::attest::{AttestRequest, AttestationVerifier, Evidence, Mechanisms};
use dps_core::certificate::Certificate;
use dps_core::crypto::RING;
use dps_core::enrollment::{Attestation, Slots, X509Attestation};
use dps_core::id::{IdScope, RegistrationId};
use dps_core::time::Timestamp;
use libfuzzer_sys::fuzz_target;
use rustls_pki_types::CertificateDer;

static ROOT: LazyLock<Certificate> = LazyLock::new(|| {
    let der = CertificateDer::from(&include_bytes!("../seeds/root.der")[..]);
    Certificate::parse(&der).expect("the root reads")
});
static MECHANISMS: LazyLock<Mechanisms> = LazyLock::new(Mechanisms::default);

fuzz_target!(|bytes: &[u8]| {
    let chain: Vec<_> = certificates(bytes)
        .filter_map(|der| Certificate::parse(&CertificateDer::from(der)).ok())
        .collect();
    let Some(id) = chain.first().and_then(|leaf| leaf.common_name()) else {
        return;
    };
    let (Ok(registration), Ok(scope)) = (RegistrationId::parse(id), IdScope::parse("0ne00111111"))
    else {
        return;
    };
    let evidence = Evidence::X509 { chain: [].into() };
    let slots = Slots {
        primary: Some(ROOT.clone()),
        secondary: None,
    };
    let now = Timestamp(1_800_000_000_000);
    for individual in [true, false] {
        let attestation = Attestation::X509(if individual {
            X509Attestation::Leaf(slots.clone())
        } else {
            X509Attestation::Signing(slots.clone())
        });
        let mut request =
            AttestRequest::new(&scope, &registration, &evidence, &attestation, &RING, now);
        request.group = !individual;
        request.chain = &chain;
        request.anchors = std::slice::from_ref(&*ROOT);
        let believed = MECHANISMS.verify(&request).is_ok();
        assert!(!(believed && individual), "nobody has the root's key");
        // Once more, with what was remembered.
        assert_eq!(MECHANISMS.verify(&request).is_ok(), believed);
        // Whoever is believed is so by the very bytes of a seed, for nobody can sign.
        if believed {
            assert!(chain[0].common_name() == Some("press-1"));
        }
    }
});

/// Cuts the input into at most nine pieces, one more than is allowed, each behind its length.
fn certificates(mut rest: &[u8]) -> impl Iterator<Item = &[u8]> {
    let next = move || {
        let (length, after) = rest.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_be_bytes(*length)).min(after.len());
        let (piece, after) = after.split_at(length);
        rest = after;
        Some(piece)
    };
    std::iter::from_fn(next).take(9)
}
