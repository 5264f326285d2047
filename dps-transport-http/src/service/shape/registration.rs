//! `DeviceRegistrationState`, as operators see it.

use dps_core::id::RegistrationId;
use dps_core::registration::RegistrationState;
use dps_core::time::Timestamp;
use dps_transport::device_json;
use serde::Serialize;
use serde_json::{Map, Value};

use super::shown_if;

/// How a device stands. Unlike a device, an operator is told when it began, whatever became of it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::service) struct State<'a> {
    registration_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "shown_if")]
    created_date_time_utc: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    assigned_hub: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_id: Option<&'a str>,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    substatus: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "shown_if")]
    last_updated_date_time_utc: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<&'a Map<String, Value>>,
}

impl<'a> State<'a> {
    pub(in crate::service) fn of(state: &'a RegistrationState) -> Self {
        let place = state.assignment.as_ref().map(|at| &at.place);
        Self {
            registration_id: state.registration.as_str(),
            created_date_time_utc: Some(state.created),
            assigned_hub: place.map(|place| place.hub.as_str()),
            device_id: place.map(|place| place.device.as_str()),
            status: state.status.word(),
            substatus: state.assignment.as_ref().map(|at| at.substatus.word()),
            error_code: state.failure.as_ref().map(|failure| failure.code),
            error_message: state.failure.as_ref().map(|failure| &*failure.message),
            last_updated_date_time_utc: Some(state.updated),
            etag: Some(device_json::etag(state.version)),
            payload: state.extras.payload.as_ref(),
        }
    }

    /// Of a device that has never registered.
    pub(in crate::service) fn never(registration: &'a RegistrationId) -> Self {
        Self {
            registration_id: registration.as_str(),
            created_date_time_utc: None,
            assigned_hub: None,
            device_id: None,
            status: "unassigned",
            substatus: None,
            error_code: None,
            error_message: None,
            last_updated_date_time_utc: None,
            etag: None,
            payload: None,
        }
    }
}
