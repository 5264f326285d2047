//! IP rules: who may come, from where, to what.

use dps_core::access::{Action, Endpoint, IpAction, IpRule, MAX_IP_RULES};
use dps_core::admin::Precondition;
use dps_core::api::DeviceRequest;
use dps_core::error::Reason;
use dps_core::registration::Status;
use dps_testkit::run::block_on;

use super::{ANY, admit, fault, judged, owner, rule, turned_away, version};
use crate::common::*;

fn set(world: &World, rules: &[IpRule]) {
    block_on(world.admin.set_ip_rules(rules.to_vec(), ANY)).unwrap();
}

/// Whether a device and an operator may come from `address`.
fn may(world: &World, address: &str) -> (bool, bool) {
    let press = Device::derived("press-1", &key(1)).calling_from(address);
    let device = match world
        .ask(&press, DeviceRequest::RegistrationStatus)
        .response
    {
        dps_core::api::DeviceResponse::Error(error) => error.reason() != Reason::Unauthorized,
        _ => true,
    };
    let operator = admit(world, ("owner", &key(1)), address, Action::Configure);
    if let Err(error) = &operator {
        assert_eq!(error.reason(), Reason::NotAllowed);
    }
    (device, operator.is_ok())
}

fn world() -> World {
    let world = World::new();
    owner(&world);
    world.put(&group("presses", keys(1, 1)));
    world
}

const ACCEPT: IpAction = IpAction::Accept;
const REJECT: IpAction = IpAction::Reject;

#[test]
fn without_a_rule_that_matches_everybody_may_come() {
    let world = world();
    assert_eq!(may(&world, "192.0.2.7"), (true, true));
    set(&world, &[rule("a", REJECT, "192.0.2.8", None)]);
    assert_eq!(may(&world, "192.0.2.7"), (true, true));
    assert_eq!(may(&world, "2001:db8::7"), (true, true));
    assert_eq!(may(&world, "192.0.2.8"), (false, false));
}

#[test]
fn the_first_rule_that_matches_decides() {
    let world = world();
    let (one, rest) = (
        rule("one", ACCEPT, "192.0.2.7", None),
        rule("rest", REJECT, "192.0.2.0/24", None),
    );
    set(&world, &[one.clone(), rest.clone()]);
    assert_eq!(may(&world, "192.0.2.7"), (true, true));
    assert_eq!(may(&world, "192.0.2.8"), (false, false));
    set(&world, &[rest, one]);
    assert_eq!(may(&world, "192.0.2.7"), (false, false));
}

#[test]
fn a_rule_keeps_to_its_target() {
    let world = world();
    let to = |target| rule("all", REJECT, "0.0.0.0/0", target);
    set(&world, &[to(Some(Endpoint::Device))]);
    assert_eq!(may(&world, "192.0.2.7"), (false, true));
    set(&world, &[to(Some(Endpoint::Service))]);
    assert_eq!(may(&world, "192.0.2.7"), (true, false));
    set(&world, &[to(None)]);
    assert_eq!(may(&world, "192.0.2.7"), (false, false));
    // One for the other side does not end the search.
    set(
        &world,
        &[
            rule("s", ACCEPT, "192.0.2.7", Some(Endpoint::Service)),
            to(None),
        ],
    );
    assert_eq!(may(&world, "192.0.2.7"), (false, true));
}

#[test]
fn an_ipv6_caller_is_judged_as_well() {
    let world = world();
    set(&world, &[rule("all", REJECT, "0.0.0.0/0", None)]);
    assert_eq!(may(&world, "2001:db8::7"), (false, false));
    set(&world, &[rule("net", REJECT, "2001:db8::/32", None)]);
    assert_eq!(may(&world, "2001:db8::7"), (false, false));
    assert_eq!(may(&world, "2001:db9::7"), (true, true));
    set(&world, &[rule("mapped", REJECT, "192.0.2.7", None)]);
    assert_eq!(may(&world, "::ffff:192.0.2.7"), (false, false));
}

#[test]
fn a_device_that_a_rule_rejects_is_refused_like_everybody_and_operators_are_told_the_rule() {
    let world = world();
    let rejected = rule("plant-2", REJECT, "192.0.2.7", Some(Endpoint::Device));
    set(&world, &[rejected]);
    let (known, unknown) = (
        Device::derived("press-1", &key(1)),
        Device::derived("press-1", &key(9)).calling_from("192.0.2.8"),
    );
    let (here, there) = (world.denied(&known), world.denied(&unknown));
    assert_eq!(here.reason(), there.reason());
    assert_eq!(here.message(), there.message());
    assert_eq!(here.detail(), there.detail());
    let why = world.why(&known);
    assert!(
        why.contains("IP rule plant-2 rejects the caller's address"),
        "{why}"
    );
    assert!(!why.contains("accepts"), "{why}");
}

#[test]
fn a_device_in_the_middle_of_its_connection_is_refused_from_its_next_request_on() {
    let world = world();
    let press = Device::derived("press-1", &key(1)).over_mqtt();
    let session = world.session(&press);
    let register = || DeviceRequest::Register { payload: None };
    let told = finish(world.call(&session, &press, register()));
    assert_eq!(told.status(), Status::Assigned);
    set(&world, &[rule("late", REJECT, "192.0.2.0/24", None)]);
    let commits = world.store.commits();
    let refused = world.call(&session, &press, register());
    assert_eq!(error_of(&refused.response).reason(), Reason::Unauthorized);
    assert_eq!(world.store.commits(), commits);
    assert!(world.why(&press).contains("IP rule late"));
    set(&world, &[]);
    let told = finish(world.call(&session, &press, register()));
    assert_eq!(told.status(), Status::Assigned);
}

#[test]
fn an_operator_whose_address_is_rejected_learns_no_more_than_one_with_a_wrong_key() {
    let world = world();
    set(&world, &[rule("all", REJECT, "0.0.0.0/0", None)]);
    let told = |key: &dps_core::id::SecretBytes| {
        let done = admit(&world, ("owner", key), "192.0.2.7", Action::Configure);
        done.unwrap_err()
    };
    assert_eq!(told(&key(1)), told(&key(9)));
    let because = judged(&world, ("owner", &key(1)), "192.0.2.7", Action::Configure);
    let because = because.unwrap_err().to_string();
    assert_eq!(because, "IP rule all rejects the caller's address");
    // Whoever has locked himself out is let in again by a program.
    world.put_instance(&instance(&[A]));
    owner(&world);
    assert!(may(&world, "192.0.2.7").1);
}

#[test]
fn rules_are_named_once_in_the_documented_characters_and_a_hundred_at_most() {
    let world = world();
    let reject = |name: &str| rule(name, REJECT, "198.51.100.7", None);
    let put = |rules: Vec<IpRule>| block_on(world.admin.set_ip_rules(rules, ANY));
    let long = "x".repeat(129);
    for name in ["", "a b", "\u{e9}", "a\"", "a\n", "a&b", "a<", &long] {
        assert_eq!(fault(put(vec![reject(name)])), "invalid", "{name}");
    }
    assert_eq!(
        fault(put(vec![reject("Plant"), reject("plANT")])),
        "invalid"
    );
    put(vec![reject(r"aZ09-:/\.+%_#*?!(),=@;'"), reject(&long[1..])]).unwrap();
    let many = |count: usize| (0..count).map(|nth| reject(&nth.to_string())).collect();
    put(many(MAX_IP_RULES)).unwrap();
    assert_eq!(fault(put(many(MAX_IP_RULES + 1))), "full");
    let read = block_on(world.admin.instance()).unwrap().unwrap();
    assert_eq!(read.value.access.rules, many(MAX_IP_RULES));
}

#[test]
fn of_two_who_set_the_rules_as_they_saw_them_one_wins() {
    let world = world();
    let seen = Precondition::Version(version(&world));
    let admin = world.admin.clone();
    world.store.before_next_commit(move || {
        let first = vec![rule("first", REJECT, "198.51.100.7", None)];
        block_on(admin.set_ip_rules(first, seen)).unwrap();
    });
    let second = vec![rule("second", REJECT, "198.51.100.8", None)];
    assert_eq!(
        fault(block_on(world.admin.set_ip_rules(second, seen))),
        "changed"
    );
    let rules = block_on(world.admin.instance())
        .unwrap()
        .unwrap()
        .value
        .access
        .rules;
    assert_eq!(&*rules[0].name, "first");
    assert_eq!(rules.len(), 1);
    let unknown = admit(&world, ("nobody", &key(1)), "192.0.2.7", Action::Configure);
    assert_eq!(turned_away(unknown), Reason::NotAllowed);
}
