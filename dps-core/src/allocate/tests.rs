//! What the built-in policies promise.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::enrollment::{Attestation, Subject};
use crate::id::{GroupId, SecretBytes};
use crate::time::Timestamp;

const ORIGIN: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

fn hub(name: &str, weight: u32) -> LinkedHub {
    LinkedHub {
        name: HubName::parse(name).unwrap(),
        location: name.into(),
        weight,
        in_policy: true,
        credential: None,
    }
}

fn equal(n: usize) -> Vec<LinkedHub> {
    (0..n)
        .map(|nth| hub(&format!("hub-{nth}.example.net"), 1))
        .collect()
}

fn naming(hubs: &[&str], pinned: Option<&str>) -> Enrollment {
    let parse = |name: &&str| HubName::parse(name).unwrap();
    Enrollment {
        subject: Subject::Group {
            id: GroupId::parse("presses").unwrap(),
        },
        attestation: Attestation::SymmetricKey {
            primary: SecretBytes::from([0; 32]),
            secondary: SecretBytes::from([0; 32]),
        },
        enabled: true,
        edge: false,
        hubs: hubs.iter().map(parse).collect(),
        pinned_hub: pinned.as_ref().map(parse),
        policy: None,
        custom_allocation: None,
        initial_twin: Twin::default(),
        reprovision: None,
        created: Timestamp(0),
        updated: Timestamp(0),
    }
}

/// Asks `policy` for one device of the scope `0ne00000001`.
fn ask(
    policy: Policy,
    device: &str,
    hubs: &[LinkedHub],
    enrollment: &Enrollment,
    latencies: &[Option<Duration>],
) -> Result<(String, Why), ChooseError> {
    let scope = IdScope::parse("0ne00000001").unwrap();
    let operation = OperationId::from_random([0; 24]);
    let registration = RegistrationId::parse(device).unwrap();
    let hubs: Vec<&LinkedHub> = hubs.iter().collect();
    let request =
        AllocationRequest::new(&scope, &operation, &registration, enrollment, &hubs, ORIGIN);
    let choice = choose(policy, &request, latencies)?;
    Ok((choice.hub.name.to_string(), choice.why))
}

fn hashed(device: &str, hubs: &[LinkedHub]) -> String {
    let enrollment = naming(&[], None);
    ask(Policy::Hashed, device, hubs, &enrollment, &[])
        .unwrap()
        .0
}

fn nearest(device: &str, hubs: &[LinkedHub], millis: &[Option<u64>]) -> (String, Why) {
    let known: Vec<_> = millis
        .iter()
        .map(|millis| millis.map(Duration::from_millis))
        .collect();
    let enrollment = naming(&[], None);
    ask(Policy::GeoLatency, device, hubs, &enrollment, &known).unwrap()
}

fn counts(devices: usize, hubs: &[LinkedHub]) -> BTreeMap<String, f64> {
    let mut counts = BTreeMap::new();
    for nth in 0..devices {
        *counts
            .entry(hashed(&format!("press-{nth}"), hubs))
            .or_default() += 1.0;
    }
    counts
}

/// A change here moves devices of everybody who runs this: it is a breaking change.
#[test]
fn devices_stay_where_earlier_versions_put_them() {
    let hubs = [
        hub("eu.example.net", 1),
        hub("us.example.net", 1),
        hub("ap.example.net", 2),
        hub("br.example.net", 5),
    ];
    let frozen = [
        ("press-1", "ap.example.net"),
        ("press-2", "ap.example.net"),
        ("press-3", "us.example.net"),
        ("press-4", "us.example.net"),
        ("press-5", "ap.example.net"),
        ("press-6", "eu.example.net"),
        ("sensor:00.1b_44-11", "br.example.net"),
        ("a", "us.example.net"),
        ("0", "br.example.net"),
        ("Press-1", "ap.example.net"),
    ];
    for (device, name) in frozen {
        assert_eq!(hashed(device, &hubs), name, "{device}");
    }
}

/// The score is what decides, so it is frozen too, to the last bit.
#[test]
fn a_score_is_the_same_on_every_machine() {
    let enrollment = naming(&[], None);
    let hubs = [hub("eu.example.net", 3)];
    let (_, why) = ask(Policy::Hashed, "press-1", &hubs, &enrollment, &[]).unwrap();
    let Why::Score { score, among } = why else {
        unreachable!("a score decides");
    };
    assert_eq!((score.to_bits(), among), (0x3fdf_09fa_1974_8a37, 1));
}

#[test]
fn names_are_hashed_without_regard_to_case() {
    let (small, large) = (equal(10), {
        let mut hubs = equal(10);
        for hub in &mut hubs {
            hub.name = HubName::parse(&hub.name.as_str().to_ascii_uppercase()).unwrap();
        }
        hubs
    });
    for nth in 0..50 {
        let lower = hashed(&format!("press-{nth}"), &small);
        let upper = hashed(&format!("PRESS-{nth}"), &large);
        assert_eq!(lower, upper.to_ascii_lowercase());
    }
}

#[test]
fn a_hub_without_weight_is_never_chosen() {
    let hubs = [hub("a", 0), hub("b", 1), hub("c", 0)];
    for nth in 0..1000 {
        assert_eq!(hashed(&format!("d{nth}"), &hubs), "b");
    }
    let enrollment = naming(&[], None);
    let none = [hub("a", 0)];
    for policy in [Policy::Hashed, Policy::GeoLatency] {
        let near = [Some(Duration::ZERO)];
        let refused = ask(policy, "d", &none, &enrollment, &near);
        assert_eq!(refused, Err(ChooseError::NoWeight));
    }
}

/// 27.88 is what nine degrees of freedom exceed once in a thousand fleets; this fleet is fixed.
#[test]
fn a_hundred_thousand_devices_spread_evenly_over_ten_equal_hubs() {
    let counts = counts(100_000, &equal(10));
    let chi_square: f64 = counts
        .values()
        .map(|count| (count - 10_000.0).powi(2) / 10_000.0)
        .sum();
    assert_eq!(counts.len(), 10);
    assert!(chi_square < 27.88, "{chi_square}: {counts:?}");
}

#[test]
fn an_eleventh_hub_takes_its_share_and_moves_nobody_else() {
    const DEVICES: usize = 20_000;
    let (ten, eleven) = (equal(10), equal(11));
    let newcomer = eleven[10].name.as_str();
    let mut moved = 0_usize;
    for nth in 0..DEVICES {
        let device = format!("press-{nth}");
        let (before, after) = (hashed(&device, &ten), hashed(&device, &eleven));
        if before != after {
            assert_eq!(after, newcomer, "{device} moved between old hubs");
            moved += 1;
        }
    }
    let ideal = DEVICES / 11;
    assert!(moved.abs_diff(ideal) < ideal / 10, "{moved} of {DEVICES}");
}

#[test]
fn hubs_get_devices_in_proportion_to_their_weights() {
    let hubs = [
        hub("one", 1),
        hub("two", 2),
        hub("seven", 7),
        hub("none", 0),
    ];
    let counts = counts(50_000, &hubs);
    for (name, weight) in [("one", 1.0), ("two", 2.0), ("seven", 7.0)] {
        let expected = 5_000.0 * weight;
        let distance = (counts[name] - expected).abs() / expected;
        assert!(distance < 0.05, "{name}: {} of {expected}", counts[name]);
    }
    assert_eq!(counts.get("none"), None);
}

#[test]
fn the_nearest_hub_is_chosen_whatever_its_weight() {
    let hubs = [hub("far", 100), hub("near", 1), hub("unknown", 100)];
    for nth in 0..50 {
        let (name, why) = nearest(&format!("d{nth}"), &hubs, &[Some(90), Some(20), None]);
        assert_eq!(name, "near");
        let latency = Duration::from_millis(20);
        assert_eq!(why, Why::Latency { latency, ties: 1 });
    }
}

#[test]
fn a_near_hub_without_weight_is_passed_by() {
    let hubs = [hub("far", 1), hub("near", 0)];
    let (name, _) = nearest("d", &hubs, &[Some(90), Some(20)]);
    assert_eq!(name, "far");
}

#[test]
fn equally_near_hubs_share_by_hashing() {
    let hubs = [hub("far", 1), hub("a", 1), hub("b", 3)];
    let millis = [Some(90), Some(20), Some(20)];
    let mut b = 0;
    for nth in 0..2000 {
        let device = format!("d{nth}");
        let (name, why) = nearest(&device, &hubs, &millis);
        assert_eq!(name, hashed(&device, &hubs[1..]));
        assert!(matches!(why, Why::Latency { ties: 2, .. }));
        b += usize::from(name == "b");
    }
    assert!(
        (1400..1600).contains(&b),
        "{b} of 2000 went to three quarters"
    );
}

#[test]
fn where_no_latency_is_known_the_hash_decides() {
    let hubs = equal(5);
    for latencies in [&[][..], &[None; 5], &[None; 2]] {
        let (name, why) = nearest("press-1", &hubs, latencies);
        assert_eq!(name, hashed("press-1", &hubs));
        assert!(matches!(why, Why::LatencyUnknown { among: 5, .. }));
    }
    // An oracle that knows the first two only has said nothing of the others.
    let (name, _) = nearest("press-1", &hubs, &[Some(9), Some(8)]);
    assert_eq!(name, hubs[1].name.as_str());
}

#[test]
fn the_static_policy_takes_the_first_named_hub_that_is_a_candidate() {
    let hubs = [hub("eu", 1), hub("us", 0), hub("ap", 1)];
    let fixed = |named: &[&str], pinned| {
        let enrollment = naming(named, pinned);
        ask(Policy::Static, "d", &hubs, &enrollment, &[])
    };
    let named = |name: &str| Ok((name.to_owned(), Why::Named));
    assert_eq!(fixed(&["ap"], None), named("ap"));
    // A weight says how devices are spread, and nothing is spread here.
    assert_eq!(fixed(&["gone", "us", "eu"], None), named("us"));
    assert_eq!(fixed(&["ap", "eu"], Some("eu")), named("ap"));
    assert_eq!(fixed(&[], Some("EU")), named("eu"));
    assert_eq!(fixed(&["gone"], None), Err(ChooseError::NoCandidate));
    assert_eq!(fixed(&[], None), Err(ChooseError::NoHubNamed));
}

#[test]
fn without_candidates_and_for_custom_policies_there_is_no_built_in_choice() {
    let enrollment = naming(&["eu"], None);
    for policy in [Policy::Hashed, Policy::GeoLatency, Policy::Static] {
        let refused = ask(policy, "d", &[], &enrollment, &[]);
        assert_eq!(refused, Err(ChooseError::NoCandidate));
    }
    let custom = ask(Policy::Custom, "d", &[hub("eu", 1)], &enrollment, &[]);
    assert_eq!(custom, Err(ChooseError::Custom));
}

#[test]
fn the_words_of_policies_read_back_in_any_case() {
    for policy in [
        Policy::Hashed,
        Policy::GeoLatency,
        Policy::Static,
        Policy::Custom,
    ] {
        assert_eq!(Policy::parse(policy.word()), Some(policy));
        assert_eq!(Policy::parse(&policy.word().to_uppercase()), Some(policy));
    }
    assert_eq!(Policy::parse("nearest"), None);
}

fn candidates() -> impl Strategy<Value = Vec<LinkedHub>> {
    let weights = prop::collection::vec(0..1000_u32, 1..50);
    weights.prop_map(|weights| {
        let named = weights.into_iter().enumerate();
        named
            .map(|(nth, weight)| hub(&format!("hub-{nth}"), weight))
            .collect()
    })
}

proptest! {
    #[test]
    fn a_choice_is_a_candidate_with_weight_and_minds_no_order(
        mut hubs in candidates(),
        device in "[a-z0-9:._-]{0,30}[a-z0-9]",
        turn in 0..50_usize,
        millis in prop::collection::vec(prop::option::of(0..4_u64), 50),
    ) {
        let enrollment = naming(&[], None);
        let known: Vec<_> = hubs.iter().zip(&millis).map(|(hub, millis)| {
            (hub.name.clone(), millis.map(Duration::from_millis))
        }).collect();
        let latencies = |hubs: &[LinkedHub]| -> Vec<Option<Duration>> {
            hubs.iter().map(|hub| known.iter().find(|(name, _)| *name == hub.name)?.1).collect()
        };
        for policy in [Policy::Hashed, Policy::GeoLatency] {
            let first = ask(policy, &device, &hubs, &enrollment, &latencies(&hubs));
            match &first {
                Ok((name, _)) => {
                    let chosen = hubs.iter().find(|hub| hub.name.as_str() == name);
                    prop_assert!(chosen.is_some_and(|hub| hub.weight > 0));
                }
                Err(error) => {
                    prop_assert_eq!(*error, ChooseError::NoWeight);
                    prop_assert!(hubs.iter().all(|hub| hub.weight == 0));
                }
            }
            let turn = turn % hubs.len();
            hubs.rotate_left(turn);
            hubs.reverse();
            let again = ask(policy, &device, &hubs, &enrollment, &latencies(&hubs));
            prop_assert_eq!(again, first);
        }
    }
}
