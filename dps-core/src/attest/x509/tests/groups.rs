use super::*;

/// A root, a CA below it and a device below that.
fn factory() -> (Made, Made, Certificate) {
    let root = root("root");
    let lower = root.ca("lower");
    let leaf = lower.leaf("dev");
    (root, lower, leaf)
}

#[test]
fn a_device_below_the_groups_verified_certificate_is_believed() {
    let (root, lower, leaf) = factory();
    let (root, lower) = (&root.certificate, &lower.certificate);
    for (group, anchor) in [(root, root), (lower, lower), (lower, root)] {
        let instance = Instance::group(group, &[anchor]);
        for chain in [
            &[&leaf, lower, root][..],
            &[&leaf, root, lower],
            &[&leaf, lower],
        ] {
            let auth = instance.judge("DEV", chain).unwrap();
            assert_eq!(auth, thumbprints(&leaf, &leaf));
        }
    }
}

#[test]
fn either_certificate_of_a_group_is_good() {
    let (root, lower, leaf) = factory();
    let other = super::root("root");
    for (primary, secondary) in [(&other, &root), (&root, &other)] {
        let slots = slots(Some(&primary.certificate), Some(&secondary.certificate));
        let anchors = [&root.certificate, &other.certificate];
        let instance = Instance::with(X509Attestation::Signing(slots), &anchors);
        let sent = [&leaf, &lower.certificate];
        assert!(instance.judge("dev", &sent).is_ok());
        let all = [&leaf, &lower.certificate, &root.certificate];
        assert!(instance.judge("dev", &all).is_ok());
    }
}

#[test]
fn the_last_issuer_need_not_be_presented() {
    let (root, lower, leaf) = factory();
    let (root, lower) = (&root.certificate, &lower.certificate);
    for instance in [
        Instance::group(lower, &[lower]),
        Instance::group(lower, &[root]),
    ] {
        assert!(instance.judge("dev", &[&leaf]).is_ok());
    }
}

#[test]
fn an_intermediate_may_not_be_missing() {
    let (root, lower, leaf) = factory();
    let instance = Instance::group(&root.certificate, &[&root.certificate]);
    mismatch(
        instance.judge("dev", &[&leaf]),
        "no certificate of the group",
    );
    let chain = [&leaf, &root.certificate];
    mismatch(instance.judge("dev", &chain), "no certificate of the group");
    let instance = Instance::group(&root.certificate, &[&lower.certificate]);
    mismatch(
        instance.judge("dev", &[&leaf]),
        "no certificate of the group",
    );
}

#[test]
fn certificates_presented_besides_are_ignored() {
    let (root, lower, leaf) = factory();
    let stranger = super::root("stranger");
    let instance = Instance::group(&root.certificate, &[&root.certificate]);
    let chain = [&leaf, &stranger.certificate, &lower.certificate];
    assert!(instance.judge("dev", &chain).is_ok());
    let instance = Instance::group(&stranger.certificate, &[&stranger.certificate]);
    mismatch(instance.judge("dev", &chain), "no certificate of the group");
}

#[test]
fn a_path_that_ends_at_no_verified_certificate_is_refused() {
    let (root, lower, leaf) = factory();
    let stranger = super::root("stranger");
    let chain = [&leaf, &lower.certificate, &root.certificate];
    for anchors in [&[][..], &[&stranger.certificate]] {
        let instance = Instance::group(&lower.certificate, anchors);
        mismatch(instance.judge("dev", &chain), "no verified certificate");
        let instance = Instance::group(&root.certificate, anchors);
        mismatch(instance.judge("dev", &chain), "no verified certificate");
    }
}

#[test]
fn a_verified_certificate_below_the_groups_does_not_end_the_path() {
    let (root, lower, leaf) = factory();
    let chain = [&leaf, &lower.certificate, &root.certificate];
    let instance = Instance::group(&root.certificate, &[&lower.certificate]);
    mismatch(instance.judge("dev", &chain), "no verified certificate");
}

#[test]
fn issuers_of_another_ca_with_the_same_names_are_refused() {
    let (root, lower, _) = factory();
    let (_, other, leaf) = factory();
    for instance in [
        Instance::group(&root.certificate, &[&root.certificate]),
        Instance::group(&lower.certificate, &[&root.certificate]),
        Instance::group(&lower.certificate, &[&lower.certificate]),
    ] {
        for chain in [
            &[&leaf, &lower.certificate][..],
            &[&leaf, &lower.certificate, &root.certificate],
        ] {
            mismatch(instance.judge("dev", chain), "signature");
        }
    }
    let instance = Instance::group(&root.certificate, &[&root.certificate]);
    let chain = [&leaf, &other.certificate];
    mismatch(instance.judge("dev", &chain), "signature");
}

#[test]
fn a_decoy_of_an_intermediates_name_is_refused() {
    let (root, lower, leaf) = factory();
    let decoy = root.issue(lower.params.clone(), rcgen::KeyPair::generate().unwrap());
    let instance = Instance::group(&root.certificate, &[&root.certificate]);
    let chain = [&leaf, &decoy.certificate, &lower.certificate];
    mismatch(instance.judge("dev", &chain), "one name");
    let chain = [&leaf, &decoy.certificate];
    mismatch(instance.judge("dev", &chain), "signature");
}

#[test]
fn a_shorter_way_past_the_groups_certificate_is_refused() {
    // The anchor bears the name and the key of `lower`, so webpki would end the path there.
    let (root, lower, leaf) = factory();
    let key = rcgen::KeyPair::try_from(lower.key.serialized_der()).unwrap();
    let own_issuer = rcgen::Issuer::from_params(&lower.params, &key);
    let anchor = lower.params.signed_by(&key, &own_issuer).unwrap();
    let anchor = Certificate::parse(anchor.der()).unwrap();
    let group = lower.issue(root.params, rcgen::KeyPair::generate().unwrap());
    let instance = Instance::group(&group.certificate, &[&anchor]);
    let chain = [&leaf, &lower.certificate];
    mismatch(instance.judge("dev", &chain), "past");
}

#[test]
fn the_leaf_itself_is_never_the_groups_certificate() {
    let leaf = self_signed("dev", |_| {}).certificate;
    let instance = Instance::group(&leaf, &[&leaf]);
    mismatch(
        instance.judge("dev", &[&leaf]),
        "no certificate of the group",
    );
    let (root, lower, _) = factory();
    let leaf = lower.leaf("dev");
    let instance = Instance::group(&leaf, &[&leaf, &root.certificate]);
    let chain = [&leaf, &lower.certificate, &root.certificate];
    mismatch(instance.judge("dev", &chain), "no certificate of the group");
}

#[test]
fn a_leaf_that_is_a_ca_is_refused() {
    let (root, lower, _) = factory();
    let leaf = lower.ca("dev").certificate;
    let instance = Instance::group(&root.certificate, &[&root.certificate]);
    mismatch(
        instance.judge("dev", &[&leaf, &lower.certificate]),
        "a CA's",
    );
    mismatch(instance.judge("root", &[&root.certificate]), "a CA's");
}

#[test]
fn the_common_name_is_the_registration_id() {
    let (root, lower, leaf) = factory();
    let instance = Instance::group(&root.certificate, &[&root.certificate]);
    let chain = [&leaf, &lower.certificate];
    mismatch(instance.judge("other", &chain), "common name");
    let twice = lower.leaf_with("dev", |params| {
        params
            .distinguished_name
            .push(rcgen::DnType::CustomDnType(vec![2, 5, 4, 3]), "dev");
    });
    let chain = [&twice, &lower.certificate];
    mismatch(instance.judge("dev", &chain), "single common name");
}

#[test]
fn version_1_certificates_are_refused_by_name() {
    let (root, lower, leaf) = factory();
    let made = lower.issue(
        self_signed("dev", |_| {}).params,
        rcgen::KeyPair::generate().unwrap(),
    );
    let v1 = as_version_1(&made, &lower.key);
    let instance = Instance::group(&root.certificate, &[&root.certificate]);
    let chain = [&v1, &lower.certificate];
    mismatch(instance.judge("dev", &chain), "version 3");
    let v1 = as_version_1(&lower, &root.key);
    mismatch(instance.judge("dev", &[&leaf, &v1]), "X.509 v3");
    let v1 = as_version_1(&root, &root.key);
    let instance = Instance::group(&v1, &[&v1]);
    let chain = [&leaf, &lower.certificate, &v1];
    mismatch(instance.judge("dev", &chain), "X.509 v3");
}

#[test]
fn an_issuer_that_is_no_ca_is_refused_even_as_anchor() {
    let (root, lower, _) = factory();
    let device = lower.issue(
        self_signed("device", |_| {}).params,
        rcgen::KeyPair::generate().unwrap(),
    );
    let leaf = device.leaf("dev");
    let instance = Instance::group(&root.certificate, &[&root.certificate]);
    let chain = [&leaf, &device.certificate, &lower.certificate];
    mismatch(instance.judge("dev", &chain), "no CA");
    let instance = Instance::group(&device.certificate, &[&device.certificate]);
    mismatch(instance.judge("dev", &chain), "no CA");
}

#[test]
fn path_lengths_hold_also_at_the_anchor() {
    for (at_root, at_upper, good) in [(1, 0, false), (2, 0, false), (1, 1, false), (2, 1, true)] {
        let root = root_with("root", path_length(at_root));
        let upper = root.ca_with("upper", path_length(at_upper));
        let lower = upper.ca("lower");
        let leaf = lower.ca("lowest");
        let chain_leaf = lower.leaf("dev");
        let below = [&chain_leaf, &lower.certificate, &upper.certificate];
        // Two intermediates below the root, one below the upper.
        let instance = Instance::group(&root.certificate, &[&root.certificate]);
        let judged = instance.judge("dev", &below);
        if at_root >= 2 && at_upper >= 1 {
            assert!(good && judged.is_ok());
            let deeper = leaf.leaf("dev");
            let chain = [
                &deeper,
                &leaf.certificate,
                &lower.certificate,
                &upper.certificate,
            ];
            mismatch(instance.judge("dev", &chain), "path length");
        } else if at_upper >= 1 {
            mismatch(judged, "path length");
            let instance = Instance::group(&upper.certificate, &[&upper.certificate]);
            assert!(instance.judge("dev", &below).is_ok());
        } else {
            mismatch(judged, "path length");
            let instance = Instance::group(&upper.certificate, &[&upper.certificate]);
            mismatch(instance.judge("dev", &below), "path length");
        }
    }
}

#[test]
fn a_leaf_for_servers_alone_is_refused() {
    let (root, lower, _) = factory();
    let leaf = lower.leaf_with("dev", |params| {
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    });
    let instance = Instance::group(&root.certificate, &[&root.certificate]);
    let chain = [&leaf, &lower.certificate];
    mismatch(instance.judge("dev", &chain), "client authentication");
}

#[test]
fn whatever_is_outside_its_time_is_named() {
    for (from, to) in [(2000, 2020), (2030, 2040)] {
        let (root, lower, _) = factory();
        let instance = Instance::group(&root.certificate, &[&root.certificate]);
        let leaf = lower.leaf_with("dev", years(from, to));
        let chain = [&leaf, &lower.certificate];
        expired(instance.judge("dev", &chain), "device's");

        let lower = root.ca_with("lower", years(from, to));
        let leaf = lower.leaf("dev");
        let chain = [&leaf, &lower.certificate];
        expired(instance.judge("dev", &chain), "intermediate");

        let root = root_with("root", years(from, to));
        let lower = root.ca("lower");
        let leaf = lower.leaf("dev");
        let instance = Instance::group(&root.certificate, &[&root.certificate]);
        let chain = [&leaf, &lower.certificate];
        expired(instance.judge("dev", &chain), "end of the chain");
        let instance = Instance::group(&lower.certificate, &[&root.certificate]);
        expired(instance.judge("dev", &chain), "end of the chain");
    }
}

#[test]
fn a_chain_that_was_never_good_is_a_mismatch_however_old() {
    let (root, lower, _) = factory();
    let (_, other, _) = factory();
    let leaf = other.leaf_with("dev", years(2000, 2020));
    let instance = Instance::group(&root.certificate, &[&root.certificate]);
    let chain = [&leaf, &lower.certificate];
    mismatch(instance.judge("dev", &chain), "signature");
    let lower = root.ca_with("lower", years(2000, 2010));
    let leaf = lower.leaf_with("dev", years(2011, 2020));
    let chain = [&leaf, &lower.certificate];
    mismatch(instance.judge("dev", &chain), "never valid together");
}

#[test]
fn of_several_anchors_of_one_name_the_right_one_is_found() {
    let (root, lower, leaf) = factory();
    let (older, newer) = (root_with("root", years(2000, 2020)), super::root("root"));
    let anchors = [&older, &root, &newer].map(|made| &made.certificate);
    let instance = Instance::group(&lower.certificate, &anchors);
    let chain = [&leaf, &lower.certificate];
    assert!(instance.judge("dev", &chain).is_ok());
    let instance = Instance::group(&lower.certificate, &[anchors[0], anchors[2]]);
    mismatch(instance.judge("dev", &chain), "signature");
}

#[test]
fn that_one_of_several_anchors_has_expired_is_said_if_it_is_the_right_one() {
    let older = root_with("root", years(2000, 2020));
    let newer = root("root");
    let lower = older.ca("lower");
    let leaf = lower.leaf("dev");
    for anchors in [[&older, &newer], [&newer, &older]] {
        let anchors = anchors.map(|made| &made.certificate);
        let instance = Instance::group(&lower.certificate, &anchors);
        expired(instance.judge("dev", &[&leaf]), "end of the chain");
    }
}

#[test]
fn a_chain_without_certificates_is_refused() {
    let (root, ..) = factory();
    let instance = Instance::group(&root.certificate, &[&root.certificate]);
    mismatch(instance.judge("dev", &[]), "no certificate was presented");
}
