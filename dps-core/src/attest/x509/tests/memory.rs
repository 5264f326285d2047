//! What is remembered of issuers saves signatures and changes no answer.

use super::*;

fn factory() -> (Made, Made, Instance) {
    let root = root("root");
    let lower = root.ca("lower");
    let instance = Instance::group(&root.certificate, &[&root.certificate]);
    (root, lower, instance)
}

/// Whether it was believed, and how many signatures that took.
fn cost(instance: &Instance, id: &str, chain: &[&Certificate]) -> (bool, usize) {
    let (judged, count) = signatures(|| instance.judge(id, chain));
    (judged.is_ok(), count)
}

#[test]
fn the_next_device_of_an_issuer_costs_one_signature() {
    let (_, lower, instance) = factory();
    for (id, wanted) in [("a", 2), ("b", 1), ("c", 1), ("a", 1)] {
        let leaf = lower.leaf(id);
        let judged = cost(&instance, id, &[&leaf, &lower.certificate]);
        assert_eq!(judged, (true, wanted));
    }
}

#[test]
fn an_issuer_that_is_the_anchor_is_not_remembered() {
    let (root, ..) = factory();
    let instance = Instance::group(&root.certificate, &[&root.certificate]);
    for _ in 0..2 {
        let leaf = root.leaf("dev");
        assert_eq!(cost(&instance, "dev", &[&leaf]), (true, 1));
        assert_eq!(
            format!("{:?}", instance.mechanisms),
            "Mechanisms { issuers: KnownIssuers(0) }"
        );
    }
}

#[test]
fn a_stranger_is_not_remembered() {
    let (_, lower, instance) = factory();
    let forged = root("root").ca("lower").leaf("dev");
    let chain = [&forged, &lower.certificate];
    assert!(!cost(&instance, "dev", &chain).0);
    let expired = lower.leaf_with("dev", years(2000, 2020));
    assert!(!cost(&instance, "dev", &[&expired, &lower.certificate]).0);
    let other_name = lower.leaf("other");
    assert!(!cost(&instance, "dev", &[&other_name, &lower.certificate]).0);
    let leaf = lower.leaf("dev");
    let judged = cost(&instance, "dev", &[&leaf, &lower.certificate]);
    assert_eq!(judged, (true, 2));
}

#[test]
fn a_leaf_of_another_ca_is_refused_under_a_remembered_issuer() {
    let (_, lower, instance) = factory();
    let leaf = lower.leaf("dev");
    let chain = [&leaf, &lower.certificate];
    assert!(instance.judge("dev", &chain).is_ok());
    let other = root("root").ca("lower");
    let forged = other.leaf("dev");
    let chain = [&forged, &lower.certificate];
    mismatch(instance.judge("dev", &chain), "signature");
    let chain = [&forged, &other.certificate];
    mismatch(instance.judge("dev", &chain), "signature");
}

#[test]
fn every_rule_for_leaves_holds_under_a_remembered_issuer() {
    let (_, lower, instance) = factory();
    let leaf = lower.leaf("dev");
    assert!(instance.judge("dev", &[&leaf, &lower.certificate]).is_ok());
    let servers = lower.leaf_with("dev", |params| {
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    });
    let old = lower.leaf_with("dev", years(2000, 2020));
    let ca = lower.ca("dev").certificate;
    let judge = |leaf: &Certificate| instance.judge("dev", &[leaf, &lower.certificate]);
    mismatch(judge(&servers), "client authentication");
    mismatch(judge(&ca), "a CA's");
    expired(judge(&old), "device's");
}

#[test]
fn the_expiry_of_a_remembered_issuer_and_of_its_anchor_is_honoured() {
    for (root_ends, lower_ends, wanted) in [(2050, 2030, "intermediate"), (2030, 2050, "end")] {
        let root = root_with("root", years(2000, root_ends));
        let lower = root.ca_with("lower", years(2000, lower_ends));
        let mut instance = Instance::group(&root.certificate, &[&root.certificate]);
        let leaf = lower.leaf("dev");
        let chain = [&leaf, &lower.certificate];
        assert_eq!(cost(&instance, "dev", &chain), (true, 2));
        assert_eq!(cost(&instance, "dev", &chain), (true, 1));
        instance.now = Timestamp::parse("2031-01-01T00:00:00Z").unwrap();
        expired(instance.judge("dev", &chain), wanted);
    }
}

#[test]
fn another_epoch_or_tenant_starts_anew() {
    let (_, lower, mut instance) = factory();
    let leaf = lower.leaf("dev");
    let chain = [&leaf, &lower.certificate];
    assert_eq!(cost(&instance, "dev", &chain), (true, 2));
    instance.epoch = 2;
    assert_eq!(cost(&instance, "dev", &chain), (true, 2));
    instance.scope = "0ne00222222";
    assert_eq!(cost(&instance, "dev", &chain), (true, 2));
    assert_eq!(cost(&instance, "dev", &chain), (true, 1));
}

#[test]
fn an_anchor_that_was_taken_away_is_missed_even_within_an_epoch() {
    let (root, lower, mut instance) = factory();
    let leaf = lower.leaf("dev");
    let chain = [&leaf, &lower.certificate, &root.certificate];
    assert!(instance.judge("dev", &chain).is_ok());
    instance.anchors.clear();
    mismatch(instance.judge("dev", &chain), "no verified certificate");
}

#[test]
fn issuers_that_constrain_names_are_never_remembered() {
    let constrain = |params: &mut rcgen::CertificateParams| {
        let name = rcgen::GeneralSubtree::DnsName("example.org".to_owned());
        params.name_constraints = Some(rcgen::NameConstraints {
            permitted_subtrees: vec![name],
            excluded_subtrees: Vec::new(),
        });
    };
    let dns = |name: &str| {
        let name = rcgen::SanType::DnsName(name.try_into().unwrap());
        move |params: &mut rcgen::CertificateParams| params.subject_alt_names = vec![name]
    };
    let root = root("root");
    let constrained = root.ca_with("constrained", constrain);
    let beneath = constrained.ca("beneath");
    let instance = Instance::group(&root.certificate, &[&root.certificate]);
    let constrained_root = root_with("constrained root", constrain);
    let beneath_root = constrained_root.ca("lower");
    let anchors = [&constrained_root.certificate];
    let instance_of_root = Instance::group(anchors[0], &anchors);
    for (instance, issuer, above) in [
        (&instance, &constrained, &root),
        (&instance, &beneath, &constrained),
        (&instance_of_root, &beneath_root, &constrained_root),
    ] {
        let good = issuer.leaf_with("dev", dns("dev.example.org"));
        let bad = issuer.leaf_with("dev", dns("dev.example.com"));
        let chain = |leaf| [leaf, &issuer.certificate, &above.certificate];
        let (judged, first) = cost(instance, "dev", &chain(&good));
        assert!(judged);
        assert_eq!(cost(instance, "dev", &chain(&good)), (true, first));
        mismatch(instance.judge("dev", &chain(&bad)), "a name");
    }
}
