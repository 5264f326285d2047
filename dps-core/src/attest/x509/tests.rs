use super::testing::{
    CRYPTO, Made, NOW, as_version_1, path_length, root, root_with, self_signed, signatures, years,
};
use super::*;
use crate::attest::{AttestationVerifier as _, Evidence, Mechanisms, SignIn, Verdict};
use crate::enrollment::{Attestation, X509Attestation};
use crate::id::{IdScope, RegistrationId};

type Judged = Result<DeviceAuth, AttestError>;

/// An instance with one enrollment.
struct Instance {
    mechanisms: Mechanisms,
    attestation: X509Attestation,
    anchors: Vec<Certificate>,
    now: Timestamp,
    epoch: u64,
    scope: &'static str,
}

impl Instance {
    fn with(attestation: X509Attestation, anchors: &[&Certificate]) -> Self {
        Self {
            mechanisms: Mechanisms::default(),
            attestation,
            anchors: anchors.iter().copied().cloned().collect(),
            now: NOW,
            epoch: 1,
            scope: "0ne00111111",
        }
    }

    fn individual(primary: Option<&Certificate>, secondary: Option<&Certificate>) -> Self {
        Self::with(X509Attestation::Leaf(slots(primary, secondary)), &[])
    }

    fn group(signing: &Certificate, anchors: &[&Certificate]) -> Self {
        let slots = slots(Some(signing), None);
        Self::with(X509Attestation::Signing(slots), anchors)
    }

    fn judge(&self, id: &str, chain: &[&Certificate]) -> Judged {
        let (scope, registration) = (
            IdScope::parse(self.scope).unwrap(),
            RegistrationId::parse(id).unwrap(),
        );
        let chain: Vec<_> = chain.iter().copied().cloned().collect();
        let evidence = Evidence::X509 {
            chain: chain.iter().map(|c| c.der().clone()).collect(),
        };
        let attestation = Attestation::X509(self.attestation.clone());
        let mut request = AttestRequest::new(
            &scope,
            &registration,
            &evidence,
            &attestation,
            CRYPTO,
            self.now,
        );
        request.group = matches!(self.attestation, X509Attestation::Signing(_));
        (request.chain, request.anchors, request.epoch) = (&chain, &self.anchors, self.epoch);
        match self.mechanisms.verify(&request)? {
            Verdict::Attested(proof) => {
                let SignIn::Known(auth) = proof.sign_in() else {
                    panic!("a certificate is known");
                };
                Ok(auth.clone())
            }
            other => panic!("{other:?}"),
        }
    }
}

fn slots(primary: Option<&Certificate>, secondary: Option<&Certificate>) -> Slots<Certificate> {
    Slots {
        primary: primary.cloned(),
        secondary: secondary.cloned(),
    }
}

fn thumbprints(primary: &Certificate, secondary: &Certificate) -> DeviceAuth {
    let (primary, secondary) = (*primary.thumbprint(), *secondary.thumbprint());
    DeviceAuth::Thumbprints { primary, secondary }
}

#[track_caller]
fn mismatch(judged: Judged, wanted: &str) {
    match judged {
        Err(AttestError::Mismatch { because }) if because.contains(wanted) => {}
        other => panic!("not a mismatch because of {wanted:?}: {other:?}"),
    }
}

#[track_caller]
fn expired(judged: Judged, wanted: &str) {
    match judged {
        Err(AttestError::Expired { because }) if because.contains(wanted) => {}
        other => panic!("not expired because of {wanted:?}: {other:?}"),
    }
}

mod walks {
    use super::*;

    fn names(chain: &[&Certificate]) -> Result<Vec<String>, AttestError> {
        let chain: Vec<_> = chain.iter().copied().cloned().collect();
        let names = walk(&chain)?;
        Ok(names
            .iter()
            .map(|c| c.common_name().unwrap().to_owned())
            .collect())
    }

    #[test]
    fn a_walk_follows_names_in_whatever_order_they_were_presented() {
        let root = root("root");
        let (upper, other) = (root.ca("upper"), root.ca("other"));
        let lower = upper.ca("lower");
        let leaf = lower.leaf("dev");
        let (root, upper) = (&root.certificate, &upper.certificate);
        let (lower, other) = (&lower.certificate, &other.certificate);
        let whole = ["dev", "lower", "upper", "root"];
        assert_eq!(names(&[&leaf, lower, upper, root]).unwrap(), whole);
        assert_eq!(names(&[&leaf, root, other, upper, lower]).unwrap(), whole);
        assert_eq!(names(&[&leaf, lower, upper]).unwrap(), whole[..3]);
        assert_eq!(names(&[&leaf, lower, root]).unwrap(), whole[..2]);
        assert_eq!(names(&[&leaf]).unwrap(), whole[..1]);
    }

    #[test]
    fn a_certificate_presented_twice_counts_once() {
        let root = root("root");
        let (leaf, root) = (root.leaf("dev"), root.certificate);
        let walked = names(&[&leaf, &root, &leaf, &root]).unwrap();
        assert_eq!(walked, ["dev", "root"]);
    }

    #[test]
    fn two_certificates_of_a_wanted_name_are_refused() {
        let root = root("root");
        let (lower, decoy) = (root.ca("lower"), root.ca("lower"));
        let leaf = lower.leaf("dev");
        let (lower, decoy) = (&lower.certificate, &decoy.certificate);
        for chain in [[&leaf, lower, decoy], [&leaf, decoy, lower]] {
            assert!(names(&chain).is_err());
        }
    }

    #[test]
    fn names_in_a_circle_are_refused() {
        let [a, b] = ["a", "b"].map(root);
        let (below_a, below_b) = (a.ca("b"), b.ca("a"));
        let leaf = below_a.leaf("dev");
        let chain = [&leaf, &below_a.certificate, &below_b.certificate];
        assert!(names(&chain).is_err());
    }

    #[test]
    fn no_certificate_and_too_many_are_refused() {
        let leaf = root("root").leaf("dev");
        assert!(names(&[]).is_err());
        assert!(names(&[&leaf; MAX_CHAIN]).is_ok());
        assert!(names(&[&leaf; MAX_CHAIN + 1]).is_err());
    }
}

mod individuals {
    use super::*;

    #[test]
    fn either_enrolled_certificate_is_good_and_both_are_how_the_device_signs_in() {
        let [a, b] = [(); 2].map(|()| self_signed("dev", |_| {}).certificate);
        let instance = Instance::individual(Some(&a), Some(&b));
        for presented in [&a, &b] {
            let auth = instance.judge("dev", &[presented]).unwrap();
            assert_eq!(auth, thumbprints(&a, &b));
        }
    }

    #[test]
    fn a_single_enrolled_certificate_stands_in_both_slots() {
        let a = self_signed("dev", |_| {}).certificate;
        for instance in [
            Instance::individual(Some(&a), None),
            Instance::individual(None, Some(&a)),
        ] {
            let auth = instance.judge("dev", &[&a]).unwrap();
            assert_eq!(auth, thumbprints(&a, &a));
        }
    }

    #[test]
    fn what_issued_the_leaf_does_not_matter() {
        let (root, stranger) = (root("root"), root_with("stranger", |_| {}));
        let leaf = root.leaf("dev");
        let instance = Instance::individual(Some(&leaf), None);
        for chain in [&[&leaf][..], &[&leaf, &stranger.certificate]] {
            assert!(instance.judge("dev", chain).is_ok());
        }
    }

    #[test]
    fn another_certificate_of_the_same_name_and_key_is_a_mismatch() {
        let root = root("root");
        let a = self_signed("dev", |_| {});
        let again = root.issue(a.params.clone(), a.key).certificate;
        let instance = Instance::individual(Some(&a.certificate), None);
        mismatch(instance.judge("dev", &[&again]), "not an enrolled one");
        let chain = [&again, &a.certificate];
        mismatch(instance.judge("dev", &chain), "not an enrolled one");
    }

    #[test]
    fn a_ca_certificate_and_a_version_1_certificate_are_good() {
        let a = root("dev");
        let v1 = as_version_1(&a, &a.key);
        for leaf in [&a.certificate, &v1] {
            let instance = Instance::individual(Some(leaf), None);
            assert!(instance.judge("dev", &[leaf]).is_ok());
        }
    }

    #[test]
    fn the_common_name_is_the_registration_id_in_any_case() {
        let a = self_signed("Dev-1", |_| {}).certificate;
        let instance = Instance::individual(Some(&a), None);
        assert!(instance.judge("dEV-1", &[&a]).is_ok());
        mismatch(instance.judge("dev-2", &[&a]), "common name");
    }

    #[test]
    fn a_certificate_outside_its_time_is_expired() {
        for (from, to) in [(2000, 2020), (2030, 2040)] {
            let a = self_signed("dev", years(from, to)).certificate;
            let instance = Instance::individual(Some(&a), None);
            expired(instance.judge("dev", &[&a]), "device's");
        }
    }

    #[test]
    fn a_stranger_with_an_expired_certificate_is_a_mismatch() {
        let a = self_signed("dev", |_| {}).certificate;
        let stranger = self_signed("dev", years(2000, 2020)).certificate;
        let instance = Instance::individual(Some(&a), None);
        mismatch(instance.judge("dev", &[&stranger]), "not an enrolled one");
    }
}

mod groups;
mod memory;
