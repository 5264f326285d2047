//! Sessions that last as long as a connection: each request is decided by what is configured when it is
//! made, or its device has to prove itself anew.

use dps_core::api::{DeviceRequest, Session};
use dps_core::error::Reason;
use dps_core::id::{GroupId, RegistrationId};
use dps_core::registration::Status;
use dps_testkit::certs::Ca;
use dps_testkit::run::block_on;

use crate::common::*;

/// A root that is verified and has a group, and a factory and a line below it.
struct Works {
    world: World,
    root: Ca,
    factory: Ca,
    line: Ca,
}

impl Works {
    fn new() -> Self {
        let world = World::new();
        let root = Ca::root("Root");
        let factory = root.intermediate("Factory");
        let line = factory.intermediate("Line");
        world.verify(&[&root]);
        world.put(&group("presses", signing(&[&factory])).to(&[A]));
        Self {
            world,
            root,
            factory,
            line,
        }
    }

    fn press(&self) -> Device {
        Device::with_identity("press-1", &self.line.device("press-1")).over_mqtt()
    }

    /// Every way to take a device of the line from its group.
    fn takes(&self, nth: usize) -> Option<&'static str> {
        let world = &self.world;
        let presses = GroupId::parse("presses").unwrap();
        Some(match nth {
            0 => {
                world.put(&group("presses", signing(&[&self.factory])).disabled());
                "its group is disabled"
            }
            1 => {
                block_on(world.admin.delete_group(&presses)).unwrap();
                "its group is gone"
            }
            2 => {
                world.put(&individual("press-1", keys(9, 9)).disabled());
                "an individual entry blocks it"
            }
            3 => {
                world.put_instance(&instance_of(&[A, B, C], &[&self.root], false));
                "its root is not verified any more"
            }
            4 => {
                world.put(&group("line", signing(&[&self.line])).disabled());
                "a nearer group blocks its branch"
            }
            5 => {
                world.put(&group("line", signing(&[&self.line])).to(&[B]));
                "a nearer group has come"
            }
            6 => {
                world.put_alike(&group("z-presses", signing(&[&self.factory])).disabled());
                "another group of its certificate is disabled"
            }
            7 => {
                world.put_alike(&group("a-presses", signing(&[&self.factory])).to(&[B]));
                "another group of its certificate is asked first"
            }
            _ => return None,
        })
    }
}

fn register() -> DeviceRequest {
    DeviceRequest::Register { payload: None }
}

/// Whether the session still stands.
fn holds(world: &World, session: &Session, device: &Device) -> bool {
    let told = finish(world.call(session, device, register()));
    match &told.last {
        dps_core::api::DeviceResponse::Error(error) => {
            assert_eq!(error.reason(), Reason::Unauthorized);
            false
        }
        _ => {
            assert_eq!(told.status(), Status::Assigned);
            true
        }
    }
}

#[test]
fn what_changes_between_connecting_and_the_first_register_counts() {
    for nth in 0.. {
        let works = Works::new();
        let (world, press) = (&works.world, works.press());
        let session = world.session(&press);
        let Some(what) = works.takes(nth) else { break };
        assert!(!holds(world, &session, &press), "{what}");
        assert!(world.everything().is_empty(), "{what}");
    }
}

#[test]
fn what_changes_between_two_registers_counts() {
    for nth in 0.. {
        let works = Works::new();
        let (world, press) = (&works.world, works.press());
        let session = world.session(&press);
        assert!(holds(world, &session, &press));
        let Some(what) = works.takes(nth) else { break };
        assert!(!holds(world, &session, &press), "{what}");
        assert_eq!(world.hubs_of("press-1"), [A], "{what}");
    }
}

#[test]
fn an_individual_that_is_disabled_or_deleted_ends_its_session() {
    for deleted in [false, true] {
        let world = World::new();
        let entry = individual("press-1", keys(1, 2));
        world.put(&entry);
        let press = Device::with_key("press-1", &key(1)).over_mqtt();
        let session = world.session(&press);
        if deleted {
            let id = RegistrationId::parse("press-1").unwrap();
            block_on(world.admin.delete_enrollment(&id)).unwrap();
        } else {
            world.put(&entry.disabled());
        }
        assert!(!holds(&world, &session, &press));
        assert!(world.everything().is_empty());
    }
}

#[test]
fn a_device_that_connects_again_is_decided_by_the_nearer_group() {
    let works = Works::new();
    let (world, press) = (&works.world, works.press());
    let first = world.session(&press);
    assert!(holds(world, &first, &press));
    works.takes(5);
    assert!(!holds(world, &first, &press));
    let second = world.session(&press);
    assert!(holds(world, &second, &press));
    assert_eq!(world.hubs_of("press-1"), [B]);
}

#[test]
fn what_does_not_concern_a_device_leaves_its_session_alone() {
    let works = Works::new();
    let (world, press) = (&works.world, works.press());
    world.put(&group("keyed", keys(1, 2)).to(&[A]));
    let member = Device::derived("press-2", &key(1)).over_mqtt();
    let sessions = [world.session(&press), world.session(&member)];
    let beside = works.root.intermediate("Beside");
    for other in [
        group("a-root", signing(&[&works.root])).disabled(),
        group("beside", signing(&[&beside])),
        group("z-presses", signing(&[&works.factory])).to(&[B]),
        group("a-keyed", keys(3, 4)).disabled(),
        group("z-keyed", keys(1, 4)).to(&[B]),
    ] {
        world.put_alike(&other);
        assert!(holds(world, &sessions[0], &press), "{:?}", other.subject);
        assert!(holds(world, &sessions[1], &member), "{:?}", other.subject);
    }
    assert_eq!(world.hubs_of("press-1"), [A]);
}

#[test]
fn a_disabled_group_that_comes_to_have_the_same_key_ends_a_session() {
    let world = World::new();
    world.put(&group("keyed", keys(1, 2)));
    let member = Device::derived("press-1", &key(1)).over_mqtt();
    let session = world.session(&member);
    world.put_alike(&group("z-keyed", keys(5, 1)).disabled());
    assert!(!holds(&world, &session, &member));
    assert!(world.everything().is_empty());
}
