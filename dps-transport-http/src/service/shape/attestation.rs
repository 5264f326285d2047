//! `AttestationMechanism`.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use dps_core::certificate::Certificate;
use dps_core::enrollment::{Attestation, Slots, X509Attestation};
use dps_core::time::Timestamp;
use serde::Serialize;

use super::{Keys, hex, shown};

/// How a device proves itself. Of certificates only what stands in them is told.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::service) struct Mechanism<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tpm: Option<Tpm>,
    #[serde(skip_serializing_if = "Option::is_none")]
    x509: Option<X509<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    symmetric_key: Option<SymmetricKey>,
}

impl<'a> Mechanism<'a> {
    pub(in crate::service) fn of(attestation: &'a Attestation, keys: Keys) -> Self {
        Self::showing(attestation, keys, WithInfo::of)
    }

    /// With the certificates themselves, and nothing of what stands in them.
    pub(in crate::service) fn exported(attestation: &'a Attestation, keys: Keys) -> Self {
        Self::showing(attestation, keys, WithInfo::whole)
    }

    fn showing(
        attestation: &'a Attestation,
        keys: Keys,
        show: fn(&Certificate) -> WithInfo,
    ) -> Self {
        let mut mechanism = Self {
            kind: "none",
            tpm: None,
            x509: None,
            symmetric_key: None,
        };
        match attestation {
            Attestation::X509(x509) => {
                mechanism.kind = "x509";
                mechanism.x509 = Some(X509::of(x509, show));
            }
            Attestation::SymmetricKey { primary, secondary } => {
                mechanism.kind = "symmetricKey";
                mechanism.symmetric_key = (keys == Keys::Told).then(|| SymmetricKey {
                    primary_key: BASE64_STANDARD.encode(primary.expose()),
                    secondary_key: BASE64_STANDARD.encode(secondary.expose()),
                });
            }
            Attestation::Tpm {
                endorsement_key,
                storage_root_key,
            } => {
                mechanism.kind = "tpm";
                mechanism.tpm = Some(Tpm {
                    endorsement_key: BASE64_STANDARD.encode(endorsement_key.bytes()),
                    storage_root_key: storage_root_key
                        .as_ref()
                        .map(|key| BASE64_STANDARD.encode(key)),
                });
            }
            other => tracing::error!(?other, "an attestation that the service API cannot tell"),
        }
        mechanism
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Tpm {
    endorsement_key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    storage_root_key: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SymmetricKey {
    primary_key: String,
    secondary_key: String,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct X509<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    client_certificates: Option<Pair<WithInfo>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signing_certificates: Option<Pair<WithInfo>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ca_references: Option<Pair<&'a str>>,
}

impl<'a> X509<'a> {
    fn of(x509: &'a X509Attestation, show: fn(&Certificate) -> WithInfo) -> Self {
        let mut out = Self::default();
        match x509 {
            X509Attestation::Leaf(slots) => {
                out.client_certificates = Some(Pair::of(slots, show));
            }
            X509Attestation::Signing(slots) => {
                out.signing_certificates = Some(Pair::of(slots, show));
            }
            X509Attestation::CaReferences(slots) => {
                out.ca_references = Some(Pair::of(slots, |name| &**name));
            }
        }
        out
    }
}

/// Both slots; an empty one is told as `null`, as the service does.
#[derive(Serialize)]
struct Pair<T> {
    primary: Option<T>,
    secondary: Option<T>,
}

impl<T> Pair<T> {
    fn of<'a, S>(slots: &'a Slots<S>, show: impl Fn(&'a S) -> T) -> Self {
        Self {
            primary: slots.primary.as_ref().map(&show),
            secondary: slots.secondary.as_ref().map(&show),
        }
    }
}

#[derive(Serialize)]
struct WithInfo {
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    info: Option<Info>,
}

/// What stands in a certificate. Clients reject one of which anything is missing.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Info {
    subject_name: String,
    sha1_thumbprint: String,
    sha256_thumbprint: String,
    issuer_name: String,
    #[serde(serialize_with = "shown")]
    not_before_utc: Timestamp,
    #[serde(serialize_with = "shown")]
    not_after_utc: Timestamp,
    serial_number: String,
    version: u32,
}

impl WithInfo {
    fn of(certificate: &Certificate) -> Self {
        let info = certificate.info();
        let info = Info {
            subject_name: info.subject,
            sha1_thumbprint: hex(&info.sha1),
            sha256_thumbprint: hex(&info.sha256),
            issuer_name: info.issuer,
            not_before_utc: info.not_before,
            not_after_utc: info.not_after,
            serial_number: info.serial,
            version: info.version,
        };
        Self {
            certificate: None,
            info: Some(info),
        }
    }

    fn whole(certificate: &Certificate) -> Self {
        Self {
            certificate: Some(BASE64_STANDARD.encode(certificate.der())),
            info: None,
        }
    }
}
