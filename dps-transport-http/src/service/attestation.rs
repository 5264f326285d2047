//! The member `attestation`.

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use dps_core::crypto::Crypto;
use dps_core::enrollment::{AttestationDraft, CertificateDraft, Slots};
use dps_core::id::SecretBytes;
use dps_core::tpm::{MAX_PUBLIC_KEY_BYTES, PublicKey};

use super::certificate;
use super::error::{EnrollmentError, Problem};
use super::object::Object;

/// How long a key of an enrollment may be, in bytes.
///
/// # Source
/// *Symmetric key attestation*: "between 16 bytes and 64 bytes in length and in valid base64 format".
const KEY_BYTES: std::ops::RangeInclusive<usize> = 16..=64;

/// The longest name of a certificate that is kept, in characters. Our choice; the service has 64.
const MAX_CERTIFICATE_NAME: usize = 128;

const CLIENT: &str = "clientCertificates";
const SIGNING: &str = "signingCertificates";
const REFERENCES: &str = "caReferences";

/// Whether an entry is for one device or for a group of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Individual,
    Group,
}

/// Reads `attestation` of `enrollment`.
pub(super) fn read(
    enrollment: &Object<'_>,
    kind: Kind,
    crypto: &Crypto,
    notes: &mut Vec<String>,
) -> Result<AttestationDraft, EnrollmentError> {
    const TYPES: Problem = Problem::NotAWord("x509, symmetricKey, tpm");
    let attestation = enrollment.object("attestation")?;
    let attestation = enrollment.required("attestation", attestation)?;
    let name = attestation.text("type")?;
    let name = attestation.required("type", name)?;
    let is = |word: &str| name.eq_ignore_ascii_case(word);
    if is("symmetricKey") {
        symmetric_key(&attestation)
    } else if is("x509") {
        let x509 = attestation.object("x509")?;
        let x509 = attestation.required("x509", x509)?;
        x509_attestation(&x509, kind, notes)
    } else if is("tpm") {
        tpm(&attestation, kind, crypto)
    } else if is("none") {
        let text = "an enrollment without attestation would let anybody in: use x509, symmetricKey or \
                    tpm";
        Err(attestation.fault("type", Problem::Unfit(text)))
    } else {
        Err(attestation.fault("type", TYPES))
    }
}

/// # Source
/// `TpmAttestation` of the service API. The storage root key may be left out or empty
/// (Azure/azure-iot-sdk-csharp issue 378); whatever it is, devices are not held to it.
fn tpm(
    attestation: &Object<'_>,
    kind: Kind,
    crypto: &Crypto,
) -> Result<AttestationDraft, EnrollmentError> {
    let unfit = |text| attestation.fault("type", Problem::Unfit(text));
    if kind == Kind::Group {
        return Err(unfit(
            "a TPM is enrolled by itself: a group is attested by x509 or symmetricKey",
        ));
    }
    if crypto.parents.is_none() {
        return Err(unfit(
            "the cryptographic provider cannot encrypt for a TPM: build dps-core with `aws-lc`, or use \
             x509 or symmetricKey",
        ));
    }
    let tpm = attestation.object("tpm")?;
    let tpm = attestation.required("tpm", tpm)?;
    let endorsement_key = bytes(&tpm, "endorsementKey")?;
    let endorsement_key = tpm.required("endorsementKey", endorsement_key)?;
    let endorsement_key = PublicKey::parse(&endorsement_key)
        .map_err(|error| tpm.fault("endorsementKey", Problem::TpmKey(error)))?;
    let storage_root_key = bytes(&tpm, "storageRootKey")?.map(Bytes::from);
    if let Some(key) = &storage_root_key
        && key.len() > MAX_PUBLIC_KEY_BYTES
    {
        let problem = Problem::KeyLength {
            bytes: key.len(),
            min: 0,
            max: MAX_PUBLIC_KEY_BYTES,
        };
        return Err(tpm.fault("storageRootKey", problem));
    }
    Ok(AttestationDraft::Tpm {
        endorsement_key,
        storage_root_key,
    })
}

fn bytes(members: &Object<'_>, name: &str) -> Result<Option<Vec<u8>>, EnrollmentError> {
    let Some(text) = members.text(name)? else {
        return Ok(None);
    };
    let bytes = BASE64_STANDARD.decode(text);
    Ok(Some(
        bytes.map_err(|_| members.fault(name, Problem::NotBase64))?,
    ))
}

fn symmetric_key(attestation: &Object<'_>) -> Result<AttestationDraft, EnrollmentError> {
    let keys = attestation.object("symmetricKey")?;
    let key = |name| match &keys {
        Some(keys) => key(keys, name),
        None => Ok(None),
    };
    Ok(AttestationDraft::SymmetricKey {
        primary: key("primaryKey")?,
        secondary: key("secondaryKey")?,
    })
}

pub(super) fn key(keys: &Object<'_>, name: &str) -> Result<Option<SecretBytes>, EnrollmentError> {
    let text = keys.text(name)?.unwrap_or_default();
    if text.is_empty() {
        return Ok(None);
    }
    let bytes = BASE64_STANDARD.decode(text);
    let bytes = SecretBytes::new(bytes.map_err(|_| keys.fault(name, Problem::NotBase64))?);
    if !KEY_BYTES.contains(&bytes.expose().len()) {
        let problem = Problem::KeyLength {
            bytes: bytes.expose().len(),
            min: *KEY_BYTES.start(),
            max: *KEY_BYTES.end(),
        };
        return Err(keys.fault(name, problem));
    }
    Ok(Some(bytes))
}

fn x509_attestation(
    x509: &Object<'_>,
    kind: Kind,
    notes: &mut Vec<String>,
) -> Result<AttestationDraft, EnrollmentError> {
    let (allowed, expected) = match kind {
        Kind::Individual => (
            &[CLIENT][..],
            "an individual enrollment names clientCertificates",
        ),
        Kind::Group => (
            &[SIGNING, REFERENCES][..],
            "an enrollment group names signingCertificates or caReferences",
        ),
    };
    let mut given = [CLIENT, SIGNING, REFERENCES]
        .into_iter()
        .filter(|name| x509.has(name));
    let (Some(name), second) = (given.next(), given.next()) else {
        return Err(x509.unfit(Problem::Unfit(expected)));
    };
    if second.is_some() {
        let text = "has more than one of clientCertificates, signingCertificates, caReferences";
        return Err(x509.unfit(Problem::Unfit(text)));
    }
    if !allowed.contains(&name) {
        return Err(x509.fault(name, Problem::Unfit(expected)));
    }
    let slots = x509.object(name)?;
    let slots = x509.required(name, slots)?;
    Ok(match name {
        CLIENT => AttestationDraft::Leaf(both(&slots, |slot| certificate(&slots, slot, notes))?),
        SIGNING => {
            AttestationDraft::Signing(both(&slots, |slot| certificate(&slots, slot, notes))?)
        }
        _ => AttestationDraft::CaReferences(both(&slots, |slot| reference(&slots, slot))?),
    })
}

fn both<T>(
    slots: &Object<'_>,
    mut read: impl FnMut(&str) -> Result<Option<T>, EnrollmentError>,
) -> Result<Slots<T>, EnrollmentError> {
    let found = Slots {
        primary: read("primary")?,
        secondary: read("secondary")?,
    };
    if found.iter().next().is_none() {
        return Err(slots.unfit(Problem::Unfit("has neither primary nor secondary")));
    }
    Ok(found)
}

/// A certificate, or which of those that are there already is meant: whoever reads an enrollment is told
/// the `info` of its certificates alone, and writes that back.
fn certificate(
    slots: &Object<'_>,
    slot: &str,
    notes: &mut Vec<String>,
) -> Result<Option<CertificateDraft>, EnrollmentError> {
    let Some(with_info) = slots.object(slot)? else {
        return Ok(None);
    };
    let text = with_info.text("certificate")?;
    if text.is_none()
        && let Some(info) = with_info.object("info")?
    {
        let sha1 = thumbprint(&info, "sha1Thumbprint")?;
        let sha256 = thumbprint(&info, "sha256Thumbprint")?;
        if sha1.is_some() || sha256.is_some() {
            return Ok(Some(CertificateDraft::Kept { sha1, sha256 }));
        }
    }
    let text = with_info.required("certificate", text)?;
    let found = certificate::read(text);
    let found = found.map_err(|problem| with_info.fault("certificate", problem))?;
    if found.more {
        notes.push(format!(
            "{}: only the first certificate is used",
            with_info.path("certificate")
        ));
    }
    Ok(Some(CertificateDraft::Given(found.certificate)))
}

fn thumbprint<const N: usize>(
    info: &Object<'_>,
    name: &str,
) -> Result<Option<[u8; N]>, EnrollmentError> {
    let text = info.text(name)?.filter(|text| !text.is_empty());
    let read = |text| unhex(text).ok_or_else(|| info.fault(name, Problem::NotAThumbprint));
    text.map(read).transpose()
}

fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut digits = text.chars().map(|digit| digit.to_digit(16));
    let mut out = [0; N];
    for byte in &mut out {
        let (high, low) = (digits.next()??, digits.next()??);
        *byte = u8::try_from(high << 4 | low).ok()?;
    }
    digits.next().is_none().then_some(out)
}

fn reference(slots: &Object<'_>, slot: &str) -> Result<Option<Arc<str>>, EnrollmentError> {
    let Some(name) = slots.text(slot)? else {
        return Ok(None);
    };
    if name.is_empty() {
        return Err(slots.fault(slot, Problem::Missing));
    }
    if name.chars().count() > MAX_CERTIFICATE_NAME {
        let (max, unit) = (MAX_CERTIFICATE_NAME, "characters");
        return Err(slots.fault(slot, Problem::TooMany { max, unit }));
    }
    Ok(Some(Arc::from(name)))
}
