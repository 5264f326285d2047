//! The service API: how operators manage what devices meet.
//!
//! [`EnrollmentReader`] turns an `IndividualEnrollment` or an `EnrollmentGroup` into a
//! [`dps_core::enrollment::Draft`]. It does not speak HTTP: the same documents come as request bodies, as
//! files beside a configuration, and as exports of another service.
//!
//! [`EnrollmentWriter`] writes them so that they can be read again.
//!
//! [`ServiceApi`] serves operators over HTTP, at the routes of [`ROUTES`]. It is mounted by
//! [`Http::with_service`](crate::Http::with_service) or [`Http::operators`](crate::Http::operators):
//!
//! ```
//! use std::sync::Arc;
//!
//! use dps_core::operators::Operators;
//! use dps_core::tenant::TenantResolver;
//! use dps_transport_http::Http;
//! use dps_transport_http::service::ServiceApi;
//!
//! fn both(devices: Http, tenants: Arc<dyn TenantResolver>) -> Http {
//!     devices.with_service(ServiceApi::new(Operators::new(tenants)))
//! }
//! ```
//!
//! Each request names its tenant by its `Host`, its version by `api-version` (any date), and shows a token
//! of one of the instance's shared access policies. Who shows none, or may not do what it asks, is told
//! 401 and no more. Entries carry an `etag`: `PUT` without `If-Match` makes an entry and replaces none,
//! with a tag it replaces what that names, with `*` whatever is there. Keys are told in the answer to a
//! `PUT` and by `attestationmechanism`, of certificates only what stands in them.

mod api;
mod attestation;
mod certificate;
mod enrollment;
mod error;
mod object;
mod precondition;
mod resource;
mod route;
mod shape;
mod writer;

pub use self::api::ServiceApi;
pub use self::enrollment::{EnrollmentReader, MAX_ENROLLMENT_BYTES, ReadEnrollment};
pub use self::error::{EnrollmentError, Problem};
pub use self::route::{ROUTES, Route};
pub use self::writer::EnrollmentWriter;
