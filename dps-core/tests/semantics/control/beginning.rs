//! Programs that start on a store which may have been used before.

use std::sync::Arc;

use dps_core::admin::{Admin, AdminError, CaDraft, Precondition};
use dps_core::certificate::Certificate;
use dps_core::error::Reason;
use dps_core::store::Store;
use dps_core::time::Clock;
use dps_testkit::certs::Ca;
use dps_testkit::run::block_on;

use super::ANY;
use crate::common::*;

/// Of a tenant without an instance.
fn nobody(world: &World) -> Admin {
    let store = Arc::clone(&world.store) as Arc<dyn Store>;
    Admin::new(store, scope("0ne00FFFFFF"))
}

fn hubs(admin: &Admin) -> Vec<String> {
    let instance = block_on(admin.instance()).unwrap().unwrap().value;
    instance
        .hubs
        .iter()
        .map(|hub| hub.name.to_string())
        .collect()
}

#[test]
fn an_instance_is_created_once_and_stays_as_operators_left_it() {
    let world = World::new();
    let admin = nobody(&world);
    block_on(admin.create_instance(&instance(&[A]))).unwrap();
    block_on(admin.remove_hub(&hub(A), ANY)).unwrap();
    let root = Ca::root("Factory");
    let root = CaDraft {
        name: "factory".into(),
        certificate: Certificate::parse(root.certificate_der()).unwrap(),
        verified: Some(true),
    };
    let added = admin.put_certificate(root, Precondition::Absent, world.clock.now());
    block_on(added).unwrap();
    let before = block_on(admin.instance()).unwrap().unwrap();
    let again = block_on(admin.create_instance(&instance(&[B])));
    assert!(matches!(again, Err(AdminError::Exists)), "{again:?}");
    let after = block_on(admin.instance()).unwrap().unwrap();
    assert_eq!(
        (after.version, after.value.certificates.len()),
        (before.version, 1)
    );
    assert!(hubs(&admin).is_empty());
    block_on(admin.put_instance(&instance(&[B]))).unwrap();
    assert_eq!(hubs(&admin), [B]);
}

#[test]
fn of_two_who_create_an_instance_at_once_one_does() {
    let world = World::new();
    let (admin, other) = (nobody(&world), nobody(&world));
    world.store.before_next_commit(move || {
        block_on(other.create_instance(&instance(&[A]))).unwrap();
    });
    let second = block_on(admin.create_instance(&instance(&[B])));
    assert!(matches!(second, Err(AdminError::Exists)), "{second:?}");
    assert_eq!(hubs(&admin), [A]);
}

#[test]
fn entries_that_are_there_before_the_instance_let_nobody_in_until_then() {
    let world = World::new();
    let admin = nobody(&world);
    block_on(admin.put_group(&group("presses", keys(1, 1)))).unwrap();
    let mut press = Device::derived("press-1", &key(1));
    press.scope = "0ne00FFFFFF".to_owned();
    assert_eq!(
        world.register(&press).error().reason(),
        Reason::Unauthorized
    );
    block_on(admin.create_instance(&instance(&[A]))).unwrap();
    assert_eq!(world.register(&press).hub(), A);
}
