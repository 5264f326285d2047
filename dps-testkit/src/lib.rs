//! What implementors and integrators of the device provisioning service run on their own plug-ins.
//!
//! * [`store`], [`hub`], [`hook`], [`keys`]: what every store, hub linker, allocation policy and key provider owes,
//!   one test a duty. Each has a macro `conformance!`, and a `Fixture` that opens what is tested.
//! * [`sim`]: simulates where a policy puts a fleet of devices; runs the whole service around one.
//! * [`hubs`]: hubs in memory, with a device registry, twins, and faults on demand.
//! * [`scripted`]: a device API with canned replies, for tests of transports.
//! * [`crash`]: dies at every effect of an assembly, and looks where the device is.
//! * [`clock`]: a clock that is set by hand.
//! * [`run`]: drives futures without a runtime.
//! * [`certs`]: CAs, devices and servers with certificates.
//! * [`sas`]: tokens as the device SDKs make them.
//! * [`tpm`]: a TPM in software, for devices that prove themselves with one.
//!
//! Nothing here needs an asynchronous runtime, and nothing here is for production: fakes forget
//! everything with the process, and trust whoever calls them.

pub mod certs;
pub mod clock;
pub mod crash;
mod fleet;
pub mod hook;
pub mod hub;
pub mod hubs;
pub mod keys;
pub mod run;
pub mod sas;
pub mod scripted;
pub mod sim;
pub mod store;
pub mod tpm;

pub use self::scripted::Scripted;
