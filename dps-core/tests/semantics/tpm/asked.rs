//! Being asked for a signature.

use std::sync::{Arc, Mutex};

use dps_core::admin::Admin;
use dps_core::crypto::Crypto;
use dps_core::event::EventKind;
use dps_core::id::RegistrationId;
use dps_core::store::{Scan, Store, Table};
use dps_testkit::certs::Ca;
use dps_testkit::run::block_on;

use super::*;

#[test]
fn whoever_shows_two_keys_is_asked_the_same_and_nothing_is_written() {
    let world = World::new();
    let root = Ca::root("Root");
    world.verify(&[&root]);
    world.put(&individual("with-key", keys(1, 2)));
    world.put(&individual(
        "with-leaf",
        leaves(&[&root.device("with-leaf")]),
    ));
    world.put(&individual("other-tpm", tpm(&Press::new("x").keys())));
    world.put(&individual("off", tpm(&Press::new("x").keys())).disabled());
    world.put(&group("presses", keys(3, 4)));
    let commits = world.store.commits();
    for id in ["with-key", "with-leaf", "other-tpm", "off", "of-no-entry"] {
        let press = Press::new(id);
        let asked = challenge(&world, &press.unsigned());
        assert_eq!(
            asked.len(),
            challenge(&world, &Press::new(id).unsigned()).len()
        );
        assert!(press.tpm.open(&asked).is_ok(), "{id}");
    }
    assert_eq!(world.store.commits(), commits);
}

#[test]
fn a_scope_that_is_not_there_asks_nobody() {
    let world = World::new();
    let elsewhere = Press::new("press-1").unsigned().of_scope("0neOTHER");
    assert!(is_refused(&world, &elsewhere));
}

#[test]
fn the_key_to_sign_with_is_each_devices_own_and_changes_with_time() {
    let world = World::new();
    let press = Press::new("press-1");
    let key = |id: &str| {
        let asked = challenge(&world, &Device::with_tpm(id, press.keys(), None));
        press.tpm.open(&asked).unwrap().key
    };
    let first = key("press-1");
    assert_eq!(key("Press-1"), first, "spelling is no difference");
    assert_ne!(key("press-2"), first);
    world.clock.advance(std::time::Duration::from_secs(600));
    assert_ne!(key("press-1"), first);
}

#[test]
fn a_new_instance_with_the_same_scope_makes_other_keys() {
    let press = Press::new("press-1");
    let key = |world: &World| {
        let asked = challenge(world, &press.unsigned());
        press.tpm.open(&asked).unwrap().key
    };
    let world = World::new();
    let first = key(&world);
    world.put_instance(&instance(&[A]));
    assert_eq!(
        key(&world),
        first,
        "writing the instance anew changes nothing"
    );
    assert_ne!(key(&World::new()), first);
}

#[test]
fn two_who_write_a_new_instance_at_once_make_one_secret() {
    fn secret(store: &Watched) -> Vec<u8> {
        let scan = Scan {
            scope: scope(SCOPE),
            table: Table::Instance,
            prefix: "nonce-key".into(),
            after: None,
            limit: 1,
        };
        let page = block_on(store.scan(&scan)).unwrap();
        page.records[0].1.value.to_vec()
    }
    let store = Arc::new(Watched::default());
    let admin = || Admin::new(Arc::clone(&store) as Arc<dyn Store>, scope(SCOPE));
    let (first, second, seen) = (admin(), admin(), Arc::new(Mutex::new(None)));
    let (watched, made) = (Arc::clone(&store), Arc::clone(&seen));
    store.before_next_commit(move || {
        block_on(first.put_instance(&instance(&[A]))).unwrap();
        *made.lock().unwrap() = Some(secret(&watched));
    });
    block_on(second.put_instance(&instance(&[B]))).unwrap();
    assert_eq!(seen.lock().unwrap().take(), Some(secret(&store)));
}

#[test]
fn it_is_told_who_was_asked_and_whether_it_is_enrolled() {
    let world = World::new();
    let press = enrolled(&world);
    let stranger = Press::new("press-1");
    for (device, expected) in [(&press, "is enrolled"), (&stranger, "is not enrolled")] {
        challenge(&world, &device.unsigned());
        let id = RegistrationId::parse("press-1").unwrap();
        let events = world.events.of(&scope(SCOPE), &id);
        let last = events.last().unwrap();
        assert!(matches!(last.kind, EventKind::Challenged { .. }));
        assert!(last.trace.to_string().contains(expected), "{}", last.trace);
    }
}

#[test]
fn without_a_way_to_encrypt_for_a_tpm_none_is_enrolled_and_none_is_asked() {
    fn without() -> Crypto {
        let mut crypto = dps_core::crypto::AWS_LC;
        crypto.parents = None;
        crypto
    }
    let world = World::with(|builder| builder.crypto(without()));
    let press = Press::new("press-1");
    let admin = world.admin.clone().with_crypto(without());
    let entry = individual("press-1", tpm(&press.keys()));
    let said = block_on(admin.put_enrollment(&entry)).unwrap_err();
    assert!(said.to_string().contains("aws-lc"), "{said}");
    assert!(is_refused(&world, &press.unsigned()));
    assert!(world.why(&press.unsigned()).contains("cannot be asked"));
}

#[test]
fn a_group_cannot_be_enrolled_with_a_tpm() {
    let world = World::new();
    let entry = group("presses", tpm(&Press::new("press-1").keys()));
    let said = block_on(world.admin.put_group(&entry)).unwrap_err();
    assert!(said.to_string().contains("enrolled by itself"), "{said}");
}
