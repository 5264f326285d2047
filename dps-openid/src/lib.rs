//! Lets operators in by tokens of OpenID providers (`Authorization: Bearer ..`): Microsoft Entra ID, Keycloak, Okta,
//! or whoever publishes a description and keys by *OpenID Connect Discovery*.
//!
//! Which providers, for which audience, and what their roles are good for is set by each instance
//! ([`Issuer`](dps_core::access::Issuer), [`Admin::set_issuers`](dps_core::admin::Admin::set_issuers)). This crate
//! tells whether a token is good:
//!
//! ```
//! use std::sync::Arc;
//!
//! use dps_core::operators::Operators;
//! use dps_core::tenant::TenantResolver;
//! use dps_openid::OpenId;
//! use rustls::ClientConfig;
//!
//! /// * `tls`: with the roots that providers' servers are trusted by.
//! fn operators(tenants: Arc<dyn TenantResolver>, tls: Arc<ClientConfig>) -> Operators {
//!     Operators::new(tenants).with_tokens(Arc::new(OpenId::new(tls)))
//! }
//! ```
//!
//! # What is checked
//!
//! - **The signature**, by RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384 or EdDSA (Ed25519), with a key of the
//!   provider that is of the right kind. Never `none`, and nothing with a shared secret: whoever has the public
//!   key could make that.
//! - **`iss` and `aud`**, to the letter; `aud` may be an array. **`exp`**, which has to be there, and `nbf` if it is,
//!   with [`SKEW`](dps_core::attest::SKEW) for clocks that differ. An extension (`crit`) is refused.
//!
//! The token stands in no log, error or `Debug`. Primitives are those of [`Crypto`](dps_core::crypto::Crypto), as
//! for certificates.
//!
//! # What a stranger can make it do
//!
//! Little: a provider is asked for its keys only if the instance names it, at most once in [`REFRESH_INTERVAL`]
//! whatever keys tokens name ([`RETRY_INTERVAL`] while there are none), once at a time, in a task that goes on if
//! the caller goes away. Keys are good for [`KEY_LIFETIME`] and are then fetched again while they are still used; if
//! that fails, for [`MAX_KEY_AGE`].
//!
//! # What a tenant can make it do
//!
//! The provider is what a tenant's operator wrote. It is called over HTTPS alone, at an address that
//! [`Egress`](dps_core::egress::Egress) permits: a public one, unless set otherwise, judged after the name was
//! looked up and connected to as it was judged. Redirects are not followed. Documents have
//! [`MAX_DOCUMENT_BYTES`] and [`MAX_KEYS`] at the most; both together take [`FETCH_TIME`].
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::panic,
        reason = "a test that fails says so"
    )
)]

mod algorithm;
mod der;
mod discovery;
mod fetch;
#[cfg(feature = "__fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod keys;
mod provider;
mod verifier;

pub use self::fetch::{FetchError, MAX_DOCUMENT_BYTES};
pub use self::keys::MAX_KEYS;
pub use self::provider::{KEY_LIFETIME, MAX_KEY_AGE, REFRESH_INTERVAL, RETRY_INTERVAL};
pub use self::verifier::{FETCH_TIME, MAX_PROVIDERS, OpenId};
