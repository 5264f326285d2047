//! Moving between stores.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use dps_core::api::{DeviceRequest, DeviceResponse};
use dps_core::id::IdScope;
use dps_core::store::{
    Key, Page, Scan, Shard, Store, StoreError, Table, Version, Versioned, Write,
};
use dps_core::transfer::{Progress, Transfer, TransferError};
use dps_store_memory::MemoryStore;
use dps_testkit::run::block_on;

use crate::common::*;

/// A store that fails at a commit, notes commits, and lets a test write between them.
#[derive(Debug, Default)]
struct Shaky {
    inner: MemoryStore,
    commits: AtomicUsize,
    fails_at: Option<usize>,
    epochs: Mutex<Vec<usize>>,
    largest_page: AtomicUsize,
    largest_commit: AtomicUsize,
}

impl Shaky {
    fn failing_at(nth: usize) -> Self {
        Self {
            fails_at: Some(nth),
            ..Self::default()
        }
    }
}

#[async_trait]
impl Store for Shaky {
    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Versioned>>, StoreError> {
        self.inner.get_many(keys).await
    }

    async fn commit(&self, shard: &Shard, writes: &[Write]) -> Result<Version, StoreError> {
        let nth = self.commits.fetch_add(1, Ordering::SeqCst) + 1;
        self.largest_commit
            .fetch_max(writes.len(), Ordering::SeqCst);
        if writes.iter().any(|write| &*write.id == "epoch") {
            self.epochs.lock().unwrap().push(nth);
        }
        if self.fails_at == Some(nth) {
            return Err(StoreError::Unavailable("the test says so".into()));
        }
        self.inner.commit(shard, writes).await
    }

    async fn scan(&self, scan: &Scan) -> Result<Page, StoreError> {
        self.largest_page
            .fetch_max(scan.limit as usize, Ordering::SeqCst);
        self.inner.scan(scan).await
    }
}

/// A tenant with `devices` that have registered.
fn tenant(store: Arc<dyn Store>, devices: usize) -> IdScope {
    let service = service(store);
    for n in 0..devices {
        register(&service, n);
    }
    service.scope()
}

fn run(transfer: Transfer<'_>, of: &IdScope) -> Result<Progress, TransferError> {
    block_on(transfer.run(of, &mut |_| {}))
}

fn hub_of(service: &dps_testkit::sim::Service, n: usize) -> String {
    let asked = ask(service, n, DeviceRequest::RegistrationStatus);
    let DeviceResponse::Registration(state) = asked.response else {
        panic!("a device that registered is known");
    };
    state.assignment.unwrap().place.hub.to_string()
}

#[test]
fn a_tenant_moves_from_plain_to_sealed_and_back_and_devices_notice_nothing() {
    let plain = Arc::new(MemoryStore::new());
    let of = tenant(plain.clone(), 200);
    let world = World::new();
    let mut told = Vec::new();
    let done = Transfer::new(&*plain, &*world.store);
    let done = block_on(done.run(&of, &mut |now| told.push(*now))).unwrap();
    let before = contents(&*plain, &of);
    assert_eq!(before, contents(&*world.store, &of));
    let bytes: usize = before.iter().map(|(_, _, value)| value.len()).sum();
    assert_eq!(
        (done.seen, done.missing),
        (before.len() as u64, before.len() as u64)
    );
    assert_eq!((done.bytes, done.differing()), (bytes as u64, done.missing));
    // It is told page by page, first of the copy and then of the check.
    assert!(told.len() > 10 && told.is_sorted_by_key(|now| (now.checking, now.seen)));
    assert_eq!(told.last().unwrap().same, done.seen);

    let (old, new) = (bare_service(plain), bare_service(world.store.clone()));
    for n in [0, 77, 199] {
        assert_eq!(hub_of(&old, n), hub_of(&new, n));
    }
    register(&new, 3);
    register(&new, 1000);

    let back = Shaky::default();
    run(Transfer::new(&*world.store, &back), &of).unwrap();
    assert_eq!(back.largest_page.load(Ordering::SeqCst), 64);
    assert_eq!(contents(&*world.store, &of), contents(&back, &of));
    // The epoch is the last thing that is written.
    assert_eq!(
        *back.epochs.lock().unwrap(),
        [back.commits.load(Ordering::SeqCst)]
    );
}

#[test]
fn other_scopes_are_left_alone() {
    let (from, to) = (MemoryStore::new(), MemoryStore::new());
    let other = IdScope::parse("other").unwrap();
    for of in [&scope(), &other] {
        write(&from, &key(&shard(of, 0), Table::Group, "g"), b"from");
    }
    write(&to, &key(&shard(&other, 0), Table::Group, "h"), b"to");
    run(Transfer::new(&from, &to), &scope()).unwrap();
    assert_eq!(contents(&to, &scope()).len(), 1);
    assert_eq!(&*contents(&to, &other)[0].1, "h");
}

#[test]
fn a_target_that_has_records_is_refused_unless_they_may_be_replaced() {
    let (from, to) = (Arc::new(MemoryStore::new()), MemoryStore::new());
    let of = tenant(from.clone(), 10);
    let surplus = key(&shard(&of, 0), Table::Group, "surplus");
    write(&to, &surplus, b"x");
    let refused = run(Transfer::new(&*from, &to), &of).unwrap_err();
    let shown = "the target has records of ";
    assert!(matches!(refused, TransferError::NotEmpty { .. }));
    assert!(refused.to_string().starts_with(shown) && refused.to_string().contains("surplus"));
    assert_eq!(contents(&to, &of).len(), 1);

    let replacing = Transfer::new(&*from, &to).replacing();
    let found = block_on(replacing.compare(&of, &mut |_| {})).unwrap();
    let count = contents(&*from, &of).len() as u64;
    assert_eq!((found.missing, found.surplus), (count, 1));
    assert_eq!(contents(&to, &of).len(), 1, "comparing writes nothing");
    assert_eq!(run(replacing, &of).unwrap(), found);
    assert_eq!(contents(&*from, &of), contents(&to, &of));
}

#[test]
fn a_second_run_writes_only_what_has_changed() {
    let from = Arc::new(MemoryStore::new());
    let of = tenant(from.clone(), 50);
    let to = Shaky::default();
    run(Transfer::new(&*from, &to), &of).unwrap();
    let commits = to.commits.load(Ordering::SeqCst);
    let again = run(Transfer::new(&*from, &to).replacing(), &of).unwrap();
    assert_eq!((again.same, again.differing()), (again.seen, 0));
    assert_eq!(
        to.commits.load(Ordering::SeqCst),
        commits,
        "nothing is written"
    );
    let before = all(&to, &of);

    let service = bare_service(from.clone());
    register(&service, 3);
    register(&service, 1000);
    let removed = dps_core::admin::Admin::new(from.clone() as Arc<dyn Store>, of.clone());
    block_on(removed.delete_registration(&device(4))).unwrap();
    let third = run(Transfer::new(&*from, &to).replacing(), &of).unwrap();
    assert!(
        third.different >= 1 && third.missing >= 2 && third.surplus >= 1,
        "{third:?}"
    );
    assert_eq!(contents(&*from, &of), contents(&to, &of));
    // Whoever serves from the target reads its configuration anew, although nothing in it differs.
    let epoch = |records: &[(Table, Arc<str>, Versioned)]| {
        let epoch = records.iter().find(|(_, id, _)| &**id == "epoch");
        epoch.unwrap().2.version
    };
    assert_ne!(epoch(&before), epoch(&all(&to, &of)));
}

#[test]
fn a_run_that_failed_at_any_commit_is_run_again() {
    let from = Arc::new(MemoryStore::new());
    let of = tenant(from.clone(), 30);
    let mut failures = 0;
    for nth in 1.. {
        let to = Shaky::failing_at(nth);
        match run(Transfer::new(&*from, &to), &of) {
            Ok(_) => break,
            Err(TransferError::Target(StoreError::Unavailable(_))) => failures += 1,
            Err(other) => panic!("{other:?}"),
        }
        // What there is by then is no tenant, whatever it is.
        let instance = contents(&to, &of).iter().any(|(_, id, _)| &**id == "epoch");
        assert!(!instance, "a part of a tenant is served");
        run(Transfer::new(&*from, &to).replacing(), &of).unwrap();
        assert_eq!(contents(&*from, &of), contents(&to, &of));
    }
    assert!(failures > 30, "{failures} failures");
}

#[test]
fn what_is_written_to_the_source_meanwhile_is_noticed() {
    let (from, to) = (MemoryStore::new(), MemoryStore::new());
    for n in 0..200 {
        let place = key(&shard(&scope(), 0), Table::Group, &format!("g{n:03}"));
        write(&from, &place, b"x");
    }
    let scope = scope();
    let behind = key(&shard(&scope, 0), Table::Group, "g000");
    let outcome = block_on(Transfer::new(&from, &to).run(&scope, &mut |now| {
        if !now.checking && now.seen > 64 {
            write(&from, &behind, b"new");
        }
    }));
    assert!(
        matches!(outcome, Err(TransferError::Differs { records: 1 })),
        "{outcome:?}"
    );
    let second = run(Transfer::new(&from, &to).replacing(), &scope).unwrap();
    assert_eq!((second.different, second.missing), (1, 0));
    assert_eq!(read(&to, &behind).value, "new");
}

#[test]
fn whoever_writes_to_the_target_meanwhile_loses_nothing() {
    let (from, to) = (MemoryStore::new(), MemoryStore::new());
    for n in 0..200 {
        let place = key(&shard(&scope(), 0), Table::Group, &format!("g{n:03}"));
        write(&from, &place, b"x");
    }
    let scope = scope();
    let ahead = key(&shard(&scope, 0), Table::Group, "g150");
    let outcome = block_on(Transfer::new(&from, &to).run(&scope, &mut |now| {
        if now.seen > 0 && !now.checking {
            write(&to, &ahead, b"somebody's");
        }
    }));
    let error = outcome.unwrap_err();
    assert!(
        matches!(&error, TransferError::TargetChanged { id, .. } if &**id == "g150"),
        "{error:?}"
    );
    assert_eq!(read(&to, &ahead).value, "somebody's");
    // Nor does one who writes to a record that is being replaced.
    let behind = key(&shard(&scope, 0), Table::Group, "g000");
    write(&to, &behind, b"old");
    let replacing = Transfer::new(&from, &to).replacing();
    let outcome = block_on(replacing.run(&scope, &mut |now| {
        if now.seen > 0 && !now.checking {
            write(&to, &behind, b"somebody's");
        }
    }));
    let error = outcome.unwrap_err();
    assert!(
        matches!(&error, TransferError::TargetChanged { .. }),
        "{error:?}"
    );
    assert_eq!(read(&to, &behind).value, "somebody's");
}

#[test]
fn a_record_that_is_none_of_the_service_is_named() {
    let (from, to) = (MemoryStore::new(), MemoryStore::new());
    write(
        &from,
        &key(&shard(&scope(), 1), Table::Member, "no slash"),
        b"x",
    );
    let error = run(Transfer::new(&from, &to), &scope()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Member record no slash is no record of the service"
    );
}

#[test]
fn many_and_large_records_are_written_in_bounded_commits() {
    let (from, to) = (MemoryStore::new(), Shaky::default());
    let large = vec![b'x'; 1 << 20];
    for n in 0..40 {
        write(
            &from,
            &key(&shard(&scope(), 0), Table::Certificate, &format!("c{n}")),
            &large,
        );
    }
    for n in 0..3000 {
        write(
            &from,
            &key(&shard(&scope(), 0), Table::Group, &format!("g{n}")),
            b"x",
        );
    }
    let done = run(Transfer::new(&from, &to), &scope()).unwrap();
    assert_eq!((done.seen, done.bytes), (3040, (40 << 20) + 3000));
    assert_eq!(contents(&from, &scope()), contents(&to, &scope()));
    assert_eq!(to.largest_commit.load(Ordering::SeqCst), 256);
    // Eight of the large ones at a time.
    assert_eq!(to.commits.load(Ordering::SeqCst), 5 + 12);
}

#[test]
fn a_key_that_is_missing_stops_the_copy_and_says_which() {
    let world = World::new();
    let place = key(&shard(&scope(), 0), Table::Group, "g");
    write(&*world.store, &place, b"x");
    drop(
        world
            .keys
            .lose(&dps_core::seal::KeyName::parse("fake-1").unwrap()),
    );
    let to = MemoryStore::new();
    let error = run(Transfer::new(&*world.store, &to), &scope()).unwrap_err();
    assert!(
        chain(&error).contains("the source cannot be read") && chain(&error).contains("fake-1")
    );
}
