//! Certificates in the three encodings that clients send.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use dps_core::certificate::Certificate;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::{PemObject, SectionKind};

use super::error::Problem;

/// A certificate, and whether more followed that was not looked at.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) certificate: Certificate,
    pub(super) more: bool,
}

/// Reads PEM, base64 of DER, or base64 of PEM.
///
/// # Source
/// The Node.js service SDK's tests send the first and the last, C# base64 of DER or whatever text it is
/// given (`X509CertificateWithInfo.cs`), C always base64 of PEM (`provisioning_sc_x509_attestation.c`).
pub(super) fn read(text: &str) -> Result<Found, Problem> {
    if is_pem(text.as_bytes()) {
        return from_pem(text.as_bytes());
    }
    let compact: String = text.split_ascii_whitespace().collect();
    let bytes = BASE64_STANDARD.decode(compact);
    let bytes = bytes.map_err(|_| Problem::NotBase64)?;
    if is_pem(&bytes) {
        return from_pem(&bytes);
    }
    Ok(Found {
        certificate: Certificate::parse(&CertificateDer::from(bytes))?,
        more: false,
    })
}

fn is_pem(bytes: &[u8]) -> bool {
    const BEGIN: &[u8] = b"-----BEGIN";
    bytes.windows(BEGIN.len()).any(|window| window == BEGIN)
}

fn from_pem(bytes: &[u8]) -> Result<Found, Problem> {
    let mut sections = <(SectionKind, Vec<u8>)>::pem_slice_iter(bytes);
    let der = loop {
        match sections.next() {
            Some(Ok((SectionKind::Certificate, der))) => break der,
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return Err(Problem::NoPemCertificate),
        }
    };
    Ok(Found {
        certificate: Certificate::parse(&CertificateDer::from(der))?,
        more: sections.next().is_some(),
    })
}
