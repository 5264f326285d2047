//! Dying at every effect.
//!
//! For each scenario the service is run with a process that dies at its first commit or call to a
//! hub, before and after that takes hold; then at the second; and so on, until it lives to the end.
//! Each time a new process goes on with the same store and hubs, the device asks again as devices do,
//! and in the end it must be on the one hub that it was told and that the store names.
//!
//! What is beneath the store can fail instead, at each of its own effects and in each of its own ways: a disk, a
//! connection. See [`Fragile`].
//!
//! Run it on your own store and hub linker:
//!
//! ```ignore
//! dps_testkit::crash_sweep!(|| dps_testkit::crash::Assembly {
//!     store: Arc::new(MyStore::new()),
//!     hubs: Arc::new(MyHubs::new()),
//! });
//! ```

mod beneath;
mod fuse;
mod scenario;
mod world;

use std::sync::Arc;

use dps_core::hub::HubLinker;
use dps_core::store::Store;

pub use self::beneath::{Beneath, Fragile};
pub use self::scenario::*;

/// What is swept: a fresh, empty store and hubs without devices.
#[derive(Clone, Debug)]
pub struct Assembly {
    /// Empty.
    pub store: Arc<dyn Store>,
    /// Hubs of any name exist; none has a device.
    pub hubs: Arc<dyn HubLinker>,
}

/// Makes what is swept. A closure that gives an [`Assembly`] does.
pub trait Make {
    /// A fresh one.
    fn make(&self) -> Assembly;

    /// What fails instead of the process, if it is not the process: see [`Fragile`].
    fn beneath(&self) -> Option<&dyn Beneath> {
        None
    }
}

impl<F: Fn() -> Assembly> Make for F {
    fn make(&self) -> Assembly {
        self()
    }
}

/// Makes one test of each scenario. Takes an expression that gives a closure making an [`Assembly`].
#[macro_export]
macro_rules! crash_sweep {
    ($make:expr) => {
        $crate::crash_sweep! { @beneath $make }
        $crate::crash_sweep! { @each $make; take_over_by_another_credential, race_of_three_workers }
    };
    (@beneath $make:expr) => {
        $crate::crash_sweep! { @each $make;
            first_assignment, stay, hub_key_of_a_tpm, move_and_reset, move_with_data, refusal_of_a_new_device,
            refusal_of_a_move, coming_back_to_the_hub_just_left, failure_after_the_hub_was_called,
            fickle_policy_at_first, fickle_policy_again
        }
    };
    (@each $make:expr; $($name:ident),+) => {
        $(
            #[test]
            fn $name() {
                if let Err(broken) = $crate::crash::$name(&$make) {
                    panic!("{broken}");
                }
            }
        )+
    };
}

/// As [`crash_sweep`](crate::crash_sweep), for what fails beneath a store. Takes an expression that gives a
/// [`Fragile`](crate::crash::Fragile).
#[macro_export]
macro_rules! fault_sweep {
    ($fragile:expr) => {
        $crate::crash_sweep! { @beneath $fragile }
    };
}
