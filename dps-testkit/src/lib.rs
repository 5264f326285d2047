//! What implementors and integrators of the device provisioning service run on their own plug-ins.
//!
//! * [`store`], [`hub`], [`hook`], [`keys`]: what every store, hub linker, allocation policy and key provider owes,
//!   one test a duty. Each has a macro `conformance!`, and a `Fixture` that opens what is tested.
//! * [`durability`]: what a store owes that outlives its process.
//! * [`sim`]: simulates where a policy puts a fleet of devices; runs the whole service around one.
//! * [`hubs`]: hubs in memory, with a device registry, twins, and faults on demand.
//! * [`scripted`]: a device API with canned replies, for tests of transports.
//! * [`crash`]: dies at every effect of an assembly, and looks where the device is.
//! * [`outage`]: devices that register while the store behind the service is killed.
//! * [`clock`]: a clock that is set by hand.
//! * [`run`]: drives futures without a runtime.
//! * [`certs`]: CAs, devices and servers with certificates.
//! * [`sas`]: tokens as the device SDKs make them.
//! * `postgres`: PostgreSQL servers in temporary directories; not on Windows.
//! * [`tpm`]: a TPM in software, for devices that prove themselves with one.
//!
//! Nothing here needs an asynchronous runtime, and nothing here is for production: fakes forget
//! everything with the process, and trust whoever calls them.

pub mod certs;
pub mod clock;
pub mod crash;
pub mod durability;
mod fleet;
pub mod hook;
pub mod hub;
pub mod hubs;
pub mod keys;
pub mod outage;
#[cfg(unix)]
pub mod postgres;
pub mod run;
pub mod sas;
pub mod scripted;
pub mod sim;
pub mod store;
pub mod tpm;

pub use self::scripted::Scripted;
