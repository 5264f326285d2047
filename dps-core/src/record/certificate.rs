//! Certificates of an instance.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};

use super::{Base64, corrupt, decode, encode};
use crate::certificate::Certificate;
use crate::instance::{CaCertificate, HeldCertificate, PendingCode};
use crate::store::StoreError;
use crate::time::Timestamp;

#[derive(Serialize, Deserialize)]
struct StoredCertificate<'a> {
    name: Cow<'a, str>,
    der: Base64<Cow<'a, [u8]>>,
    verified: bool,
    /// Milliseconds, as all moments here; left out where the configuration of a program brought it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    created: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    updated: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<StoredCode>,
}

#[derive(Serialize, Deserialize)]
struct StoredCode {
    /// SHA-256 of its text.
    hash: Base64<[u8; 32]>,
    expires: u64,
}

/// What a program's configuration knows of it.
pub(crate) fn encode_certificate(entry: &CaCertificate) -> Result<Bytes, StoreError> {
    encode(&store(entry))
}

pub(crate) fn decode_certificate(value: &[u8]) -> Result<CaCertificate, StoreError> {
    Ok(decode_held(value)?.entry)
}

/// Everything.
pub(crate) fn encode_held(held: &HeldCertificate) -> Result<Bytes, StoreError> {
    encode(&StoredCertificate {
        created: held.created.map(|moment| moment.0),
        updated: held.updated.map(|moment| moment.0),
        code: held.code.as_ref().map(|code| StoredCode {
            hash: Base64(code.hash),
            expires: code.expires.0,
        }),
        ..store(&held.entry)
    })
}

pub(crate) fn decode_held(value: &[u8]) -> Result<HeldCertificate, StoreError> {
    let stored: StoredCertificate<'static> = decode(value)?;
    let der = CertificateDer::from(stored.der.0.into_owned());
    Ok(HeldCertificate {
        entry: CaCertificate {
            name: Arc::from(&*stored.name),
            certificate: Certificate::parse(&der).map_err(corrupt)?,
            verified: stored.verified,
        },
        created: stored.created.map(Timestamp),
        updated: stored.updated.map(Timestamp),
        code: stored.code.map(|code| PendingCode {
            hash: code.hash.0,
            expires: Timestamp(code.expires),
        }),
    })
}

fn store(entry: &CaCertificate) -> StoredCertificate<'_> {
    StoredCertificate {
        name: (*entry.name).into(),
        der: Base64(Cow::Borrowed(entry.certificate.der().as_ref())),
        verified: entry.verified,
        created: None,
        updated: None,
        code: None,
    }
}
