//! What goes with an entry, and what stays.

use dps_core::admin::Precondition::{Absent, Any, Version};
use dps_core::error::Reason;
use dps_core::registration::{Status, Substatus};
use dps_core::store::{Key, Store, Table};
use dps_testkit::hubs::Fault;

use super::*;

fn named(id: &str) -> RegistrationId {
    RegistrationId::parse(id).unwrap()
}

#[test]
fn with_an_individual_entry_goes_what_is_known_of_its_device_and_not_its_hub() {
    let world = World::new();
    let (id, press) = (device("press-1"), Device::with_key("press-1", &key(1)));
    create(&world.admin, &keyed(&id, Some(1), Some(2))).unwrap();
    let there = world.register(&press).hub();
    remove(&world.admin, &id, Any).unwrap();
    assert!(
        block_on(world.admin.registration(&named("press-1")))
            .unwrap()
            .is_none()
    );
    assert_eq!(world.hubs_of("press-1"), [there]);
    world.clock.advance(HOUR);
    world.sweep();
    assert_eq!(world.hubs_of("press-1").len(), 1, "nor later");
    create(&world.admin, &keyed(&id, Some(1), Some(2))).unwrap();
    assert_eq!(
        world.lookup(&press).error().reason(),
        Reason::RegistrationNotFound
    );
}

#[test]
fn a_device_that_came_through_a_group_stays_known_when_its_individual_entry_goes() {
    let world = World::new();
    world.put(&group("presses", keys(1, 1)));
    let press = Device::derived("press-1", &key(1));
    let there = world.register(&press).hub();
    let id = device("press-1");
    let mut blocking = keyed(&id, Some(9), Some(9));
    blocking.enabled = false;
    create(&world.admin, &blocking).unwrap();
    world.denied(&press);
    remove(&world.admin, &id, Any).unwrap();
    assert_eq!(world.lookup(&press).hub(), there);
}

#[test]
fn with_a_group_goes_nothing_that_came_through_it() {
    let world = World::new();
    let id = group_id("presses");
    create(&world.admin, &keyed(&id, Some(1), Some(2))).unwrap();
    let press = Device::derived("press-1", &key(1));
    let there = world.register(&press).hub();
    remove(&world.admin, &id, Any).unwrap();
    assert!(
        block_on(world.admin.registration(&named("press-1")))
            .unwrap()
            .is_some()
    );
    assert_eq!(world.hubs_of("press-1"), [there]);
}

#[test]
fn a_group_is_removed_at_the_same_price_however_many_came_through_it() {
    let price = |members: usize| {
        let world = World::new();
        let id = group_id("presses");
        create(&world.admin, &keyed(&id, Some(1), Some(2))).unwrap();
        for nth in 0..members {
            world.register(&Device::derived(&format!("press-{nth}"), &key(1)));
        }
        let before = (world.store.records(), world.store.commits());
        remove(&world.admin, &id, Any).unwrap();
        let after = (world.store.records(), world.store.commits());
        (after.0 - before.0, after.1 - before.1)
    };
    let (records, commits) = price(0);
    assert_eq!((records, commits), price(300));
    assert_eq!(
        (records, commits),
        (3, 1),
        "the group is read; it goes, and the epoch"
    );
}

#[test]
fn a_hub_that_an_operation_in_flight_may_have_touched_is_cleaned_when_its_entry_goes() {
    let world = World::new();
    let id = device("press-1");
    let mut entry = keyed(&id, Some(1), Some(2));
    entry.hubs = vec![hub(A)];
    create(&world.admin, &entry).unwrap();
    let press = Device::with_key("press-1", &key(1));
    world.hubs.fail_next(1, &Fault::Lost);
    assert_eq!(world.register(&press).status(), Status::Assigning);
    assert_eq!(world.hubs_of("press-1"), [A]);
    remove(&world.admin, &id, Any).unwrap();
    entry.hubs = vec![hub(B)];
    create(&world.admin, &entry).unwrap();
    assert_eq!(world.register(&press).hub(), B);
    world.clock.advance(HOUR);
    world.sweep();
    assert_eq!(world.hubs_of("press-1"), [B]);
}

#[test]
fn a_register_that_is_quicker_than_the_removal_of_its_entry_leaves_nothing() {
    let world = World::new();
    let (id, press) = (device("press-1"), Device::with_key("press-1", &key(1)));
    create(&world.admin, &keyed(&id, Some(1), Some(2))).unwrap();
    let (other, clock) = (world.another(), world.clock.clone());
    world.store.before_next_commit(move || {
        let hello = press.hello(dps_core::time::Clock::now(&clock), None);
        let dps_core::api::Authentication::Accepted(session) =
            block_on(dps_core::api::DeviceApi::authenticate(&other, hello))
        else {
            panic!("it is enrolled");
        };
        let request = dps_core::api::DeviceRequest::Register { payload: None };
        let call = dps_core::api::DeviceApi::call(&other, &session, &press.version, request);
        finish(block_on(call)).hub();
    });
    remove(&world.admin, &id, Any).unwrap();
    assert!(
        block_on(world.admin.registration(&named("press-1")))
            .unwrap()
            .is_none()
    );
}

#[test]
fn nothing_is_left_in_the_store_of_an_entry_that_went() {
    let world = World::new();
    let (id, press) = (device("press-1"), Device::with_key("press-1", &key(1)));
    create(&world.admin, &keyed(&id, Some(1), Some(2))).unwrap();
    world.register(&press).hub();
    remove(&world.admin, &id, Any).unwrap();
    for table in [
        Table::Enrollment,
        Table::Registration,
        Table::Member,
        Table::Challenge,
        Table::Leaving,
    ] {
        let scan = dps_core::store::Scan {
            scope: scope(SCOPE),
            table,
            prefix: "".into(),
            after: None,
            limit: 10,
        };
        let page = block_on(world.store.scan(&scan)).unwrap();
        assert!(page.records.is_empty(), "{table:?}");
    }
}

#[test]
fn keys_that_a_tpm_has_shown_go_with_its_entry() {
    let world = World::new();
    let id = named("press-1");
    let mut key = challenge_key("press-1");
    let write = dps_core::store::Write {
        table: Table::Challenge,
        id: "press-1".into(),
        expect: dps_core::store::Expect::Any,
        change: dps_core::store::Change::Put("{\"srks\":[]}".into()),
    };
    create(&world.admin, &unsaid(&device("press-1"))).unwrap();
    // Whichever its slot is: that of its entry.
    key.shard.slot = slot_of(&world, "press-1");
    block_on(world.store.commit(&key.shard, &[write])).unwrap();
    remove(&world.admin, &EntryId::Individual(id), Any).unwrap();
    assert!(block_on(world.store.get_many(&[key])).unwrap()[0].is_none());
}

fn challenge_key(id: &str) -> Key {
    Key {
        shard: dps_core::store::Shard {
            scope: scope(SCOPE),
            slot: 0,
        },
        table: Table::Challenge,
        id: id.into(),
    }
}

/// The slot in which `id` has an enrollment.
fn slot_of(world: &World, id: &str) -> u16 {
    let there = |slot: u16| {
        let mut key = challenge_key(id);
        (key.table, key.shard.slot) = (Table::Enrollment, slot);
        block_on(world.store.get_many(&[key])).unwrap()[0].is_some()
    };
    (1..=64).find(|slot| there(*slot)).unwrap()
}

#[test]
fn a_registration_goes_as_it_was_seen_or_not_at_all() {
    let world = World::new();
    let id = named("press-1");
    let gone = |precondition| {
        word(&block_on(
            world.admin.remove_registration(&id, precondition),
        ))
    };
    assert_eq!(gone(Any), "not found");
    world.put(&group("presses", keys(1, 1)));
    let press = Device::derived("press-1", &key(1));
    world.register(&press).hub();
    let seen = block_on(world.admin.recorded(&id))
        .unwrap()
        .unwrap()
        .version;
    world.register(&press).hub();
    assert_eq!(gone(Version(seen)), "changed");
    assert_eq!(gone(Absent), "exists");
    let seen = block_on(world.admin.recorded(&id))
        .unwrap()
        .unwrap()
        .version;
    assert_eq!(gone(Version(seen)), "done");
    assert_eq!(gone(Version(seen)), "not found");
    assert_eq!(
        world.register(&press).substatus(),
        Substatus::InitialAssignment
    );
}
