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
//!
//! # The instance
//!
//! Below `/instance` are the members and words of the resource API: linked hubs, shared access policies,
//! IP rules, quotas, the allocation policy, certificates. All of it takes the right to configure.
//!
//! | | body |
//! |---|---|
//! | `/instance` | `idScope`, `serviceOperationsHostName`, and all of the following but certificates |
//! | `/instance/allocationPolicy` | `{"allocationPolicy": "Hashed"}`, `GeoLatency` or `Static` |
//! | `/instance/quotas` | `{"quotas": {"enrollments", "x509Groups", "symmetricKeyGroups", "certificates"}}`, 0 for any number; what is left out is the usual one |
//! | `/instance/ipFilterRules` | `{"ipFilterRules": [{"filterName", "action", "ipMask", "target"}]}`, all of them in their order |
//! | `/instance/iotHubs/{name}` | `{"location", "connectionString", "applyAllocationPolicy", "allocationWeight"}` |
//! | `/instance/authorizationPolicies/{keyName}` | `{"rights", "primaryKey", "secondaryKey"}`, keys as base64 |
//! | `/instance/keys/{keyName}/regenerate` | `{"keyType": "Primary"}` or `Secondary` |
//! | `/instance/certificates/{name}` | `{"properties": {"certificate", "isVerified"}}` |
//! | `/instance/certificates/{name}/verify` | `{"certificate"}`: the proof |
//!
//! Lists are `{"value": [..]}`. Everything but certificates has one `etag`, that of the instance: it names the
//! version of the whole. `PUT` of a hub, a policy or a part replaces what is there, or makes it; with a tag only
//! if nothing of the instance has changed, with `*` only if it is there, with `If-None-Match: *` only if it is
//! not. So a tool that owns what it writes needs no tag, and people who share an instance use it.
//!
//! Certificates have an `etag` each, and keep to the resource API: `PUT` without one makes a certificate and
//! replaces none, and whatever else changes one has to say `If-Match`, a tag or `*`. Dates are those of RFC
//! 1123. A program that removes what is not there is told 404.
//!
//! Keys of policies are told by `listkeys` and `regenerate` alone; those that a `PUT` leaves out stay, or are
//! made. How the service signs in to a hub is shown as a connection string without its key; what is no
//! connection string of a policy is taken and shown as `****`. Left out, or written back as it was shown, it
//! stays.

mod api;
mod attestation;
mod certificate;
mod connection_string;
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

/// What is served to operators, as an OpenAPI document, version 3.1, in JSON: for whoever publishes or reads it.
///
/// Every row of [`ROUTES`] is in it, with what it takes and answers; `x-dps-actions` and `x-dps-rights` say
/// what whoever asks has to be allowed, `x-dps-body-bytes` how large a body may be. `servers` names a
/// host that is none: put yours there.
pub const OPENAPI: &str = include_str!("../../openapi/service.json");
