//! The member `attestation`.

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use dps_core::certificate::Certificate;
use dps_core::crypto::{Crypto, CryptoError};
use dps_core::enrollment::{Attestation, Slots, X509Attestation};
use dps_core::id::SecretBytes;
use dps_core::tpm::{MAX_PUBLIC_KEY_BYTES, PublicKey};

use super::certificate;
use super::error::{EnrollmentError, Problem};
use super::object::Object;

/// How long a key of an enrollment may be, in bytes, and how long the ones are that we make.
///
/// # Source
/// *Symmetric key attestation*: "between 16 bytes and 64 bytes in length and in valid base64 format";
/// keys that the service makes have 64.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 16..=64;
const NEW_KEY_BYTES: usize = 64;

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
) -> Result<Attestation, EnrollmentError> {
    const TYPES: Problem = Problem::NotAWord("x509, symmetricKey, tpm");
    let attestation = enrollment.object("attestation")?;
    let attestation = enrollment.required("attestation", attestation)?;
    let name = attestation.text("type")?;
    let name = attestation.required("type", name)?;
    let is = |word: &str| name.eq_ignore_ascii_case(word);
    if is("symmetricKey") {
        symmetric_key(&attestation, crypto)
    } else if is("x509") {
        let x509 = attestation.object("x509")?;
        let x509 = attestation.required("x509", x509)?;
        Ok(Attestation::X509(x509_attestation(&x509, kind, notes)?))
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
) -> Result<Attestation, EnrollmentError> {
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
    Ok(Attestation::Tpm {
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

fn symmetric_key(
    attestation: &Object<'_>,
    crypto: &Crypto,
) -> Result<Attestation, EnrollmentError> {
    let keys = attestation.object("symmetricKey")?;
    let key = |name| match &keys {
        Some(keys) => key(keys, name, crypto),
        None => Ok(new_key(crypto)?),
    };
    Ok(Attestation::SymmetricKey {
        primary: key("primaryKey")?,
        secondary: key("secondaryKey")?,
    })
}

fn key(keys: &Object<'_>, name: &str, crypto: &Crypto) -> Result<SecretBytes, EnrollmentError> {
    let text = keys.text(name)?.unwrap_or_default();
    if text.is_empty() {
        return Ok(new_key(crypto)?);
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
    Ok(bytes)
}

fn new_key(crypto: &Crypto) -> Result<SecretBytes, CryptoError> {
    let bytes: [u8; NEW_KEY_BYTES] = crypto.random()?;
    Ok(SecretBytes::new(bytes.to_vec()))
}

fn x509_attestation(
    x509: &Object<'_>,
    kind: Kind,
    notes: &mut Vec<String>,
) -> Result<X509Attestation, EnrollmentError> {
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
        CLIENT => X509Attestation::Leaf(both(&slots, |slot| certificate(&slots, slot, notes))?),
        SIGNING => X509Attestation::Signing(both(&slots, |slot| certificate(&slots, slot, notes))?),
        _ => X509Attestation::CaReferences(both(&slots, |slot| reference(&slots, slot))?),
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

fn certificate(
    slots: &Object<'_>,
    slot: &str,
    notes: &mut Vec<String>,
) -> Result<Option<Certificate>, EnrollmentError> {
    let Some(with_info) = slots.object(slot)? else {
        return Ok(None);
    };
    let text = with_info.text("certificate")?;
    let text = with_info.required("certificate", text)?;
    let found = certificate::read(text);
    let found = found.map_err(|problem| with_info.fault("certificate", problem))?;
    if found.more {
        notes.push(format!(
            "{}: only the first certificate is used",
            with_info.path("certificate")
        ));
    }
    Ok(Some(found.certificate))
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
