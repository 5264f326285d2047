//! What operators change counts from the next request, on every node, and for their own tenant.

use dps_core::Provisioner;
use dps_core::admin::{Admin, AdminError};
use dps_core::api::{Authentication, DeviceApi, DeviceRequest, DeviceResponse};
use dps_core::error::Reason;
use dps_core::id::{GroupId, RegistrationId};
use dps_core::registration::{Status, Substatus};
use dps_core::store::Store;
use dps_testkit::certs::Ca;
use dps_testkit::hubs::Fault;
use dps_testkit::run::block_on;

use crate::common::*;

fn register_at(service: &Provisioner, world: &World, device: &Device) -> Told {
    let hello = device.hello(dps_core::time::Clock::now(&world.clock), None);
    let reply = match block_on(service.authenticate(hello)) {
        Authentication::Accepted(session) => {
            let request = DeviceRequest::Register { payload: None };
            block_on(service.call(&session, &device.version, request))
        }
        Authentication::Denied(error) => DeviceResponse::Error(error).into(),
        other => panic!("{other:?}"),
    };
    finish(reply)
}

#[test]
fn after_its_registration_was_deleted_a_device_registers_for_the_first_time() {
    let world = World::new();
    world.put(&group("presses", keys(1, 1)).to(&[A]));
    let press = Device::derived("press-1", &key(1));
    world.register(&press);
    world.forget("press-1");
    assert_eq!(
        world.lookup(&press).error().reason(),
        Reason::RegistrationNotFound
    );
    assert_eq!(world.hubs_of("press-1"), [A], "its hub is left alone");
    world.put(&group("presses", keys(1, 1)).to(&[B]));
    assert_eq!(
        world.register(&press).substatus(),
        Substatus::InitialAssignment
    );
}

#[test]
fn deleting_a_registration_in_flight_cleans_the_hub_that_may_have_been_touched() {
    let world = World::new();
    world.put(&group("presses", keys(1, 1)).to(&[A]));
    let press = Device::derived("press-1", &key(1));
    world.hubs.fail_next(1, &Fault::Lost);
    assert_eq!(world.register(&press).status(), Status::Assigning);
    assert_eq!(world.hubs_of("press-1"), [A]);
    world.forget("press-1");
    world.put(&group("presses", keys(1, 1)).to(&[B]));
    assert_eq!(world.register(&press).hub(), B);
    world.clock.advance(HOUR);
    world.sweep();
    assert_eq!(world.hubs_of("press-1"), [B]);
}

#[test]
fn a_worker_whose_registration_was_deleted_writes_nothing() {
    let world = World::new();
    world.put(&group("presses", keys(1, 1)).to(&[A]));
    let press = Device::derived("press-1", &key(1));
    let reply = world.only_register(&press);
    world.forget("press-1");
    finish(reply);
    assert_eq!(
        world.lookup(&press).error().reason(),
        Reason::RegistrationNotFound
    );
}

#[test]
fn every_change_counts_at_the_next_request_on_every_node() {
    let world = World::new();
    let other = world.another();
    let root = Ca::root("Root");
    let by_key = Device::derived("press-1", &key(1));
    let by_certificate = Device::with_identity("press-2", &root.device("press-2"));
    let at_both = |device: &Device| {
        let here = world.register(device);
        let there = register_at(&other, &world, device);
        let status = |told: &Told| match &told.last {
            DeviceResponse::Operation { state, .. } => {
                let hub = state.assignment.as_ref().map(|at| at.place.hub.to_string());
                hub.unwrap_or_else(|| state.status.to_string())
            }
            DeviceResponse::Error(error) => error.to_string(),
            other => panic!("{other:?}"),
        };
        assert_eq!(status(&here), status(&there));
        status(&here)
    };
    let refused = dps_core::error::ServiceError::new(Reason::Unauthorized).to_string();

    assert_eq!(at_both(&by_key), refused);
    world.put(&group("presses", keys(1, 1)).to(&[A]));
    assert_eq!(at_both(&by_key), A);
    world.put(&group("presses", keys(1, 1)).to(&[B]));
    assert_eq!(at_both(&by_key), B);
    world.put(&group("presses", keys(1, 1)).to(&[B]).disabled());
    assert_eq!(at_both(&by_key), "disabled");
    world.put(&group("presses", keys(2, 2)).to(&[B]));
    assert_eq!(at_both(&by_key), refused);
    block_on(
        world
            .admin
            .delete_group(&GroupId::parse("PRESSES").unwrap()),
    )
    .unwrap();
    assert_eq!(at_both(&Device::derived("press-1", &key(2))), refused);

    world.put(&individual("press-1", keys(5, 5)).to(&[C]));
    assert_eq!(at_both(&Device::with_key("press-1", &key(5))), C);
    block_on(
        world
            .admin
            .delete_enrollment(&RegistrationId::parse("PRESS-1").unwrap()),
    )
    .unwrap();
    assert_eq!(at_both(&Device::with_key("press-1", &key(5))), refused);

    world.put(&group("certified", signing(&[&root])).to(&[A]));
    assert_eq!(at_both(&by_certificate), refused);
    world.verify(&[&root]);
    assert_eq!(at_both(&by_certificate), A);
    world.put_instance(&instance_of(&[A, B, C], &[&root], false));
    assert_eq!(at_both(&by_certificate), refused);
    world.verify(&[&root]);
    world.put_instance(&instance_of(&[B, C], &[&root], true));
    assert_eq!(at_both(&by_certificate), "failed");
}

#[test]
fn what_changes_between_two_requests_of_one_session_counts() {
    let world = World::new();
    let root = Ca::root("Root");
    world.verify(&[&root]);
    let press = Device::with_identity("press-1", &root.device("press-1"));
    let register = || DeviceRequest::Register { payload: None };
    type Change<'a> = (&'a str, &'a dyn Fn());
    let changes: [Change<'_>; 4] = [
        ("its group is disabled", &|| {
            world.put(&group("presses", signing(&[&root])).disabled())
        }),
        ("an individual entry blocks it", &|| {
            world.put(&individual("press-1", keys(9, 9)).disabled());
        }),
        ("its group is gone", &|| {
            block_on(
                world
                    .admin
                    .delete_group(&GroupId::parse("presses").unwrap()),
            )
            .unwrap();
        }),
        ("its root is no longer verified", &|| {
            world.put_instance(&instance_of(&[A, B, C], &[&root], false));
        }),
    ];
    for (what, change) in changes {
        let id = RegistrationId::parse("press-1").unwrap();
        block_on(world.admin.delete_enrollment(&id)).unwrap();
        world.verify(&[&root]);
        world.put(&group("presses", signing(&[&root])));
        let session = world.session(&press);
        let told = finish(world.call(&session, &press, register()));
        assert_eq!(told.status(), Status::Assigned);
        change();
        let commits = world.store.commits();
        let refused = world.call(&session, &press, register());
        assert_eq!(
            error_of(&refused.response).reason(),
            Reason::Unauthorized,
            "{what}"
        );
        let operation = told.operation();
        let refused = world.call(
            &session,
            &press,
            DeviceRequest::OperationStatus { operation },
        );
        assert_eq!(
            error_of(&refused.response).reason(),
            Reason::Unauthorized,
            "{what}"
        );
        assert_eq!(world.store.commits(), commits, "{what}");
    }
}

#[test]
fn an_entry_that_changes_while_a_register_is_decided_is_not_overlooked() {
    let world = World::new();
    world.put(&individual("press-1", keys(1, 1)).to(&[A]));
    let press = Device::with_key("press-1", &key(1));
    let admin = world.admin.clone();
    world.store.before_next_commit(move || {
        let blocking = individual("press-1", keys(1, 1)).to(&[A]).disabled();
        block_on(admin.put_enrollment(&blocking)).unwrap();
    });
    let told = world.register(&press);
    assert_eq!(
        told.error().reason(),
        Reason::Unauthorized,
        "it has to prove itself anew"
    );
    assert_eq!(world.register(&press).status(), Status::Disabled);
    assert!(world.everything().is_empty());

    // The same of a member that an individual entry comes to block.
    world.put(&group("presses", keys(3, 3)).to(&[A]));
    let member = Device::derived("press-2", &key(3));
    let admin = world.admin.clone();
    world.store.before_next_commit(move || {
        let blocking = individual("press-2", keys(9, 9)).disabled();
        block_on(admin.put_enrollment(&blocking)).unwrap();
    });
    assert_eq!(
        world.register(&member).error().reason(),
        Reason::Unauthorized
    );
    assert!(world.everything().is_empty());
}

#[test]
fn an_entry_whose_hub_changes_while_a_register_is_decided_is_decided_anew() {
    let world = World::new();
    world.put(&individual("press-1", keys(1, 1)).to(&[A]));
    let admin = world.admin.clone();
    world.store.before_next_commit(move || {
        block_on(admin.put_enrollment(&individual("press-1", keys(1, 1)).to(&[B]))).unwrap();
    });
    assert_eq!(
        world.register(&Device::with_key("press-1", &key(1))).hub(),
        B
    );
    assert_eq!(world.hubs_of("press-1"), [B]);
}

#[test]
fn tenants_never_see_each_other() {
    let world = World::new();
    let second = "0ne00FEDCBA";
    let admin = Admin::new(std::sync::Arc::clone(&world.store) as _, scope(second));
    block_on(admin.put_instance(&instance(&["second.hub.example"]))).unwrap();
    world.put(&individual("press-1", keys(1, 1)).to(&[A]));
    world.put(&group("presses", keys(2, 2)));
    block_on(admin.put_enrollment(&individual("press-1", keys(3, 3)))).unwrap();

    let first = world.register(&Device::with_key("press-1", &key(1)));
    let other = Device::with_key("press-1", &key(3)).of_scope(second);
    let crossed = world.poll(&other, &first.operation());
    assert_eq!(crossed.error().reason(), Reason::OperationNotFound);
    assert_eq!(
        world.lookup(&other).error().reason(),
        Reason::RegistrationNotFound
    );
    let told = world.register(&other);
    assert_eq!(told.hub(), "second.hub.example");
    for stranger in [
        Device::with_key("press-1", &key(1)).of_scope(second),
        Device::derived("press-5", &key(2)).of_scope(second),
        Device::with_key("press-1", &key(3)),
    ] {
        assert_eq!(world.denied(&stranger).reason(), Reason::Unauthorized);
    }
    let id = RegistrationId::parse("press-1").unwrap();
    block_on(admin.delete_registration(&id)).unwrap();
    assert!(block_on(world.admin.registration(&id)).unwrap().is_some());
    assert!(block_on(admin.registration(&id)).unwrap().is_none());
}

#[test]
fn the_list_of_a_groups_registrations_follows_its_members() {
    let world = World::new();
    world.put(&group("presses", keys(1, 1)));
    world.register(&Device::derived("press-1", &key(1)));
    world.register(&Device::derived("press-2", &key(1)));
    let members = || -> Vec<String> {
        let scan = dps_core::store::Scan {
            scope: scope(SCOPE),
            table: dps_core::store::Table::Member,
            prefix: "".into(),
            after: None,
            limit: 100,
        };
        let page = block_on(world.store.scan(&scan)).unwrap();
        page.records.iter().map(|(id, _)| id.to_string()).collect()
    };
    assert_eq!(members(), ["presses/press-1", "presses/press-2"]);
    world.put(&individual("press-1", keys(3, 3)));
    world.register(&Device::with_key("press-1", &key(3)));
    assert_eq!(members(), ["presses/press-2"]);
    world.put(&group("others", keys(4, 4)));
    world.register(&Device::derived("press-2", &key(4)));
    assert_eq!(members(), ["others/press-2"]);
    world.forget("press-2");
    assert!(members().is_empty());
}

#[test]
fn what_makes_no_sense_is_not_stored() {
    let world = World::new();
    let commits = world.store.commits();
    let (root, press) = (Ca::root("Root"), Ca::root("R").device("press-1"));
    let many: Vec<String> = (0..51).map(|nth| format!("h{nth}.example")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let outcomes = [
        block_on(
            world
                .admin
                .put_enrollment(&individual("press-1", signing(&[&root]))),
        ),
        block_on(
            world
                .admin
                .put_enrollment(&individual("press-1", references(&["ca-0"]))),
        ),
        block_on(world.admin.put_group(&group("presses", leaves(&[&press])))),
        block_on(world.admin.put_group(&individual("press-1", keys(1, 1)))),
        block_on(world.admin.put_enrollment(&group("presses", keys(1, 1)))),
        block_on(world.admin.put_instance(&instance(&[A, "A.hub.example"]))),
        block_on(world.admin.put_instance(&instance(&many))),
    ];
    for outcome in outcomes {
        assert!(
            matches!(outcome, Err(AdminError::Invalid(_))),
            "{outcome:?}"
        );
    }
    assert_eq!(world.store.commits(), commits);
}
