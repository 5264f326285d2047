//! Several entries in one request.

use dps_core::admin::{BulkItem, BulkMode, MAX_BULK_ITEMS};

use super::*;

fn item(id: &EntryId) -> BulkItem {
    BulkItem {
        id: id.clone(),
        draft: Some(unsaid(id)),
        version: None,
    }
}

fn bulk(admin: &Admin, mode: BulkMode, items: Vec<BulkItem>) -> Vec<(EntryId, &'static str)> {
    let failures = block_on(admin.bulk(mode, items, Timestamp(5))).unwrap();
    let told = failures.into_iter();
    told.map(|failure| (failure.id, word::<()>(&Err(failure.error))))
        .collect()
}

#[test]
fn one_that_is_there_already_keeps_the_others_from_nothing() {
    let admin = World::new().admin;
    let old = device("dev-001");
    create(&admin, &unsaid(&old)).unwrap();
    let (before, after) = (device("new-1"), device("new-2"));
    let items = [&before, &old, &after].map(item);
    let failed = bulk(&admin, BulkMode::Create, items.into());
    assert_eq!(failed, [(old, "exists")]);
    assert!(read(&admin, &before).is_some() && read(&admin, &after).is_some());
}

#[test]
fn each_mode_does_what_it_says_to_each_entry_by_itself() {
    let admin = World::new().admin;
    for ids in [["a", "b", "c"].map(device), ["a", "b", "c"].map(group_id)] {
        let [a, b, c] = &ids;
        let all = || ids.iter().map(item).collect::<Vec<_>>();
        assert_eq!(bulk(&admin, BulkMode::Update, all()).len(), 3);
        assert!(ids.iter().all(|id| read(&admin, id).is_none()));
        assert_eq!(bulk(&admin, BulkMode::Create, vec![item(a), item(b)]), []);
        let made = read(&admin, a).unwrap();
        let failed = bulk(&admin, BulkMode::Update, all());
        assert_eq!(failed, [(c.clone(), "not found")]);
        let now = read(&admin, a).unwrap();
        assert_ne!(now.version, made.version);
        assert_eq!(keys_of(&now.value), keys_of(&made.value));

        let mut items = all();
        items[0].version = Some(now.version);
        items[1].version = Some(made.version);
        let failed = bulk(&admin, BulkMode::UpdateIfMatch, items.clone());
        assert_eq!(failed, [(b.clone(), "changed"), (c.clone(), "invalid")]);
        items[2].version = Some(made.version);
        let failed = bulk(&admin, BulkMode::UpdateIfMatch, items);
        let words = failed.iter().map(|(_, word)| *word).collect::<Vec<_>>();
        assert_eq!(words, ["changed"; 3]);

        let mut items = all();
        // Only the id counts, and an entity tag is not asked after.
        items[0].draft = None;
        items[1].version = Some(made.version);
        let failed = bulk(&admin, BulkMode::Delete, items);
        assert_eq!(failed, [(c.clone(), "not found")]);
        assert!(ids.iter().all(|id| read(&admin, id).is_none()));
    }
}

#[test]
fn what_cannot_be_read_of_one_entry_is_its_own_failure() {
    let admin = World::new().admin;
    let (a, b) = (device("a"), device("b"));
    let mut items = [item(&a), item(&b)];
    items[0].draft = None;
    assert_eq!(
        bulk(&admin, BulkMode::Create, items.clone().into()),
        [(a.clone(), "invalid")]
    );
    items[0].draft = Some(unsaid(&device("c")));
    let failed = bulk(&admin, BulkMode::Create, items.into());
    assert_eq!(failed, [(a, "invalid"), (b, "exists")]);
    assert!(read(&admin, &device("c")).is_none());
}

#[test]
fn a_request_of_the_wrong_size_or_with_an_id_twice_changes_nothing() {
    let world = World::new();
    let commits = world.store.commits();
    let ids: Vec<_> = (0..11).map(|nth| device(&format!("press-{nth}"))).collect();
    let of = |ids: &[EntryId]| ids.iter().map(item).collect::<Vec<_>>();
    let twice = [device("press-1"), device("other"), device("PRESS-1")];
    for mode in [
        BulkMode::Create,
        BulkMode::Update,
        BulkMode::UpdateIfMatch,
        BulkMode::Delete,
    ] {
        for items in [Vec::new(), of(&ids), of(&twice)] {
            let refused = block_on(world.admin.bulk(mode, items, Timestamp(1)));
            assert!(matches!(refused, Err(AdminError::Invalid(_))), "{mode:?}");
        }
    }
    assert_eq!(world.store.commits(), commits);
    let most = of(&ids[..MAX_BULK_ITEMS]);
    assert_eq!(bulk(&world.admin, BulkMode::Create, most), []);
    // A device and a group may have the same name.
    let alike = [device("same"), group_id("same")];
    assert_eq!(bulk(&world.admin, BulkMode::Create, of(&alike)), []);
}

#[test]
fn modes_are_read_in_any_case_of_letters() {
    for (word, mode) in [
        ("create", Some(BulkMode::Create)),
        ("UPDATE", Some(BulkMode::Update)),
        ("updateIfMatchEtag", Some(BulkMode::UpdateIfMatch)),
        ("updateIfMatchETag", Some(BulkMode::UpdateIfMatch)),
        ("Delete", Some(BulkMode::Delete)),
        ("replace", None),
        ("", None),
    ] {
        assert_eq!(BulkMode::parse(word), mode, "{word}");
    }
}
