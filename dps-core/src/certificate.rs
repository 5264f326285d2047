//! A certificate, parsed once.

use std::fmt;
use std::sync::Arc;

use rustls_pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::time::Timestamp;

/// The largest certificate that is looked at, in bytes. Our choice; usual ones have 500 to 2000.
pub const MAX_CERTIFICATE_BYTES: usize = 16 * 1024;

/// Bytes are not a certificate that we take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// More than [`MAX_CERTIFICATE_BYTES`].
    #[error("the certificate is larger than {MAX_CERTIFICATE_BYTES} bytes")]
    TooLarge,
    /// Not the DER of one X.509 certificate.
    #[error("not an X.509 certificate")]
    Malformed,
}

/// A certificate with what provisioning asks of it. Cheap to clone.
#[derive(Clone)]
pub struct Certificate(Arc<Parsed>);

struct Parsed {
    der: CertificateDer<'static>,
    thumbprint: [u8; 32],
    subject: Box<[u8]>,
    issuer: Box<[u8]>,
    common_name: Option<Box<str>>,
    subject_text: Box<str>,
    not_before: Timestamp,
    not_after: Timestamp,
    authority: Option<Authority>,
    constrains_names: bool,
}

/// That a certificate may issue others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authority {
    /// How many intermediates may follow below it, not counting self-issued ones; `None`: any.
    pub path_length: Option<u32>,
}

impl Certificate {
    /// Reads one certificate from DER.
    ///
    /// # Errors
    /// [`CertificateError`] if it is too large or not a certificate.
    pub fn parse(der: &CertificateDer<'_>) -> Result<Self, CertificateError> {
        if der.len() > MAX_CERTIFICATE_BYTES {
            return Err(CertificateError::TooLarge);
        }
        let (rest, parsed) =
            X509Certificate::from_der(der).map_err(|_| CertificateError::Malformed)?;
        if !rest.is_empty() {
            return Err(CertificateError::Malformed);
        }
        let authority = match parsed.basic_constraints() {
            Ok(Some(found)) if found.value.ca => Some(Authority {
                path_length: found.value.path_len_constraint,
            }),
            Ok(_) => None,
            Err(_) => return Err(CertificateError::Malformed),
        };
        let mut names = parsed.subject().iter_common_name();
        let common_name = match (names.next(), names.next()) {
            (Some(name), None) => name.as_str().ok().map(Box::from),
            _ => None,
        };
        let moment = |seconds: i64| Timestamp(u64::try_from(seconds).unwrap_or(0) * 1000);
        Ok(Self(Arc::new(Parsed {
            thumbprint: Sha256::digest(der).into(),
            subject: parsed.subject().as_raw().into(),
            issuer: parsed.issuer().as_raw().into(),
            common_name,
            subject_text: parsed.subject().to_string().into(),
            not_before: moment(parsed.validity().not_before.timestamp()),
            not_after: moment(parsed.validity().not_after.timestamp()),
            authority,
            constrains_names: !matches!(parsed.name_constraints(), Ok(None)),
            der: der.clone().into_owned(),
        })))
    }

    /// The bytes it was read from.
    #[must_use]
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.0.der
    }

    /// SHA-256 over the bytes.
    #[must_use]
    pub fn thumbprint(&self) -> &[u8; 32] {
        &self.0.thumbprint
    }

    /// The subject's distinguished name in DER.
    #[must_use]
    pub fn subject(&self) -> &[u8] {
        &self.0.subject
    }

    /// The issuer's distinguished name in DER.
    #[must_use]
    pub fn issuer(&self) -> &[u8] {
        &self.0.issuer
    }

    /// The subject for people, such as `CN=press-1, O=Example`.
    #[must_use]
    pub fn subject_text(&self) -> &str {
        &self.0.subject_text
    }

    /// The subject's common name; `None` if there is none or more than one.
    #[must_use]
    pub fn common_name(&self) -> Option<&str> {
        self.0.common_name.as_deref()
    }

    /// First moment it is valid.
    #[must_use]
    pub fn not_before(&self) -> Timestamp {
        self.0.not_before
    }

    /// Last moment it is valid.
    #[must_use]
    pub fn not_after(&self) -> Timestamp {
        self.0.not_after
    }

    /// Whether `now` lies within its validity; both ends are in it.
    #[must_use]
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        self.0.not_before.seconds() <= now.seconds() && now.seconds() <= self.0.not_after.seconds()
    }

    /// Whether it may issue certificates, and how deep.
    #[must_use]
    pub fn authority(&self) -> Option<Authority> {
        self.0.authority
    }

    /// Whether subject and issuer are the same name.
    #[must_use]
    pub fn is_self_issued(&self) -> bool {
        self.0.subject == self.0.issuer
    }

    /// Whether it limits the names of what is issued below it, or says so unreadably.
    #[must_use]
    pub(crate) fn constrains_names(&self) -> bool {
        self.0.constrains_names
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.0.thumbprint == other.0.thumbprint
    }
}
impl Eq for Certificate {}
impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({})", self.0.subject_text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_a_certificate_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Certificate::parse(&CertificateDer::from(bytes));
        }
    }
}
