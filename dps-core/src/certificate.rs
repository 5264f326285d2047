//! A certificate, parsed once.

mod info;
mod proof;

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use rustls_pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, X509Certificate, X509Name};

pub use self::info::CertificateInfo;
pub use self::proof::ProofError;
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
    /// Where in `der` the two names are.
    subject: Range<usize>,
    issuer: Range<usize>,
    common_name: Option<Box<str>>,
    /// Written when somebody asks: only what is enrolled is ever shown.
    subject_text: OnceLock<Arc<str>>,
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
        Self::parse_hashed(der, Self::hash(der))
    }

    /// SHA-256 over the bytes of a certificate.
    pub(crate) fn hash(der: &CertificateDer<'_>) -> [u8; 32] {
        Sha256::digest(der).into()
    }

    /// As [`Certificate::parse`], where the hash is known already.
    pub(crate) fn parse_hashed(
        der: &CertificateDer<'_>,
        thumbprint: [u8; 32],
    ) -> Result<Self, CertificateError> {
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
            thumbprint,
            subject: place(der, parsed.subject().as_raw()),
            issuer: place(der, parsed.issuer().as_raw()),
            common_name,
            subject_text: OnceLock::new(),
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

    /// SHA-1 over the bytes: shown to operators, and nothing depends on it.
    #[must_use]
    pub fn sha1(&self) -> [u8; 20] {
        sha1::Sha1::digest(self.der()).into()
    }

    /// SHA-256 over the bytes.
    #[must_use]
    pub fn thumbprint(&self) -> &[u8; 32] {
        &self.0.thumbprint
    }

    /// The subject's distinguished name in DER.
    #[must_use]
    pub fn subject(&self) -> &[u8] {
        self.0.der.get(self.0.subject.clone()).unwrap_or_default()
    }

    /// The issuer's distinguished name in DER.
    #[must_use]
    pub fn issuer(&self) -> &[u8] {
        self.0.der.get(self.0.issuer.clone()).unwrap_or_default()
    }

    /// The subject for people, such as `CN=press-1, O=Example`.
    #[must_use]
    pub fn subject_text(&self) -> &Arc<str> {
        self.0.subject_text.get_or_init(|| {
            let name = X509Name::from_der(self.subject());
            name.map_or_else(|_| Arc::from(""), |(_, name)| name.to_string().into())
        })
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
        self.subject() == self.issuer()
    }

    /// Whether it limits the names of what is issued below it, or says so unreadably.
    #[must_use]
    pub(crate) fn constrains_names(&self) -> bool {
        self.0.constrains_names
    }
}

/// Where `part` lies in `whole`, of which it is a slice.
fn place(whole: &[u8], part: &[u8]) -> Range<usize> {
    let start = (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize);
    start..start + part.len()
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.0.thumbprint == other.0.thumbprint
    }
}
impl Eq for Certificate {}
impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({})", self.subject_text())
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
