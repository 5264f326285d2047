//! What implementors and integrators of the device provisioning service run on their own plug-ins.
//!
//! * [`store`]: what every store owes, one test a duty.
//! * [`hubs`]: hubs in memory, with a device registry, twins, and faults on demand.
//! * [`clock`]: a clock that is set by hand.
//! * [`run`]: drives futures without a runtime.
//! * [`certs`]: CAs, devices and servers with certificates.
//! * [`sas`]: tokens as the device SDKs make them.
//!
//! Nothing here needs an asynchronous runtime, and nothing here is for production: fakes forget
//! everything with the process, and trust whoever calls them.

pub mod certs;
pub mod clock;
pub mod hubs;
pub mod run;
pub mod store;
pub mod sas;
