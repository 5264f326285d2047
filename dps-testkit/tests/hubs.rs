//! The hub suite on the fake hubs, and what the fakes can do beyond it.
#![allow(
    clippy::unwrap_used,
    reason = "a test may stop at what it did not expect"
)]

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use dps_core::hub::{DeviceAuth, DeviceLink, HubError, HubLinker, TwinPlan};
use dps_core::id::{DeviceId, OperationId};
use dps_core::instance::LinkedHub;
use dps_testkit::clock::ManualClock;
use dps_testkit::hub::{self, Fixture};
use dps_testkit::hubs::{Ask, FakeHubs, Fault};
use dps_testkit::run::block_on;
use dps_testkit::sim;

struct Fakes;

#[async_trait::async_trait]
impl Fixture for Fakes {
    type Guard = ();

    async fn open(&self) -> ((), hub::Bench) {
        ((), hub::Bench::new(Arc::new(FakeHubs::new())))
    }
}

mod conformance {
    use super::Fakes;

    dps_testkit::hub::conformance!(Fakes);
}

fn press(n: u32) -> DeviceLink {
    DeviceLink {
        operation: OperationId::from_random([0; 24]),
        device: DeviceId::parse(&format!("press-{n}")).unwrap(),
        auth: DeviceAuth::CertificateAuthority,
        edge: false,
        enabled: true,
        twin: TwinPlan::Keep,
        deadline: Duration::from_secs(10),
    }
}

fn two_hubs() -> [LinkedHub; 2] {
    sim::hubs([("eu", 1), ("us", 1)])
}

#[test]
fn a_fault_is_met_once_for_each_call_it_was_asked_for() {
    let (hubs, [eu, _]) = (FakeHubs::new(), two_hubs());
    let after = Some(Duration::from_secs(3));
    hubs.fail_next(1, &Fault::Retry { after });
    hubs.fail_next(
        1,
        &Fault::Refused {
            code: 401_002,
            reason: "no".into(),
        },
    );
    let first = block_on(hubs.link(&eu, &press(1)));
    assert!(matches!(first, Err(HubError::Retry { after: a, .. }) if a == after));
    let second = block_on(hubs.link(&eu, &press(1)));
    assert!(matches!(
        second,
        Err(HubError::Refused { code: 401_002, .. })
    ));
    assert_eq!(hubs.count(&eu.name), 0);
    assert!(block_on(hubs.link(&eu, &press(1))).unwrap().created);
    assert_eq!(hubs.calls().len(), 3);
}

#[test]
fn a_lost_answer_leaves_its_effect() {
    let (hubs, [eu, _]) = (FakeHubs::new(), two_hubs());
    hubs.fail_next(1, &Fault::Lost);
    assert!(block_on(hubs.link(&eu, &press(1))).is_err());
    assert_eq!(hubs.devices(&eu.name), [press(1).device]);
    assert!(!block_on(hubs.link(&eu, &press(1))).unwrap().created);
}

#[test]
fn a_broken_hub_fails_until_it_is_mended_and_the_other_works() {
    let (hubs, [eu, us]) = (FakeHubs::new(), two_hubs());
    hubs.fail_at(&eu.name, Fault::Retry { after: None });
    for _ in 0..3 {
        assert!(block_on(hubs.link(&eu, &press(1))).is_err());
    }
    assert!(block_on(hubs.link(&us, &press(1))).is_ok());
    hubs.mend(&eu.name);
    assert!(block_on(hubs.link(&eu, &press(1))).is_ok());
    assert_eq!(hubs.hubs_of(&press(1).device), [eu.name, us.name]);
}

#[test]
fn a_held_call_has_no_effect_until_it_is_let_go() {
    let (hubs, [eu, _]) = (FakeHubs::new(), two_hubs());
    let hold = hubs.hold();
    let mut cx = Context::from_waker(Waker::noop());
    let link = press(1);
    let mut call = pin!(hubs.link(&eu, &link));
    {
        let mut dropped = hubs.link(&eu, &link);
        assert!(dropped.as_mut().poll(&mut cx).is_pending());
        assert!(call.as_mut().poll(&mut cx).is_pending());
        assert_eq!(hubs.waiting(), 2);
    }
    assert_eq!((hubs.waiting(), hubs.count(&eu.name)), (1, 0));
    drop(hold);
    let Poll::Ready(Ok(linked)) = call.as_mut().poll(&mut cx) else {
        unreachable!("nothing holds the call any more");
    };
    assert!(linked.created);
}

#[test]
fn a_call_held_beyond_its_deadline_has_no_effect() {
    let clock = ManualClock::new();
    let hubs = FakeHubs::new().with_clock(Arc::new(clock.clone()));
    let [eu, _] = two_hubs();
    let hold = hubs.hold();
    let link = press(1);
    let mut cx = Context::from_waker(Waker::noop());
    let mut call = pin!(hubs.link(&eu, &link));
    assert!(call.as_mut().poll(&mut cx).is_pending());
    clock.advance(link.deadline);
    drop(hold);
    let outcome = call.as_mut().poll(&mut cx);
    assert!(matches!(outcome, Poll::Ready(Err(HubError::Retry { .. }))));
    assert_eq!(hubs.count(&eu.name), 0);
}

#[test]
fn devices_can_be_changed_behind_the_services_back() {
    let (hubs, [eu, us]) = (FakeHubs::new(), two_hubs());
    let link = press(1);
    block_on(hubs.link(&eu, &link)).unwrap();
    let mut reported = serde_json::Map::new();
    reported.insert("firmware".into(), "1.2".into());
    assert!(hubs.set_reported(&eu.name, &link.device, reported.clone()));
    assert!(hubs.disable(&eu.name, &link.device));
    assert!(!hubs.disable(&us.name, &link.device));
    let device = hubs.device(&eu.name, &link.device).unwrap();
    assert_eq!((device.enabled, &device.twin.reported), (false, &reported));
    assert_eq!(hubs.registry()[&eu.name][&link.device], device);
    assert!(hubs.delete(&eu.name, &link.device));
    assert!(!hubs.delete(&eu.name, &link.device));
    assert!(hubs.registry()[&eu.name].is_empty());
}

#[test]
fn calls_are_recorded_in_the_order_of_arrival_unless_nobody_wants_them() {
    let (hubs, [eu, _]) = (FakeHubs::new(), two_hubs());
    let link = press(1);
    block_on(async {
        hubs.link(&eu, &link).await.unwrap();
        hubs.read(&eu, &link.device, link.deadline).await.unwrap();
        hubs.unlink(&eu, &link.device, link.deadline).await.unwrap();
    });
    let calls = hubs.calls();
    assert!(matches!(calls[0].ask, Ask::Link(_)));
    assert!(matches!(calls[1].ask, Ask::Read));
    assert!(matches!(calls[2].ask, Ask::Unlink));
    hubs.clear_calls();
    let hubs = hubs.without_record();
    block_on(hubs.link(&eu, &link)).unwrap();
    assert!(hubs.calls().is_empty());
}
