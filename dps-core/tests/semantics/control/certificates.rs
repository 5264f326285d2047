//! Certificates of the instance, and the proof that the tenant holds their keys.

use dps_core::admin::{AdminError, CODE_LIFETIME, CaDraft, Precondition, Revision};
use dps_core::certificate::{Certificate, ProofError};
use dps_core::error::Reason;
use dps_core::instance::{HeldCertificate, Quotas};
use dps_core::registration::Status;
use dps_core::store::Version;
use dps_core::time::{Clock, Timestamp};
use dps_testkit::certs::{Ca, Identity, Profile};
use dps_testkit::run::block_on;

use super::{ANY, fault};
use crate::common::*;

fn draft(name: &str, ca: &Ca) -> CaDraft {
    CaDraft {
        name: name.into(),
        certificate: certificate(ca),
        verified: None,
    }
}

fn put(world: &World, draft: CaDraft) -> Revision<HeldCertificate> {
    block_on(world.admin.put_certificate(draft, ANY, world.clock.now())).unwrap()
}

/// The latest code of a certificate, and the version that it is good for.
fn code(world: &World, name: &str) -> (String, Version) {
    let made = block_on(world.admin.generate_code(name, ANY, world.clock.now())).unwrap();
    (made.value.code.to_string(), made.version)
}

fn proof(identity: &Identity) -> Certificate {
    Certificate::parse(identity.certificate_der()).unwrap()
}

/// Tries to verify `root` with a proof that was issued as `identity`.
fn verify(
    world: &World,
    identity: &Identity,
    precondition: Precondition,
) -> Result<Revision<HeldCertificate>, AdminError> {
    let (proof, now) = (proof(identity), world.clock.now());
    block_on(
        world
            .admin
            .verify_certificate("root", &proof, precondition, now),
    )
}

fn refusal(done: Result<Revision<HeldCertificate>, AdminError>) -> ProofError {
    match done.unwrap_err() {
        AdminError::Proof(error) => error,
        other => panic!("{other:?}"),
    }
}

fn is_verified(world: &World) -> bool {
    let found = block_on(world.admin.certificate("ROOT")).unwrap().unwrap();
    found.value.entry.verified
}

#[test]
fn a_certificate_is_verified_by_a_proof_that_names_the_code_and_devices_come_through_it() {
    let world = World::new();
    let root = Ca::root("Root");
    world.put(&group("presses", signing(&[&root])));
    let press = Device::with_identity("press-1", &root.device("press-1"));
    let began = world.clock.now();
    let first = put(&world, draft("root", &root));
    assert!(!first.value.entry.verified);
    assert_eq!(world.denied(&press).reason(), Reason::Unauthorized);

    world.clock.advance(HOUR);
    let (code, version) = code(&world, "Root");
    assert_eq!(code.len(), 64, "it just fits a common name");
    assert!(version != first.version);
    assert_eq!(world.denied(&press).reason(), Reason::Unauthorized);
    let done = verify(&world, &root.device(&code), Precondition::Version(version)).unwrap();
    assert!(done.value.entry.verified && done.version != version);
    assert_eq!(done.value.created, Some(began));
    assert_eq!(done.value.updated, Some(world.clock.now()));
    assert_eq!(world.register(&press).status(), Status::Assigned);

    block_on(
        world
            .admin
            .remove_certificate("rOOt", Precondition::Version(done.version)),
    )
    .unwrap();
    assert_eq!(world.denied(&press).reason(), Reason::Unauthorized);
    assert!(block_on(world.admin.certificates()).unwrap().is_empty());
}

#[test]
fn a_code_is_good_once() {
    let world = World::new();
    let root = Ca::root("Root");
    put(&world, draft("root", &root));
    let none = verify(&world, &root.device("0000"), ANY);
    assert_eq!(refusal(none), ProofError::NoCode);
    let (code, _) = code(&world, "root");
    let proof = root.device(&code);
    verify(&world, &proof, ANY).unwrap();
    assert_eq!(refusal(verify(&world, &proof, ANY)), ProofError::NoCode);
}

#[test]
fn an_older_code_is_void_as_soon_as_there_is_another() {
    let world = World::new();
    let root = Ca::root("Root");
    put(&world, draft("root", &root));
    let ((old, _), (new, _)) = (code(&world, "root"), code(&world, "root"));
    let late = verify(&world, &root.device(&old), ANY);
    assert_eq!(refusal(late), ProofError::OtherCode);
    assert!(!is_verified(&world));
    verify(&world, &root.device(&new), ANY).unwrap();
}

#[test]
fn a_code_is_good_for_a_day() {
    let world = World::new();
    let root = Ca::root("Root");
    put(&world, draft("root", &root));
    let (first, _) = code(&world, "root");
    world.clock.advance(CODE_LIFETIME);
    let late = verify(&world, &root.device(&first), ANY);
    assert_eq!(refusal(late), ProofError::Expired);
    let (second, _) = code(&world, "root");
    world
        .clock
        .advance(CODE_LIFETIME - std::time::Duration::from_millis(1));
    verify(&world, &root.device(&second), ANY).unwrap();
}

#[test]
fn the_code_of_another_certificate_or_in_other_letters_proves_nothing() {
    let world = World::new();
    let root = Ca::root("Root");
    put(&world, draft("root", &root));
    put(&world, draft("other", &root));
    let ((own, _), (foreign, _)) = (code(&world, "root"), code(&world, "other"));
    let lower = own.to_ascii_lowercase();
    for name in [&*foreign, &*lower, &own[..63], "root"] {
        let done = verify(&world, &root.device(name), ANY);
        assert_eq!(refusal(done), ProofError::OtherCode, "{name}");
    }
    assert!(!is_verified(&world));
    verify(&world, &root.device(&own), ANY).unwrap();
}

#[test]
fn a_proof_that_another_key_has_signed_proves_nothing() {
    let world = World::new();
    let root = Ca::root("Root");
    put(&world, draft("root", &root));
    let (code, _) = code(&world, "root");
    // One of the same name, one below it, and one that signs for itself.
    let below = root.intermediate("Below");
    for identity in [
        Ca::root("Root").device(&code),
        below.device(&code),
        Identity::self_signed(&code),
    ] {
        let done = verify(&world, &identity, ANY);
        assert_eq!(refusal(done), ProofError::OtherKey);
    }
    assert!(!is_verified(&world));
    verify(&world, &root.device(&code), ANY).unwrap();
}

#[test]
fn a_proof_out_of_its_time_proves_nothing() {
    let world = World::new();
    let root = Ca::root("Root");
    put(&world, draft("root", &root));
    let (code, _) = code(&world, "root");
    let now = world.clock.now();
    let past = Timestamp(now.0 - 10_000);
    let proof = |from, until| root.issue(&Profile::device(&code).with_validity(from, until));
    for (from, until) in [
        (Profile::NOT_BEFORE, past),
        (now.plus(HOUR), Profile::NOT_AFTER),
    ] {
        let done = verify(&world, &proof(from, until), ANY);
        assert_eq!(refusal(done), ProofError::OutsideValidity);
    }
    verify(&world, &proof(past, now), ANY).unwrap();
}

#[test]
fn an_intermediate_proves_itself_as_a_root_does() {
    let world = World::new();
    let factory = Ca::root("Root").intermediate("Factory");
    put(&world, draft("root", &factory));
    let (code, _) = code(&world, "root");
    verify(&world, &factory.device(&code), ANY).unwrap();
    assert!(is_verified(&world));
}

#[test]
fn a_proof_that_fails_writes_nothing() {
    let world = World::new();
    let root = Ca::root("Root");
    put(&world, draft("root", &root));
    let (_, version) = code(&world, "root");
    let commits = world.store.commits();
    refusal(verify(
        &world,
        &root.device("no"),
        Precondition::Version(version),
    ));
    assert_eq!(world.store.commits(), commits);
}

#[test]
fn a_certificate_that_is_written_anew_voids_its_code() {
    let world = World::new();
    let root = Ca::root("Root");
    put(&world, draft("root", &root));
    let (first, version) = code(&world, "root");
    put(&world, draft("root", &root));
    let proof = root.device(&first);
    let stale = verify(&world, &proof, Precondition::Version(version));
    assert_eq!(fault(stale), "changed");
    assert_eq!(refusal(verify(&world, &proof, ANY)), ProofError::NoCode);
    // So does a program that writes the whole instance.
    let (second, _) = code(&world, "root");
    let mut whole = block_on(world.admin.instance()).unwrap().unwrap().value;
    whole.hubs.clear();
    world.put_instance(&whole);
    let done = verify(&world, &root.device(&second), ANY);
    assert_eq!(refusal(done), ProofError::NoCode);
}

#[test]
fn whether_a_certificate_is_verified_stays_with_that_certificate() {
    let world = World::new();
    let (root, other) = (Ca::root("Root"), Ca::root("Root"));
    let said = |verified, ca: &Ca| CaDraft {
        verified,
        ..draft("root", ca)
    };
    for (draft, verified) in [
        (said(Some(true), &root), true),
        (said(None, &root), true),
        (said(None, &other), false),
        (said(Some(true), &other), true),
        (said(Some(false), &other), false),
        (said(None, &other), false),
    ] {
        let put = put(&world, draft);
        assert_eq!(put.value.entry.verified, verified);
        assert_eq!(is_verified(&world), verified);
    }
    // A new code takes nothing away.
    put(&world, said(Some(true), &root));
    code(&world, "root");
    assert!(is_verified(&world));
}

#[test]
fn every_change_of_a_certificate_changes_its_version_and_nothing_else_does() {
    let world = World::new();
    let root = Ca::root("Root");
    let now = || {
        let found = block_on(world.admin.certificate("root")).unwrap();
        found.unwrap().version
    };
    let mut seen = vec![put(&world, draft("root", &root)).version];
    assert_eq!(seen[0], now());
    let (named, version) = code(&world, "root");
    seen.push(version);
    assert_eq!(version, now());
    seen.push(verify(&world, &root.device(&named), ANY).unwrap().version);
    seen.push(put(&world, draft("root", &root)).version);
    let last = now();
    assert_eq!(seen.last(), Some(&last));
    put(&world, draft("another", &root));
    block_on(
        world
            .admin
            .set_policy(dps_core::allocate::Policy::Static, ANY),
    )
    .unwrap();
    assert_eq!(now(), last);
    for (nth, version) in seen.iter().enumerate() {
        assert!(!seen[..nth].contains(version));
    }
    let listed = block_on(world.admin.certificates()).unwrap();
    let names: Vec<_> = listed.iter().map(|c| &*c.value.entry.name).collect();
    assert_eq!(names, ["another", "root"]);
    assert_eq!(listed[1].version, last);
}

#[test]
fn what_makes_no_sense_of_a_certificate_is_refused() {
    let world = World::new();
    let root = Ca::root("Root");
    let put = |draft: CaDraft| block_on(world.admin.put_certificate(draft, ANY, world.clock.now()));
    let long = "x".repeat(257);
    for name in ["", " a", "a ", "a\n", "\u{e9}", &long] {
        assert_eq!(fault(put(draft(name, &root))), "invalid", "{name}");
    }
    put(draft(&long[1..], &root)).unwrap();
    put(draft("Root 2026/1", &root)).unwrap();
    let leaf = CaDraft {
        certificate: proof(&root.device("press-1")),
        ..draft("leaf", &root)
    };
    assert_eq!(fault(put(leaf)), "invalid");
}

#[test]
fn there_are_as_many_certificates_as_the_quota_says() {
    let world = World::new();
    let root = Ca::root("Root");
    let put = |name: &str| {
        let draft = draft(name, &root);
        block_on(world.admin.put_certificate(draft, ANY, world.clock.now()))
    };
    for nth in 0..25 {
        put(&format!("ca-{nth}")).unwrap();
    }
    assert_eq!(fault(put("one-more")), "full");
    put("CA-7").unwrap();
    let quotas = |certificates| Quotas {
        certificates,
        ..Quotas::default()
    };
    block_on(world.admin.set_quotas(quotas(0), ANY)).unwrap();
    put("one-more").unwrap();
    block_on(world.admin.set_quotas(quotas(1), ANY)).unwrap();
    put("one-more").unwrap();
    assert_eq!(fault(put("two-more")), "full");
}

#[test]
fn the_last_place_is_given_to_one_of_two() {
    let world = World::new();
    let root = Ca::root("Root");
    let quotas = Quotas {
        certificates: 1,
        ..Quotas::default()
    };
    block_on(world.admin.set_quotas(quotas, ANY)).unwrap();
    let (admin, now) = (world.admin.clone(), world.clock.now());
    let first = draft("first", &root);
    world.store.before_next_commit(move || {
        block_on(admin.put_certificate(first, Precondition::Absent, now)).unwrap();
    });
    let second = draft("second", &root);
    let late = block_on(
        world
            .admin
            .put_certificate(second, Precondition::Absent, now),
    );
    assert_eq!(fault(late), "full");
    let there = block_on(world.admin.certificates()).unwrap();
    assert_eq!(there.len(), 1);
}

#[test]
fn two_groups_do_not_come_to_have_one_certificate_by_its_name() {
    let world = World::new();
    let (root, factory) = (Ca::root("Root"), Ca::root("Factory"));
    put(&world, draft("ca-1", &root));
    world.put(&group("named", references(&["CA-1"])));
    world.put(&group("presses", signing(&[&factory])));
    let now = world.clock.now();
    let clash = block_on(
        world
            .admin
            .put_certificate(draft("ca-1", &factory), ANY, now),
    );
    assert_eq!(fault(clash), "duplicate");
    put(&world, draft("ca-2", &factory));
    // Nor if the other group comes at the same moment.
    let other = Ca::root("Other");
    let (admin, signed) = (world.admin.clone(), group("others", signing(&[&other])));
    world
        .store
        .before_next_commit(move || block_on(admin.put_group(&signed)).unwrap());
    let clash = block_on(world.admin.put_certificate(draft("ca-1", &other), ANY, now));
    assert_eq!(fault(clash), "duplicate");
    let kept = block_on(world.admin.certificate("ca-1")).unwrap().unwrap();
    assert_eq!(kept.value.entry.certificate, certificate(&root));
}

#[test]
fn of_two_who_write_one_certificate_exactly_one_wins() {
    let world = World::new();
    let (mine, theirs) = (Ca::root("Mine"), Ca::root("Theirs"));
    let (admin, now) = (world.admin.clone(), world.clock.now());
    let first = draft("ROOT", &theirs);
    world.store.before_next_commit(move || {
        block_on(admin.put_certificate(first, Precondition::Absent, now)).unwrap();
    });
    let absent = Precondition::Absent;
    let late = block_on(
        world
            .admin
            .put_certificate(draft("root", &mine), absent, now),
    );
    assert_eq!(fault(late), "exists");
    let there = block_on(world.admin.certificate("root")).unwrap().unwrap();
    assert_eq!(there.value.entry.certificate, certificate(&theirs));

    // One makes a code, and the other does not remove what it has not seen.
    let seen = Precondition::Version(there.version);
    let admin = world.admin.clone();
    world.store.before_next_commit(move || {
        block_on(admin.generate_code("root", seen, now)).unwrap();
    });
    let late = block_on(world.admin.remove_certificate("root", seen));
    assert_eq!(fault(late), "changed");
}

#[test]
fn of_two_who_verify_with_one_code_exactly_one_wins() {
    let world = World::new();
    let root = Ca::root("Root");
    put(&world, draft("root", &root));
    let (code, _) = code(&world, "root");
    let (admin, now) = (world.admin.clone(), world.clock.now());
    let identity = root.device(&code);
    let first = proof(&identity);
    world.store.before_next_commit(move || {
        block_on(admin.verify_certificate("root", &first, ANY, now)).unwrap();
    });
    let late = verify(&world, &identity, ANY);
    assert_eq!(refusal(late), ProofError::NoCode);
    assert!(is_verified(&world));
}

#[test]
fn a_code_does_not_come_too_late_for_a_certificate_that_was_replaced_meanwhile() {
    let world = World::new();
    let (mine, theirs) = (Ca::root("Root"), Ca::root("Root"));
    put(&world, draft("root", &mine));
    let (code, _) = code(&world, "root");
    let (admin, now) = (world.admin.clone(), world.clock.now());
    let other = draft("root", &theirs);
    world.store.before_next_commit(move || {
        block_on(admin.put_certificate(other, ANY, now)).unwrap();
    });
    let late = verify(&world, &mine.device(&code), ANY);
    assert_eq!(refusal(late), ProofError::NoCode);
    assert!(!is_verified(&world));
}

#[test]
fn what_is_not_there_is_not_found() {
    let world = World::new();
    let root = Ca::root("Root");
    let now = world.clock.now();
    assert!(block_on(world.admin.certificate("root")).unwrap().is_none());
    let done = block_on(world.admin.generate_code("root", ANY, now));
    assert_eq!(fault(done), "not found");
    assert_eq!(fault(verify(&world, &root.device("x"), ANY)), "not found");
    let done = block_on(world.admin.remove_certificate("root", ANY));
    assert_eq!(fault(done), "not found");
    let present = Precondition::Present;
    let done = block_on(
        world
            .admin
            .put_certificate(draft("root", &root), present, now),
    );
    assert_eq!(fault(done), "changed");
}

#[test]
fn a_code_is_shown_by_no_debug_text() {
    let world = World::new();
    put(&world, draft("root", &Ca::root("Root")));
    let made = block_on(world.admin.generate_code("root", ANY, world.clock.now())).unwrap();
    assert_eq!(made.value.expires, world.clock.now().plus(CODE_LIFETIME));
    let text = format!("{made:?}");
    assert!(!text.contains(&*made.value.code), "{text}");
}
