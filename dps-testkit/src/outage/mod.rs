//! Devices that register while what keeps their registrations is killed, cut off or replaced.
//!
//! A [`Town`] is the whole service on a store, with devices that register again and again and are sent from hub to
//! hub. A [`Journal`] is everything that is not the service: what the devices were told, and what the hubs have. It
//! outlives the process that writes it, so that another can compare it with what the store kept:
//!
//! * a device that was told a hub is there, unless it asked again and was on its way elsewhere;
//! * where the store says a device is, its hub has it;
//! * when those that were on their way have asked again, each device is on one hub, the one that it was told.
//!
//! What kills is up to the test.

mod journal;
mod town;

pub use self::journal::{Heard, Journal};
pub use self::town::Town;
