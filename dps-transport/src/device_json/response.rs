//! What devices are sent.
//!
//! Members stand in the order in which the service itself writes them; none is ever `null`, because
//! the SDK for embedded C takes `null` for a value. Everything is ASCII.

use std::fmt::Display;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use dps_core::error::ServiceError;
use dps_core::id::{OperationId, TrackingId};
use dps_core::json::to_ascii;
use dps_core::registration::{Mechanism, RegistrationState, Status};
use dps_core::store::Version;
use dps_core::time::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

/// How far an operation is: `RegistrationOperationStatus` of the device API.
#[must_use]
pub fn operation(operation: &OperationId, state: &RegistrationState) -> Vec<u8> {
    to_ascii(&OperationStatus {
        operation_id: operation.as_str(),
        status: state.status.word(),
        registration_state: RegistrationResult::of(state),
    })
}

/// How a device stands: `DeviceRegistrationResult` of the device API.
#[must_use]
pub fn registration(state: &RegistrationState) -> Vec<u8> {
    to_ascii(&RegistrationResult::of(state))
}

/// Why a request was not done.
///
/// * `tracking`: names the attempt; the error's own one goes before it.
/// * `now`: when the answer is made.
///
/// # Source
/// Bodies of the service as quoted in the issues of its SDKs, such as Azure/azure-iot-sdk-c#1653.
#[must_use]
pub fn error(error: &ServiceError, tracking: TrackingId, now: Timestamp) -> Vec<u8> {
    to_ascii(&ErrorBody {
        error_code: error.reason().code(),
        tracking_id: Shown(error.tracking().unwrap_or(tracking)),
        message: error.message(),
        info: error.detail().map(|reason| Info { reason }),
        timestamp_utc: Shown(now),
    })
}

/// What a TPM has to answer first. Goes with status 401, and must not contain a `status`.
///
/// # Source
/// Azure/azure-iot-sdk-csharp#432 for the text; the C SDK (`prov_device_ll_client.c`) wants `keyName`.
#[must_use]
pub fn challenge(authentication_key: &[u8]) -> Vec<u8> {
    to_ascii(&Challenge {
        message: "Authorization required, resend request using supplied key",
        key_name: "registration",
        authentication_key: STANDARD.encode(authentication_key),
    })
}

/// A record's entity tag: base64 of a quoted text, as the service's are.
#[must_use]
pub fn etag(version: Version) -> String {
    STANDARD.encode(format!("\"{:016x}\"", version.0))
}

/// A delay as it is told to devices: whole seconds, rounded up, at least 1.
///
/// # Source
/// Java reads it with `Integer.parseInt` (`ProvisioningDeviceClientContract.java`).
#[must_use]
pub fn whole_seconds(delay: Duration) -> u64 {
    let begun = u64::from(delay.subsec_nanos() > 0);
    delay.as_secs().saturating_add(begun).max(1)
}

/// A delay as it is told beside an operation that goes on: [`whole_seconds`], and 5 at the most, because
/// Java ignores longer ones (`ProvisioningDeviceClientContract.java`).
#[must_use]
pub fn short_seconds(delay: Duration) -> u64 {
    whole_seconds(delay).min(5)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OperationStatus<'a> {
    operation_id: &'a str,
    status: &'static str,
    registration_state: RegistrationResult<'a>,
}

/// While a device is being assigned, or if its entry is disabled, the service tells no more than its
/// name and that.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RegistrationResult<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    tpm: Option<Tpm>,
    #[serde(skip_serializing_if = "Option::is_none")]
    x509: Option<Entry<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    symmetric_key: Option<Entry<'a>>,
    registration_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_date_time_utc: Option<Shown<Timestamp>>,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    last_updated_date_time_utc: Option<Shown<Timestamp>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<&'a Map<String, Value>>,
}

impl<'a> RegistrationResult<'a> {
    fn of(state: &'a RegistrationState) -> Self {
        let assigned = state.status == Status::Assigned;
        let ended = assigned || state.status == Status::Failed;
        let group = state.owner.group.as_ref().map(|group| group.as_str());
        let entry = Entry {
            enrollment_group_id: group,
        };
        let (x509, symmetric_key) = match state.owner.mechanism {
            _ if !assigned => (None, None),
            Mechanism::X509 => (Some(entry), None),
            Mechanism::SymmetricKey => (None, Some(entry).filter(|_| group.is_some())),
            _ => (None, None),
        };
        let assignment = state.assignment.as_ref().filter(|_| assigned);
        let failure = state.failure.as_ref();
        let extras = Some(&state.extras).filter(|_| assigned);
        Self {
            tpm: extras
                .and_then(|extras| extras.tpm.as_ref())
                .map(|key| Tpm {
                    authentication_key: STANDARD.encode(key),
                }),
            x509,
            symmetric_key,
            registration_id: state.registration.as_str(),
            created_date_time_utc: ended.then_some(Shown(state.created)),
            assigned_hub: assignment.map(|at| at.place.hub.as_str()),
            device_id: assignment.map(|at| at.place.device.as_str()),
            status: state.status.word(),
            substatus: assignment.map(|at| at.substatus.word()),
            error_code: failure.map(|failure| failure.code),
            error_message: failure.map(|failure| &*failure.message),
            last_updated_date_time_utc: ended.then_some(Shown(state.updated)),
            etag: assigned.then(|| etag(state.version)),
            payload: extras.and_then(|extras| extras.payload.as_ref()),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Tpm {
    authentication_key: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    enrollment_group_id: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ErrorBody<'a> {
    error_code: u32,
    tracking_id: Shown<TrackingId>,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    info: Option<Info>,
    timestamp_utc: Shown<Timestamp>,
}

#[derive(Serialize)]
struct Info {
    reason: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Challenge {
    message: &'static str,
    key_name: &'static str,
    authentication_key: String,
}

/// Written as it is shown.
struct Shown<T>(T);

impl<T: Display> Serialize for Shown<T> {
    fn serialize<S: Serializer>(&self, writer: S) -> Result<S::Ok, S::Error> {
        writer.collect_str(&self.0)
    }
}

#[cfg(test)]
mod tests;
