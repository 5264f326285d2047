//! Shared access policies that are made, changed and rolled while operators use them.

use dps_core::access::{AccessPolicy, Action, Rights};
use dps_core::admin::{KeySlot, MAX_POLICIES, PolicyDraft, Precondition};
use dps_core::error::{Reason, ServiceError};
use dps_core::id::SecretBytes;
use dps_testkit::run::block_on;

use super::{ANY, admit, fault, judged, owner, turned_away, version};
use crate::common::*;

const HERE: &str = "192.0.2.7";

fn draft(name: &str, rights: Rights) -> PolicyDraft {
    PolicyDraft {
        name: name.into(),
        primary: None,
        secondary: None,
        rights,
    }
}

fn put(world: &World, draft: PolicyDraft) -> AccessPolicy {
    block_on(world.admin.put_policy(draft, ANY)).unwrap().value
}

fn admitted(world: &World, key: &SecretBytes, action: Action) -> bool {
    let done = admit(world, ("owner", key), HERE, action);
    if let Err(error) = &done {
        assert_eq!(error.reason(), Reason::NotAllowed);
    }
    done.is_ok()
}

#[test]
fn keys_that_are_not_said_are_made_and_stay() {
    let world = World::new();
    let made = put(&world, draft("owner", Rights::ALL));
    assert_eq!(made.primary.expose().len(), 64);
    assert_eq!(made.secondary.expose().len(), 64);
    assert_ne!(made.primary, made.secondary);
    assert!(admitted(&world, &made.primary, Action::Configure));
    assert!(admitted(&world, &made.secondary, Action::Configure));
    let other = put(&world, draft("other", Rights::ALL));
    assert_ne!(made.primary, other.primary);
    let kept = put(&world, draft("OWNER", Rights::SERVICE_CONFIG));
    assert_eq!(kept.primary, made.primary);
    assert_eq!(kept.secondary, made.secondary);
    let one = PolicyDraft {
        secondary: Some(key(7)),
        ..draft("owner", Rights::ALL)
    };
    let one = put(&world, one);
    assert_eq!((one.primary, one.secondary), (made.primary, key(7)));
}

#[test]
fn what_a_policy_may_counts_from_the_next_request() {
    let world = World::new();
    owner(&world);
    assert!(admitted(&world, &key(1), Action::WriteEnrollments));
    put(&world, draft("owner", Rights::ENROLLMENT_READ));
    assert!(admitted(&world, &key(1), Action::ReadEnrollments));
    assert!(!admitted(&world, &key(1), Action::WriteEnrollments));
    assert!(!admitted(&world, &key(1), Action::Configure));
    block_on(world.admin.remove_policy("Owner", ANY)).unwrap();
    assert!(!admitted(&world, &key(1), Action::ReadEnrollments));
}

#[test]
fn why_an_operator_is_refused_is_told_apart_for_those_who_run_the_node_alone() {
    let world = World::new();
    let because = |who: (&str, &SecretBytes), action| {
        let refused = judged(&world, who, HERE, action).unwrap_err();
        let told = refused.told();
        assert_eq!(told, ServiceError::new(Reason::NotAllowed));
        refused.to_string()
    };
    let read = Action::ReadEnrollments;
    owner(&world);
    let reader = PolicyDraft {
        primary: Some(key(3)),
        ..draft("reader", Rights::ENROLLMENT_READ)
    };
    put(&world, reader);
    let (nobody, wrong) = (("nobody", &key(1)), ("owner", &key(3)));
    assert!(because(nobody, read).contains("a shared access policy that is not there"));
    assert!(because(wrong, read).contains("not signed with a key of shared access policy owner"));
    let weak = because(("reader", &key(3)), Action::Configure);
    assert!(
        weak.contains("the rights of shared access policy reader do not suffice"),
        "{weak}"
    );
    assert!(judged(&world, ("reader", &key(3)), HERE, read).is_ok());
}

#[test]
fn one_key_is_rolled_while_the_other_works() {
    let world = World::new();
    owner(&world);
    let roll = |slot| block_on(world.admin.roll_key("OWNER", slot, ANY)).unwrap();
    let rolled = roll(KeySlot::Primary);
    assert_eq!(rolled.version, version(&world));
    assert!(!admitted(&world, &key(1), Action::Configure));
    assert!(admitted(&world, &key(2), Action::Configure));
    assert!(admitted(&world, &rolled.value.primary, Action::Configure));
    let again = roll(KeySlot::Secondary).value;
    assert!(!admitted(&world, &key(2), Action::Configure));
    assert!(admitted(&world, &again.secondary, Action::Configure));
    assert_eq!(again.primary, rolled.value.primary);
    assert_ne!(roll(KeySlot::Secondary).value.secondary, again.secondary);
    assert_eq!(again.rights, Rights::ALL);
    let nobody = block_on(world.admin.roll_key("nobody", KeySlot::Primary, ANY));
    assert_eq!(fault(nobody), "not found");
}

#[test]
fn the_last_policy_that_may_configure_can_go() {
    let world = World::new();
    owner(&world);
    block_on(world.admin.remove_policy("owner", ANY)).unwrap();
    let done = admit(&world, ("owner", &key(1)), HERE, Action::Configure);
    assert_eq!(turned_away(done), Reason::NotAllowed);
    assert!(block_on(world.admin.policies()).unwrap().value.is_empty());
    let again = block_on(world.admin.remove_policy("owner", ANY));
    assert_eq!(fault(again), "not found");
}

#[test]
fn what_makes_no_sense_of_a_policy_is_refused() {
    let world = World::new();
    let put = |draft: PolicyDraft| block_on(world.admin.put_policy(draft, ANY));
    let long = "x".repeat(65);
    for name in ["", "a b", "a&b", "a/b", "a=b", "\u{e9}", &long] {
        assert_eq!(fault(put(draft(name, Rights::ALL))), "invalid", "{name}");
    }
    put(draft(&long[1..], Rights::NONE)).unwrap();
    put(draft("aZ09!.-_", Rights::NONE)).unwrap();
    for (length, taken) in [(0, false), (15, false), (16, true), (64, true), (65, false)] {
        let key = Some(SecretBytes::new(vec![7; length]));
        let first = PolicyDraft {
            primary: key.clone(),
            ..draft("owner", Rights::ALL)
        };
        let second = PolicyDraft {
            secondary: key,
            ..draft("owner", Rights::ALL)
        };
        for draft in [first, second] {
            assert_eq!(put(draft).is_ok(), taken, "{length}");
        }
    }
}

#[test]
fn so_many_policies_there_may_be_and_each_can_still_be_changed() {
    let world = World::new();
    let put = |name: &str| block_on(world.admin.put_policy(draft(name, Rights::ALL), ANY));
    for nth in 0..MAX_POLICIES {
        put(&format!("p{nth}")).unwrap();
    }
    assert_eq!(fault(put("one-more")), "full");
    put("P0").unwrap();
    assert_eq!(
        block_on(world.admin.policies()).unwrap().value.len(),
        MAX_POLICIES
    );
}

#[test]
fn of_two_who_make_one_policy_exactly_one_wins() {
    let world = World::new();
    let admin = world.admin.clone();
    world.store.before_next_commit(move || {
        let first = draft("owner", Rights::ENROLLMENT_READ);
        block_on(admin.put_policy(first, Precondition::Absent)).unwrap();
    });
    let second = draft("Owner", Rights::ALL);
    let late = block_on(world.admin.put_policy(second, Precondition::Absent));
    assert_eq!(fault(late), "exists");
    let policies = block_on(world.admin.policies()).unwrap().value;
    assert_eq!(policies.len(), 1);
    assert_eq!(policies[0].rights, Rights::ENROLLMENT_READ);
}

#[test]
fn of_two_who_roll_a_key_as_they_saw_it_exactly_one_wins() {
    let world = World::new();
    owner(&world);
    let seen = Precondition::Version(version(&world));
    let admin = world.admin.clone();
    world.store.before_next_commit(move || {
        block_on(admin.roll_key("owner", KeySlot::Primary, seen)).unwrap();
    });
    let late = block_on(world.admin.roll_key("owner", KeySlot::Secondary, seen));
    assert_eq!(fault(late), "changed");
    assert!(!admitted(&world, &key(1), Action::Configure));
    assert!(admitted(&world, &key(2), Action::Configure));
    // One removes it, and the other does not bring it back by rolling.
    let seen = Precondition::Version(version(&world));
    let admin = world.admin.clone();
    world.store.before_next_commit(move || {
        block_on(admin.remove_policy("owner", seen)).unwrap();
    });
    let late = block_on(world.admin.roll_key("owner", KeySlot::Secondary, ANY));
    assert_eq!(fault(late), "not found");
}

#[test]
fn keys_are_shown_by_no_debug_text() {
    let world = World::new();
    let owner = PolicyDraft {
        primary: Some(SecretBytes::new(b"0123456789abcdef".to_vec())),
        ..draft("owner", Rights::ALL)
    };
    let text = format!("{owner:?} {:?}", put(&world, owner.clone()));
    assert!(
        !text.contains("0123456789abcdef") && !text.contains("48, 49"),
        "{text}"
    );
}
