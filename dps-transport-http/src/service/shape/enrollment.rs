//! `IndividualEnrollment` and `EnrollmentGroup`.

use dps_core::admin::Revision;
use dps_core::enrollment::{Enrollment, Subject};
use dps_core::time::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{Keys, Mechanism, State, shown};
use crate::service::precondition::tag;

/// An entry. A group has no registration id, and so on.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::service) struct Entry<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    registration_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enrollment_group_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    registration_state: Option<State<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    optional_device_information: Option<&'a Map<String, Value>>,
    attestation: Mechanism<'a>,
    capabilities: Capabilities,
    #[serde(skip_serializing_if = "Option::is_none")]
    iot_hub_host_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    initial_twin: Option<InitialTwin<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
    provisioning_status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reprovision_policy: Option<ReprovisionPolicy>,
    #[serde(serialize_with = "shown")]
    created_date_time_utc: Timestamp,
    #[serde(serialize_with = "shown")]
    last_updated_date_time_utc: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    allocation_policy: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    iot_hubs: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom_allocation_definition: Option<CustomAllocation<'a>>,
}

impl<'a> Entry<'a> {
    pub(in crate::service) fn of(revision: &'a Revision<Enrollment>, keys: Keys) -> Self {
        let entry = &revision.value;
        let attestation = Mechanism::of(&entry.attestation, keys);
        Self::with(entry, attestation, Some(tag(revision.version)))
    }

    /// With its certificates, as no version of a record.
    pub(in crate::service) fn exported(entry: &'a Enrollment, keys: Keys) -> Self {
        Self::with(entry, Mechanism::exported(&entry.attestation, keys), None)
    }

    fn with(entry: &'a Enrollment, attestation: Mechanism<'a>, etag: Option<String>) -> Self {
        let (registration, group, device, information) = match &entry.subject {
            Subject::Individual {
                registration,
                device,
                information,
            } => {
                let device = device.as_ref().map(|device| device.as_str());
                (
                    Some(registration.as_str()),
                    None,
                    device,
                    information.as_ref(),
                )
            }
            Subject::Group { id } => (None, Some(id.as_str()), None, None),
        };
        Self {
            registration_id: registration,
            enrollment_group_id: group,
            device_id: device,
            registration_state: None,
            optional_device_information: information,
            attestation,
            capabilities: Capabilities {
                iot_edge: entry.edge,
            },
            iot_hub_host_name: entry.pinned_hub.as_ref().map(|hub| hub.as_str()),
            initial_twin: InitialTwin::of(&entry.initial_twin),
            etag,
            provisioning_status: if entry.enabled { "enabled" } else { "disabled" },
            reprovision_policy: entry.reprovision.map(|policy| ReprovisionPolicy {
                update_hub_assignment: policy.update_hub,
                migrate_device_data: policy.migrate_data,
            }),
            created_date_time_utc: entry.created,
            last_updated_date_time_utc: entry.updated,
            allocation_policy: entry.policy.map(|policy| policy.word()),
            iot_hubs: entry.hubs.iter().map(|hub| hub.as_str()).collect(),
            custom_allocation_definition: entry.custom_allocation.as_ref().map(|custom| {
                CustomAllocation {
                    webhook_url: custom.url.expose(),
                    api_version: &custom.api_version,
                }
            }),
        }
    }

    /// With how its device stands.
    pub(in crate::service) fn with_state(mut self, state: State<'a>) -> Self {
        self.registration_state = Some(state);
        self
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Capabilities {
    iot_edge: bool,
}

#[derive(Serialize)]
struct InitialTwin<'a> {
    tags: &'a Map<String, Value>,
    properties: Properties<'a>,
}

#[derive(Serialize)]
struct Properties<'a> {
    desired: &'a Map<String, Value>,
}

impl<'a> InitialTwin<'a> {
    fn of(twin: &'a dps_core::twin::Twin) -> Option<Self> {
        let (tags, desired) = (&twin.tags, &twin.desired);
        let properties = Properties { desired };
        (!tags.is_empty() || !desired.is_empty()).then_some(Self { tags, properties })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReprovisionPolicy {
    update_hub_assignment: bool,
    migrate_device_data: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CustomAllocation<'a> {
    webhook_url: &'a str,
    api_version: &'a str,
}
