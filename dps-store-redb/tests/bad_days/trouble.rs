//! Trouble with the disk while a store is in use: a clear error, nothing lost, and on it goes when it has ended.

use std::fs::File;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::disk::{Disk, Faults, all, get, key, put, put_as, scope, shard, value};
use bytes::Bytes;
use dps_core::store::{
    Change, Expect, MAX_STORED_BYTES, Scan, Store, StoreError, Table, Version, Write,
};
use dps_store_redb::{BackupError, RedbStore};
use dps_testkit::run::block_on;

fn on(disk: &Disk) -> RedbStore {
    RedbStore::builder().open_backend(disk.clone()).unwrap()
}

fn small_cache(disk: &Disk) -> RedbStore {
    let builder = RedbStore::builder().with_cache_bytes(64 << 10);
    builder.open_backend(disk.clone()).unwrap()
}

fn is_unavailable<T>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Unavailable(_)))
}

fn faults(set: impl FnOnce(&mut Faults)) -> Faults {
    let mut faults = Faults::default();
    set(&mut faults);
    faults
}

/// Asks again until there is another answer: trouble ends with the first question after its cause has gone.
fn until_it_works<T>(mut ask: impl FnMut() -> Result<T, StoreError>) -> T {
    for _ in 0..1000 {
        match ask() {
            Ok(answer) => return answer,
            Err(StoreError::Unavailable(_)) => std::thread::yield_now(),
            Err(error) => panic!("{error:?}"),
        }
    }
    panic!("it does not come back");
}

#[test]
fn a_full_disk_refuses_commits_serves_reads_and_goes_on_when_there_is_room() {
    let disk = Disk::default();
    let store = on(&disk);
    put(&store, "before", b"1").unwrap();
    disk.set(faults(|faults| faults.full = true));
    for _ in 0..5 {
        assert!(is_unavailable(&put(&store, "before", b"2")));
        assert!(is_unavailable(&put(&store, "during", b"2")));
        assert_eq!(value(&store, "before"), b"1");
        assert!(get(&store, "during").unwrap().is_none());
        assert_eq!(all(&store).unwrap().len(), 1);
    }
    disk.heal();
    put(&store, "after", b"3").unwrap();
    assert_eq!(value(&store, "before"), b"1");
    assert_eq!(value(&store, "after"), b"3");
    drop(store);
    assert_eq!(all(&on(&disk)).unwrap().len(), 2);
}

#[test]
fn after_a_failed_sync_what_is_acknowledged_survives_a_power_failure() {
    let disk = Disk::default();
    let store = on(&disk);
    for n in 0..100 {
        put(&store, &format!("device-{n}"), &[1; 500]).unwrap();
    }
    for round in 0..10_u8 {
        disk.set(faults(|faults| faults.no_sync = true));
        for n in 0..20 {
            let value = [round; 700];
            assert!(is_unavailable(&put(&store, &format!("device-{n}"), &value)));
        }
        disk.heal();
        let last = format!("device-{}", 50 + round);
        until_it_works(|| put(&store, &last, &[round; 600]));
        // What anybody can see now has to be there for good.
        let seen = all(&store).unwrap();
        let later = on(&disk.after_power_failure());
        assert_eq!(all(&later).unwrap(), seen);
        assert_eq!(value(&later, &last), [round; 600]);
    }
}

#[test]
fn what_cannot_be_read_is_unavailable_until_it_can() {
    let disk = Disk::default();
    let store = on(&disk);
    for n in 0..2000 {
        put(&store, &format!("device-{n}"), &[1; 500]).unwrap();
    }
    drop(store);
    let store = small_cache(&disk);
    disk.set(faults(|faults| faults.no_read = true));
    assert!(is_unavailable(&all(&store)));
    assert!(is_unavailable(&all(&store)));
    assert!(is_unavailable(&put(&store, "device-1", b"2")));
    disk.heal();
    assert_eq!(until_it_works(|| all(&store)).len(), 2000);
    put(&store, "device-1", b"2").unwrap();
}

/// Polls once.
fn begin<F: Future + ?Sized>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn write(id: &str, expect: Expect, value: &[u8]) -> Write {
    Write {
        table: Table::Registration,
        id: id.into(),
        expect,
        change: Change::Put(Bytes::copy_from_slice(value)),
    }
}

#[test]
fn commits_that_wait_share_a_sync_and_see_each_other() {
    let disk = Disk::default();
    let store = on(&disk);
    disk.set(faults(|faults| faults.hold_syncs = true));
    std::thread::scope(|threads| {
        let first = threads.spawn(|| put(&store, "first", b"1").unwrap());
        disk.wait_for_sync();
        let before = disk.syncs();
        let create = |n: usize| {
            // Of each name two, and one more record that only the winner writes.
            let (name, own) = (format!("device-{}", n / 2), format!("own-{n}"));
            [
                write(&own, Expect::Any, b"mine"),
                write(&name, Expect::Absent, own.as_bytes()),
            ]
        };
        let writes: Vec<_> = (0..200).map(create).collect();
        let shard = shard();
        let mut all: Vec<_> = writes
            .iter()
            .map(|writes| store.commit(&shard, writes))
            .collect();
        for commit in &mut all {
            assert!(begin(commit.as_mut()).is_pending());
        }
        disk.heal();
        let answers: Vec<_> = all.into_iter().map(block_on).collect();
        first.join().unwrap();
        assert!(
            disk.syncs() <= before + 3,
            "{} syncs",
            disk.syncs() - before
        );
        for (n, answer) in answers.iter().enumerate() {
            let own = get(&store, &format!("own-{n}")).unwrap();
            match answer {
                Ok(version) => assert_eq!(own.unwrap().version, *version),
                Err(StoreError::Conflict { id, .. }) => {
                    assert_eq!(**id, *format!("device-{}", n / 2));
                    assert!(own.is_none());
                }
                Err(error) => panic!("{error:?}"),
            }
        }
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 100);
    });
}

#[test]
fn who_comes_when_the_queue_is_full_waits_for_room() {
    let disk = Disk::default();
    let store = on(&disk);
    disk.set(faults(|faults| faults.hold_syncs = true));
    std::thread::scope(|threads| {
        let first = threads.spawn(|| put(&store, "first", b"1").unwrap());
        disk.wait_for_sync();
        let value = vec![1; MAX_STORED_BYTES];
        let large = [write("large", Expect::Any, &value)];
        let unwanted = [write("unwanted", Expect::Any, &value)];
        let shard = shard();
        let mut waiting: Vec<_> = (0..70)
            .map(|n| store.commit(&shard, if n < 66 { &large } else { &unwanted }))
            .collect();
        for commit in &mut waiting {
            assert!(begin(commit.as_mut()).is_pending());
        }
        // Whoever gives up while there is no room was never there.
        waiting.truncate(66);
        // Reads have no queue.
        assert!(get(&store, "large").unwrap().is_none());
        disk.heal();
        let versions: Vec<Version> = waiting
            .into_iter()
            .map(|commit| block_on(commit).unwrap())
            .collect();
        first.join().unwrap();
        let last = get(&store, "large").unwrap().unwrap().version;
        assert_eq!(Some(&last), versions.last());
        assert!(get(&store, "unwanted").unwrap().is_none());
    });
}

#[test]
fn a_store_that_goes_writes_what_was_asked_for_before_it_is_gone() {
    let disk = Disk::default();
    let store = on(&disk);
    disk.set(faults(|faults| faults.hold_syncs = true));
    let shard = shard();
    for id in ["first", "second", "third"] {
        let write = [write(id, Expect::Any, b"1")];
        let mut commit = pin!(store.commit(&shard, &write));
        assert!(begin(commit.as_mut()).is_pending());
        disk.wait_for_sync();
        // Nobody waits for it any more.
    }
    let going = std::thread::spawn({
        let disk = disk.clone();
        move || {
            drop(store);
            disk.after_power_failure()
        }
    });
    for _ in 0..100 {
        assert!(!going.is_finished());
        std::thread::yield_now();
    }
    disk.heal();
    let store = on(&going.join().unwrap());
    assert_eq!(all(&store).unwrap().len(), 3);
}

#[test]
fn versions_never_repeat_after_a_restart_or_in_a_copy() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("a"), folder.path().join("b"));
    let mut seen = Vec::new();
    for round in 0..5 {
        let store = RedbStore::open(&path).unwrap();
        for _ in 0..3 {
            seen.push(put(&store, "device", b"1").unwrap());
            let write = Write {
                change: Change::Delete,
                ..write("device", Expect::Any, b"")
            };
            seen.push(block_on(store.commit(&shard(), &[write])).unwrap());
        }
        if round == 1 {
            store.backup(&copy).unwrap();
        }
    }
    let store = RedbStore::open(&copy).unwrap();
    seen.extend((0..5).map(|_| put(&store, "device", b"1").unwrap()));
    let count = seen.len();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), count);
}

#[test]
fn a_backup_is_one_moment_and_opens_as_a_store() {
    let folder = tempfile::tempdir().unwrap();
    let store = RedbStore::open(folder.path().join("store")).unwrap();
    // Two records that are always written together.
    let both = |n: u32| {
        let value = n.to_be_bytes().repeat(40);
        [
            write("a", Expect::Any, &value),
            write("z", Expect::Any, &value),
        ]
    };
    let version = block_on(store.commit(&shard(), &both(0))).unwrap();
    for n in 0..3000 {
        put(&store, &format!("device-{n}"), &[3; 200]).unwrap();
    }
    let kept = get(&store, "device-7").unwrap().unwrap().version;
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            let mut n = 1;
            while !done.load(std::sync::atomic::Ordering::SeqCst) {
                block_on(store.commit(&shard(), &both(n))).unwrap();
                n += 1;
            }
        });
        for round in 0..3 {
            let path = folder.path().join(format!("backup-{round}"));
            assert_eq!(store.backup(&path).unwrap(), 3002);
            let copy = RedbStore::open(&path).unwrap();
            assert_eq!(value(&copy, "a"), value(&copy, "z"));
            assert!(get(&copy, "a").unwrap().unwrap().version >= version);
            assert_eq!(get(&copy, "device-7").unwrap().unwrap().version, kept);
            put_as(&copy, "device-7", Expect::Exactly(kept), b"on it goes").unwrap();
            assert_eq!(all(&copy).unwrap().len(), 3002);
        }
        done.store(true, std::sync::atomic::Ordering::SeqCst);
    });
    let names = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(names, 4, "something was left behind");
}

#[test]
fn a_backup_overwrites_nothing_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let store = RedbStore::open(folder.path().join("store")).unwrap();
    put(&store, "one", b"1").unwrap();
    let taken = folder.path().join("taken");
    std::fs::write(&taken, b"mine").unwrap();
    assert!(matches!(store.backup(&taken), Err(BackupError::Exists)));
    assert_eq!(std::fs::read(&taken).unwrap(), b"mine");
    let itself = store.backup(folder.path().join("store"));
    assert!(matches!(itself, Err(BackupError::Exists)));
    let nowhere = store.backup(folder.path().join("not").join("there"));
    assert!(matches!(nowhere, Err(BackupError::Io(_))));
    // A place that is full at once.
    if File::open("/dev/full").is_ok() {
        assert!(store.backup("/dev/full/backup").is_err());
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn a_long_scan_gives_way() {
    let store = on(&Disk::default());
    for n in 0..250 {
        put(&store, &format!("device-{n}"), b"1").unwrap();
    }
    let scan = Scan {
        scope: scope(),
        table: Table::Registration,
        prefix: "".into(),
        after: None,
        limit: 1000,
    };
    let mut scan = pin!(store.scan(&scan));
    let mut turns = 1;
    let page = loop {
        match begin(scan.as_mut()) {
            Poll::Ready(page) => break page.unwrap(),
            Poll::Pending => turns += 1,
        }
    };
    assert_eq!(page.records.len(), 250);
    assert_eq!(turns, 3);
}

#[test]
fn reads_do_not_wait_for_a_commit() {
    let disk = Disk::default();
    let store = on(&disk);
    put(&store, "one", b"1").unwrap();
    disk.set(faults(|faults| faults.hold_syncs = true));
    std::thread::scope(|threads| {
        let second = threads.spawn(|| put(&store, "one", b"2").unwrap());
        disk.wait_for_sync();
        assert_eq!(value(&store, "one"), b"1");
        assert_eq!(all(&store).unwrap().len(), 1);
        disk.heal();
        second.join().unwrap();
    });
    assert_eq!(value(&store, "one"), b"2");
}

#[test]
fn it_works_in_a_runtime_of_one_thread_as_well() {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.build().unwrap();
    let store: Arc<dyn Store> = Arc::new(on(&Disk::default()));
    runtime.block_on(async {
        let tasks: Vec<_> = (0..100)
            .map(|n| {
                let store = Arc::clone(&store);
                tokio::spawn(async move {
                    let id = format!("device-{n}");
                    let write = [write(&id, Expect::Absent, b"1")];
                    store.commit(&shard(), &write).await.unwrap();
                    let found = store.get_many(&[key(&id)]).await.unwrap();
                    assert!(matches!(&found[..], [Some(_)]));
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
}
