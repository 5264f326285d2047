//! Cleaning the places that devices have left.

use std::time::Duration;

use dps_core::api::DeviceRequest;
use dps_core::registration::Status;
use dps_testkit::hubs::Fault;
use dps_testkit::run::block_on;

use crate::common::*;

const LEASE: Duration = dps_core::api::Work::LEASE;

fn press() -> Device {
    Device::with_key("press-1", &key(1))
}

fn world() -> World {
    let world = World::new();
    world.put(&individual("press-1", keys(1, 2)).to(&[A]));
    world
}

fn after(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_record_that_cannot_be_read_does_not_keep_a_sweep_from_the_others() {
    use dps_core::store::{Change, Expect, Shard, Store, Table, Write};
    let world = world();
    let shard = Shard {
        scope: scope(SCOPE),
        slot: 1,
    };
    let garbage = Write {
        table: Table::Leaving,
        id: "aaa/a.hub.example/aaa".into(),
        expect: Expect::Any,
        change: Change::Put(bytes::Bytes::from_static(b"{")),
    };
    block_on(world.store.commit(&shard, &[garbage])).unwrap();
    world.hubs.fail_next(1, &Fault::Lost);
    world.register(&press());
    world.forget("press-1");
    world.clock.advance(HOUR);
    let swept = world.sweep();
    assert_eq!((swept.cleaned, swept.unreadable), (1, 1));
    assert!(world.everything().is_empty());
}

#[test]
fn a_sweep_takes_pages_and_leaves_a_hub_alone_that_refuses() {
    let world = World::new();
    world.put(&group("presses", keys(1, 1)).to(&[A]));
    let many: Vec<_> = (0..5)
        .map(|nth| Device::derived(&format!("press-{nth}"), &key(1)))
        .collect();
    world.hubs.fail_at(&hub(A), Fault::Lost);
    for device in &many {
        world.register(device);
        world.forget(&device.id);
    }
    world.clock.advance(HOUR);
    let page = |after| block_on(world.service.sweep(&scope(SCOPE), after, 2)).unwrap();
    let first = page(None);
    assert_eq!((first.cleaned, first.waiting), (0, 2));
    world.hubs.mend(&hub(A));
    let second = page(first.next);
    let third = page(second.next);
    assert_eq!((second.cleaned, third.cleaned, third.next), (2, 1, None));
    assert_eq!(world.sweep().waiting, 2, "they are left alone for a while");
    world.clock.advance(HOUR);
    assert_eq!(world.sweep().cleaned, 2);
    assert!(world.everything().is_empty());
}

#[test]
fn a_device_that_comes_back_is_not_cleaned_away_by_a_late_worker() {
    let world = world();
    world.register(&press());
    world.put(&individual("press-1", keys(1, 2)).to(&[B]));
    let moved = world.only_register(&press());
    let operation = operation_of(&moved.response);
    // The work stops when the device is at b and not yet cleaned at a.
    let cleaning = block_on(moved.work.unwrap());
    assert_eq!(status_of(&cleaning.response), Status::Assigned);
    drop(cleaning);
    world.clock.advance(LEASE + after(1));
    // A poll takes the cleaning up, and hangs at hub a.
    let request = DeviceRequest::OperationStatus { operation };
    let late = world.ask(&press(), request).work.unwrap();
    let late = block_on(late).work.unwrap();
    let mut late = Box::pin(late);
    let hold = world.hubs.hold();
    assert!(poll_once(&mut late).is_none());
    // Meanwhile the device is sent back to a, and somebody does that work.
    world.put(&individual("press-1", keys(1, 2)).to(&[A]));
    let back = world.only_register(&press());
    let back_operation = operation_of(&back.response);
    let mut back_work = back.work.map(Box::pin);
    if let Some(work) = &mut back_work {
        assert!(poll_once(work).is_none());
    }
    drop(hold);
    if let Some(work) = back_work {
        finish(block_on(work));
    }
    block_on(late);
    world.clock.advance(LEASE + after(5));
    let told = world.poll(&press(), &back_operation);
    assert_eq!((told.status(), told.hub().as_str()), (Status::Assigned, A));
    world.clock.advance(HOUR);
    world.sweep();
    assert_eq!(world.hubs_of("press-1"), [A]);
}

#[test]
fn a_device_that_comes_back_is_not_cleaned_away_by_a_sweep_under_way() {
    let world = world();
    world.register(&press());
    world.put(&individual("press-1", keys(1, 2)).to(&[B]));
    let moved = world.only_register(&press());
    drop(block_on(moved.work.unwrap()));
    world.clock.advance(HOUR);
    // The sweep hangs at hub a; meanwhile the device is sent back there.
    let hold = world.hubs.hold();
    let own = scope(SCOPE);
    let mut sweep = Box::pin(world.service.sweep(&own, None, 100));
    assert!(poll_once(&mut sweep).is_none());
    world.put(&individual("press-1", keys(1, 2)).to(&[A]));
    let back = world.only_register(&press());
    let operation = operation_of(&back.response);
    let mut work = back.work.map(Box::pin);
    if let Some(work) = &mut work {
        assert!(poll_once(work).is_none());
    }
    drop(hold);
    if let Some(work) = work {
        finish(block_on(work));
    }
    let _ = block_on(sweep);
    world.clock.advance(LEASE + after(5));
    let told = world.poll(&press(), &operation);
    assert_eq!((told.status(), told.hub().as_str()), (Status::Assigned, A));
    world.clock.advance(HOUR);
    world.sweep();
    assert_eq!(world.hubs_of("press-1"), [A]);
}

#[test]
fn a_place_that_was_given_up_is_left_alone_while_a_call_may_be_on_its_way() {
    let world = world();
    let reason = "the hub is full".to_owned();
    let code = 413_002;
    world.hubs.fail_next(1, &Fault::Refused { code, reason });
    assert_eq!(world.register(&press()).status(), Status::Failed);
    let swept = world.sweep();
    assert_eq!((swept.cleaned, swept.waiting), (0, 1));
    // A device that comes back to it waits as long.
    let back = world.register(&press());
    assert_eq!(back.status(), Status::Assigning);
    world.clock.advance(dps_core::CALL_DEADLINE);
    let told = world.poll(&press(), &back.operation());
    assert_eq!(told.status(), Status::Assigned);
    let swept = world.sweep();
    assert_eq!(
        (swept.cleaned, swept.waiting),
        (0, 0),
        "it is no place to clean"
    );
}
