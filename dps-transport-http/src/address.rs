//! What a request is about: its method, path and query.

use std::borrow::Cow;
use std::fmt::Display;

use dps_core::error::{Reason, ServiceError};
use dps_core::id::{ApiVersion, IdError, IdScope, OperationId, RegistrationId};
use dps_transport::percent_decode;
use http::Method;

/// First segments that belong to operators, in any case of letters. No ID scope is spelled like that.
const OPERATORS: [&str; 5] = [
    "enrollments",
    "enrollmentGroups",
    "registrations",
    "instance",
    "_admin",
];

/// A request of the device API, as far as its first line tells.
#[derive(Debug, PartialEq)]
pub(crate) struct Address {
    pub(crate) scope: IdScope,
    pub(crate) registration: RegistrationId,
    pub(crate) version: ApiVersion,
    pub(crate) action: Action,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Action {
    /// `PUT /{scope}/registrations/{registration}/register`
    Register,
    /// `GET /{scope}/registrations/{registration}/operations/{operation}`
    Poll(OperationId),
    /// `POST /{scope}/registrations/{registration}`
    LookUp,
}

/// Why a request is not one of ours.
#[derive(Debug, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) error: ServiceError,
    /// The methods that would be right, if another one is wrong.
    pub(crate) allow: Option<Cow<'static, str>>,
}

impl Refusal {
    /// The path is known, and takes these methods.
    pub(crate) fn not_allowed(methods: impl Into<Cow<'static, str>>) -> Self {
        Self {
            error: ServiceError::new(Reason::MethodNotAllowed),
            allow: Some(methods.into()),
        }
    }
}

impl From<ServiceError> for Refusal {
    fn from(error: ServiceError) -> Self {
        Self { error, allow: None }
    }
}

impl Address {
    /// Reads the first line of a request.
    ///
    /// The path is split first and decoded after, so an escaped slash divides nothing; `.` and `..` are
    /// names like others. Fixed segments are compared without regard to case, and one slash may
    /// stand at the end. Of the query only `api-version` counts, in its first occurrence.
    pub(crate) fn read(method: &Method, path: &str, query: Option<&str>) -> Result<Self, Refusal> {
        let segments = split(path)?;
        if is_for_operators(path) {
            return Err(ServiceError::new(Reason::NoSuchPath).into());
        }
        let [scope, fixed, registration, rest @ ..] = segments.as_slice() else {
            return Err(ServiceError::new(Reason::NoSuchPath).into());
        };
        let (allow, operation) = match rest {
            [] => (Method::POST, None),
            [word] if same(word, "register") => (Method::PUT, None),
            [word, operation] if same(word, "operations") => (Method::GET, Some(operation)),
            _ => return Err(ServiceError::new(Reason::NoSuchPath).into()),
        };
        if !same(fixed, "registrations") {
            return Err(ServiceError::new(Reason::NoSuchPath).into());
        }
        if *method != allow {
            return Err(Refusal::not_allowed(match allow {
                Method::PUT => "PUT",
                Method::POST => "POST",
                _ => "GET",
            }));
        }
        let version = version(query)?;
        Ok(Self {
            scope: IdScope::parse(scope).map_err(|wrong| bad("ID scope", wrong))?,
            registration: RegistrationId::parse(registration)
                .map_err(|wrong| bad("registration id", wrong))?,
            version,
            action: match operation {
                Some(id) => Action::Poll(
                    OperationId::parse(id).map_err(|wrong| bad("operation id", wrong))?,
                ),
                None if allow == Method::PUT => Action::Register,
                None => Action::LookUp,
            },
        })
    }
}

/// Whether a path begins with a word that belongs to operators.
pub(crate) fn is_for_operators(path: &str) -> bool {
    let first = path.strip_prefix('/').unwrap_or(path).split('/').next();
    let first = first.and_then(percent_decode).unwrap_or_default();
    OPERATORS.iter().any(|word| same(&first, word))
}

/// The decoded segments, at least one.
pub(crate) fn split(path: &str) -> Result<Vec<Cow<'_, str>>, Refusal> {
    const MOST: usize = 5;
    let path = path.strip_prefix('/').unwrap_or(path);
    let path = path.strip_suffix('/').unwrap_or(path);
    let mut segments = Vec::with_capacity(MOST);
    for segment in path.split('/') {
        if segments.len() == MOST {
            return Err(ServiceError::new(Reason::NoSuchPath).into());
        }
        segments.push(
            percent_decode(segment).ok_or_else(|| malformed("the path is not well escaped"))?,
        );
    }
    Ok(segments)
}

pub(crate) fn version(query: Option<&str>) -> Result<ApiVersion, Refusal> {
    let value = query
        .unwrap_or_default()
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(name, _)| percent_decode(name).is_some_and(|name| name == "api-version"))
        .map(|(_, value)| value)
        .filter(|value| !value.is_empty())
        .ok_or_else(|| Refusal::from(ServiceError::new(Reason::NoApiVersion)))?;
    let value =
        percent_decode(value).ok_or_else(|| malformed("api-version is not well escaped"))?;
    ApiVersion::parse(&value).map_err(|wrong| bad("api-version", wrong))
}

fn same(segment: &str, word: &str) -> bool {
    segment.eq_ignore_ascii_case(word)
}

fn malformed(message: impl Into<Cow<'static, str>>) -> Refusal {
    ServiceError::new(Reason::Malformed)
        .with_message(message)
        .into()
}

fn bad(what: impl Display, wrong: IdError) -> Refusal {
    malformed(format!("{what}: {wrong}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn put(path: &str) -> Result<Address, Refusal> {
        Address::read(&Method::PUT, path, Some("api-version=2019-03-31"))
    }

    fn reason(result: Result<Address, Refusal>) -> Reason {
        result.unwrap_err().error.reason()
    }

    #[test]
    fn ids_may_be_escaped_or_not_and_keep_their_spelling() {
        for path in [
            "/0neABC/registrations/Aa:1/register",
            "/0neABC/registrations/Aa%3a1/register",
            "/0ne%41BC/Registrations/%41a%3A1/REGISTER/",
        ] {
            let address = put(path).unwrap();
            assert_eq!(address.scope.as_str(), "0neABC");
            assert_eq!(address.registration.as_str(), "Aa:1");
            assert_eq!(address.action, Action::Register);
        }
    }

    #[test]
    fn dots_are_names_and_not_navigation() {
        let address = put("/s/registrations/..a/register").unwrap();
        assert_eq!(address.registration.as_str(), "..a");
        assert_eq!(
            reason(put("/s/registrations/../register")),
            Reason::Malformed
        );
        assert_eq!(
            reason(put("/x/../s/registrations/a/register")),
            Reason::NoSuchPath
        );
    }

    #[test]
    fn an_escaped_slash_divides_nothing() {
        assert_eq!(
            reason(put("/s/registrations/a%2fregister")),
            Reason::MethodNotAllowed
        );
        assert_eq!(
            reason(put("/s/registrations/a%2fb/register")),
            Reason::Malformed
        );
    }

    #[test]
    fn broken_escapes_are_refused() {
        for id in ["%", "%4", "%zz", "%ff", "a%+1"] {
            let path = format!("/s/registrations/{id}/register");
            assert_eq!(reason(put(&path)), Reason::Malformed, "{id}");
        }
    }

    #[test]
    fn polls_and_lookups_have_their_own_methods() {
        let read = |method, path| Address::read(&method, path, Some("api-version=1"));
        let poll = read(Method::GET, "/s/registrations/a/operations/5.0.b").unwrap();
        assert_eq!(
            poll.action,
            Action::Poll(OperationId::parse("5.0.b").unwrap())
        );
        let look = read(Method::POST, "/s/registrations/a").unwrap();
        assert_eq!(look.action, Action::LookUp);
        let refusal = read(Method::HEAD, "/s/registrations/a/operations/5.0.b").unwrap_err();
        assert_eq!(refusal.allow.as_deref(), Some("GET"));
    }

    #[test]
    fn only_the_version_of_a_query_counts() {
        let read = |query| {
            Address::read(&Method::POST, "/s/registrations/a", query).map(|a| a.version.to_string())
        };
        let some = "forceRegistration=true&x&api-version=2021-06-01&api-version=2";
        assert_eq!(read(Some(some)), Ok("2021-06-01".to_owned()));
        assert_eq!(read(Some("api%2dversion=%31")), Ok("1".to_owned()));
        for none in [None, Some(""), Some("api-version"), Some("api-version=")] {
            assert_eq!(read(none).unwrap_err().error.reason(), Reason::NoApiVersion);
        }
        assert_eq!(
            read(Some("api-version=a%20b")).unwrap_err().error.reason(),
            Reason::Malformed
        );
    }

    proptest! {
        #[test]
        fn any_path_and_query_is_an_address_or_an_error(path in ".{0,120}", query in ".{0,60}") {
            let _ = put(&path);
            let _ = Address::read(&Method::PUT, "/s/registrations/a/register", Some(&query));
        }

        #[test]
        fn every_valid_id_comes_through_escaped(id in "[A-Za-z0-9._:-]{0,127}[A-Za-z0-9-]") {
            let escaped: String = id.bytes().map(|b| format!("%{b:02x}")).collect();
            let address = put(&format!("/s/registrations/{escaped}/register")).unwrap();
            prop_assert_eq!(address.registration.as_str(), &id);
        }
    }
}
