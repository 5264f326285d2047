//! What operators are told of a certificate instead of the certificate.

use std::fmt::Write as _;

use x509_parser::objects::{oid_registry, oid2abbrev};
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

use super::Certificate;
use crate::time::Timestamp;

/// What stands in a certificate, for people and for recognizing it.
///
/// # Source
/// `X509CertificateInfo` of the service's REST description; the spelling of names and the case of digits
/// from `X509CertificateWithInfo.cs` of the C# service SDK.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateInfo {
    /// The subject's name, the most specific part first: `CN=press-1, O=Example, C=US`.
    pub subject: String,
    /// The issuer's name, in the same way.
    pub issuer: String,
    /// SHA-1 over its bytes.
    pub sha1: [u8; 20],
    /// SHA-256 over its bytes.
    pub sha256: [u8; 32],
    /// First moment it is valid.
    pub not_before: Timestamp,
    /// Last moment it is valid.
    pub not_after: Timestamp,
    /// Its serial number in hexadecimal digits, two for each byte that stands in the certificate.
    pub serial: String,
    /// 1 to 3.
    pub version: u32,
}

impl Certificate {
    /// What operators are told of it. Reads the certificate again: devices never ask.
    #[must_use]
    pub fn info(&self) -> CertificateInfo {
        // It was read before, so it can be read; a member that could not be told would be empty.
        let parsed = X509Certificate::from_der(self.der())
            .map(|(_, parsed)| parsed)
            .ok();
        let parsed = parsed.as_ref();
        let name = |name: Option<&X509Name<'_>>| name.map(specific_first).unwrap_or_default();
        CertificateInfo {
            subject: name(parsed.map(|parsed| parsed.subject())),
            issuer: name(parsed.map(|parsed| parsed.issuer())),
            sha1: self.sha1(),
            sha256: *self.thumbprint(),
            not_before: self.not_before(),
            not_after: self.not_after(),
            serial: parsed.map_or_else(String::new, |parsed| hex(parsed.raw_serial())),
            version: parsed.map_or(3, |parsed| parsed.version().0 + 1),
        }
    }
}

/// A name as RFC 4514 writes it, with a space after each comma.
fn specific_first(name: &X509Name<'_>) -> String {
    let mut parts: Vec<String> = name
        .iter_rdn()
        .map(|part| {
            let all: Vec<_> = part.iter().map(attribute).collect();
            all.join("+")
        })
        .collect();
    parts.reverse();
    parts.join(", ")
}

fn attribute(attribute: &AttributeTypeAndValue<'_>) -> String {
    let kind = attribute.attr_type();
    let kind = match oid2abbrev(kind, oid_registry()) {
        Ok(known) => known.to_owned(),
        Err(_) => kind.to_id_string(),
    };
    match attribute.as_str() {
        Ok(value) => format!("{kind}={}", escaped(value)),
        // As RFC 4514 has it for what is no text.
        Err(_) => format!("{kind}=#{}", hex(attribute.attr_value().data)),
    }
}

fn escaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let last = value.chars().count().saturating_sub(1);
    for (at, c) in value.chars().enumerate() {
        let at_an_end = c == ' ' && (at == 0 || at == last) || c == '#' && at == 0;
        if at_an_end || matches!(c, ',' | '+' | '"' | '\\' | '<' | '>' | ';') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(out, "{byte:02X}");
    }
    out
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SerialNumber};

    use super::*;

    fn issued(parts: &[(DnType, &str)]) -> Certificate {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, value) in parts {
            params.distinguished_name.push(kind.clone(), *value);
        }
        params.serial_number = Some(SerialNumber::from_slice(&[0x0a, 0xff, 0x01]));
        params.not_before = rcgen::date_time_ymd(2026, 11, 21);
        params.not_after = rcgen::date_time_ymd(2027, 11, 21);
        let key = KeyPair::generate().unwrap();
        let made = params.self_signed(&key).unwrap();
        Certificate::parse(made.der()).unwrap()
    }

    #[test]
    fn a_name_is_written_most_specific_first() {
        let certificate = issued(&[
            (DnType::CountryName, "US"),
            (DnType::OrganizationName, "MSFT"),
            (DnType::OrganizationalUnitName, "Azure IoT"),
            (DnType::CommonName, "ROOT_1"),
        ]);
        let info = certificate.info();
        assert_eq!(info.subject, "CN=ROOT_1, OU=Azure IoT, O=MSFT, C=US");
        assert_eq!(info.issuer, info.subject);
        assert_eq!(info.serial, "0AFF01");
        assert_eq!(info.version, 3);
        assert_eq!(info.not_before.to_string(), "2026-11-21T00:00:00.0000000Z");
        assert_eq!(info.not_after.to_string(), "2027-11-21T00:00:00.0000000Z");
        assert_eq!(info.sha256, *certificate.thumbprint());
        assert_eq!(info.sha1, certificate.sha1());
    }

    #[test]
    fn a_value_cannot_pass_for_more_than_one() {
        let certificate = issued(&[
            (DnType::OrganizationName, "A, CN=admin"),
            (DnType::CommonName, " press+1 "),
        ]);
        assert_eq!(
            certificate.info().subject,
            "CN=\\ press\\+1\\ , O=A\\, CN=admin"
        );
    }
}
