//! What every [`HubLinker`] owes, one test a duty.
//!
//! ```
//! use std::sync::Arc;
//! use dps_core::hub::HubLinker;
//! use dps_testkit::hub::{self, Fixture};
//! use dps_testkit::hubs::FakeHubs;
//!
//! struct Fakes;
//!
//! #[async_trait::async_trait]
//! impl Fixture for Fakes {
//!     type Guard = ();
//!     async fn open(&self) -> ((), hub::Bench) {
//!         ((), hub::Bench::new(Arc::new(FakeHubs::new())))
//!     }
//! }
//!
//! hub::conformance!(Fakes);
//! ```

pub mod links;
pub mod races;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dps_core::hub::{DeviceAuth, DeviceLink, HubDevice, HubLinker, Linked, TwinPlan};
use dps_core::id::{DeviceId, OperationId, SecretBytes};
use dps_core::instance::LinkedHub;
use dps_core::twin::Twin;
use serde_json::{Value, json};

#[doc(inline)]
pub use crate::hub_conformance as conformance;
use crate::run::{Duty, block_on, duty_functions};
use crate::sim::hubs;

/// Opens linkers for the suite.
#[async_trait]
pub trait Fixture: Sync {
    /// What has to live as long as a linker. Its drop cleans up.
    type Guard: Send;

    /// A linker with two hubs that have none of the suite's devices (`suite-…`), and its guard.
    async fn open(&self) -> (Self::Guard, Bench);

    /// Runs a duty to its end. A linker that needs a runtime runs it inside one; it is called from
    /// several threads at once.
    fn drive(&self, duty: Duty<'_>) {
        block_on(duty);
    }
}

/// What the suite works on.
#[derive(Clone, Debug)]
pub struct Bench {
    /// Under test.
    pub linker: Arc<dyn HubLinker>,
    /// A hub it can reach.
    pub one: LinkedHub,
    /// Another.
    pub other: LinkedHub,
    /// How long a call may take.
    pub deadline: Duration,
}

impl Bench {
    /// A linker that takes hubs of any name, as fakes do, and ten seconds to a call.
    #[must_use]
    pub fn new(linker: Arc<dyn HubLinker>) -> Self {
        let [one, other] = hubs([("one", 1), ("other", 1)]);
        let deadline = Duration::from_secs(10);
        Self {
            linker,
            one,
            other,
            deadline,
        }
    }

    fn link(&self, name: &str, twin: TwinPlan) -> DeviceLink {
        DeviceLink {
            operation: OperationId::from_random([7; 24]),
            device: device(name),
            auth: DeviceAuth::Keys {
                primary: SecretBytes::from([1; 32]),
                secondary: SecretBytes::from([2; 32]),
            },
            edge: false,
            enabled: true,
            twin,
            deadline: self.deadline,
        }
    }

    async fn put(&self, hub: &LinkedHub, link: &DeviceLink) -> Linked {
        let linked = self.linker.link(hub, link).await;
        linked.expect("a link to a hub that works must succeed")
    }

    async fn remove(&self, hub: &LinkedHub, name: &str) {
        let gone = self.linker.unlink(hub, &device(name), self.deadline).await;
        gone.expect("an unlink from a hub that works must succeed");
    }

    async fn read(&self, hub: &LinkedHub, name: &str) -> Option<HubDevice> {
        let found = self.linker.read(hub, &device(name), self.deadline).await;
        found.expect("a read from a hub that works must succeed")
    }
}

/// Makes one `#[test]` of each duty of a hub linker. Takes an expression whose value is a
/// [`Fixture`](crate::hub::Fixture).
#[macro_export]
macro_rules! hub_conformance {
    ($fixture:expr) => {
        $crate::__hub_duties! { [$crate::__duty_tests] hub $fixture }
    };
}

/// The one list of duties.
#[doc(hidden)]
#[macro_export]
macro_rules! __hub_duties {
    ([$($then:tt)+] $($args:tt)*) => {
        $($then)+! { [$($args)*]
            alone {
                links:
                    a_device_that_was_linked_is_there_with_its_twin
                    a_repeated_link_changes_nothing
                    a_kept_twin_of_a_new_device_is_empty
                    a_twin_is_left_alone_by_keep_and_by_if_new_where_the_device_is_there
                    a_twin_is_replaced_where_it_is_asked_for
                    a_device_that_is_there_keeps_whether_it_is_an_edge_device
                    a_device_that_is_shut_out_stays_shut_out
                    an_unlinked_device_is_gone_and_may_come_back
                    unlinking_a_device_that_is_not_there_succeeds
                    a_device_that_is_not_there_reads_as_none
                    hubs_and_devices_are_apart;
            }
            together {
                races:
                    a_new_device_is_never_seen_without_its_twin
                    of_several_who_link_a_device_one_creates_it;
            }
        }
    };
}

crate::__hub_duties! { [duty_functions] alone }

fn alone<F: Fixture>(fixture: &F, duty: impl for<'a> FnOnce(&'a Bench) -> Duty<'a> + Send) {
    fixture.drive(Box::pin(async move {
        let (guard, bench) = fixture.open().await;
        duty(&bench).await;
        drop(bench);
        drop(guard);
    }));
}

fn device(name: &str) -> DeviceId {
    DeviceId::parse(&format!("suite-{name}")).expect("the suite's devices are well formed")
}

/// A twin in which every part says `word`.
fn twin(word: &str) -> Twin {
    let part = |name: &str| match json!({ name: word }) {
        Value::Object(members) => members,
        _ => serde_json::Map::new(),
    };
    Twin {
        tags: part("tag"),
        desired: part("desired"),
        reported: serde_json::Map::new(),
    }
}
