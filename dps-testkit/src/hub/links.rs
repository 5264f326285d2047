//! Duties of one call after another.

use dps_core::hub::{DeviceLink, TwinPlan};
use dps_core::twin::Twin;

use super::{Bench, twin};

/// Whatever plan it came with.
pub async fn a_device_that_was_linked_is_there_with_its_twin(bench: &Bench) {
    for (name, plan) in [
        ("new", TwinPlan::IfNew(twin("begin"))),
        ("carried", TwinPlan::Replace(twin("begin"))),
    ] {
        let linked = bench.put(&bench.one, &bench.link(name, plan)).await;
        assert!(linked.created, "nobody else made {name}");
        let found = bench.read(&bench.one, name).await.expect("it was linked");
        assert_eq!(found.twin, twin("begin"));
        assert!(found.enabled && !found.edge);
    }
}

/// After a crash nobody knows whether the first call arrived.
pub async fn a_repeated_link_changes_nothing(bench: &Bench) {
    for (name, plan) in [
        ("kept", TwinPlan::Keep),
        ("new", TwinPlan::IfNew(twin("begin"))),
        ("replaced", TwinPlan::Replace(twin("begin"))),
    ] {
        let link = bench.link(name, plan);
        bench.put(&bench.one, &link).await;
        let first = bench.read(&bench.one, name).await;
        for _ in 0..2 {
            bench.put(&bench.one, &link).await;
            assert_eq!(bench.read(&bench.one, name).await, first);
        }
    }
}

/// There is nothing to keep yet.
pub async fn a_kept_twin_of_a_new_device_is_empty(bench: &Bench) {
    let link = bench.link("keep", TwinPlan::Keep);
    bench.put(&bench.one, &link).await;
    let found = bench.read(&bench.one, "keep").await.expect("it was linked");
    assert_eq!(found.twin, Twin::default());
}

/// What operators and the device wrote since is theirs.
pub async fn a_twin_is_left_alone_by_keep_and_by_if_new_where_the_device_is_there(bench: &Bench) {
    let first = bench.link("twin", TwinPlan::IfNew(twin("first")));
    bench.put(&bench.one, &first).await;
    for plan in [TwinPlan::Keep, TwinPlan::IfNew(twin("second"))] {
        let linked = bench.put(&bench.one, &bench.link("twin", plan)).await;
        assert!(!linked.created, "it was there");
        let found = bench.read(&bench.one, "twin").await.expect("it was linked");
        assert_eq!(found.twin, twin("first"));
    }
}

/// All of it: what the new twin does not name is gone.
pub async fn a_twin_is_replaced_where_it_is_asked_for(bench: &Bench) {
    let first = bench.link("reset", TwinPlan::IfNew(twin("first")));
    bench.put(&bench.one, &first).await;
    for next in [twin("second"), Twin::default(), twin("third")] {
        let plan = TwinPlan::Replace(next.clone());
        bench.put(&bench.one, &bench.link("reset", plan)).await;
        let found = bench.read(&bench.one, "reset").await;
        assert_eq!(found.expect("it was linked").twin, next);
    }
}

/// Only the call that creates a device decides.
pub async fn a_device_that_is_there_keeps_whether_it_is_an_edge_device(bench: &Bench) {
    for edge in [true, false] {
        let name = format!("edge-{edge}");
        let created = DeviceLink {
            edge,
            ..bench.link(&name, TwinPlan::Keep)
        };
        bench.put(&bench.one, &created).await;
        let again = DeviceLink {
            edge: !edge,
            ..created
        };
        bench.put(&bench.one, &again).await;
        let found = bench.read(&bench.one, &name).await;
        assert_eq!(found.expect("it was linked").edge, edge);
    }
}

/// Registering again must not be a way around an operator.
pub async fn a_device_that_is_shut_out_stays_shut_out(bench: &Bench) {
    let out = DeviceLink {
        enabled: false,
        ..bench.link("out", TwinPlan::Keep)
    };
    bench.put(&bench.one, &out).await;
    for plan in [
        TwinPlan::Keep,
        TwinPlan::IfNew(twin("a")),
        TwinPlan::Replace(twin("b")),
    ] {
        let again = bench.link("out", plan);
        assert!(again.enabled);
        bench.put(&bench.one, &again).await;
        let found = bench.read(&bench.one, "out").await.expect("it was linked");
        assert!(!found.enabled, "after {:?}", again.twin);
    }
}

/// With nothing of what it had.
pub async fn an_unlinked_device_is_gone_and_may_come_back(bench: &Bench) {
    let link = bench.link("gone", TwinPlan::IfNew(twin("first")));
    bench.put(&bench.one, &link).await;
    bench.remove(&bench.one, "gone").await;
    assert!(bench.read(&bench.one, "gone").await.is_none());
    let back = bench.link("gone", TwinPlan::IfNew(twin("second")));
    assert!(bench.put(&bench.one, &back).await.created);
    let found = bench.read(&bench.one, "gone").await.expect("it was linked");
    assert_eq!(found.twin, twin("second"));
}

/// Also twice: the first answer may have been lost.
pub async fn unlinking_a_device_that_is_not_there_succeeds(bench: &Bench) {
    bench.remove(&bench.one, "nobody").await;
    bench
        .put(&bench.one, &bench.link("a", TwinPlan::Keep))
        .await;
    for _ in 0..2 {
        bench.remove(&bench.one, "a").await;
    }
}

/// No error: the device is simply not there.
pub async fn a_device_that_is_not_there_reads_as_none(bench: &Bench) {
    assert!(bench.read(&bench.one, "nobody").await.is_none());
}

/// The same name on two hubs, and two names that differ in case only.
pub async fn hubs_and_devices_are_apart(bench: &Bench) {
    for (hub, name, word) in [
        (&bench.one, "same", "1"),
        (&bench.other, "same", "2"),
        (&bench.one, "SAME", "3"),
    ] {
        let link = bench.link(name, TwinPlan::IfNew(twin(word)));
        assert!(bench.put(hub, &link).await.created);
    }
    bench.remove(&bench.one, "same").await;
    assert!(bench.read(&bench.one, "same").await.is_none());
    let found = bench.read(&bench.other, "same").await;
    assert_eq!(found.expect("it was linked").twin, twin("2"));
    let found = bench.read(&bench.one, "SAME").await;
    assert_eq!(found.expect("it was linked").twin, twin("3"));
}
