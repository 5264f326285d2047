//! Entity tags: which version of a record a client has seen.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use dps_core::admin::Precondition;
use dps_core::error::{Reason, ServiceError};
use dps_core::store::Version;
use http::header::{HeaderName, IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue};

/// The entity tag of an entry, without quotes: clients put it into `If-Match` as it is (Node.js, Java,
/// C, Python) or with quotes around it (C#).
pub(super) fn tag(version: Version) -> String {
    format!("{:016x}", version.0)
}

/// What a request says of the record that it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IfMatch {
    /// Nothing.
    Unsaid,
    /// It is there.
    Star,
    /// It is there at this version.
    Tag(Version),
    /// It is as it never was: a tag that is none of ours.
    Unknown,
}

impl IfMatch {
    /// Reads `If-Match`.
    ///
    /// # Errors
    /// [`Reason::Malformed`] if there is more than one tag.
    pub(super) fn read(headers: &HeaderMap) -> Result<Self, ServiceError> {
        let Some(text) = single(headers, &IF_MATCH)? else {
            return Ok(Self::Unsaid);
        };
        if text.contains(',') {
            return Err(malformed("If-Match may name one entity tag"));
        }
        Ok(Self::of(text))
    }

    /// Reads one tag: bare, quoted once or more, weak, escaped, or base64 of a quoted one.
    pub(super) fn of(text: &str) -> Self {
        let text = bare(text);
        if text == "*" {
            return Self::Star;
        }
        let inner = BASE64_STANDARD.decode(text).ok();
        let inner = inner.and_then(|bytes| String::from_utf8(bytes).ok());
        version(text)
            .or_else(|| version(bare(&inner?)))
            .map_or(Self::Unknown, Self::Tag)
    }
}

/// What a request that writes a record expects of it; `None` if it names a version that never was, so that
/// nothing can be written.
///
/// * `unsaid`: what it expects if it says nothing.
///
/// # Errors
/// [`Reason::Malformed`] for a header that cannot be understood.
pub(super) fn of_write(
    headers: &HeaderMap,
    unsaid: Precondition,
) -> Result<Option<Precondition>, ServiceError> {
    Ok(match IfMatch::read(headers)? {
        _ if is_new(headers)? => Some(Precondition::Absent),
        IfMatch::Unsaid => Some(unsaid),
        IfMatch::Star => Some(Precondition::Present),
        IfMatch::Tag(version) => Some(Precondition::Version(version)),
        IfMatch::Unknown => None,
    })
}

/// Whether a request says `If-None-Match: *`: that there is no such record.
///
/// # Errors
/// [`Reason::Malformed`] for anything else in it, which no client sends.
fn is_new(headers: &HeaderMap) -> Result<bool, ServiceError> {
    match single(headers, &IF_NONE_MATCH)? {
        None => Ok(false),
        Some(text) if bare(text) == "*" => Ok(true),
        Some(_) => Err(malformed("If-None-Match may only be *")),
    }
}

fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, ServiceError> {
    let mut given = headers.get_all(name).iter();
    let first = given.next();
    if given.next().is_some() {
        return Err(malformed("a precondition may stand there once"));
    }
    // What is not text is no tag of ours.
    let text = first.map(|value: &HeaderValue| value.to_str().unwrap_or("?"));
    Ok(text.filter(|text| !text.trim().is_empty()))
}

fn bare(text: &str) -> &str {
    let outside = |c: char| c.is_whitespace() || c == '"' || c == '\\';
    let text = text.trim_matches(outside);
    text.strip_prefix("W/")
        .unwrap_or(text)
        .trim_matches(outside)
}

fn version(text: &str) -> Option<Version> {
    let digits = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = digits.then(|| u64::from_str_radix(text, 16).ok());
    number.flatten().map(Version)
}

fn malformed(text: &'static str) -> ServiceError {
    ServiceError::new(Reason::Malformed).with_message(text)
}

#[cfg(test)]
mod tests {
    use dps_transport::device_json::etag;

    use super::*;

    #[test]
    fn a_tag_is_read_in_every_form_in_which_it_comes_back() {
        let version = Version(0x0012_3456_789a_bcde);
        let (tag, registration) = (tag(version), etag(version));
        assert!(tag.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        for text in [
            tag.clone(),
            format!("\"{tag}\""),
            format!(" \"{tag}\" "),
            format!("W/\"{tag}\""),
            format!("\"W/\\\"{tag}\\\"\""),
            format!("\"\\\"{tag}\\\"\""),
            format!("\"\"{tag}\"\""),
            tag.to_uppercase(),
            registration.clone(),
            format!("\"{registration}\""),
        ] {
            assert_eq!(IfMatch::of(&text), IfMatch::Tag(version), "{text}");
        }
        for text in ["*", "\"*\"", " * ", "\"\\\"*\\\"\""] {
            assert_eq!(IfMatch::of(text), IfMatch::Star, "{text}");
        }
        for text in [
            "e1",
            "\"13003fea-0000-0300-0000-62d1d5e50000\"",
            "+123456789abcdef",
            "00123456789abcde0",
            "**",
            "Kg==",
        ] {
            assert_eq!(IfMatch::of(text), IfMatch::Unknown, "{text}");
        }
    }

    #[test]
    fn one_tag_is_named_at_most() {
        let mut headers = HeaderMap::new();
        assert_eq!(IfMatch::read(&headers), Ok(IfMatch::Unsaid));
        headers.insert(IF_MATCH, HeaderValue::from_static(""));
        assert_eq!(IfMatch::read(&headers), Ok(IfMatch::Unsaid));
        headers.insert(IF_MATCH, HeaderValue::from_static("\"a\", \"b\""));
        assert!(IfMatch::read(&headers).is_err());
        headers.insert(IF_MATCH, HeaderValue::from_bytes(b"\xff").unwrap());
        assert_eq!(IfMatch::read(&headers), Ok(IfMatch::Unknown));
        headers.append(IF_MATCH, HeaderValue::from_static("*"));
        assert!(IfMatch::read(&headers).is_err());
    }
}
