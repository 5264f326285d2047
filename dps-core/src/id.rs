//! Names, checked once where they enter.
//!
//! Past `parse` nobody checks again. Names that the service compares without regard to case keep
//! both spellings: as given, for showing, and folded to lower case, for comparing and for keys.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// Why a text is not a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdError {
    /// There is no text at all.
    #[error("the name is empty")]
    Empty,
    /// Longer than the kind of name may be.
    #[error("the name is longer than {max} characters")]
    TooLong {
        /// The most characters this kind of name may have.
        max: usize,
    },
    /// A character that this kind of name may not contain, or not in that place.
    #[error("character {at} of the name is not allowed there")]
    Character {
        /// Position of the character in bytes, from 0.
        at: usize,
    },
    /// The word has another meaning in a path.
    #[error("the name is a reserved word")]
    Reserved,
}

/// A name as spelled, with its lower-case form beside it. One allocation if it is lower case already.
#[derive(Clone)]
struct Folded {
    spelled: Arc<str>,
    folded: Arc<str>,
}

impl Folded {
    fn new(text: &str) -> Self {
        let spelled: Arc<str> = Arc::from(text);
        let folded = if text.bytes().any(|b| b.is_ascii_uppercase()) {
            Arc::from(text.to_ascii_lowercase())
        } else {
            Arc::clone(&spelled)
        };
        Self { spelled, folded }
    }
}

macro_rules! folded_name {
    ($(#[$doc:meta])* $name:ident, $parse:path) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name(Folded);

        impl $name {
            /// Checks `text` against the rule of this name.
            ///
            /// # Errors
            /// [`IdError`] says what is wrong with it.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                $parse(text)?;
                Ok(Self(Folded::new(text)))
            }

            /// As spelled by whoever named it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0.spelled
            }

            /// In lower case: what is compared, hashed, and used as a key.
            #[must_use]
            pub fn folded(&self) -> &Arc<str> {
                &self.0.folded
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.0.folded == other.0.folded
            }
        }
        impl Eq for $name {}
        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }
        impl Ord for $name {
            fn cmp(&self, other: &Self) -> Ordering {
                self.0.folded.cmp(&other.0.folded)
            }
        }
        impl Hash for $name {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.0.folded.hash(state);
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0.spelled)
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0.spelled)
            }
        }
    };
}

folded_name! {
    /// A tenant: the ID scope that devices name. Compared without regard to case.
    ///
    /// 1 to 20 ASCII letters, digits and `-`. The words that begin a path of the service API
    /// (`enrollments`, `enrollmentGroups`, `registrations`, `instance`) are refused.
    ///
    /// # Source
    /// Real scopes are `0ne` and eight hexadecimal digits. The bound of 20 is ours: the C SDK has to
    /// fit scope, registration id and a TPM's key into one 512-byte SASL frame (`prov_sasl_tpm.c`).
    IdScope, check_scope
}
folded_name! {
    /// A device, as the provisioning service knows it. Compared without regard to case.
    ///
    /// 1 to 128 ASCII letters, digits, `-`, `.`, `_` and `:`; the last is a letter, a digit or `-`.
    ///
    /// # Source
    /// "Registration ID" in *IoT Hub Device Provisioning Service: terminology*.
    RegistrationId, check_registration
}
folded_name! {
    /// An enrollment group. The same rule as for a [`RegistrationId`].
    GroupId, check_registration
}
folded_name! {
    /// The host name of a linked hub. Compared without regard to case.
    ///
    /// 1 to 253 ASCII letters, digits, `-` and `.`, beginning and ending with a letter or digit.
    HubName, check_host
}

macro_rules! exact_name {
    ($(#[$doc:meta])* $name:ident, $parse:path) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks `text` against the rule of this name.
            ///
            /// # Errors
            /// [`IdError`] says what is wrong with it.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                $parse(text)?;
                Ok(Self(Arc::from(text)))
            }

            /// The name.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

exact_name! {
    /// A device, as its hub knows it. Hubs mind the case.
    ///
    /// 1 to 128 ASCII letters, digits and `- . + % _ # * ? ! ( ) , : = @ $ '`.
    ///
    /// # Source
    /// "Identity registry" in the *IoT Hub developer guide*.
    DeviceId, check_device
}
exact_name! {
    /// One attempt to register. Opaque to devices, which paste it unescaped into URLs and topics.
    ///
    /// 1 to 128 of `0-9 A-Z a-z . -`.
    OperationId, check_operation
}
exact_name! {
    /// The version of the device API that a request names, as received.
    ///
    /// 1 to 32 printable ASCII characters. Versions are dates and are ordered as text.
    /// Unknown ones are accepted.
    ApiVersion, check_version
}

impl From<&RegistrationId> for DeviceId {
    /// Every registration id is a device id.
    fn from(id: &RegistrationId) -> Self {
        Self(Arc::clone(&id.0.spelled))
    }
}

impl OperationId {
    /// Makes an id of the service's usual shape, `5.<16 hex digits>.<UUID>`, from 24 random bytes.
    #[must_use]
    pub fn from_random(random: [u8; 24]) -> Self {
        let mut text = String::with_capacity(55);
        text.push_str("5.");
        push_hex(&mut text, &random[..8]);
        text.push('.');
        push_uuid(&mut text, &random[8..]);
        Self(Arc::from(text))
    }
}

impl ApiVersion {
    /// What nearly all device SDKs send, and what is assumed where a request names none.
    ///
    /// # Source
    /// `constants.ts` of the Node.js SDK, `constant.py` of Python's, `SDKUtils.java` of Java's.
    #[must_use]
    pub fn usual() -> Self {
        Self(Arc::from("2019-03-31"))
    }
}

/// Names one attempt, in the answer to the device and in what operators see.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrackingId([u8; 16]);

impl TrackingId {
    /// Makes an id from 16 random bytes.
    #[must_use]
    pub const fn from_random(random: [u8; 16]) -> Self {
        Self(random)
    }
}

impl fmt::Display for TrackingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(36);
        push_uuid(&mut text, &self.0);
        f.write_str(&text)
    }
}
impl fmt::Debug for TrackingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TrackingId({self})")
    }
}

/// Key material: wiped when dropped, compared in constant time, never shown.
#[derive(Clone)]
pub struct SecretBytes(Arc<zeroize::Zeroizing<Vec<u8>>>);

impl SecretBytes {
    /// Takes over `bytes`.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Arc::new(zeroize::Zeroizing::new(bytes)))
    }

    /// The bytes themselves. Every use is a place to look at when secrets leak.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl From<[u8; 32]> for SecretBytes {
    fn from(bytes: [u8; 32]) -> Self {
        Self::new(bytes.to_vec())
    }
}
impl PartialEq for SecretBytes {
    fn eq(&self, other: &Self) -> bool {
        use subtle::ConstantTimeEq;
        self.0.as_slice().ct_eq(other.0.as_slice()).into()
    }
}
impl Eq for SecretBytes {}
impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretBytes(..)")
    }
}

fn push_hex(out: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

fn push_uuid(out: &mut String, bytes: &[u8]) {
    let mut rest = bytes;
    for (nth, length) in [4, 2, 2, 2, 6].into_iter().enumerate() {
        if nth > 0 {
            out.push('-');
        }
        let (group, after) = rest.split_at(length);
        push_hex(out, group);
        rest = after;
    }
}

fn check(text: &str, max: usize, allowed: impl Fn(u8) -> bool) -> Result<(), IdError> {
    if text.is_empty() {
        return Err(IdError::Empty);
    }
    if text.len() > max {
        return Err(IdError::TooLong { max });
    }
    match text.bytes().position(|b| !allowed(b)) {
        Some(at) => Err(IdError::Character { at }),
        None => Ok(()),
    }
}

fn check_scope(text: &str) -> Result<(), IdError> {
    check(text, 20, |b| b.is_ascii_alphanumeric() || b == b'-')?;
    let reserved = [
        "enrollments",
        "enrollmentgroups",
        "registrations",
        "instance",
    ];
    if reserved.iter().any(|word| text.eq_ignore_ascii_case(word)) {
        return Err(IdError::Reserved);
    }
    Ok(())
}

fn check_registration(text: &str) -> Result<(), IdError> {
    check(text, 128, |b| {
        b.is_ascii_alphanumeric() || b"-._:".contains(&b)
    })?;
    match text.as_bytes().last() {
        Some(b) if b.is_ascii_alphanumeric() || *b == b'-' => Ok(()),
        _ => Err(IdError::Character { at: text.len() - 1 }),
    }
}

fn check_host(text: &str) -> Result<(), IdError> {
    check(text, 253, |b| {
        b.is_ascii_alphanumeric() || b"-.".contains(&b)
    })?;
    let end = text.len() - 1;
    for at in [0, end] {
        if !text.as_bytes()[at].is_ascii_alphanumeric() {
            return Err(IdError::Character { at });
        }
    }
    Ok(())
}

fn check_device(text: &str) -> Result<(), IdError> {
    check(text, 128, |b| {
        b.is_ascii_alphanumeric() || b"-.+%_#*?!(),:=@$'".contains(&b)
    })
}

fn check_operation(text: &str) -> Result<(), IdError> {
    check(text, 128, |b| {
        b.is_ascii_alphanumeric() || b".-".contains(&b)
    })
}

fn check_version(text: &str) -> Result<(), IdError> {
    check(text, 32, |b| b.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_compared_without_case_and_shown_as_spelled() {
        let (a, b) = (
            RegistrationId::parse("Press-1").unwrap(),
            RegistrationId::parse("press-1").unwrap(),
        );
        assert_eq!(a, b);
        assert_eq!(a.as_str(), "Press-1");
        assert_eq!(&**a.folded(), "press-1");
    }

    #[test]
    fn a_registration_id_has_at_most_128_characters_and_a_plain_end() {
        assert!(RegistrationId::parse(&"a".repeat(128)).is_ok());
        assert_eq!(
            RegistrationId::parse(&"a".repeat(129)),
            Err(IdError::TooLong { max: 128 })
        );
        assert_eq!(
            RegistrationId::parse("a."),
            Err(IdError::Character { at: 1 })
        );
        assert_eq!(
            RegistrationId::parse("a/b"),
            Err(IdError::Character { at: 1 })
        );
        assert_eq!(RegistrationId::parse(""), Err(IdError::Empty));
        assert!(RegistrationId::parse("aa:bb.cc_d-").is_ok());
    }

    #[test]
    fn a_scope_is_not_a_word_of_the_service_api() {
        for word in [
            "enrollments",
            "EnrollmentGroups",
            "REGISTRATIONS",
            "Instance",
        ] {
            assert_eq!(IdScope::parse(word), Err(IdError::Reserved));
        }
        assert!(IdScope::parse("0ne00ABCDEF").is_ok());
        assert_eq!(
            IdScope::parse("0123456789012345678901"),
            Err(IdError::TooLong { max: 20 })
        );
    }

    #[test]
    fn operation_ids_have_the_shape_of_the_service() {
        let id = OperationId::from_random(core::array::from_fn(|i| i as u8));
        assert_eq!(
            id.as_str(),
            "5.0001020304050607.08090a0b-0c0d-0e0f-1011-121314151617"
        );
        assert!(OperationId::parse(id.as_str()).is_ok());
    }

    #[test]
    fn secrets_are_not_shown() {
        assert_eq!(
            format!("{:?}", SecretBytes::new(b"hunter2".to_vec())),
            "SecretBytes(..)"
        );
    }

    proptest! {
        #[test]
        fn any_text_is_a_name_or_an_error(text in ".{0,200}") {
            let _ = (IdScope::parse(&text), GroupId::parse(&text), HubName::parse(&text));
            let _ = (OperationId::parse(&text), ApiVersion::parse(&text));
            if let Ok(id) = RegistrationId::parse(&text) {
                prop_assert_eq!(id.as_str(), &text);
                prop_assert_eq!(DeviceId::from(&id), DeviceId::parse(&text).unwrap());
            }
        }
    }
}
