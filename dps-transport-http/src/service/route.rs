//! Which route a request means.

mod table;

use std::borrow::Cow;

use dps_core::access::Action;
use dps_core::admin::MAX_BULK_ITEMS;
use dps_core::error::{Reason, ServiceError};
use http::Method;

pub use self::table::ROUTES;
use super::enrollment::MAX_ENROLLMENT_BYTES;
use crate::address::{self, Refusal};

/// The largest body of a bulk operation, in bytes: as large as all that may be in it.
const MAX_BULK_BYTES: usize = MAX_BULK_ITEMS * MAX_ENROLLMENT_BYTES;

/// The largest query, and whatever else has no limit of its own, in bytes. Our choice.
const MAX_QUERY_BYTES: usize = 16 * 1024;

/// The largest document about a certificate, in bytes: far above what a certificate takes, so that who
/// sends one that is too large is told so, and the connection goes on. Our choice.
const MAX_CERTIFICATE_BODY_BYTES: usize = 256 * 1024;

/// The largest list of IP rules, in bytes: as many as there may be take half of it. Our choice.
const MAX_RULES_BYTES: usize = 64 * 1024;

/// The largest list of OpenID providers, in bytes: as many as there may be, with all roles and actions one by one,
/// take two thirds of it. Our choice.
const MAX_ISSUERS_BYTES: usize = 192 * 1024;

/// One thing that operators can ask: a row of [`ROUTES`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Route {
    /// By which method.
    pub method: Method,
    /// At which path; `{id}` stands for one segment, any other text for itself in any case of letters.
    pub path: &'static str,
    /// What whoever asks has to be allowed, all of it. Rights are checked from here and nowhere else.
    pub needs: &'static [Action],
    pub(super) operation: Operation,
}

/// Whether a route is about individual enrollments or groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Individual,
    Group,
}

/// A part of the instance that is read and set by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    AllocationPolicy,
    Quotas,
    IpFilterRules,
    TokenIssuers,
    DisableLocalAuth,
    PublicNetworkAccess,
    PrivateEndpoints,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Read(Kind),
    Write(Kind),
    Remove(Kind),
    Attestation(Kind),
    /// Several at once.
    Change(Kind),
    List(Kind),
    ListRegistrations,
    /// Registrations of one group.
    ListMembers,
    ReadRegistration,
    /// Why a device stands as it does.
    Explain,
    RemoveRegistration,
    ReadInstance,
    ReadPart(Part),
    WritePart(Part),
    ListHubs,
    ReadHub,
    WriteHub,
    RemoveHub,
    ListPolicies,
    ReadPolicy,
    WritePolicy,
    RemovePolicy,
    /// Keys of all shared access policies.
    ListKeys,
    /// Keys of one.
    ReadKeys,
    RegenerateKey,
    ListCertificates,
    ReadCertificate,
    WriteCertificate,
    RemoveCertificate,
    GenerateCode,
    /// Takes a proof of possession.
    Verify,
}

impl Route {
    /// The largest body that is taken, in bytes.
    #[must_use]
    pub const fn body_bytes(&self) -> usize {
        match self.operation {
            Operation::Write(_) => MAX_ENROLLMENT_BYTES,
            Operation::Change(_) => MAX_BULK_BYTES,
            Operation::WriteCertificate | Operation::Verify => MAX_CERTIFICATE_BODY_BYTES,
            Operation::WritePart(Part::IpFilterRules) => MAX_RULES_BYTES,
            Operation::WritePart(Part::TokenIssuers) => MAX_ISSUERS_BYTES,
            _ => MAX_QUERY_BYTES,
        }
    }

    /// The id in `segments` if they are this path; an empty text if the path has none.
    fn fits<'a>(&self, segments: &'a [Cow<'_, str>]) -> Option<&'a str> {
        let mut id = "";
        let mut parts = self.path.split('/').skip(1);
        for segment in segments {
            match parts.next()? {
                "{id}" if !segment.is_empty() => id = segment,
                word if word.eq_ignore_ascii_case(segment) => {}
                _ => return None,
            }
        }
        parts.next().is_none().then_some(id)
    }
}

/// What is asked: a route, and what is in the place of `{id}`.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) route: &'static Route,
    pub(super) id: String,
}

impl Asked {
    /// Finds the route. Paths are read as those of the device API are.
    pub(super) fn read(method: &Method, path: &str, query: Option<&str>) -> Result<Self, Refusal> {
        let segments = address::split(path)?;
        let mut allow = Vec::new();
        for route in ROUTES {
            let Some(id) = route.fits(&segments) else {
                continue;
            };
            if route.method != *method {
                allow.push(route.method.as_str());
                continue;
            }
            is_dated(query)?;
            let id = id.to_owned();
            return Ok(Self { route, id });
        }
        if allow.is_empty() {
            return Err(ServiceError::new(Reason::NoSuchPath).into());
        }
        Err(Refusal::not_allowed(allow.join(", ")))
    }
}

/// Holds that the request names a version, which is a date and perhaps more. All are served alike: the
/// shapes that clients use have not changed since 2018-04-01.
fn is_dated(query: Option<&str>) -> Result<(), Refusal> {
    let version = address::version(query)?;
    let text = version.as_str();
    let (date, rest) = text.split_at_checked(10).unwrap_or((text, ""));
    let is_date = date.len() == 10
        && date.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    if is_date && (rest.is_empty() || rest.starts_with('-')) {
        return Ok(());
    }
    let error = ServiceError::new(Reason::NoApiVersion);
    Err(error
        .with_message("api-version has to be a date, such as 2021-10-01")
        .into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERSION: Option<&str> = Some("api-version=2021-10-01");

    fn found(method: &Method, path: &str) -> (Operation, String) {
        let asked = Asked::read(method, path, VERSION).unwrap();
        (asked.route.operation, asked.id)
    }

    #[test]
    fn paths_are_found_in_any_case_escaped_or_not_and_with_a_slash_at_the_end() {
        for path in [
            "/enrollmentGroups/Line:1",
            "/ENROLLMENTGROUPS/Line%3a1/",
            "/enrollmentgroups/Line%3A1",
            "/%65nrollmentgroups/%4cine:1",
        ] {
            let expected = (Operation::Read(Kind::Group), "Line:1".to_owned());
            assert_eq!(found(&Method::GET, path), expected, "{path}");
        }
    }

    #[test]
    fn another_method_is_told_the_right_ones() {
        let refusal = Asked::read(&Method::PATCH, "/enrollments/a", VERSION).unwrap_err();
        assert_eq!(refusal.error.reason(), Reason::MethodNotAllowed);
        assert_eq!(refusal.allow.as_deref(), Some("GET, PUT, DELETE"));
        for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
            let path = "/enrollments/a/attestationmechanism";
            let refusal = Asked::read(&method, path, VERSION).unwrap_err();
            assert_eq!(refusal.allow.as_deref(), Some("POST"));
        }
    }

    #[test]
    fn other_paths_are_not_found() {
        for path in [
            "/enrollments/a/b",
            "/enrollments/a//",
            "/enrollments/a/attestationmechanism/b",
            "/enrollments//attestationmechanism/",
            "//enrollments/a",
            "/registrations/a/register",
            "/enrollments/a%2fattestationmechanism/x",
        ] {
            let refusal = Asked::read(&Method::POST, path, VERSION);
            let refusal = refusal.map(|asked| asked.route.path).unwrap_err();
            assert_eq!(refusal.error.reason(), Reason::NoSuchPath, "{path}");
        }
    }

    #[test]
    fn every_version_that_is_a_date_is_taken() {
        let read = |version: &str| {
            let query = format!("api-version={version}");
            Asked::read(&Method::GET, "/enrollments/a", Some(&query))
        };
        for version in [
            "2018-04-01",
            "2018-09-01-preview",
            "2021-10-01",
            "2099-12-31",
        ] {
            assert!(read(version).is_ok(), "{version}");
        }
        for version in [
            "",
            "1",
            "latest",
            "2021-10-1",
            "2021-10-01x",
            "20211001",
            "%ff",
        ] {
            let refusal = read(version).unwrap_err();
            assert_eq!(refusal.error.reason().status(), 400, "{version}");
        }
    }

    #[test]
    fn a_route_needs_something_and_those_of_the_instance_the_right_to_configure() {
        for route in ROUTES {
            let of_instance = route.path.starts_with("/instance");
            assert!(!route.needs.is_empty(), "{}", route.path);
            assert_eq!(
                route.needs.contains(&Action::Configure),
                of_instance,
                "{}",
                route.path
            );
        }
    }

    #[test]
    fn a_route_stands_there_once() {
        for (nth, route) in ROUTES.iter().enumerate() {
            let same = |other: &&Route| (&other.method, other.path) == (&route.method, route.path);
            assert_eq!(
                ROUTES.iter().skip(nth).filter(same).count(),
                1,
                "{}",
                route.path
            );
        }
    }
}
