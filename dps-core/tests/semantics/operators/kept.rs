//! Certificates of which an operator sends back what it was told of them.

use dps_core::admin::Precondition::Present;
use dps_core::certificate::Certificate;
use dps_core::enrollment::{Attestation, X509Attestation};

use super::*;

fn kept(certificate: &Certificate) -> CertificateDraft {
    let info = certificate.info();
    CertificateDraft::Kept {
        sha1: Some(info.sha1),
        sha256: Some(info.sha256),
    }
}

fn of(
    id: &EntryId,
    primary: Option<CertificateDraft>,
    secondary: Option<CertificateDraft>,
) -> Draft {
    draft(id, AttestationDraft::Signing(Slots { primary, secondary }))
}

fn slots(entry: &Enrollment) -> [Option<Certificate>; 2] {
    match &entry.attestation {
        Attestation::X509(X509Attestation::Signing(slots)) => {
            [slots.primary.clone(), slots.secondary.clone()]
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn certificates_stay_swap_and_go_by_what_is_said_of_them() {
    let admin = World::new().admin;
    let id = group_id("presses");
    let (one, two) = (Ca::root("One"), Ca::root("Two"));
    create(&admin, &signed(&id, Some(&one), Some(&two))).unwrap();
    let [one, two] = [&one, &two].map(certificate);
    let put = |primary, secondary| {
        let written = write(&admin, &of(&id, primary, secondary), Present, 2);
        written.map(|written| slots(&written.value))
    };
    let (first, second) = (|| Some(kept(&one)), || Some(kept(&two)));
    let some = |one: &Certificate| Some(one.clone());
    assert_eq!(put(first(), second()).unwrap(), [some(&one), some(&two)]);
    assert_eq!(put(second(), first()).unwrap(), [some(&two), some(&one)]);
    assert_eq!(put(first(), first()).unwrap(), [some(&one), some(&one)]);
    assert_eq!(
        word(&put(second(), None)),
        "invalid",
        "it is not there any more"
    );
    assert_eq!(put(None, first()).unwrap(), [None, some(&one)]);
    let given = CertificateDraft::Given(two.clone());
    assert_eq!(put(first(), Some(given)).unwrap(), [some(&one), some(&two)]);
}

#[test]
fn a_certificate_is_kept_only_if_all_that_is_said_of_it_fits() {
    let admin = World::new().admin;
    let id = group_id("presses");
    let (one, two) = (Ca::root("One"), Ca::root("Two"));
    create(&admin, &signed(&id, Some(&one), Some(&two))).unwrap();
    let [one, two] = [&one, &two].map(certificate);
    let put = |sha1, sha256| {
        let slot = CertificateDraft::Kept { sha1, sha256 };
        word(&write(
            &admin,
            &of(&id, Some(slot), Some(kept(&two))),
            Present,
            2,
        ))
    };
    let (sha1, sha256) = (one.sha1(), *one.thumbprint());
    assert_eq!(put(None, None), "invalid");
    assert_eq!(put(Some([0; 20]), None), "invalid");
    assert_eq!(put(Some(sha1), Some([0; 32])), "invalid");
    assert_eq!(put(Some(two.sha1()), Some(sha256)), "invalid");
    assert_eq!(put(Some(sha1), None), "done");
    assert_eq!(put(None, Some(sha256)), "done");
}
