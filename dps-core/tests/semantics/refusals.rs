//! One answer for every caller who is not believed, and no write.

use dps_core::error::{Reason, ServiceError};
use dps_core::event::EventKind;
use dps_core::time::Timestamp;
use dps_testkit::certs::{Ca, Identity};
use dps_testkit::clock::ManualClock;
use dps_testkit::sas;

use crate::common::*;

fn world(root: &Ca, own: &Identity) -> World {
    let world = World::new();
    world.verify(&[root]);
    world.put(&individual("press-1", keys(1, 2)));
    world.put(&individual("off-1", keys(1, 2)).disabled());
    world.put(&individual("cert-1", leaves(&[own])));
    world.put(&group("presses", keys(3, 4)));
    world.put(&group("certified", signing(&[root])));
    world
}

fn callers(root: &Ca) -> Vec<(&'static str, Device)> {
    let later = ManualClock::START.plus(HOUR);
    let good = sas::token(&key(1), SCOPE, "press-1", later);
    let token = |text: &str| Device::with_token("press-1", text.to_owned());
    let stranger = Ca::root("Root");
    let press = root.device("cert-1");
    vec![
        (
            "unknown scope",
            Device::with_key("press-1", &key(1)).of_scope("0ne00000000"),
        ),
        ("unknown id", Device::with_key("nobody-1", &key(1))),
        ("wrong key", Device::with_key("press-1", &key(9))),
        (
            "wrong key of a disabled entry",
            Device::with_key("off-1", &key(9)),
        ),
        ("wrong derived key", Device::derived("press-7", &key(9))),
        (
            "another's derived key",
            Device::with_key(
                "press-7",
                &dps_core::attest::derive_device_key(&key(3), "press-8"),
            ),
        ),
        (
            "expired",
            token(&sas::token(
                &key(1),
                SCOPE,
                "press-1",
                Timestamp(ManualClock::START.0 - 3_600_000),
            )),
        ),
        (
            "foreign",
            token(&sas::token(&key(1), SCOPE, "press-2", later)),
        ),
        (
            "of another scope",
            token(&sas::token(&key(1), "0ne00000000", "press-1", later)),
        ),
        ("truncated", token(&good[..good.len() / 2])),
        (
            "cut in the signature",
            token(&good.replace("sig=", "sig=A")),
        ),
        ("no token", token("")),
        ("not a token", token("SharedAccessSignature")),
        ("huge", token(&format!("{good}&x={}", "a".repeat(100_000)))),
        ("no credentials", Device::empty_handed("press-1")),
        (
            "certificate for a key's entry",
            Device::with_identity("press-1", &root.device("press-1")),
        ),
        (
            "key for a certificate's entry",
            Device::with_key("cert-1", &key(1)),
        ),
        (
            "another certificate",
            Device::with_identity("cert-1", &press),
        ),
        (
            "another CA",
            Device::with_identity("any-1", &stranger.device("any-1")),
        ),
        (
            "signs itself",
            Device::with_identity("any-1", &Identity::self_signed("any-1")),
        ),
        (
            "another's certificate",
            Device::with_identity("any-1", &root.device("any-2")),
        ),
        (
            "no certificate in the chain",
            Device::with_chain("any-1", &[]),
        ),
        (
            "garbage in the chain",
            Device::with_chain("any-1", &[vec![0x30, 0x03, 1, 2, 3].into()]),
        ),
        (
            "too long a chain",
            Device::with_chain("any-1", &vec![press.certificate_der().clone(); 9]),
        ),
    ]
}

/// Without what differs between any two attempts.
fn told(
    error: &ServiceError,
) -> (
    Reason,
    String,
    Option<&'static str>,
    Option<std::time::Duration>,
) {
    assert!(error.tracking().is_some());
    (
        error.reason(),
        error.message().to_owned(),
        error.detail(),
        error.retry_after(),
    )
}

#[test]
fn every_caller_who_is_not_believed_is_told_the_same_and_nothing_is_written() {
    let root = Ca::root("Root");
    let world = world(&root, &Identity::self_signed("cert-1"));
    let commits = world.store.commits();
    let expected = (Reason::Unauthorized, "Unauthorized".to_owned(), None, None);
    for (what, device) in callers(&root) {
        let refusal = world.denied(&device);
        assert_eq!(told(&refusal), expected, "{what}");
        let tracking = refusal.tracking().unwrap().to_string();
        let events = world.events.tracked(&tracking);
        assert_eq!(events.len(), 1, "{what}");
        assert!(matches!(events[0].kind, EventKind::Refused { .. }));
        assert!(
            !events[0].trace.steps().is_empty(),
            "operators learn why: {what}"
        );
    }
    assert_eq!(world.store.commits(), commits);
    assert!(world.hubs.calls().is_empty());
}

#[test]
fn operators_learn_why_a_caller_was_refused() {
    let root = Ca::root("Root");
    let world = world(&root, &Identity::self_signed("cert-1"));
    let mut reasons = std::collections::BTreeMap::new();
    for (what, device) in callers(&root) {
        let tracking = world.denied(&device).tracking().unwrap().to_string();
        let trace = world.events.tracked(&tracking)[0].trace.to_string();
        reasons.insert(what, trace);
    }
    assert!(reasons["unknown scope"].contains("scope"), "{reasons:#?}");
    assert!(reasons["expired"].contains("validity"), "{reasons:#?}");
    assert!(
        reasons["no credentials"] != reasons["wrong key"],
        "{reasons:#?}"
    );
    assert!(
        reasons["unknown id"] != reasons["wrong key"],
        "{reasons:#?}"
    );
}

#[test]
fn a_session_that_another_service_made_is_refused() {
    use dps_core::api::{DeviceRequest, Session};
    use dps_core::attest::{Attested, SignIn};
    use dps_core::hub::DeviceAuth;
    let world = World::new();
    world.put(&individual("press-1", keys(1, 2)));
    let press = Device::with_key("press-1", &key(1));
    let sign_in = SignIn::Known(DeviceAuth::CertificateAuthority);
    let hello = press.hello(ManualClock::START, None);
    let session = Session::assertion(&hello, Attested::assertion(sign_in));
    let reply = world.call(&session, &press, DeviceRequest::Register { payload: None });
    assert_eq!(error_of(&reply.response).reason(), Reason::Internal);
}
