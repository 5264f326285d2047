//! Enrollments and groups, in one shape.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Base64, StoredTwin, corrupt, decode, encode, load_public_key, store_public_key};
use crate::allocate::Policy;
use crate::certificate::Certificate;
use crate::enrollment::{
    Attestation, CustomAllocation, Enrollment, ReprovisionPolicy, Slots, Subject, Url,
    X509Attestation,
};
use crate::id::{DeviceId, GroupId, HubName, RegistrationId, SecretBytes};
use crate::store::StoreError;
use crate::time::Timestamp;

#[derive(Serialize, Deserialize)]
struct Stored<'a> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    group: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    registration: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    device: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    information: Option<Cow<'a, Map<String, Value>>>,
    by: StoredAttestation<'a>,
    enabled: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    edge: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    hubs: Vec<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pinned: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    policy: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    custom: Option<(Cow<'a, str>, Cow<'a, str>)>,
    #[serde(
        default = "StoredTwin::blank",
        skip_serializing_if = "StoredTwin::is_blank"
    )]
    twin: StoredTwin<'a>,
    /// Update the hub, migrate the data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reprovision: Option<(bool, bool)>,
    created: u64,
    updated: u64,
}

impl StoredTwin<'_> {
    fn blank() -> Self {
        Self {
            tags: Cow::default(),
            desired: Cow::default(),
            reported: Cow::default(),
        }
    }
}

fn is_false(value: &bool) -> bool {
    !*value
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum StoredAttestation<'a> {
    Leaf(StoredSlots<Base64<Cow<'a, [u8]>>>),
    Signing(StoredSlots<Base64<Cow<'a, [u8]>>>),
    CaReferences(StoredSlots<Cow<'a, str>>),
    Keys(Base64<Cow<'a, [u8]>>, Base64<Cow<'a, [u8]>>),
    Tpm(Base64<Cow<'a, [u8]>>, Option<Base64<Cow<'a, [u8]>>>),
}

#[derive(Serialize, Deserialize)]
struct StoredSlots<T>(Option<T>, Option<T>);

impl<T> StoredSlots<T> {
    fn of<'a, D>(slots: &'a Slots<D>, store: impl Fn(&'a D) -> T) -> Self {
        Self(
            slots.primary.as_ref().map(&store),
            slots.secondary.as_ref().map(&store),
        )
    }

    fn load<D>(self, load: impl Fn(T) -> Result<D, StoreError>) -> Result<Slots<D>, StoreError> {
        Ok(Slots {
            primary: self.0.map(&load).transpose()?,
            secondary: self.1.map(&load).transpose()?,
        })
    }
}

pub(crate) fn encode_enrollment(entry: &Enrollment) -> Result<Bytes, StoreError> {
    let (group, registration, device, information) = match &entry.subject {
        Subject::Group { id } => (Some(id.as_str().into()), None, None, None),
        Subject::Individual {
            registration,
            device,
            information,
        } => (
            None,
            Some(registration.as_str().into()),
            device.as_ref().map(|device| device.as_str().into()),
            information.as_ref().map(Cow::Borrowed),
        ),
    };
    encode(&Stored {
        group,
        registration,
        device,
        information,
        by: store_attestation(&entry.attestation),
        enabled: entry.enabled,
        edge: entry.edge,
        hubs: entry.hubs.iter().map(|hub| hub.as_str().into()).collect(),
        pinned: entry.pinned_hub.as_ref().map(|hub| hub.as_str().into()),
        policy: entry.policy.map(|policy| policy.word().into()),
        custom: entry
            .custom_allocation
            .as_ref()
            .map(|custom| (custom.url.expose().into(), (*custom.api_version).into())),
        twin: StoredTwin::of(&entry.initial_twin),
        reprovision: entry
            .reprovision
            .map(|policy| (policy.update_hub, policy.migrate_data)),
        created: entry.created.0,
        updated: entry.updated.0,
    })
}

pub(crate) fn decode_enrollment(value: &[u8]) -> Result<Enrollment, StoreError> {
    let stored: Stored<'static> = decode(value)?;
    let subject = match (stored.group, stored.registration) {
        (Some(id), None) => Subject::Group {
            id: GroupId::parse(&id).map_err(corrupt)?,
        },
        (None, Some(registration)) => Subject::Individual {
            registration: RegistrationId::parse(&registration).map_err(corrupt)?,
            device: stored
                .device
                .map(|id| DeviceId::parse(&id).map_err(corrupt))
                .transpose()?,
            information: stored.information.map(Cow::into_owned),
        },
        _ => return Err(corrupt("an enrollment is for one device or for one group")),
    };
    let hub = |name: Cow<'_, str>| HubName::parse(&name).map_err(corrupt);
    Ok(Enrollment {
        subject,
        attestation: load_attestation(stored.by)?,
        enabled: stored.enabled,
        edge: stored.edge,
        hubs: stored.hubs.into_iter().map(hub).collect::<Result<_, _>>()?,
        pinned_hub: stored.pinned.map(hub).transpose()?,
        policy: stored
            .policy
            .map(|word| Policy::parse(&word).ok_or_else(|| corrupt("unknown allocation policy")))
            .transpose()?,
        custom_allocation: stored.custom.map(|(url, version)| CustomAllocation {
            url: Url::new(&url),
            api_version: Arc::from(&*version),
        }),
        initial_twin: stored.twin.into_twin(),
        reprovision: stored
            .reprovision
            .map(|(update_hub, migrate_data)| ReprovisionPolicy {
                update_hub,
                migrate_data,
            }),
        created: Timestamp(stored.created),
        updated: Timestamp(stored.updated),
    })
}

fn store_attestation(attestation: &Attestation) -> StoredAttestation<'_> {
    fn der(certificate: &Certificate) -> Base64<Cow<'_, [u8]>> {
        Base64(Cow::Borrowed(certificate.der().as_ref()))
    }
    match attestation {
        Attestation::X509(X509Attestation::Leaf(slots)) => {
            StoredAttestation::Leaf(StoredSlots::of(slots, der))
        }
        Attestation::X509(X509Attestation::Signing(slots)) => {
            StoredAttestation::Signing(StoredSlots::of(slots, der))
        }
        Attestation::X509(X509Attestation::CaReferences(slots)) => {
            StoredAttestation::CaReferences(StoredSlots::of(slots, |name| Cow::Borrowed(&**name)))
        }
        Attestation::SymmetricKey { primary, secondary } => StoredAttestation::Keys(
            Base64(Cow::Borrowed(primary.expose())),
            Base64(Cow::Borrowed(secondary.expose())),
        ),
        Attestation::Tpm {
            endorsement_key,
            storage_root_key,
        } => StoredAttestation::Tpm(
            store_public_key(endorsement_key),
            storage_root_key
                .as_ref()
                .map(|bytes| Base64(Cow::Borrowed(&**bytes))),
        ),
    }
}

fn load_attestation(stored: StoredAttestation<'static>) -> Result<Attestation, StoreError> {
    let certificate = |der: Base64<Cow<'static, [u8]>>| {
        Certificate::parse(&CertificateDer::from(der.0.into_owned())).map_err(corrupt)
    };
    Ok(match stored {
        StoredAttestation::Leaf(slots) => {
            Attestation::X509(X509Attestation::Leaf(slots.load(certificate)?))
        }
        StoredAttestation::Signing(slots) => {
            Attestation::X509(X509Attestation::Signing(slots.load(certificate)?))
        }
        StoredAttestation::CaReferences(slots) => Attestation::X509(X509Attestation::CaReferences(
            slots.load(|name| Ok(Arc::from(&*name)))?,
        )),
        StoredAttestation::Keys(primary, secondary) => Attestation::SymmetricKey {
            primary: SecretBytes::new(primary.0.into_owned()),
            secondary: SecretBytes::new(secondary.0.into_owned()),
        },
        StoredAttestation::Tpm(endorsement_key, storage_root_key) => Attestation::Tpm {
            endorsement_key: load_public_key(&endorsement_key)?,
            storage_root_key: storage_root_key.map(|bytes| bytes.0.into_owned().into()),
        },
    })
}
