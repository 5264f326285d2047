//! `IndividualEnrollment` and `EnrollmentGroup`.

use std::sync::Arc;

use dps_core::allocate::Policy;
use dps_core::crypto::Crypto;
use dps_core::enrollment::{
    AttestationDraft, CertificateDraft, CustomAllocation, Draft, DraftError, Enrollment,
    ReprovisionPolicy, Subject, Url,
};
use dps_core::id::{DeviceId, GroupId, HubName, RegistrationId};
use dps_core::instance::MAX_HUBS;
use dps_core::json;
use dps_core::time::Timestamp;
use dps_core::twin::Twin;
use serde_json::Value;

use super::attestation::{self, Kind};
use super::error::{EnrollmentError, Problem};
use super::object::Object;

/// The largest document that is looked at, in bytes. Our choice: two certificates as base64 of PEM and
/// a twin of the size that hubs allow fit in a third of it.
pub const MAX_ENROLLMENT_BYTES: usize = 256 * 1024;

/// The longest address of a custom policy that is kept, in characters. Our choice.
const MAX_URL: usize = 2048;

/// Reads enrollments from the JSON of the service API.
///
/// Members that only the service writes (`etag`, `registrationState`, `createdDateTimeUtc`,
/// `lastUpdatedDateTimeUtc`, the `info` of a certificate that is given) and members that nobody knows
/// are ignored; null counts as absent. Words are taken in any case.
///
/// # Source
/// `IndividualEnrollment` and `EnrollmentGroup` of the service API, version 2021-10-01.
#[derive(Clone, Copy, Debug)]
pub struct EnrollmentReader {
    crypto: Crypto,
    now: Timestamp,
}

/// An enrollment as read, and what an operator should know about it.
#[derive(Clone, Debug)]
pub struct ReadEnrollment {
    /// What the document says.
    pub draft: Draft,
    /// What is allowed and yet probably not meant, each with the path of the member.
    pub notes: Vec<String>,
    crypto: Crypto,
}

impl ReadEnrollment {
    /// The document as a new entry: keys that it does not say are made, each time others.
    ///
    /// # Errors
    /// [`Problem::NoSuchCertificate`] for a certificate with nothing but `info`, which a new entry cannot
    /// keep; [`EnrollmentError::Crypto`] if a key cannot be made.
    pub fn enrollment(&self) -> Result<Enrollment, EnrollmentError> {
        let slots = match self.draft.attestation {
            AttestationDraft::Signing(_) => "signingCertificates",
            _ => "clientCertificates",
        };
        let whole = self.draft.clone().complete(None, &self.crypto);
        whole.map_err(|error| match error {
            DraftError::NoSuchCertificate { slot } => EnrollmentError::Member {
                path: format!("attestation.x509.{slots}.{slot}.info").into(),
                problem: Problem::NoSuchCertificate,
            },
            DraftError::Crypto(error) => EnrollmentError::Crypto(error),
            other => EnrollmentError::Draft(other),
        })
    }
}

impl EnrollmentReader {
    /// Makes missing keys of new entries through `crypto`; entries are dated `now`.
    #[must_use]
    pub const fn new(crypto: Crypto, now: Timestamp) -> Self {
        Self { crypto, now }
    }

    /// Reads an `IndividualEnrollment` from the bytes of one document.
    ///
    /// # Errors
    /// [`EnrollmentError`] names the member that is not as it has to be.
    pub fn individual_from_slice(&self, bytes: &[u8]) -> Result<ReadEnrollment, EnrollmentError> {
        self.individual(&document(bytes)?)
    }

    /// Reads an `EnrollmentGroup` from the bytes of one document.
    ///
    /// # Errors
    /// [`EnrollmentError`] names the member that is not as it has to be.
    pub fn group_from_slice(&self, bytes: &[u8]) -> Result<ReadEnrollment, EnrollmentError> {
        self.group(&document(bytes)?)
    }

    /// Reads an `IndividualEnrollment`.
    ///
    /// # Errors
    /// [`EnrollmentError`] names the member that is not as it has to be.
    pub fn individual(&self, document: &Value) -> Result<ReadEnrollment, EnrollmentError> {
        let object = Object::root(document)?;
        let registration = object.id("registrationId", RegistrationId::parse)?;
        let subject = Subject::Individual {
            registration: object.required("registrationId", registration)?,
            device: object.id("deviceId", DeviceId::parse)?,
            information: object.free("optionalDeviceInformation")?,
        };
        self.read(&object, subject, Kind::Individual)
    }

    /// Reads an `EnrollmentGroup`.
    ///
    /// # Errors
    /// [`EnrollmentError`] names the member that is not as it has to be.
    pub fn group(&self, document: &Value) -> Result<ReadEnrollment, EnrollmentError> {
        let object = Object::root(document)?;
        let id = object.id("enrollmentGroupId", GroupId::parse)?;
        let subject = Subject::Group {
            id: object.required("enrollmentGroupId", id)?,
        };
        self.read(&object, subject, Kind::Group)
    }

    fn read(
        &self,
        object: &Object<'_>,
        subject: Subject,
        kind: Kind,
    ) -> Result<ReadEnrollment, EnrollmentError> {
        let mut notes = Vec::new();
        let attestation = attestation::read(object, kind, &self.crypto, &mut notes)?;
        let policy = policy(object)?;
        let custom_allocation = custom_allocation(object)?;
        if policy == Some(Policy::Custom) && custom_allocation.is_none() {
            let text = "is required when the allocation policy is custom";
            return Err(object.fault("customAllocationDefinition", Problem::Unfit(text)));
        }
        let draft = Draft {
            subject,
            attestation,
            enabled: enabled(object)?,
            edge: edge(object)?,
            hubs: object.ids("iotHubs", MAX_HUBS, HubName::parse)?,
            pinned_hub: object.id("iotHubHostName", HubName::parse)?,
            policy,
            custom_allocation,
            initial_twin: initial_twin(object)?,
            reprovision: reprovision(object)?,
            created: self.now,
            updated: self.now,
        };
        self.notice(&draft, &mut notes);
        Ok(ReadEnrollment {
            draft,
            notes,
            crypto: self.crypto,
        })
    }

    /// Notes what is allowed and yet cannot work.
    fn notice(&self, draft: &Draft, notes: &mut Vec<String>) {
        let (member, slots) = match &draft.attestation {
            AttestationDraft::Leaf(slots) => ("clientCertificates", slots),
            AttestationDraft::Signing(slots) => ("signingCertificates", slots),
            _ => return,
        };
        let named = [("primary", &slots.primary), ("secondary", &slots.secondary)];
        for (slot, certificate) in named {
            let Some(CertificateDraft::Given(certificate)) = certificate else {
                continue;
            };
            let mut note = |text| notes.push(format!("attestation.x509.{member}.{slot}: {text}"));
            if !certificate.is_valid_at(self.now) {
                note("the certificate is outside its validity period");
            }
            match &draft.subject {
                Subject::Individual { registration, .. } => {
                    let own = certificate.common_name();
                    if !own.is_some_and(|name| name.eq_ignore_ascii_case(registration.as_str())) {
                        note("the certificate's common name is not the registration id");
                    }
                }
                Subject::Group { .. } => {
                    if certificate.authority().is_none() {
                        note("the certificate may not issue others, so no device can come by it");
                    }
                }
            }
        }
    }
}

fn document(bytes: &[u8]) -> Result<Value, EnrollmentError> {
    if bytes.len() > MAX_ENROLLMENT_BYTES {
        return Err(EnrollmentError::TooLarge);
    }
    Ok(json::parse(bytes)?)
}

fn enabled(object: &Object<'_>) -> Result<bool, EnrollmentError> {
    match object.text("provisioningStatus")? {
        None => Ok(true),
        Some(word) if word.eq_ignore_ascii_case("enabled") => Ok(true),
        Some(word) if word.eq_ignore_ascii_case("disabled") => Ok(false),
        Some(_) => Err(object.fault("provisioningStatus", Problem::NotAWord("enabled, disabled"))),
    }
}

fn edge(object: &Object<'_>) -> Result<bool, EnrollmentError> {
    let edge = match object.object("capabilities")? {
        Some(capabilities) => capabilities.flag("iotEdge")?,
        None => None,
    };
    Ok(edge.unwrap_or(false))
}

fn policy(object: &Object<'_>) -> Result<Option<Policy>, EnrollmentError> {
    const WORDS: Problem = Problem::NotAWord("hashed, geoLatency, static, custom");
    let word = object.text("allocationPolicy")?;
    word.map(|word| Policy::parse(word).ok_or_else(|| object.fault("allocationPolicy", WORDS)))
        .transpose()
}

fn custom_allocation(object: &Object<'_>) -> Result<Option<CustomAllocation>, EnrollmentError> {
    let Some(definition) = object.object("customAllocationDefinition")? else {
        return Ok(None);
    };
    let text = |name, max| {
        let text = definition.text(name)?.filter(|text| !text.is_empty());
        let text = definition.required(name, text)?;
        if text.chars().count() > max {
            let unit = "characters";
            return Err(definition.fault(name, Problem::TooMany { max, unit }));
        }
        Ok(text)
    };
    Ok(Some(CustomAllocation {
        url: Url::new(text("webhookUrl", MAX_URL)?),
        api_version: Arc::from(text("apiVersion", 32)?),
    }))
}

fn initial_twin(object: &Object<'_>) -> Result<Twin, EnrollmentError> {
    let Some(twin) = object.object("initialTwin")? else {
        return Ok(Twin::default());
    };
    let desired = match twin.object("properties")? {
        Some(properties) => properties.free("desired")?,
        None => None,
    };
    Ok(Twin {
        tags: twin.free("tags")?.unwrap_or_default(),
        desired: desired.unwrap_or_default(),
        ..Twin::default()
    })
}

fn reprovision(object: &Object<'_>) -> Result<Option<ReprovisionPolicy>, EnrollmentError> {
    let Some(policy) = object.object("reprovisionPolicy")? else {
        return Ok(None);
    };
    let flag = |name| policy.required(name, policy.flag(name)?);
    Ok(Some(ReprovisionPolicy {
        update_hub: flag("updateHubAssignment")?,
        migrate_data: flag("migrateDeviceData")?,
    }))
}
