//! From what a device is told to a message.

use std::borrow::Cow;

use dps_core::api::DeviceResponse;
use dps_core::error::{Reason, ServiceError};
use dps_transport::device_json;

use super::Session;
use crate::packet::{Delivery, Packet, Publish, QoS};
use crate::topic::Response;

impl Session<'_> {
    /// Answers the request that has waited longest.
    pub(super) fn tell(&mut self, response: &DeviceResponse) {
        let Some(waiting) = self.unanswered.pop_front() else {
            return;
        };
        self.unanswered_bytes -= waiting.bytes();
        if self.unanswered.is_empty() {
            self.unanswered = Default::default();
        }
        // It may have unsubscribed since.
        let Some(qos) = self.subscribed else {
            return;
        };
        let (status, retry_after, body) = self.render(response);
        let topic = Response {
            status,
            rid: &waiting.rid,
            retry_after,
        };
        let delivery = match qos {
            QoS::AtMostOnce => Delivery::AtMostOnce,
            _ => Delivery::AtLeastOnce(self.next_id()),
        };
        self.send(&Packet::Publish(Publish {
            dup: false,
            retain: false,
            topic: &topic.to_string(),
            delivery,
            payload: &body,
        }));
    }

    /// The status, the delay in seconds, and the body. A final state has 200 and no delay, as the
    /// service has been seen to answer (`az_iot_provisioning_client.h` of embedded C).
    fn render(&self, response: &DeviceResponse) -> (u16, Option<u64>, Vec<u8>) {
        let error = match response {
            DeviceResponse::Operation {
                operation,
                state,
                retry_after,
            } => {
                let body = device_json::operation(operation, state);
                if state.status.is_final() {
                    return (200, None, body);
                }
                let delay = retry_after.map_or(3, device_json::short_seconds);
                return (202, Some(delay), body);
            }
            DeviceResponse::Error(error) => Cow::Borrowed(error),
            _ => {
                tracing::error!("the device API answered another question than it was asked");
                Cow::Owned(ServiceError::new(Reason::Internal))
            }
        };
        let stamp = self.stamps.stamp();
        let delay = error.retry_after().map(device_json::whole_seconds);
        let body = device_json::error(&error, stamp.id, stamp.now);
        (error.reason().status(), delay, body)
    }

    fn next_id(&mut self) -> u16 {
        self.last_id = self.last_id.checked_add(1).unwrap_or(1);
        self.last_id
    }
}
