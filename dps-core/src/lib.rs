//! The service itself, without I/O: which devices may register, whether a caller is one of them,
//! which hub it goes to, and how it gets there whatever crashes on the way.
//!
//! It does what the Azure IoT Hub Device Provisioning Service does, as a library. A transport turns
//! bytes into the questions of [`api`]; a [`Provisioner`] answers them; everything it needs from
//! outside comes in as a value or through a trait.
//!
//! # What it is not
//!
//! - **Not a server.** It opens no socket and knows neither TLS nor HTTP: `dps-transport` listens,
//!   `dps-transport-http` speaks.
//! - **Not a runtime.** It spawns no task and keeps no timer. What is still owed after an answer is
//!   handed out as [`Work`](api::Work), a future that its caller runs, and that may be dropped at any
//!   `.await`: the device's next request takes it up from the store.
//! - **Not a database.** A [`Store`](store::Store) keeps versioned records; this crate decides what
//!   stands in them.
//! - **Not a hub client.** A [`HubLinker`](hub::HubLinker) creates devices on hubs.
//!
//! It reads no clock ([`Clock`](time::Clock)), no environment, and logs nothing
//! ([`EventSink`](event::EventSink)). The same records and the same request give the same decision,
//! on any machine.
//!
//! # The smallest program
//!
//! One group of devices with derived keys, two hubs, and a device that registers. Store, hubs and
//! token come from `dps-store-memory` and `dps-testkit`.
//!
//! ```
//! use std::net::Ipv4Addr;
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use dps_core::Provisioner;
//! use dps_core::access::{Access, Ingress};
//! use dps_core::admin::Admin;
//! use dps_core::allocate::Policy;
//! use dps_core::api::{
//!     Authentication, DeviceApi, DeviceHello, DeviceRequest, DeviceResponse, Origin, Transport,
//! };
//! use dps_core::attest::{Evidence, derive_device_key};
//! use dps_core::enrollment::{Attestation, Enrollment, Subject};
//! use dps_core::id::{ApiVersion, GroupId, IdScope, RegistrationId, SecretBytes};
//! use dps_core::instance::{Instance, Quotas};
//! use dps_core::registration::Status;
//! use dps_core::store::{BoxError, Store};
//! use dps_core::tenant::OneStore;
//! use dps_core::time::{Clock, SystemClock};
//! use dps_store_memory::MemoryStore;
//! use dps_testkit::{hubs::FakeHubs, sas, sim};
//!
//! # fn main() -> Result<(), BoxError> {
//! # dps_testkit::run::block_on(async {
//! // What the operator has set up.
//! let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
//! let scope = IdScope::parse("0ne00000001")?;
//! let now = SystemClock.now();
//! let admin = Admin::new(Arc::clone(&store), scope.clone());
//! admin
//!     .put_instance(&Instance {
//!         service_host: "one.example.net".into(),
//!         policy: Policy::Hashed,
//!         hubs: sim::hubs([("west.example.net", 1), ("east.example.net", 1)]).to_vec(),
//!         certificates: Vec::new(),
//!         access: Access::default(),
//!         quotas: Quotas::default(),
//!     })
//!     .await?;
//! let key = SecretBytes::new(vec![7; 32]);
//! let subject = Subject::Group { id: GroupId::parse("presses")? };
//! let attestation = Attestation::SymmetricKey { primary: key.clone(), secondary: key.clone() };
//! admin.put_group(&Enrollment::new(subject, attestation, now)).await?;
//!
//! // The service.
//! let tenants = Arc::new(OneStore::new(store));
//! let service = Provisioner::builder(tenants, Arc::new(FakeHubs::new())).build()?;
//!
//! // A device registers, as a transport would ask for it.
//! let registration = RegistrationId::parse("press-1")?;
//! let own = derive_device_key(&key, "press-1");
//! let expires = now.plus(Duration::from_secs(3600));
//! let token = sas::token(&own, scope.as_str(), "press-1", expires);
//! let origin = Origin {
//!     address: Ipv4Addr::LOCALHOST.into(),
//!     ingress: Ingress::Public,
//!     transport: Transport::Http,
//! };
//! let hello = DeviceHello {
//!     scope,
//!     registration,
//!     evidence: Some(Evidence::Sas { token }),
//!     operation: None,
//!     origin,
//! };
//! let Authentication::Accepted(session) = service.authenticate(hello).await else {
//!     return Err("not believed".into());
//! };
//! let register = DeviceRequest::Register { payload: None };
//! let mut reply = service.call(&session, &ApiVersion::usual(), register).await;
//! // The operation is durable. The rest may run now, later, or after a crash.
//! while let Some(work) = reply.work.take() {
//!     reply = work.await;
//! }
//! let DeviceResponse::Operation { state, .. } = reply.response else {
//!     return Err("no operation".into());
//! };
//! assert_eq!(state.status, Status::Assigned);
//! assert!(state.assignment.is_some());
//! # Ok(())
//! # })
//! # }
//! ```
//!
//! # What to bring
//!
//! | | trait | given |
//! |---|---|---|
//! | must be chosen | [`Store`](store::Store) | `dps_store_memory::MemoryStore` |
//! | must be chosen | [`TenantResolver`](tenant::TenantResolver) | [`OneStore`](tenant::OneStore) |
//! | must be chosen | [`HubLinker`](hub::HubLinker) | none for real hubs; fakes in `dps_testkit::hubs` |
//! | for the policy `custom` | [`AllocationHook`](allocate::AllocationHook) | [`BuiltIn`](allocate::BuiltIn), to fall back to |
//! | for the policy `geoLatency` | [`LatencyOracle`](allocate::LatencyOracle) | none: weights decide then |
//! | has a default | [`AttestationVerifier`](attest::AttestationVerifier) | [`Mechanisms`](attest::Mechanisms): X.509, symmetric keys, TPM 2.0 |
//! | has a default | [`Clock`](time::Clock) | [`SystemClock`](time::SystemClock) |
//! | has a default | [`EventSink`](event::EventSink) | [`NoEvents`](event::NoEvents), [`Recent`](event::Recent); `dps_transport::Logging` |
//! | has a default | [`Crypto`](crypto::Crypto) | AWS-LC or ring, by feature |
//! | for values at rest | [`KeyProvider`](seal::KeyProvider) | `dps_keys_file::KeyFile`; see [`seal`] |
//!
//! Suites for stores, hub linkers, policies and key providers of one's own are in `dps-testkit`.
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `aws-lc` (default) | `crypto::AWS_LC`; the default of [`ProvisionerBuilder::crypto`] |
//! | `fips` | AWS-LC in its FIPS build: see [`crypto`] |
//! | `ring` | `crypto::RING`; the default if `aws-lc` is off |
//!
//! With neither, a provider has to be given, or [`ProvisionerBuilder::build`] says so.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::panic,
        reason = "a test that fails says so"
    )
)]

mod accept;
pub mod access;
pub mod admin;
pub mod allocate;
pub mod api;
pub mod attest;
pub mod certificate;
pub mod crypto;
pub mod egress;
pub mod enrollment;
pub mod error;
pub mod event;
pub mod hub;
pub mod id;
pub mod instance;
pub mod json;
mod matching;
pub mod operators;
mod pages;
mod provisioner;
mod record;
pub mod registration;
pub mod seal;
mod session;
mod snapshot;
pub mod store;
pub mod tenant;
pub mod time;
pub mod tpm;
pub mod trace;
pub mod transfer;
pub mod twin;

pub use provisioner::{
    CALL_DEADLINE, ConfigError, Provisioner, ProvisionerBuilder, Sweep, SweepError,
};
