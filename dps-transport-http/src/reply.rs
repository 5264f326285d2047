//! What is answered.

use std::time::Duration;

use bytes::Bytes;
use dps_core::api::DeviceResponse;
use dps_core::error::{Reason, ServiceError};
use dps_core::id::TrackingId;
use dps_core::time::Timestamp;
use dps_transport::device_json;
use http::header::{ALLOW, CONTENT_TYPE, HOST, LOCATION, RETRY_AFTER, STRICT_TRANSPORT_SECURITY};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Uri};
use http_body_util::Full;

use crate::address::Refusal;

/// An answer, whole in memory: its length is always known.
pub(crate) type Answer = Response<Full<Bytes>>;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-request-id");
const ERROR_CODE: HeaderName = HeaderName::from_static("x-ms-error-code");
const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
const HTTPS_ONLY: HeaderValue = HeaderValue::from_static("max-age=31536000; includeSubDomains");

/// What the answers to one request have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp {
    pub(crate) id: TrackingId,
    pub(crate) now: Timestamp,
}

impl From<dps_transport::Stamp> for Stamp {
    fn from(stamp: dps_transport::Stamp) -> Self {
        let dps_transport::Stamp { id, now } = stamp;
        Self { id, now }
    }
}

impl Stamp {
    /// Answers a register. Always 202, whatever became of it: other codes of success mean failure to
    /// C# (`RuntimeRegistration.cs`) and to iot-identity-service (`dps/mod.rs`), which then polls.
    pub(crate) fn registered(self, response: &DeviceResponse, location: HeaderValue) -> Answer {
        let DeviceResponse::Operation {
            operation,
            state,
            retry_after,
        } = response
        else {
            return self.otherwise(response);
        };
        let body = device_json::operation(operation, state);
        let mut answer = self.json(StatusCode::ACCEPTED, body);
        // Told also with a final state, for clients that poll all the same.
        let delay = retry_after.unwrap_or(Duration::from_secs(1));
        answer.headers_mut().insert(RETRY_AFTER, short(delay));
        answer.headers_mut().insert(LOCATION, location);
        answer
    }

    /// Answers a poll: 200 if nothing more will come, 202 otherwise.
    pub(crate) fn polled(self, response: &DeviceResponse) -> Answer {
        let DeviceResponse::Operation {
            operation,
            state,
            retry_after,
        } = response
        else {
            return self.otherwise(response);
        };
        let body = device_json::operation(operation, state);
        if state.status.is_final() {
            return self.json(StatusCode::OK, body);
        }
        let mut answer = self.json(StatusCode::ACCEPTED, body);
        let delay = retry_after.unwrap_or(Duration::from_secs(3));
        answer.headers_mut().insert(RETRY_AFTER, short(delay));
        answer
    }

    /// Answers a lookup.
    pub(crate) fn looked_up(self, response: &DeviceResponse) -> Answer {
        match response {
            DeviceResponse::Registration(state) => {
                self.json(StatusCode::OK, device_json::registration(state))
            }
            _ => self.otherwise(response),
        }
    }

    /// Answers that the request was not done.
    pub(crate) fn error(self, error: &ServiceError) -> Answer {
        let id = error.tracking().unwrap_or(self.id);
        let stamp = Self { id, ..self };
        let status = StatusCode::from_u16(error.reason().status())
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut answer = stamp.json(status, device_json::error(error, id, self.now));
        let headers = answer.headers_mut();
        headers.insert(ERROR_CODE, HeaderValue::from(error.reason().code()));
        if let Some(delay) = error.retry_after() {
            let seconds = device_json::whole_seconds(delay);
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        answer
    }

    /// Answers that a request is none of ours, perhaps because another method is the right one.
    pub(crate) fn refusal(self, refusal: &Refusal) -> Answer {
        let mut answer = self.error(&refusal.error);
        let allow = refusal.allow.as_deref().map(HeaderValue::try_from);
        if let Some(Ok(allow)) = allow {
            answer.headers_mut().insert(ALLOW, allow);
        }
        answer
    }

    /// Answers with what has to be answered first. There is no `WWW-Authenticate` in it
    /// (Azure/iotedge#5088).
    pub(crate) fn challenge(self, authentication_key: &[u8]) -> Answer {
        let body = device_json::challenge(authentication_key);
        self.json(StatusCode::UNAUTHORIZED, body)
    }

    /// Errors, and answers to questions that were not asked.
    fn otherwise(self, response: &DeviceResponse) -> Answer {
        if let DeviceResponse::Error(error) = response {
            return self.error(error);
        }
        tracing::error!("the device API answered another question than it was asked");
        self.error(&ServiceError::new(Reason::Internal))
    }

    pub(crate) fn json(self, status: StatusCode, body: Vec<u8>) -> Answer {
        let mut answer = self.with_body(status, body.into());
        answer.headers_mut().insert(CONTENT_TYPE, JSON);
        answer
    }

    pub(crate) fn empty(self, status: StatusCode) -> Answer {
        self.with_body(status, Bytes::new())
    }

    fn with_body(self, status: StatusCode, body: Bytes) -> Answer {
        let mut answer = Response::new(Full::new(body));
        *answer.status_mut() = status;
        let headers = answer.headers_mut();
        headers.reserve(7);
        headers.insert(STRICT_TRANSPORT_SECURITY, HTTPS_ONLY);
        if let Ok(id) = HeaderValue::try_from(self.id.to_string()) {
            headers.insert(REQUEST_ID, id);
        }
        answer
    }
}

/// Where the request went, without its query; without a host if it names none that is fit to repeat.
pub(crate) fn location(uri: &Uri, headers: &HeaderMap) -> HeaderValue {
    let asked = uri.authority().map(http::uri::Authority::as_str);
    let host = asked
        .or_else(|| headers.get(HOST)?.to_str().ok())
        .filter(|host| is_plain_host(host));
    let url = match host {
        Some(host) => HeaderValue::try_from(format!("https://{host}{}", uri.path())),
        None => HeaderValue::try_from(uri.path()),
    };
    url.unwrap_or(HeaderValue::from_static("/"))
}

fn is_plain_host(host: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b".-:[]".contains(&b);
    !host.is_empty() && host.len() <= 255 && host.bytes().all(plain)
}

fn short(delay: Duration) -> HeaderValue {
    HeaderValue::from(device_json::short_seconds(delay))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn located(uri: &str, host: Option<&'static str>) -> String {
        let mut headers = HeaderMap::new();
        if let Some(host) = host {
            headers.insert(HOST, HeaderValue::from_static(host));
        }
        let value = location(&uri.parse().unwrap(), &headers);
        value.to_str().unwrap().to_owned()
    }

    #[test]
    fn a_location_repeats_the_url_without_its_query() {
        let uri = "/S/registrations/a%3ab/register?api-version=1";
        assert_eq!(
            located(uri, Some("dps.example.net:443")),
            "https://dps.example.net:443/S/registrations/a%3ab/register"
        );
        assert_eq!(
            located("https://other/x?y", Some("dps.example.net")),
            "https://other/x"
        );
    }

    #[test]
    fn a_host_that_is_none_is_not_repeated() {
        for host in [None, Some("a/b"), Some("a@b"), Some(""), Some("a\"b")] {
            assert_eq!(located("/x/y", host), "/x/y");
        }
    }
}
