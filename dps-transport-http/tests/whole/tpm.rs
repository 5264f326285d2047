//! Devices that prove themselves by their TPM, and callers who cannot.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use dps_core::enrollment::Attestation;
use dps_core::hub::DeviceAuth;
use dps_core::id::{DeviceId, HubName, SecretBytes};
use dps_core::time::Clock;
use dps_core::tpm::{PublicKey, TpmKeys};
use dps_testkit::sas;
use dps_testkit::tpm::{Kind, Opened, SoftTpm};
use serde_json::json;

use crate::device::{Answer, Device, Line, register};
use crate::site::*;

fn enrolled(tpm: &SoftTpm) -> Attestation {
    Attestation::Tpm {
        endorsement_key: tpm.keys().endorsement_key,
        storage_root_key: None,
    }
}

/// A site where the TPM is that of press-1.
async fn site_of(tpm: &SoftTpm) -> Site {
    let site = Site::open().await;
    site.put(&individual("press-1", enrolled(tpm))).await;
    site
}

fn showing(keys: &TpmKeys) -> String {
    let base64 = |key: &PublicKey| STANDARD.encode(key.bytes());
    let tpm = json!({
        "endorsementKey": base64(&keys.endorsement_key),
        "storageRootKey": base64(&keys.storage_root_key),
    });
    json!({"registrationId": null, "tpm": tpm, "payload": null}).to_string()
}

/// Registers as `device`, and shows these keys of a TPM.
async fn show(site: &Site, line: &mut Line, device: &Device, keys: &TpmKeys) -> Answer {
    let (now, body) = (site.clock.now(), showing(keys));
    line.ask(&device.request(now, "PUT", "/register", &body))
        .await
}

async fn challenged(site: &Site, line: &mut Line, id: &str, keys: &TpmKeys) -> Answer {
    show(site, line, &Device::empty_handed(id), keys).await
}

/// What is in a challenge: three members, and nothing else.
fn challenge(answer: &Answer) -> Vec<u8> {
    assert_eq!(answer.status, 401, "{answer:?}");
    assert_eq!(
        answer.headers["content-type"],
        "application/json; charset=utf-8"
    );
    assert!(!answer.headers.contains_key("www-authenticate"));
    let members = answer.body.as_object().unwrap();
    assert_eq!(members.len(), 3, "{members:?}");
    assert_eq!(
        members["message"],
        "Authorization required, resend request using supplied key"
    );
    assert_eq!(members["keyName"], "registration");
    STANDARD
        .decode(members["authenticationKey"].as_str().unwrap())
        .unwrap()
}

fn hub_key(answer: &Answer) -> &str {
    answer.state()["tpm"]["authenticationKey"].as_str().unwrap()
}

fn opened(tpm: &SoftTpm, key: &str) -> Opened {
    tpm.open(&STANDARD.decode(key).unwrap()).unwrap()
}

/// A device that has been challenged, and has signed.
async fn answering(site: &Site, line: &mut Line, id: &str, tpm: &SoftTpm) -> Device {
    let asked = challenged(site, line, id, &tpm.keys()).await;
    let opened = tpm.open(&challenge(&asked)).unwrap();
    assert_eq!(opened.resource, format!("{SCOPE}/registrations/{id}"));
    Device::with_key(id, &opened.key)
}

/// That the hub lets the device in by this key.
fn signs_in_with(site: &Site, id: &str, key: &SecretBytes) {
    let (hub, device) = (HubName::parse(A).unwrap(), DeviceId::parse(id).unwrap());
    match site.hubs.device(&hub, &device).unwrap().auth {
        DeviceAuth::Keys { primary, .. } => assert_eq!(primary.expose(), key.expose()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_device_is_assigned_in_two_exchanges_and_finds_its_key_at_its_hub() {
    for kind in [Kind::Rsa, Kind::Ecc] {
        let tpm = SoftTpm::new(kind);
        let site = site_of(&tpm).await;
        let mut line = Line::open(&site, &Device::empty_handed("press-1")).await;
        let device = answering(&site, &mut line, "press-1", &tpm).await;
        let told = show(&site, &mut line, &device, &tpm.keys()).await;
        assert_eq!(
            (told.status, told.word(), told.hub()),
            (202, "assigned", Some(A))
        );
        assert_eq!(line.answers, 2);
        let key = opened(&tpm, hub_key(&told));
        assert_eq!(key.resource, format!("{SCOPE}/registrations/press-1"));
        signs_in_with(&site, "press-1", &key.key);
        for _ in 0..2 {
            let polled = line.poll(&site, &device, &told.operation()).await;
            assert_eq!((polled.status, polled.word()), (200, "assigned"));
            assert_eq!(hub_key(&polled), hub_key(&told));
        }
        let found = look_up(&site, &mut line, &device).await;
        assert_eq!((found.status, &found.body["assignedHub"]), (200, &json!(A)));
    }
}

/// A lookup with nothing but a token.
async fn look_up(site: &Site, line: &mut Line, device: &Device) -> Answer {
    let request = device.request(site.clock.now(), "POST", "", "{}");
    line.ask(&request).await
}

#[tokio::test]
async fn a_device_that_polls_is_told_one_key_at_every_poll() {
    let tpm = SoftTpm::new(Kind::Ecc);
    let site = Site::with(Choices {
        grace: Some(std::time::Duration::ZERO),
        ..Choices::default()
    })
    .await;
    site.put(&individual("press-1", enrolled(&tpm))).await;
    let mut line = Line::open(&site, &Device::empty_handed("press-1")).await;
    let device = answering(&site, &mut line, "press-1", &tpm).await;
    let told = show(&site, &mut line, &device, &tpm.keys()).await;
    assert_eq!((told.status, told.word()), (202, "assigning"));
    assert!(told.state().get("tpm").is_none());
    site.settled().await;
    let mut keys = BTreeSet::new();
    for _ in 0..3 {
        let polled = line.poll(&site, &device, &told.operation()).await;
        assert_eq!((polled.status, polled.word()), (200, "assigned"));
        keys.insert(hub_key(&polled).to_owned());
    }
    assert_eq!(keys.len(), 1);
    let key = opened(&tpm, keys.first().unwrap()).key;
    signs_in_with(&site, "press-1", &key);
}

#[tokio::test]
async fn a_signed_request_may_leave_the_keys_out_also_on_another_connection() {
    let tpm = SoftTpm::new(Kind::Ecc);
    let site = site_of(&tpm).await;
    let mut line = Line::open(&site, &Device::empty_handed("press-1")).await;
    let device = answering(&site, &mut line, "press-1", &tpm).await;
    drop(line);
    let told = register(&site, &device).await;
    assert_eq!((told.status, told.word()), (202, "assigned"));
    signs_in_with(&site, "press-1", &opened(&tpm, hub_key(&told)).key);
}

#[tokio::test]
async fn the_certificate_of_the_connection_does_not_matter_beside_a_tpm() {
    let tpm = SoftTpm::new(Kind::Ecc);
    let site = site_of(&tpm).await;
    let certified = site.root.device("press-1");
    let holder = Device::with_identity("press-1", &certified);
    let mut line = Line::open(&site, &holder).await;
    // Neither the certificate nor the keys are shown by the head of its requests.
    let asked = show(&site, &mut line, &holder, &tpm.keys()).await;
    let key = tpm.open(&challenge(&asked)).unwrap().key;
    let device = Device::with_key("press-1", &key);
    let told = show(&site, &mut line, &device, &tpm.keys()).await;
    assert_eq!(told.word(), "assigned");
}

#[tokio::test]
async fn who_is_enrolled_shows_neither_in_challenges_nor_in_refusals() {
    let (tpm, other) = (SoftTpm::new(Kind::Rsa), SoftTpm::new(Kind::Rsa));
    let site = site_of(&tpm).await;
    site.put(&individual("keyed-1", keys(1, 2))).await;
    site.put(&group("keyed", keys(3, 4))).await;
    let wrong_key = register(&site, &Device::with_key("keyed-1", &key(9))).await;
    let commits = site.commits();
    let mut line = Line::open(&site, &Device::empty_handed("press-1")).await;
    let mut looks = BTreeSet::new();
    for (id, shown) in [
        ("press-1", &other),
        ("press-9", &tpm),
        ("press-9", &other),
        ("keyed-1", &other),
    ] {
        let asked = challenged(&site, &mut line, id, &shown.keys()).await;
        let names: Vec<_> = asked.headers.keys().cloned().collect();
        looks.insert((names, challenge(&asked).len()));
        let device = answering(&site, &mut line, id, shown).await;
        for refused in [
            show(&site, &mut line, &device, &shown.keys()).await,
            line.register(&site, &device).await,
            line.poll(&site, &device, "5.0.a").await,
        ] {
            assert_eq!(refused.anonymous(), wrong_key.anonymous(), "{id}");
        }
    }
    // The names are of one length.
    assert_eq!(looks.len(), 1, "{looks:?}");
    assert_eq!(site.commits(), commits);
    assert!(site.hubs.calls().is_empty());
    let asked = challenged(&site, &mut line, "press-1", &tpm.keys()).await;
    let names: Vec<_> = asked.headers.keys().cloned().collect();
    assert!(looks.contains(&(names, challenge(&asked).len())));
}

#[tokio::test]
async fn a_signature_that_answers_no_challenge_to_this_tpm_is_refused_as_a_wrong_key_is() {
    let (tpm, other) = (SoftTpm::new(Kind::Ecc), SoftTpm::new(Kind::Ecc));
    let site = site_of(&tpm).await;
    site.put(&individual("press-2", enrolled(&other))).await;
    site.put(&individual("keyed-1", keys(1, 2))).await;
    let wrong_key = register(&site, &Device::with_key("keyed-1", &key(9))).await;
    let mut line = Line::open(&site, &Device::empty_handed("press-1")).await;
    let of_press_1 = answering(&site, &mut line, "press-1", &tpm).await;
    let of_press_2 = answering(&site, &mut line, "press-2", &other).await;
    let commits = site.commits();
    let token = |device: &Device| {
        let request = device.registering(site.clock.now());
        let token = request.split_once("authorization: ").unwrap().1;
        token.split_once("\r\n").unwrap().0.to_owned()
    };
    let good = token(&of_press_1);
    let expires = site.clock.now().plus(HOUR);
    let of_another = token(&of_press_2);
    let mixed = TpmKeys {
        endorsement_key: tpm.keys().endorsement_key,
        storage_root_key: other.keys().storage_root_key,
    };
    let swapped = TpmKeys {
        endorsement_key: tpm.keys().storage_root_key,
        storage_root_key: tpm.keys().endorsement_key,
    };
    let cut = &good[..good.len() / 2];
    for (id, token, keys) in [
        ("press-1", of_another.as_str(), tpm.keys()),
        ("press-2", &good, other.keys()),
        ("press-2", &good, tpm.keys()),
        ("press-1", &good, other.keys()),
        ("press-1", &good, mixed),
        ("press-1", &good, swapped),
        ("press-1", cut, tpm.keys()),
        (
            "press-1",
            &sas::token(&key(1), SCOPE, "press-1", expires),
            tpm.keys(),
        ),
        (
            "keyed-1",
            &sas::token(&key(9), SCOPE, "keyed-1", expires),
            tpm.keys(),
        ),
        ("press-9", &good, tpm.keys()),
    ] {
        let device = Device::with_token(id, token);
        let refused = show(&site, &mut line, &device, &keys).await;
        assert_eq!(refused.anonymous(), wrong_key.anonymous(), "{id}");
    }
    assert_eq!(site.commits(), commits);
    assert!(site.hubs.calls().is_empty());
    // Too late: the challenge is of a time that is over.
    site.clock.advance(std::time::Duration::from_secs(21 * 60));
    let late = Device::with_token("press-1", &good);
    for refused in [
        show(&site, &mut line, &late, &tpm.keys()).await,
        line.register(&site, &late).await,
    ] {
        assert_eq!(refused.anonymous(), wrong_key.anonymous());
    }
    assert!(site.hubs.calls().is_empty());
    let again = answering(&site, &mut line, "press-1", &tpm).await;
    let told = show(&site, &mut line, &again, &tpm.keys()).await;
    assert_eq!(told.word(), "assigned");
}

#[tokio::test]
async fn keys_that_are_none_are_400_and_ask_nobody() {
    let tpm = SoftTpm::new(Kind::Ecc);
    let site = site_of(&tpm).await;
    let commits = site.commits();
    let mut line = Line::open(&site, &Device::empty_handed("press-1")).await;
    let good = STANDARD.encode(tpm.keys().endorsement_key.bytes());
    let long = [tpm.keys().endorsement_key.bytes(), &[0]].concat();
    for (tpm, member) in [
        (json!(7), "tpm "),
        (json!({}), "tpm.endorsementKey "),
        (json!({"endorsementKey": good}), "tpm.storageRootKey "),
        (
            json!({"endorsementKey": "!", "storageRootKey": good}),
            "tpm.endorsementKey ",
        ),
        (
            json!({"endorsementKey": good, "storageRootKey": STANDARD.encode(&long)}),
            "tpm.storageRootKey: ",
        ),
        (
            json!({"endorsementKey": good, "storageRootKey": "A".repeat(90_000)}),
            "tpm.storageRootKey: ",
        ),
    ] {
        let body = json!({ "tpm": tpm }).to_string();
        let device = Device::empty_handed("press-1");
        let request = device.request(site.clock.now(), "PUT", "/register", &body);
        let told = line.ask(&request).await;
        assert_eq!((told.status, told.code()), (400, 400_004));
        let message = told.body["message"].as_str().unwrap();
        assert!(message.starts_with(member), "{message}");
    }
    assert_eq!((site.commits(), site.verified()), (commits, 0));
    challenge(&challenged(&site, &mut line, "press-1", &tpm.keys()).await);
}

#[tokio::test]
async fn a_flood_of_unsigned_requests_writes_nothing_and_is_cut_off() {
    const REQUESTS: usize = 3000;
    const AHEAD: usize = 50;
    let (tpm, other) = (SoftTpm::new(Kind::Ecc), SoftTpm::new(Kind::Ecc));
    let site = Site::with(Choices {
        limited: true,
        ..Choices::default()
    })
    .await;
    site.put(&individual("press-1", enrolled(&tpm))).await;
    let commits = site.commits();
    let flooder = Device::empty_handed("press-1").from(2);
    let mut line = Line::open(&site, &flooder).await;
    let body = showing(&other.keys());
    let request = flooder.request(site.clock.now(), "PUT", "/register", &body);
    let requests = request.repeat(AHEAD);
    let mut challenges = 0;
    for _ in 0..REQUESTS / AHEAD {
        line.send(&requests).await;
        for _ in 0..AHEAD {
            let told = line.receive().await;
            match told.body.get("authenticationKey") {
                Some(_) => challenges += 1,
                None => assert_eq!((told.status, told.code()), (401, 401_002)),
            }
        }
    }
    assert_eq!(challenges, 591);
    assert_eq!(site.commits(), commits);
    assert_eq!(site.verified(), 0);
    // Others are served meanwhile.
    let mut line = Line::open(&site, &Device::empty_handed("press-1").from(3)).await;
    let device = answering(&site, &mut line, "press-1", &tpm).await;
    let told = show(&site, &mut line, &device, &tpm.keys()).await;
    assert_eq!(told.word(), "assigned");
}

#[tokio::test]
async fn whoever_knows_an_enrolled_key_and_shows_it_again_and_again_writes_once() {
    let tpm = SoftTpm::new(Kind::Ecc);
    let site = site_of(&tpm).await;
    let commits = site.commits();
    let mut line = Line::open(&site, &Device::empty_handed("press-1")).await;
    for _ in 0..50 {
        challenge(&challenged(&site, &mut line, "press-1", &tpm.keys()).await);
    }
    assert_eq!(site.commits(), commits + 1);
}
