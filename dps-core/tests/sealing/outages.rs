//! Keys that are away, lost, refused, or not yet known.

use dps_core::api::DeviceResponse;
use dps_core::seal::SealError;
use dps_core::store::{Store, StoreError, Table};
use dps_testkit::run::block_on;
use dps_testkit::sim::Service;

use crate::common::*;

fn is_told_to_come_again(service: &Service, n: usize) {
    let asked = ask(service, n, register_request());
    let DeviceResponse::Error(error) = asked.response else {
        panic!("nothing can be answered without keys");
    };
    assert_eq!(error.reason().status(), 503, "{error:?}");
}

#[test]
fn a_service_whose_keys_are_away_says_so_and_resumes_by_itself() {
    let world = World::new();
    let service = service(world.store.clone());
    register(&service, 1);
    world.keys.set_away(true);
    is_told_to_come_again(&service, 1);
    is_told_to_come_again(&service, 2);
    world.keys.set_away(false);
    register(&service, 1);
    register(&service, 2);
}

#[test]
fn keys_that_go_away_in_the_middle_of_an_operation_cost_it_nothing() {
    let world = World::new();
    let service = service(world.store.clone());
    let reply = ask(&service, 1, register_request());
    world.keys.set_away(true);
    // The hub is asked, and what it says cannot be written down.
    let told = block_on(reply.work.unwrap());
    let DeviceResponse::Operation { state, .. } = told.response else {
        panic!("the operation stands");
    };
    assert!(state.assignment.is_none());
    world.keys.set_away(false);
    register(&service, 1);
    let devices: usize = ["west.example", "east.example"]
        .map(|hub| {
            service
                .hubs
                .count(&dps_core::id::HubName::parse(hub).unwrap())
        })
        .iter()
        .sum();
    assert_eq!(devices, 1);
}

#[test]
fn a_lost_key_is_named_with_the_record_and_nothing_else_suffers() {
    let world = World::new();
    let here = shard(&scope(), 3);
    let (old, new) = (
        key(&here, Table::Enrollment, "old"),
        key(&here, Table::Enrollment, "new"),
    );
    write(&*world.store, &old, b"old");
    let name = dps_core::seal::KeyName::parse("fake-1").unwrap();
    world.keys.rotate();
    let lost = world.keys.lose(&name);
    write(&*world.store, &new, b"new");
    assert_eq!(read(&*world.store, &new).value, "new");
    let error = try_read(&*world.store, &old).unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)));
    assert_eq!(
        chain(&error),
        "the store is unavailable: Enrollment record old is sealed with key fake-1: there is no key fake-1"
    );
    // It can be removed without being read.
    world.keys.bring(lost);
    assert_eq!(read(&*world.store, &old).value, "old");
}

#[test]
fn without_a_current_key_nothing_is_written_and_everything_read() {
    let world = World::new();
    let place = key(&shard(&scope(), 3), Table::Enrollment, "press-1");
    write(&*world.store, &place, b"value");
    world.keys.set_current(None);
    let other = [put(Table::Enrollment, "other", b"x")];
    let refused = block_on(world.store.commit(&place.shard, &other));
    let error = refused.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)));
    assert!(
        chain(&error).contains("no key to seal records of 0ne00ABCDEF with"),
        "{}",
        chain(&error)
    );
    assert_eq!(read(&*world.store, &place).value, "value");
    assert_eq!(all(&*world.below, &scope()).len(), 1);
}

#[test]
fn a_key_that_is_refused_for_good_is_no_outage() {
    let world = World::new();
    let place = key(&shard(&scope(), 3), Table::Enrollment, "press-1");
    write(&*world.store, &place, b"value");
    world.keys.set_refused(true);
    let error = try_read(&*world.store, &place).unwrap_err();
    let StoreError::Corrupt(source) = &error else {
        panic!("{error:?}");
    };
    assert!(matches!(
        source.downcast_ref(),
        Some(SealError::NoKey { .. })
    ));
    assert!(chain(&error).contains("fake-1") && chain(&error).contains("revoked"));
}

#[test]
fn a_node_that_has_not_heard_of_a_new_key_waits_for_it_and_goes_on() {
    let world = World::new();
    let behind = world.keys.copied();
    let node = sealed(&world.below, behind.clone());
    let place = key(&shard(&scope(), 3), Table::Enrollment, "press-1");
    let name = world.keys.rotate();
    write(&*world.store, &place, b"first");
    let error = try_read(&*node, &place).unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)));
    let new = world.keys.lose(&name);
    behind.bring(new);
    assert_eq!(read(&*node, &place).value, "first");
    // It still writes with the key that it has for current.
    write(&*node, &place, b"second");
    assert_eq!(read(&*world.store, &place).value, "second");
}

#[test]
fn another_key_under_an_old_name_is_no_key() {
    let world = World::new();
    let place = key(&shard(&scope(), 3), Table::Enrollment, "press-1");
    write(&*world.store, &place, b"value");
    let name = dps_core::seal::KeyName::parse("fake-1").unwrap();
    let other = dps_core::seal::DataKey::new(name, &[1; 32]);
    world.keys.bring(std::sync::Arc::new(other));
    let error = try_read(&*world.store, &place).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt(_)));
    assert!(chain(&error).contains("fake-1"));
}
