//! The device's side of TPM attestation: two keys in a TPM 2.0, tokens that it signs, and a small provisioning
//! client over HTTPS and AMQP.
//!
//! A device proves who it is by what its TPM can do and nothing else can. It presents the TPM's *endorsement
//! key* and *storage root key*; the service wraps a nonce so that only this TPM can take it in; the TPM
//! *activates* it and signs a token with it. What comes back in the end is the key of the device's hub, wrapped
//! alike. None of these keys ever leaves the TPM.
//!
//! ```no_run
//! use dps_tpm::{Keys, Tpm, token};
//! use std::time::SystemTime;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let challenge = Vec::new();
//! let mut tpm = Tpm::open("device:/dev/tpmrm0", Keys::default())?;
//! let enroll_me = tpm.endorsement_key()?;      // once, in the factory
//! tpm.activate(&challenge)?;                   // what the service answered
//! let expires = SystemTime::now() + token::LIFETIME;
//! let token = token::sign(&mut tpm, "0ne00000001", "press-1", expires)?;
//! # Ok(())
//! # }
//! ```
//!
//! With [`client`] that is one call: `endpoint.register(Transport::Https, &mut tpm, "press-1", None)`.
//!
//! # What it needs
//! The TPM software stack of the system, `libtss2` (Debian: `libtss2-dev` and `pkg-config` to build). This is
//! why no other crate of the project depends on this one: a service needs neither a TPM nor the stack. For
//! trying it out, [`simulator`] starts a TPM in software (Debian: `swtpm`).
//!
//! # What it is not
//! No device SDK: it retries nothing, keeps no assignment, and speaks with no hub. Two of its habits are those
//! of the SDKs: keys are kept at the same places of the TPM, so that a device may change from one to the other;
//! and hierarchies have no passwords.
//!
//! # Features
//! * `client` (default): [`client`], with tokio, rustls and hyper. Without it: the TPM, tokens, the simulator.

mod blob;
#[cfg(feature = "client")]
pub mod client;
mod error;
pub mod simulator;
mod templates;
pub mod token;
mod tpm;

pub use self::error::{BlobError, Error};
pub use self::templates::{Algorithm, Keys};
pub use self::tpm::Tpm;
