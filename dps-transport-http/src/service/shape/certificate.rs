//! Certificates of the instance.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use dps_core::admin::{Revision, VerificationCode};
use dps_core::instance::HeldCertificate;
use dps_core::store::Version;
use serde::Serialize;

use super::hex;
use crate::service::precondition::tag;

/// A certificate of the instance: all of it, for it is no secret.
///
/// # Source
/// `CertificateResponse` of the resource API, version 2022-12-12, and its example; the identifier is the
/// path here.
#[derive(Serialize)]
pub(in crate::service) struct CaCertificate<'a> {
    id: String,
    name: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    etag: String,
    properties: Properties<'a>,
}

/// Members of `CertificateProperties` and of `VerificationCodeResponse`, with the dates of RFC 1123;
/// `sha256Thumbprint` and `verificationCodeExpiry` are ours.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Properties<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    verification_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verification_code_expiry: Option<String>,
    subject: String,
    expiry: String,
    thumbprint: String,
    sha256_thumbprint: String,
    is_verified: bool,
    certificate: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    updated: Option<String>,
}

impl<'a> CaCertificate<'a> {
    pub(in crate::service) fn of(revision: &'a Revision<HeldCertificate>) -> Self {
        Self::new(&revision.value, revision.version)
    }

    /// With the code that a proof has to name.
    pub(in crate::service) fn with_code(revision: &'a Revision<VerificationCode>) -> Self {
        let code = &revision.value;
        let mut certificate = Self::new(&code.certificate, revision.version);
        certificate.properties.verification_code = Some(&code.code);
        certificate.properties.verification_code_expiry = Some(code.expires.rfc1123());
        certificate
    }

    fn new(held: &'a HeldCertificate, version: Version) -> Self {
        let entry = &held.entry;
        let info = entry.certificate.info();
        Self {
            id: format!("/instance/certificates/{}", escaped(&entry.name)),
            name: &entry.name,
            kind: "Microsoft.Devices/ProvisioningServices/Certificates",
            etag: tag(version),
            properties: Properties {
                verification_code: None,
                verification_code_expiry: None,
                subject: info.subject,
                expiry: info.not_after.rfc1123(),
                thumbprint: hex(&info.sha1),
                sha256_thumbprint: hex(&info.sha256),
                is_verified: entry.verified,
                certificate: BASE64_STANDARD.encode(entry.certificate.der()),
                created: held.created.map(|at| at.rfc1123()),
                updated: held.updated.map(|at| at.rfc1123()),
            },
        }
    }
}

/// A name as one segment of a path.
fn escaped(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => out.push(char::from(byte)),
            byte => {
                out.push('%');
                out.push_str(&hex(&[byte]));
            }
        }
    }
    out
}
