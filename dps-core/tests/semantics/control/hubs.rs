//! Hubs that are linked and unlinked while devices register.

use dps_core::access::{Action, IpMask};
use dps_core::admin::{HubDraft, MAX_CREDENTIAL_BYTES, MAX_LOCATION_BYTES, Precondition};
use dps_core::egress::Egress;
use dps_core::error::Failure;
use dps_core::id::SecretBytes;
use dps_core::instance::{LinkedHub, MAX_HUBS};
use dps_core::operators::OperatorHello;
use dps_core::time::Clock;
use dps_testkit::run::block_on;
use dps_testkit::sas;

use super::{ANY, HOST, fault, operators, owner, version};
use crate::common::*;

fn draft(name: &str) -> HubDraft {
    HubDraft {
        name: hub(name),
        location: "westeurope".into(),
        weight: None,
        in_policy: None,
        credential: None,
    }
}

fn names(world: &World) -> Vec<String> {
    let hubs = block_on(world.admin.hubs()).unwrap().value;
    hubs.iter().map(|hub| hub.name.to_string()).collect()
}

#[test]
fn a_hub_that_is_linked_takes_devices_from_the_next_registration_on() {
    let world = World::new();
    world.put_instance(&instance(&[]));
    world.put(&group("presses", keys(1, 1)));
    let press = Device::derived("press-1", &key(1));
    assert_eq!(world.register(&press).failure(), Failure::NO_CANDIDATE);
    let linked = block_on(world.admin.put_hub(draft(A), Precondition::Absent)).unwrap();
    let usual = LinkedHub {
        name: hub(A),
        location: "westeurope".into(),
        weight: 1,
        in_policy: true,
        credential: None,
    };
    assert_eq!(linked.value, usual);
    assert_eq!(linked.version, version(&world));
    assert_eq!(world.register(&press).hub(), A);
    let out = HubDraft {
        in_policy: Some(false),
        ..draft(A)
    };
    block_on(world.admin.put_hub(out, Precondition::Present)).unwrap();
    let another = Device::derived("press-2", &key(1));
    assert_eq!(world.register(&another).failure(), Failure::NO_CANDIDATE);
}

#[test]
fn a_hub_that_is_unlinked_keeps_its_devices_until_they_register_again() {
    let world = World::new();
    world.put(&group("presses", keys(1, 1)).to(&[A, B]));
    let devices: Vec<_> = (0..8)
        .map(|nth| Device::derived(&format!("press-{nth}"), &key(1)))
        .collect();
    let at_a = devices.iter().find(|one| world.register(one).hub() == A);
    let press = at_a.unwrap();
    block_on(world.admin.remove_hub(&hub("A.HUB.EXAMPLE"), ANY)).unwrap();
    assert_eq!(names(&world), [B, C]);
    assert_eq!(world.hubs_of(&press.id), [A]);
    assert_eq!(world.register(press).hub(), B);
}

#[test]
fn hubs_are_told_apart_without_regard_to_case() {
    let world = World::new();
    let shouted = || draft("A.HUB.Example");
    let absent = block_on(world.admin.put_hub(shouted(), Precondition::Absent));
    assert_eq!(fault(absent), "exists");
    block_on(world.admin.put_hub(shouted(), Precondition::Present)).unwrap();
    assert_eq!(names(&world).len(), 3);
}

#[test]
fn the_credential_of_a_hub_stays_unless_another_is_said() {
    let world = World::new();
    let secret = |text: &str| SecretBytes::new(text.as_bytes().to_vec());
    let put = |credential: Option<SecretBytes>| {
        let draft = HubDraft {
            credential,
            weight: Some(7),
            ..draft(A)
        };
        let put = block_on(world.admin.put_hub(draft, ANY)).unwrap().value;
        assert_eq!(put.weight, 7);
        put.credential
    };
    assert_eq!(put(None), None);
    assert_eq!(put(Some(secret("first"))), Some(secret("first")));
    assert_eq!(put(None), Some(secret("first")));
    assert_eq!(put(Some(secret("second"))), Some(secret("second")));
    block_on(world.admin.remove_hub(&hub(A), ANY)).unwrap();
    assert_eq!(put(None), None, "a hub that is linked anew has none");
}

#[test]
fn what_makes_no_sense_of_a_hub_is_refused() {
    let world = World::new();
    let put = |draft: HubDraft| block_on(world.admin.put_hub(draft, ANY));
    let weighing = |weight| HubDraft {
        weight: Some(weight),
        ..draft(A)
    };
    for weight in [0, 1001, u32::MAX] {
        assert_eq!(fault(put(weighing(weight))), "invalid", "{weight}");
    }
    for weight in [1, 1000] {
        assert_eq!(put(weighing(weight)).unwrap().value.weight, weight);
    }
    let located = |length: usize| HubDraft {
        location: "x".repeat(length).into(),
        ..draft(A)
    };
    put(located(MAX_LOCATION_BYTES)).unwrap();
    assert_eq!(fault(put(located(MAX_LOCATION_BYTES + 1))), "invalid");
    let signing_in = |length: usize| HubDraft {
        credential: Some(SecretBytes::new(vec![b'x'; length])),
        ..draft(A)
    };
    put(signing_in(MAX_CREDENTIAL_BYTES)).unwrap();
    assert_eq!(fault(put(signing_in(MAX_CREDENTIAL_BYTES + 1))), "invalid");
    let strange = hub("strange.hub.example");
    assert_eq!(
        fault(block_on(world.admin.remove_hub(&strange, ANY))),
        "not found"
    );
}

#[test]
fn fifty_hubs_are_linked_at_most_and_each_can_still_be_changed() {
    let world = World::new();
    let put = |name: &str| block_on(world.admin.put_hub(draft(name), ANY));
    for nth in 3..MAX_HUBS {
        put(&format!("h{nth}.hub.example")).unwrap();
    }
    assert_eq!(names(&world).len(), MAX_HUBS);
    assert_eq!(fault(put("one-more.hub.example")), "full");
    put("h3.hub.example").unwrap();
    block_on(world.admin.remove_hub(&hub(A), ANY)).unwrap();
    put("one-more.hub.example").unwrap();
}

#[test]
fn of_two_who_link_one_hub_exactly_one_wins() {
    let world = World::new();
    let admin = world.admin.clone();
    world.store.before_next_commit(move || {
        block_on(admin.put_hub(draft("new.hub.example"), Precondition::Absent)).unwrap();
    });
    let late = block_on(
        world
            .admin
            .put_hub(draft("new.hub.example"), Precondition::Absent),
    );
    assert_eq!(fault(late), "exists");
    // As they saw the instance: one unlinks, and the other comes too late to change.
    let seen = Precondition::Version(version(&world));
    let admin = world.admin.clone();
    world.store.before_next_commit(move || {
        block_on(admin.remove_hub(&hub(A), seen)).unwrap();
    });
    assert_eq!(
        fault(block_on(world.admin.put_hub(draft(A), seen))),
        "changed"
    );
    assert_eq!(names(&world), [B, C, "new.hub.example"]);
    let gone = block_on(world.admin.put_hub(draft(A), Precondition::Present));
    assert_eq!(fault(gone), "changed");
}

#[test]
fn two_hubs_that_are_linked_at_once_are_both_linked() {
    let world = World::new();
    let admin = world.admin.clone();
    world.store.before_next_commit(move || {
        block_on(admin.put_hub(draft("d.hub.example"), Precondition::Absent)).unwrap();
    });
    block_on(
        world
            .admin
            .put_hub(draft("e.hub.example"), Precondition::Absent),
    )
    .unwrap();
    assert_eq!(names(&world), [A, B, C, "d.hub.example", "e.hub.example"]);
}

#[test]
fn a_hub_on_an_address_that_only_we_can_reach_is_linked_only_where_the_service_permits_it() {
    let world = World::new();
    for name in [
        "localhost",
        "hub.localhost",
        "127.0.0.1",
        "10.1.2.3",
        "192.168.0.1",
        "169.254.169.254",
        "127.1",
    ] {
        let refused = block_on(world.admin.put_hub(draft(name), ANY));
        assert_eq!(fault(refused), "invalid", "{name}");
    }
    let egress = Egress::default().with_range(IpMask::parse("10.0.0.0/8").unwrap());
    let admin = world.admin.with_egress(egress);
    block_on(admin.put_hub(draft("10.1.2.3"), ANY)).unwrap();
    let refused = block_on(admin.put_hub(draft("192.168.0.1"), ANY));
    assert_eq!(fault(refused), "invalid");
}

#[test]
fn operators_link_the_hubs_that_the_service_permits() {
    let world = World::new();
    let owner = owner(&world);
    let token = sas::policy_token(&owner.primary, "owner", HOST, world.clock.now().plus(HOUR));
    let hello = OperatorHello {
        host: HOST,
        path: "/",
        authorization: Some(&token),
        address: [192, 0, 2, 7].into(),
    };
    let strict = operators(&world);
    let loose = operators(&world).with_egress(Egress::anywhere());
    for (operators, linked) in [(strict, false), (loose, true)] {
        let admin = block_on(operators.admit(&hello, &[Action::Configure])).unwrap();
        let done = block_on(admin.put_hub(draft("localhost"), ANY));
        assert_eq!(done.is_ok(), linked);
    }
}
