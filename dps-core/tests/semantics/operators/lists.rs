//! Lists, page by page.

use std::sync::Arc;

use dps_core::admin::Precondition::{Any, Present};
use dps_core::admin::query::{Listing, MAX_PAGE, Page, Position, Query};
use dps_core::registration::Registration;
use dps_core::store::Store;

use super::*;

fn query(listing: &Listing, text: &str) -> Query {
    Query::parse(listing.clone(), text).unwrap()
}

fn page(admin: &Admin, query: &Query, token: Option<&str>, limit: u32) -> Page<Enrollment> {
    let from = token.map(|token| Position::parse(query.listing(), token).unwrap());
    block_on(admin.entries(query, from.as_ref(), limit)).unwrap()
}

fn ids(page: &Page<Enrollment>) -> Vec<String> {
    let items = page.items.iter();
    items
        .map(|item| match &item.value.subject {
            Subject::Individual { registration, .. } => registration.to_string(),
            Subject::Group { id } => id.to_string(),
        })
        .collect()
}

/// What a page of registrations names.
fn devices(page: &Page<Registration>) -> Vec<String> {
    let items = page.items.iter();
    items.map(|item| item.value.id.to_string()).collect()
}

/// All pages, one after the other.
fn entries(admin: &Admin, query: &Query, limit: u32) -> Vec<String> {
    let (mut all, mut from) = (Vec::new(), None);
    loop {
        let page = block_on(admin.entries(query, from.as_ref(), limit)).unwrap();
        assert!(page.items.len() <= limit as usize);
        all.extend(ids(&page));
        match page.next {
            Some(next) => from = Some(next),
            None => return all,
        }
    }
}

fn registrations(admin: &Admin, query: &Query, limit: u32) -> Vec<String> {
    let (mut all, mut from) = (Vec::new(), None);
    loop {
        let page = block_on(admin.registrations(query, from.as_ref(), limit)).unwrap();
        all.extend(devices(&page));
        match page.next {
            Some(next) => from = Some(next),
            None => return all,
        }
    }
}

fn of(group: &str) -> Listing {
    Listing::RegistrationsOf(GroupId::parse(group).unwrap())
}

#[test]
fn pages_follow_each_other_as_in_the_worked_example() {
    let admin = World::new().admin;
    let all = query(&Listing::Enrollments, "select * from enrollments");
    assert!(page(&admin, &all, None, 2).next.is_none());
    for name in ["press-2", "Press-1", "press-3"] {
        create(&admin, &unsaid(&device(name))).unwrap();
    }
    let first = page(&admin, &all, None, 2);
    assert_eq!(ids(&first), ["Press-1", "press-2"]);
    let token = first.next.unwrap().to_string();
    let second = page(&admin, &all, Some(&token), 2);
    assert_eq!(ids(&second), ["press-3"]);
    assert!(second.next.is_none());
    for limit in 1..6 {
        assert_eq!(entries(&admin, &all, limit).len(), 3);
    }
    // A page that is just full is the last one.
    assert!(page(&admin, &all, None, 3).next.is_none());
    let there = read(&admin, &device("press-1")).unwrap();
    assert_eq!(first.items[0].version, there.version);
}

#[test]
fn groups_are_a_list_of_their_own() {
    let admin = World::new().admin;
    for id in [device("a"), group_id("b"), group_id("c"), device("d")] {
        create(&admin, &unsaid(&id)).unwrap();
    }
    assert_eq!(
        entries(&admin, &Query::all(Listing::Enrollments), 1),
        ["a", "d"]
    );
    assert_eq!(entries(&admin, &Query::all(Listing::Groups), 1), ["b", "c"]);
}

#[test]
fn a_position_outlives_its_record_the_process_and_all_changes() {
    let world = World::new();
    for nth in 0..20 {
        create(&world.admin, &unsaid(&device(&format!("d-{nth:02}")))).unwrap();
    }
    let all = Query::all(Listing::Enrollments);
    let first = page(&world.admin, &all, None, 5);
    assert_eq!(ids(&first).last().unwrap(), "d-04");
    let token = first.next.unwrap().to_string();
    for gone in ["d-04", "d-05", "d-02"] {
        remove(&world.admin, &device(gone), Any).unwrap();
    }
    for new in ["d-03a", "d-04a", "d-07a"] {
        create(&world.admin, &unsaid(&device(new))).unwrap();
    }
    write(&world.admin, &unsaid(&device("d-06")), Present, 9).unwrap();
    let again = Admin::new(Arc::clone(&world.store) as Arc<dyn Store>, scope(SCOPE));
    let second = page(&again, &all, Some(&token), 5);
    assert_eq!(ids(&second), ["d-04a", "d-06", "d-07", "d-07a", "d-08"]);
}

#[test]
fn a_position_of_another_list_is_refused() {
    let admin = World::new().admin;
    for name in ["a", "b"] {
        create(&admin, &unsaid(&device(name))).unwrap();
        create(&admin, &unsaid(&group_id(name))).unwrap();
    }
    let next = page(&admin, &Query::all(Listing::Groups), None, 1).next;
    let refused = block_on(admin.entries(&Query::all(Listing::Enrollments), next.as_ref(), 1));
    assert!(matches!(refused, Err(AdminError::BadContinuation)));
    let refused = block_on(admin.registrations(&Query::all(of("a")), next.as_ref(), 1));
    assert!(matches!(refused, Err(AdminError::BadContinuation)));
    let token = next.unwrap().to_string();
    assert!(Position::parse(&Listing::Enrollments, &token).is_err());
}

#[test]
fn a_position_of_another_tenant_leads_to_ones_own_records() {
    let world = World::new();
    let second = Admin::new(
        Arc::clone(&world.store) as Arc<dyn Store>,
        scope("0ne00FEDCBA"),
    );
    for name in ["a", "b", "c"] {
        create(&world.admin, &unsaid(&device(name))).unwrap();
    }
    create(&second, &unsaid(&device("b-mine"))).unwrap();
    let all = Query::all(Listing::Enrollments);
    let token = page(&world.admin, &all, None, 1).next.unwrap().to_string();
    assert_eq!(ids(&page(&second, &all, Some(&token), 9)), ["b-mine"]);
}

#[test]
fn a_page_has_at_least_one_record_and_at_most_a_thousand() {
    let world = World::new();
    for nth in 0..1_050 {
        world.put(&individual(&format!("d-{nth}"), keys(1, 1)));
    }
    let all = Query::all(Listing::Enrollments);
    let none = block_on(world.admin.entries(&all, None, 0));
    assert!(matches!(none, Err(AdminError::Invalid(_))));
    for limit in [MAX_PAGE, MAX_PAGE + 1, u32::MAX] {
        let page = page(&world.admin, &all, None, limit);
        assert_eq!(page.items.len(), 1_000);
        assert!(page.next.is_some());
    }
    assert_eq!(entries(&world.admin, &all, 999).len(), 1_050);
}

#[test]
fn a_page_of_large_records_is_short() {
    let world = World::new();
    for nth in 0..30 {
        let mut entry = individual(&format!("d-{nth:02}"), keys(1, 1));
        let tags = &mut entry.initial_twin.tags;
        tags.insert("large".to_owned(), "x".repeat(500_000).into());
        world.put(&entry);
    }
    let all = Query::all(Listing::Enrollments);
    let first = page(&world.admin, &all, None, 100);
    assert!((5..15).contains(&first.items.len()) && first.next.is_some());
    assert_eq!(entries(&world.admin, &all, 100).len(), 30);
}

#[test]
fn a_list_of_one_kind_is_not_asked_for_as_another() {
    let admin = World::new().admin;
    for listing in [Listing::Registrations, of("presses")] {
        let refused = block_on(admin.entries(&Query::all(listing), None, 1));
        assert!(matches!(refused, Err(AdminError::Invalid(_))));
    }
    for listing in [Listing::Enrollments, Listing::Groups] {
        let refused = block_on(admin.registrations(&Query::all(listing), None, 1));
        assert!(matches!(refused, Err(AdminError::Invalid(_))));
    }
}

#[test]
fn enrollments_are_found_by_each_of_their_fields() {
    let admin = World::new().admin;
    let mut one = unsaid(&device("Press-1"));
    one.hubs = vec![hub(A), hub("B.hub.example")];
    one.enabled = false;
    if let Subject::Individual { device, .. } = &mut one.subject {
        *device = Some(dps_core::id::DeviceId::parse("Left's").unwrap());
    }
    let mut two = unsaid(&device("press-2"));
    two.policy = Some(dps_core::allocate::Policy::GeoLatency);
    let leaf = Ca::root("Root").device("drill-1");
    let leaf = dps_core::certificate::Certificate::parse(leaf.certificate_der()).unwrap();
    let slots = Slots {
        primary: Some(CertificateDraft::Given(leaf)),
        secondary: None,
    };
    let three = draft(&device("drill-1"), AttestationDraft::Leaf(slots));
    let day = 86_400_000;
    for (draft, day_of_1970) in [(&one, 1), (&two, 2), (&three, 3)] {
        write(&admin, draft, Any, day * day_of_1970).unwrap();
    }
    write(&admin, &one, Any, day * 9).unwrap();
    for (text, found) in [
        ("registrationId = 'PRESS-1'", &["Press-1"][..]),
        ("registrationId != 'press-1'", &["drill-1", "press-2"]),
        ("registrationId > 'drill-1'", &["Press-1", "press-2"]),
        ("registrationId <= 'press-1'", &["drill-1", "Press-1"]),
        (
            "STARTSWITH(registrationId, 'Press')",
            &["Press-1", "press-2"],
        ),
        ("registrationId IN ('a', 'PRESS-2')", &["press-2"]),
        (
            "registrationId NOT IN ('a', 'PRESS-2')",
            &["drill-1", "Press-1"],
        ),
        (r"deviceId = 'Left\'s'", &["Press-1"]),
        (r#"deviceId = "left's""#, &[]),
        ("deviceId != 'x'", &["drill-1", "Press-1", "press-2"]),
        ("provisioningStatus = 'DISABLED'", &["Press-1"]),
        ("provisioningStatus != 'disabled'", &["drill-1", "press-2"]),
        ("iotHubs = 'b.HUB.example'", &["Press-1"]),
        ("iotHubs IN ('x', 'a.hub.example')", &["Press-1"]),
        ("iotHubs != 'a.hub.example'", &["drill-1", "press-2"]),
        ("startswith(iotHubs, 'b.')", &["Press-1"]),
        ("allocationPolicy = 'geolatency'", &["press-2"]),
        ("attestation.type = 'x509'", &["drill-1"]),
        ("NOT attestation.type = 'x509'", &["Press-1", "press-2"]),
        ("createdDateTimeUtc < '1970-01-03'", &["Press-1"]),
        ("createdDateTimeUtc = '1970-01-04T00:00:00Z'", &["drill-1"]),
        ("lastUpdatedDateTimeUtc > '1970-01-05'", &["Press-1"]),
        (
            "attestation.type='x509' OR iotHubs='a.hub.example' AND provisioningStatus='enabled'",
            &["drill-1"],
        ),
        (
            "(attestation.type='x509' OR iotHubs='a.hub.example') AND provisioningStatus='disabled'",
            &["Press-1"],
        ),
    ] {
        let query = query(&Listing::Enrollments, &format!("SELECT * WHERE {text}"));
        for limit in [1, 2, 100] {
            assert_eq!(entries(&admin, &query, limit), found, "{text}");
        }
    }
}

#[test]
fn what_is_not_understood_of_a_query_is_told_with_each_page() {
    let admin = World::new().admin;
    for name in ["a", "b"] {
        create(&admin, &unsaid(&device(name))).unwrap();
    }
    let vague = query(&Listing::Enrollments, "give me everything");
    let first = page(&admin, &vague, None, 1);
    assert!(first.warning.is_some());
    let token = first.next.unwrap().to_string();
    assert!(page(&admin, &vague, Some(&token), 1).warning.is_some());
    let clear = query(&Listing::Enrollments, "SELECT * FROM enrollments");
    assert!(page(&admin, &clear, None, 1).warning.is_none());
}

#[test]
fn a_filter_looks_at_ten_thousand_records_for_a_page() {
    let world = World::new();
    for nth in 0..10_150 {
        world.put(&individual(&format!("d-{nth:05}"), keys(1, 1)));
    }
    let rare = query(
        &Listing::Enrollments,
        "SELECT * WHERE registrationId IN ('d-00003', 'd-10120')",
    );
    let first = page(&world.admin, &rare, None, 10);
    assert_eq!(ids(&first), ["d-00003"]);
    let token = first.next.unwrap().to_string();
    let second = page(&world.admin, &rare, Some(&token), 10);
    assert_eq!(ids(&second), ["d-10120"]);
    assert!(second.next.is_none());
    let never = query(&Listing::Enrollments, "SELECT * WHERE iotHubs = 'x'");
    let first = page(&world.admin, &never, None, 10);
    assert!(first.items.is_empty() && first.next.is_some());
}

#[test]
fn registrations_are_listed_by_their_group_and_all_together() {
    let world = World::new();
    world.put(&group("presses", keys(1, 1)).to(&[A]));
    world.put(&group("press", keys(2, 2)).to(&[B]));
    world.put(&individual("single", keys(3, 3)).to(&[C]));
    for name in ["press-2", "press-1", "press-3"] {
        world.register(&Device::derived(name, &key(1))).hub();
    }
    world.register(&Device::derived("s-1", &key(2))).hub();
    world.register(&Device::with_key("single", &key(3))).hub();
    let admin = &world.admin;
    let list = |listing: &Listing, filter: &str| {
        let query = query(listing, &format!("SELECT *{filter}"));
        let found = registrations(admin, &query, 100);
        for limit in 1..4 {
            assert_eq!(registrations(admin, &query, limit), found);
        }
        found
    };
    let presses = ["press-1", "press-2", "press-3"];
    assert_eq!(list(&of("presses"), ""), presses);
    assert_eq!(list(&of("PRESSES"), ""), presses);
    assert_eq!(list(&of("press"), ""), ["s-1"]);
    assert_eq!(list(&of("nobody"), ""), [""; 0]);
    let everybody = ["press-1", "press-2", "press-3", "s-1", "single"];
    assert_eq!(list(&Listing::Registrations, ""), everybody);
    for (filter, found) in [
        ("registrationId = 'PRESS-2'", &["press-2"][..]),
        ("enrollmentGroupId = 'Presses'", &presses),
        ("NOT STARTSWITH(enrollmentGroupId, 'press')", &["single"]),
        ("assignedHub = 'B.hub.example'", &["s-1"]),
        ("deviceId = 'single'", &["single"]),
        ("status = 'assigned'", &everybody),
        ("status != 'assigned'", &[]),
        ("status = 'unassigned'", &[]),
        ("createdDateTimeUtc > '1970-01-01'", &everybody),
    ] {
        let filter = format!(" WHERE {filter}");
        assert_eq!(list(&Listing::Registrations, &filter), found, "{filter}");
    }
    assert_eq!(
        list(&of("presses"), " WHERE registrationId > 'press-1'").len(),
        2
    );

    // A device that comes through another entry is listed there.
    world.put(&individual("press-1", keys(9, 9)));
    world.register(&Device::with_key("press-1", &key(9))).hub();
    assert_eq!(list(&of("presses"), ""), ["press-2", "press-3"]);
    world.put(&individual("press-1", keys(9, 9)).disabled());
    world.register(&Device::with_key("press-1", &key(9)));
    assert_eq!(
        list(&Listing::Registrations, " WHERE status = 'disabled'"),
        ["press-1"]
    );
    assert_eq!(
        list(&Listing::Registrations, " WHERE deviceId = 'press-1'"),
        [""; 0],
        "where it is is told when it is assigned"
    );
    // The list of a group outlives it.
    block_on(admin.delete_group(&GroupId::parse("presses").unwrap())).unwrap();
    assert_eq!(list(&of("presses"), ""), ["press-2", "press-3"]);
}
