//! Doors: the public network, and private endpoints.

use dps_core::access::{Action, Endpoint, Ingress, IpAction, MAX_PRIVATE_ENDPOINTS};
use dps_core::api::{DeviceRequest, DeviceResponse};
use dps_core::error::Reason;
use dps_core::registration::Status;
use dps_core::trace::Step;
use dps_testkit::run::block_on;

use super::{ANY, admit_through, fault, owner, rule};
use crate::common::*;

fn world() -> World {
    let world = World::new();
    owner(&world);
    world.put(&group("presses", keys(1, 1)));
    world
}

fn set(world: &World, public: bool, private: &[&str]) {
    let private = private.iter().map(|name| (*name).into()).collect();
    block_on(world.admin.set_private_endpoints(private, ANY)).unwrap();
    block_on(world.admin.set_public_access(public, ANY)).unwrap();
}

/// Whether a device and an operator may come through this door; the public one has no name.
fn may(world: &World, endpoint: &str) -> (bool, bool) {
    let mut press = Device::derived("press-1", &key(1));
    let mut ingress = Ingress::Public;
    if !endpoint.is_empty() {
        ingress = Ingress::Private(endpoint.into());
        press = press.at_endpoint(endpoint);
    }
    let device = match world
        .ask(&press, DeviceRequest::RegistrationStatus)
        .response
    {
        DeviceResponse::Error(error) => error.reason() != Reason::Unauthorized,
        _ => true,
    };
    let from = ("192.0.2.7", &ingress);
    let operator = admit_through(world, ("owner", &key(1)), from, Action::Configure);
    if let Err(error) = &operator {
        assert_eq!(error.reason(), Reason::NotAllowed);
    }
    (device, operator.is_ok())
}

const YES: (bool, bool) = (true, true);
const NO: (bool, bool) = (false, false);

#[test]
fn an_instance_is_reached_by_the_public_door_and_no_private_one_unless_it_says_so() {
    let world = world();
    assert_eq!([may(&world, ""), may(&world, "plant-7")], [YES, NO]);
    set(&world, true, &["plant-7"]);
    assert_eq!([may(&world, ""), may(&world, "plant-7")], [YES, YES]);
    assert_eq!([may(&world, "plant-8"), may(&world, "PLANT-7")], [NO, NO]);
    set(&world, false, &["plant-7"]);
    assert_eq!([may(&world, ""), may(&world, "plant-7")], [NO, YES]);
    set(&world, false, &[]);
    assert_eq!([may(&world, ""), may(&world, "plant-7")], [NO, NO]);
}

#[test]
fn rules_about_addresses_are_for_the_public_door() {
    let world = world();
    set(&world, true, &["plant-7"]);
    let nobody = rule("nobody", IpAction::Reject, "0.0.0.0/0", None);
    block_on(world.admin.set_ip_rules(vec![nobody], ANY)).unwrap();
    assert_eq!([may(&world, ""), may(&world, "plant-7")], [NO, YES]);
    let operators = rule(
        "operators",
        IpAction::Reject,
        "0.0.0.0/0",
        Some(Endpoint::Service),
    );
    block_on(world.admin.set_ip_rules(vec![operators], ANY)).unwrap();
    assert_eq!(may(&world, ""), (true, false));
}

#[test]
fn a_connection_ends_when_its_door_is_closed() {
    let world = world();
    let press = Device::derived("press-1", &key(1)).over_mqtt();
    let session = world.session(&press);
    set(&world, false, &["plant-7"]);
    let reply = world.call(&session, &press, DeviceRequest::Register { payload: None });
    let DeviceResponse::Error(error) = reply.response else {
        panic!("{:?}", reply.response);
    };
    assert_eq!(error.reason(), Reason::Unauthorized);
    let at_plant = press.at_endpoint("plant-7");
    assert_eq!(world.register(&at_plant).status(), Status::Assigned);
}

#[test]
fn whoever_comes_by_a_wrong_door_is_refused_like_a_stranger_and_the_trace_says_why() {
    let world = world();
    let lost = Device::derived("press-1", &key(1)).at_endpoint("plant-7");
    let told = world.denied(&lost).to_string();
    let stranger = Device::derived("press-1", &key(9));
    let id = |text: String| {
        text.split("TrackingId")
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    assert_eq!(id(told), id(world.denied(&stranger).to_string()));
    let press = dps_core::id::RegistrationId::parse("press-1").unwrap();
    let events = world.events.of(&scope(SCOPE), &press);
    assert_eq!(events[0].trace.steps(), [Step::IngressRejected]);
}

#[test]
fn endpoints_have_names_and_there_are_not_too_many() {
    let world = world();
    let set = |names: &[&str]| {
        let names = names.iter().map(|name| (*name).into()).collect();
        block_on(world.admin.set_private_endpoints(names, ANY))
    };
    for bad in ["", "a b", "ä", &"x".repeat(65)] {
        assert_eq!(fault(set(&[bad])), "invalid", "{bad}");
    }
    assert_eq!(fault(set(&["a", "a"])), "invalid");
    set(&["a", "A", &"x".repeat(64)]).unwrap();
    let many: Vec<_> = (0..=MAX_PRIVATE_ENDPOINTS)
        .map(|nth| nth.to_string())
        .collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    assert_eq!(fault(set(&many)), "full");
    set(&many[1..]).unwrap();
}
