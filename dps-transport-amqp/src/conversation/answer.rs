//! From what a device is told to a message, or to a refusal of its own.

use std::borrow::Cow;

use dps_core::api::DeviceResponse;
use dps_core::error::{Reason, ServiceError};
use dps_transport::device_json;

use super::Session;
use crate::codec::{ErrorInfo, Map, Outcome, Reader, Response, Value, Writer, put_retry_after};
use crate::engine::Engine;

/// The longest delay told beside an operation, in seconds: Java ignores longer ones
/// (`ProvisioningDeviceClientContract.java`).
const LONGEST_DELAY: u64 = 5;

impl<'a> Session<'a> {
    /// Answers the request that has waited longest: by a message, or if it is an error by what becomes
    /// of its own.
    pub(super) fn tell(&mut self, response: &DeviceResponse) {
        let Some(waiting) = self.unanswered.pop_front() else {
            return;
        };
        self.unanswered_bytes -= waiting.bytes();
        if self.unanswered.is_empty() {
            self.unanswered = Default::default();
        }
        let error = match response {
            DeviceResponse::Operation {
                operation,
                state,
                retry_after,
            } => {
                let delay = retry_after
                    .map_or(3, device_json::whole_seconds)
                    .min(LONGEST_DELAY);
                let response = Response {
                    id: waiting.id.as_deref(),
                    retry_after: (!state.status.is_final()).then_some(seconds(delay)),
                    body: &device_json::operation(operation, state),
                };
                let mut message = Vec::with_capacity(response.body.len() + 192);
                response.put(&mut Writer(&mut message));
                self.engine.settle(waiting.delivery, Outcome::Accepted);
                self.engine.send(message);
                return;
            }
            DeviceResponse::Error(error) => Cow::Borrowed(error),
            _ => {
                tracing::error!("the device API answered another question than it was asked");
                Cow::Owned(ServiceError::new(Reason::Internal))
            }
        };
        let delivery = waiting.delivery;
        self.with_error(&error, |engine, error| {
            engine.settle(delivery, Outcome::Rejected(Some(error.clone())));
            if delivery.settled {
                // It does not ask what became of its message, and has to learn it all the same.
                engine.refuse(delivery.link, error);
            }
        });
    }

    /// Does something with an error as AMQP has it: a condition, the JSON that a device is told over
    /// HTTP as description, and the delay, if there is one.
    pub(super) fn with_error(
        &mut self,
        error: &ServiceError,
        tell: impl FnOnce(&mut Engine<'a>, &ErrorInfo<'_>),
    ) {
        let stamp = self.stamps.stamp();
        let body = device_json::error(error, stamp.id, stamp.now);
        let description = String::from_utf8_lossy(&body);
        let mut info = Vec::new();
        let mut told = ErrorInfo::new(condition(error.reason()), Some(&description));
        if let Some(delay) = error.retry_after() {
            let delay = seconds(device_json::whole_seconds(delay));
            Writer(&mut info).map(|pairs| {
                put_retry_after(delay, pairs, |key, to| to.symbol(key));
            });
        }
        if let Ok(Value::Map(info)) = Value::read(&mut Reader(&info)) {
            told.info = Some(Map::clone(&info));
        }
        tell(&mut self.engine, &told);
    }
}

/// # Source
/// Node.js asks again after `amqp:internal-error` and `com.microsoft:device-container-throttled`, and
/// after no other (`amqp.ts`); C# goes by the JSON (`ProvisioningErrorDetailsAmqp.cs`), and C and Java
/// by neither.
fn condition(reason: Reason) -> &'static str {
    match reason.status() {
        401 => "amqp:unauthorized-access",
        404 => "amqp:not-found",
        429 => "com.microsoft:device-container-throttled",
        500.. => "amqp:internal-error",
        _ => "amqp:not-allowed",
    }
}

fn seconds(seconds: u64) -> i32 {
    i32::try_from(seconds).unwrap_or(i32::MAX)
}
