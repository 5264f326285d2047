//! What a signature proves, and what not.

use std::time::Duration;

use dps_core::api::DeviceRequest;
use dps_core::id::RegistrationId;
use dps_core::registration::{Mechanism, Status};
use dps_testkit::run::block_on;
use dps_testkit::tpm::Kind;

use super::*;

const WINDOW: Duration = Duration::from_secs(600);

#[test]
fn a_device_registers_whatever_kinds_of_keys_its_tpm_has() {
    let world = World::new();
    for (ek, srk) in [
        (Kind::Rsa, Kind::Rsa),
        (Kind::Ecc, Kind::Ecc),
        (Kind::Rsa, Kind::Ecc),
        (Kind::Ecc, Kind::Rsa),
    ] {
        let mut press = Press::new(&format!("press-{ek:?}-{srk:?}").to_lowercase());
        press.tpm = SoftTpm::with(ek, srk);
        world.put(&individual(&press.id, tpm(&press.keys())).to(&[A]));
        let told = world.register(&press.signed(&world));
        assert_eq!(told.hub(), A);
        assert_eq!(told.state().owner.mechanism, Mechanism::Tpm);
        assert!(
            world
                .why(&press.unsigned())
                .contains("accepts the caller's TPM")
        );
    }
}

#[test]
fn what_is_not_signed_by_the_enrolled_tpm_is_refused() {
    let world = World::new();
    let press = enrolled(&world);
    world.put(&individual("press-2", keys(1, 2)).to(&[A]));
    world.put(&group("presses", keys(3, 4)).to(&[A]));
    let other = Press::new("press-1");
    let good = press.token(&world);
    let swapped = TpmKeys {
        endorsement_key: press.keys().storage_root_key,
        storage_root_key: press.keys().endorsement_key,
    };
    let with_other_root = TpmKeys {
        storage_root_key: other.keys().storage_root_key,
        ..press.keys()
    };
    let by_hand = sign(&world, &key(9), "press-1");
    let commits = world.store.commits();
    for (what, device) in [
        ("another TPM", other.signed(&world)),
        (
            "another endorsement key",
            Device::with_tpm("press-1", other.keys(), Some(good.clone())),
        ),
        (
            "another storage root key",
            Device::with_tpm("press-1", with_other_root, Some(good.clone())),
        ),
        (
            "swapped keys",
            Device::with_tpm("press-1", swapped, Some(good.clone())),
        ),
        ("a key of nobody", press.with(Some(by_hand))),
        ("no token", press.with(Some("token".to_owned()))),
        (
            "its token for another device",
            Device::with_tpm("press-3", press.keys(), Some(good.clone())),
        ),
        (
            "another device's token",
            press.with(Some(sign(&world, &key(1), "press-2"))),
        ),
        (
            "a token of a TPM for a symmetric key",
            Device::with_token("press-2", good.clone()),
        ),
        ("a TPM for a symmetric key", {
            let mut press = Press::new("press-2");
            press.tpm = SoftTpm::new(Kind::Ecc);
            press.signed(&world)
        }),
        ("a TPM for a group", Press::new("press-4").signed(&world)),
        (
            "a symmetric key for a TPM",
            Device::with_key("press-1", &key(1)),
        ),
        (
            "a derived key for a TPM",
            Device::derived("press-1", &key(3)),
        ),
        ("nothing", Device::empty_handed("press-1")),
    ] {
        assert!(is_refused(&world, &device), "{what}");
    }
    assert_eq!(world.store.commits(), commits, "nothing of it writes");
    assert_eq!(world.register(&press.with(Some(good))).hub(), A);
}

#[test]
fn what_was_asked_of_another_endorsement_key_is_no_answer() {
    let world = World::new();
    let press = enrolled(&world);
    // It can open what was made for both its keys, and signs for those it says it has.
    let thief = Press::new("press-1");
    let pretended = TpmKeys {
        endorsement_key: press.keys().endorsement_key,
        ..thief.keys()
    };
    let device = Device::with_tpm("press-1", pretended, Some(thief.token(&world)));
    assert!(is_refused(&world, &device));
}

#[test]
fn a_token_that_has_expired_is_refused_though_it_is_genuine() {
    let world = World::new();
    let press = enrolled(&world);
    let asked = challenge(&world, &press.unsigned());
    let nonce = press.tpm.open(&asked).unwrap().key;
    let now = dps_core::time::Clock::now(&world.clock);
    let token = sas::token(&nonce, SCOPE, "press-1", now);
    world.clock.advance(Duration::from_secs(5 * 60));
    let device = press.with(Some(token));
    world.session(&device);
    world.clock.advance(Duration::from_secs(1));
    assert!(is_refused(&world, &device));
    assert!(world.why(&device).contains("validity period"));
}

#[test]
fn one_endorsement_key_is_one_device() {
    let world = World::new();
    let press = enrolled(&world);
    world.put(&individual("press-2", tpm(&Press::new("press-2").keys())));
    let mut thief = Press::new("press-2");
    thief.tpm = press.tpm;
    assert!(is_refused(&world, &thief.signed(&world)));
}

#[test]
fn a_new_endorsement_key_counts_when_it_is_enrolled_and_the_old_one_no_more() {
    let world = World::new();
    let old = enrolled(&world).over_amqp();
    let session = world.session(&old.signed(&world));
    let new = Press::new("press-1");
    assert!(is_refused(&world, &new.signed(&world)));
    world.put(&individual("press-1", tpm(&new.keys())).to(&[A]));
    assert!(is_refused(&world, &old.signed(&world)));
    let register = DeviceRequest::Register { payload: None };
    let told = world.call(&session, &old.unsigned(), register);
    assert_eq!(error_of(&told.response).reason(), Reason::Unauthorized);
    assert_eq!(world.register(&new.signed(&world)).hub(), A);
}

#[test]
fn a_signature_is_good_in_its_window_and_the_next_and_no_longer() {
    let world = World::new();
    let press = enrolled(&world);
    let device = press.signed(&world);
    for _ in 0..2 {
        assert_eq!(world.register(&device).hub(), A);
        world.clock.advance(WINDOW);
    }
    assert!(is_refused(&world, &device));
    assert!(world.why(&device).contains("does not answer a challenge"));
}

#[test]
fn a_node_whose_clock_is_behind_takes_what_another_has_asked_for() {
    let world = World::new();
    let press = enrolled(&world);
    world.clock.advance(WINDOW);
    let device = press.signed(&world);
    let behind = dps_core::time::Clock::now(&world.clock).0 - 600_000;
    world.clock.set(dps_core::time::Timestamp(behind));
    assert_eq!(world.register(&device).hub(), A);
}

#[test]
fn what_is_signed_twice_does_the_same_twice() {
    let world = World::new();
    let press = enrolled(&world);
    let device = press.signed(&world);
    let in_flight = world.only_register(&device);
    let again = world.only_register(&device);
    assert_eq!(
        operation_of(&in_flight.response),
        operation_of(&again.response),
        "joins"
    );
    let told = finish(in_flight);
    assert_eq!(world.register(&device).hub(), told.hub(), "stays");
    assert_eq!(world.hubs_of("press-1"), [A]);
}

#[test]
fn the_token_of_an_operation_is_good_for_asking_after_it_and_nothing_else() {
    let world = World::new();
    let press = enrolled(&world);
    let token = press.token(&world);
    let told = world.register(&press.with(Some(token.clone())));
    world.clock.advance(5 * WINDOW);
    let late = Device::with_token("press-1", token.clone());
    let poll = world.poll(&late, &told.operation());
    assert_eq!(poll.status(), Status::Assigned);
    assert!(is_refused(&world, &late));
    assert!(is_refused(&world, &press.with(Some(token))));
    let other = Device::with_token("press-1", sign(&world, &key(5), "press-1"));
    let poll = world.poll(&other, &told.operation());
    assert_eq!(poll.error().reason(), Reason::Unauthorized);
}

#[test]
fn a_device_whose_entry_is_disabled_is_told_so() {
    let world = World::new();
    let press = Press::new("press-1");
    world.put(&individual("press-1", tpm(&press.keys())).disabled());
    let told = world.register(&press.signed(&world));
    assert_eq!(told.status(), Status::Disabled);
    assert!(told.state().extras.tpm.is_none());
    let id = RegistrationId::parse("press-1").unwrap();
    let record = block_on(world.admin.registration(&id)).unwrap().unwrap();
    assert!(record.operation.extras.tpm.is_none(), "no key is made");
}
