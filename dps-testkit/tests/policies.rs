//! The hook suite on the built-in policies, what it finds, and the simulator.

use std::panic::{AssertUnwindSafe, catch_unwind};

use dps_core::allocate::{BuiltIn, HookError, Policy};
use dps_core::id::HubName;
use dps_testkit::hook::{Under, all};
use dps_testkit::run::block_on;
use dps_testkit::sim::{Fleet, HookFn, Outcome, Placement, hubs, simulate};
use serde_json::json;

mod hashed {
    use super::*;

    dps_testkit::hook::conformance!(Under::test(|| BuiltIn::new(Policy::Hashed)).stable());
}

mod geo_latency {
    use super::*;

    dps_testkit::hook::conformance!(Under::test(|| BuiltIn::new(Policy::GeoLatency)).stable());
}

mod fixed {
    use super::*;

    dps_testkit::hook::conformance!(Under::test(|| BuiltIn::new(Policy::Static)).stable());
}

/// The duties that a policy fails.
fn failed(hook: HookFn) -> Vec<&'static str> {
    let fixture = Under::test(move || hook.clone()).stable();
    let mut failed = Vec::new();
    for (name, duty) in all() {
        if catch_unwind(AssertUnwindSafe(|| duty(&fixture))).is_err() {
            failed.push(name);
        }
    }
    failed
}

#[test]
fn the_suite_finds_what_is_wrong_with_a_policy() {
    let first = HookFn::new(|request| Ok(request.hubs[0].name.clone().into()));
    assert_eq!(
        failed(first),
        ["a_stable_policy_minds_no_order_of_candidates"]
    );

    let elsewhere = HubName::parse("elsewhere").expect("it is a host name");
    let stray = HookFn::new(move |_| Ok(elsewhere.clone().into()));
    assert!(failed(stray).contains(&"the_answer_is_one_of_the_candidates"));

    let trusting = HookFn::new(|request| {
        let payload = request.payload.expect("devices send a payload");
        Err(HookError::Refused {
            reason: payload.to_string(),
        })
    });
    assert!(failed(trusting).contains(&"an_absent_payload_is_no_accident"));

    let silent = HookFn::new(|_| {
        Err(HookError::Refused {
            reason: String::new(),
        })
    });
    assert_eq!(failed(silent), ["a_refusal_says_why"]);
}

fn place<const N: usize>(policy: &HookFn, fleet: &Fleet, named: [(&str, u32); N]) -> Placement {
    block_on(simulate(policy, fleet, &hubs(named), None))
}

#[test]
fn a_placement_counts_what_the_policy_said() {
    let policy = HookFn::new(|request| {
        let nth = request.payload.and_then(|payload| payload["nth"].as_u64());
        match nth {
            Some(nth @ 0..60) => Ok(request.hubs[usize::from(nth >= 45)].name.clone().into()),
            Some(60..70) => Err(HookError::NoHub),
            Some(70..80) => Err(HookError::Retry {
                after: None,
                source: None,
            }),
            _ => Ok(HubName::parse("elsewhere")
                .expect("it is a host name")
                .into()),
        }
    });
    let fleet = Fleet::sequential("d", 100).payload(|nth| json!({ "nth": nth }));
    let placement = place(&policy, &fleet, [("eu", 1), ("us", 1)]);
    let [eu, us] = hubs([("eu", 1), ("us", 1)]).map(|hub| hub.name);
    assert_eq!((placement.count(&eu), placement.count(&us)), (45, 15));
    assert_eq!((placement.placed(), placement.refused()), (60, 40));
    assert!((placement.share(&eu) - 0.75).abs() < 1e-9);
    assert!((placement.skew() - 0.5).abs() < 1e-9);
    assert!((placement.chi_square() - 15.0).abs() < 1e-9);
    assert_eq!(placement.outcomes()[75], Outcome::Retry);
    assert!(matches!(placement.outcomes()[99], Outcome::Stray(_)));
    assert!(matches!(&placement.outcomes()[65], Outcome::Refused(why) if !why.is_empty()));
    assert_eq!(placement.hub_of(65), None);
    assert_eq!(placement.hub_of(100), None);
}

#[test]
fn a_policy_is_told_where_each_device_is() {
    let stays = HookFn::new(|request| {
        let current = request.current.map(|place| place.hub.clone());
        Ok(current
            .unwrap_or_else(|| request.hubs[0].name.clone())
            .into())
    });
    let fleet = Fleet::sequential("d", 10);
    let last = HookFn::new(|request| Ok(request.hubs[1].name.clone().into()));
    let named = hubs([("eu", 1), ("us", 1)]);
    let before = place(&last, &fleet, [("eu", 1), ("us", 1)]);
    let after = block_on(simulate(&stays, &fleet, &named, Some(&before)));
    assert_eq!(before, after);
    assert!(before.moved(&after) < 1e-9);
    let anew = place(&stays, &fleet, [("eu", 1), ("us", 1)]);
    assert!((before.moved(&anew) - 1.0).abs() < 1e-9);
}

#[test]
fn a_fleet_sends_and_calls_as_it_was_told() {
    let fleet = Fleet::sequential("d", 3).origin(|nth| [192, 0, 2, nth as u8].into());
    assert_eq!(fleet.ids()[2].as_str(), "d2");
    assert_eq!(fleet.payload_of(0), None);
    assert_eq!(fleet.origin_of(2).to_string(), "192.0.2.2");
    let far = Fleet::sequential("d", 1).origin_of(65_537);
    assert_eq!(far.to_string(), "10.1.0.1");
}
