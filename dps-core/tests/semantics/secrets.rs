//! Nothing that is printed shows a key.

use std::fmt::Debug;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dps_core::api::{Authentication, DeviceRequest};
use dps_core::attest::derive_device_key;
use dps_core::enrollment::{CustomAllocation, Url};
use dps_core::hub::DeviceAuth;
use dps_core::id::{RegistrationId, SecretBytes};
use dps_core::time::Clock;
use dps_testkit::run::block_on;
use dps_testkit::sas;
use dps_testkit::tpm::{Kind, SoftTpm};

use crate::common::*;

/// A key whose bytes are readable, so that any way of showing it can be looked for.
fn readable(text: &str) -> SecretBytes {
    SecretBytes::new(text.as_bytes().to_vec())
}

/// Looks for `secrets` as text, in base64 (also within a longer one), hexadecimal, and lists.
fn check(what: &str, shown: &str, secrets: &[SecretBytes]) {
    for secret in secrets {
        let bytes = secret.expose();
        let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        let list = format!("{:?}", &bytes[..6]);
        for form in [
            String::from_utf8_lossy(&bytes[..12]).into_owned(),
            STANDARD.encode(&bytes[..12]),
            STANDARD.encode(&STANDARD.encode(bytes).as_bytes()[..12]),
            hex[..24].to_owned(),
            list.trim_matches(['[', ']']).to_owned(),
        ] {
            assert!(!shown.contains(&form), "{what} shows {form}");
            let lower = shown.to_ascii_lowercase();
            assert!(
                !lower.contains(&form.to_ascii_lowercase()),
                "{what} shows {form}"
            );
        }
    }
}

fn shown(value: &impl Debug) -> String {
    format!("{value:?} {value:#?}")
}

#[test]
fn nothing_that_is_printed_shows_a_key() {
    let (own, of_group) = (
        readable("individual-key-individual-key-00"),
        readable("group-key-group-key-group-key-00"),
    );
    let hub_key = readable("hub-credential-hub-credential-00");
    let secrets = [
        own.clone(),
        of_group.clone(),
        hub_key.clone(),
        derive_device_key(&of_group, "press-2"),
        derive_device_key(&own, "press-1"),
    ];
    let world = World::new();
    let mut linked = instance(&[A, B, C]);
    linked.hubs[0].credential = Some(hub_key);
    world.put_instance(&linked);
    let mut alone = individual("press-1", keys(0, 0)).to(&[A]);
    let attestation = |key: &SecretBytes| dps_core::enrollment::Attestation::SymmetricKey {
        primary: key.clone(),
        secondary: key.clone(),
    };
    alone.attestation = attestation(&own);
    alone.custom_allocation = Some(CustomAllocation {
        url: Url::new("https://example.net/hook?code=individual-key-individual-key-00"),
        api_version: "2021-06-01".into(),
    });
    world.put(&alone);
    let mut presses = group("presses", keys(0, 0)).to(&[A]);
    presses.attestation = attestation(&of_group);
    world.put(&presses);
    check("an instance", &shown(&linked), &secrets);
    check("an enrollment", &shown(&[&alone, &presses]), &secrets);

    for device in [
        Device::with_key("press-1", &own),
        Device::derived("press-2", &of_group),
    ] {
        let hello = device.hello(Clock::now(&world.clock), None);
        check("a hello", &shown(&hello), &secrets);
        let session = world.session(&device);
        check("a session", &shown(&session), &secrets);
        check("a proof", &shown(&session.attested()), &secrets);
        let reply = world.call(&session, &device, DeviceRequest::Register { payload: None });
        check("a reply", &shown(&reply), &secrets);
        let id = RegistrationId::parse(&device.id).unwrap();
        let in_flight = block_on(world.admin.registration(&id)).unwrap();
        check("a registration in flight", &shown(&in_flight), &secrets);
        let told = finish(reply);
        check("an answer", &shown(&told), &secrets);
        check("a hub's calls", &shown(&world.hubs.calls()), &secrets);
        let wrong = world.denied(&Device::with_key(&device.id, &key(9)));
        check("a refusal", &shown(&wrong), &secrets);
        let events = world.events.of(&scope(SCOPE), &id);
        assert!(events.len() >= 3);
        check("events", &shown(&events), &secrets);
    }
    check("the service", &shown(&world.service), &secrets);
    check("the administration", &shown(&world.admin), &secrets);
    check("the store", &shown(&world.store), &secrets);
}

#[test]
fn nothing_that_is_printed_shows_what_a_tpm_signs_with() {
    let world = World::new();
    let tpm = SoftTpm::new(Kind::Ecc);
    let entry = individual("press-1", crate::common::tpm(&tpm.keys()));
    world.put(&entry.to(&[A]));
    let unsigned = Device::with_tpm("press-1", tpm.keys(), None);
    let asked = world.authenticate_for(&unsigned, None);
    let Authentication::Challenge { authentication_key } = &asked else {
        panic!("{asked:?}");
    };
    let nonce = tpm.open(authentication_key).unwrap().key;
    let token = sas::token(
        &nonce,
        SCOPE,
        "press-1",
        Clock::now(&world.clock).plus(HOUR),
    );
    let device = Device::with_tpm("press-1", tpm.keys(), Some(token));
    let hello = device.hello(Clock::now(&world.clock), None);
    let session = world.session(&device);
    let register = DeviceRequest::Register { payload: None };
    let reply = world.call(&session, &device, register);
    let id = RegistrationId::parse("press-1").unwrap();
    let in_flight = block_on(world.admin.registration(&id)).unwrap();
    let reply_text = shown(&reply);
    let told = finish(reply);
    let DeviceAuth::Keys { primary, secondary } = world.on(A, "press-1").unwrap().auth else {
        panic!("no keys");
    };
    let secrets = [nonce, primary, secondary];
    check("a challenge", &shown(&asked), &secrets);
    check("a hello", &shown(&hello), &secrets);
    check("a session", &shown(&session), &secrets);
    check("a reply", &reply_text, &secrets);
    check("a registration in flight", &shown(&in_flight), &secrets);
    check("an answer", &shown(&told), &secrets);
    check("a hub's calls", &shown(&world.hubs.calls()), &secrets);
    check(
        "events",
        &shown(&world.events.of(&scope(SCOPE), &id)),
        &secrets,
    );
    check("the service", &shown(&world.service), &secrets);
    check("the store", &shown(&world.store), &secrets);
}
