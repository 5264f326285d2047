//! Operators who change the instance: hubs, OpenID providers, policies, certificates, rules.

mod beginning;
mod certificates;
mod hubs;
mod issuers;
mod network;
mod policies;
mod rules;

use std::net::IpAddr;
use std::sync::Arc;

use dps_core::access::{AccessPolicy, Action, Endpoint, Ingress, IpAction, IpMask, IpRule, Rights};
use dps_core::admin::{Admin, AdminError, PolicyDraft, Precondition};
use dps_core::error::{Reason, ServiceError};
use dps_core::id::SecretBytes;
use dps_core::operators::{NotAdmitted, OperatorHello, Operators};
use dps_core::store::{Store, Version};
use dps_core::tenant::OneStore;
use dps_core::time::Clock;
use dps_testkit::run::block_on;
use dps_testkit::sas;

use crate::common::*;

const HOST: &str = "dps.example";
const ANY: Precondition = Precondition::Any;

fn operators(world: &World) -> Operators {
    let tenants = OneStore::new(Arc::clone(&world.store) as Arc<dyn Store>);
    let tenants = tenants.with_host(HOST, scope(SCOPE));
    Operators::new(Arc::new(tenants)).with_clock(Arc::new(world.clock.clone()))
}

/// What an operator who signs with `key` and calls from `address` gets, or is told.
fn admit(
    world: &World,
    who: (&str, &SecretBytes),
    address: &str,
    action: Action,
) -> Result<Admin, ServiceError> {
    admit_through(world, who, (address, &Ingress::Public), action)
}

/// The same for one who comes through that door.
fn admit_through(
    world: &World,
    who: (&str, &SecretBytes),
    from: (&str, &Ingress),
    action: Action,
) -> Result<Admin, ServiceError> {
    judged_at(world, who, from, action).map_err(|refused| refused.told())
}

/// What becomes of an operator who signs with `key` and calls from `address`.
fn judged(
    world: &World,
    who: (&str, &SecretBytes),
    address: &str,
    action: Action,
) -> Result<Admin, NotAdmitted> {
    judged_at(world, who, (address, &Ingress::Public), action)
}

fn judged_at(
    world: &World,
    (policy, key): (&str, &SecretBytes),
    (address, ingress): (&str, &Ingress),
    action: Action,
) -> Result<Admin, NotAdmitted> {
    let expires = world.clock.now().plus(HOUR);
    let token = sas::policy_token(key, policy, HOST, expires);
    let hello = OperatorHello {
        host: HOST,
        path: "/",
        authorization: Some(&token),
        address: address.parse::<IpAddr>().unwrap(),
        ingress,
    };
    block_on(operators(world).admit(&hello, &[action]))
}

/// A policy with everything, and a key that is known.
fn owner(world: &World) -> AccessPolicy {
    let draft = PolicyDraft {
        name: "owner".into(),
        primary: Some(key(1)),
        secondary: Some(key(2)),
        rights: Rights::ALL,
    };
    block_on(world.admin.put_policy(draft, ANY)).unwrap().value
}

fn rule(name: &str, action: IpAction, mask: &str, target: Option<Endpoint>) -> IpRule {
    IpRule {
        name: name.into(),
        action,
        mask: IpMask::parse(mask).unwrap(),
        target,
    }
}

/// The version of the instance.
fn version(world: &World) -> Version {
    block_on(world.admin.instance()).unwrap().unwrap().version
}

/// What kind of error it was.
fn fault<T: std::fmt::Debug>(done: Result<T, AdminError>) -> &'static str {
    match done.unwrap_err() {
        AdminError::Invalid(_) => "invalid",
        AdminError::NotFound => "not found",
        AdminError::Exists => "exists",
        AdminError::Changed => "changed",
        AdminError::Duplicate(_) => "duplicate",
        AdminError::Full { .. } => "full",
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_instance_is_read_with_its_version_and_its_certificates() {
    let world = World::new();
    let root = dps_testkit::certs::Ca::root("Root");
    world.verify(&[&root]);
    let read = || block_on(world.admin.instance()).unwrap().unwrap();
    let before = read();
    assert_eq!(before.value.hubs.len(), 3);
    assert_eq!(&*before.value.certificates[0].name, "ca-0");
    assert_eq!(read().version, before.version);
    let expected = Precondition::Version(before.version);
    let policy = dps_core::allocate::Policy::Static;
    let set = block_on(world.admin.set_policy(policy, expected)).unwrap();
    let after = read();
    assert_eq!(after.version, set.version);
    assert_eq!(after.value.policy, policy);
    assert_eq!(after.value.hubs, before.value.hubs);
    assert_eq!(after.value.certificates.len(), 1);
    let nobody = Admin::new(
        Arc::clone(&world.store) as Arc<dyn Store>,
        scope("0ne0000FFFF"),
    );
    assert!(block_on(nobody.instance()).unwrap().is_none());
    assert_eq!(fault(block_on(nobody.hubs())), "not found");
    assert_eq!(fault(block_on(nobody.set_policy(policy, ANY))), "not found");
}

#[test]
fn the_policy_of_an_instance_counts_at_the_next_registration_and_is_never_custom() {
    use dps_core::allocate::Policy;
    let world = World::new();
    world.put(&group("presses", keys(1, 1)));
    let press = Device::derived("press-1", &key(1));
    assert_eq!(
        world.register(&press).status(),
        dps_core::registration::Status::Assigned
    );
    // With three hubs and none that the enrollment names, a static policy cannot choose.
    block_on(world.admin.set_policy(Policy::Static, ANY)).unwrap();
    let told = world.register(&Device::derived("press-2", &key(1)));
    assert_eq!(told.status(), dps_core::registration::Status::Failed);
    let custom = block_on(world.admin.set_policy(Policy::Custom, ANY));
    assert_eq!(fault(custom), "invalid");
}

#[test]
fn of_two_who_change_the_instance_as_they_saw_it_one_wins() {
    use dps_core::allocate::Policy;
    let world = World::new();
    let seen = Precondition::Version(version(&world));
    let admin = world.admin.clone();
    world.store.before_next_commit(move || {
        block_on(admin.set_policy(Policy::GeoLatency, seen)).unwrap();
    });
    let late = block_on(world.admin.set_policy(Policy::Static, seen));
    assert_eq!(fault(late), "changed");
    let now = block_on(world.admin.instance()).unwrap().unwrap();
    assert_eq!(now.value.policy, Policy::GeoLatency);
}

#[test]
fn two_who_change_different_things_do_not_undo_each_other() {
    use dps_core::allocate::Policy;
    use dps_core::instance::Quotas;
    let world = World::new();
    let admin = world.admin.clone();
    world.store.before_next_commit(move || {
        block_on(admin.set_policy(Policy::Static, ANY)).unwrap();
    });
    let quotas = Quotas {
        certificates: 1,
        ..Quotas::default()
    };
    block_on(world.admin.set_quotas(quotas, ANY)).unwrap();
    let now = block_on(world.admin.instance()).unwrap().unwrap().value;
    assert_eq!((now.policy, now.quotas), (Policy::Static, quotas));
}

#[test]
fn an_instance_that_says_a_name_twice_is_not_stored() {
    let world = World::new();
    let commits = world.store.commits();
    let policy = |name: &str| AccessPolicy {
        name: name.into(),
        primary: key(1),
        secondary: key(2),
        rights: Rights::ALL,
    };
    let mut twice = instance(&[A]);
    twice.access.policies = vec![policy("Owner"), policy("owner")];
    assert_eq!(fault(block_on(world.admin.put_instance(&twice))), "invalid");
    let mut twice = instance(&[A]);
    let reject = |name| rule(name, IpAction::Reject, "192.0.2.7", None);
    twice.access.rules = vec![reject("a"), reject("A")];
    assert_eq!(fault(block_on(world.admin.put_instance(&twice))), "invalid");
    assert_eq!(world.store.commits(), commits);
}

/// What an operator who was not let in was told.
fn turned_away(done: Result<Admin, ServiceError>) -> Reason {
    done.unwrap_err().reason()
}
