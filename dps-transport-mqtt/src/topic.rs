//! Names of topics: two that devices publish to, and one kind that they are answered on.

use std::fmt;

use dps_core::error::{Reason, ServiceError};
use dps_core::id::OperationId;
use dps_transport::percent_decode;

use crate::query::pairs;

const REGISTER: &str = "$dps/registrations/PUT/iotdps-register/?";
const POLL: &str = "$dps/registrations/GET/iotdps-get-operationstatus/?";
/// What devices subscribe to, and nothing else.
pub(crate) const RESPONSES: &str = "$dps/registrations/res/#";

/// The longest name of a request that is repeated, in bytes. Our choice: the SDKs send decimal numbers
/// and UUIDs.
pub(crate) const MAX_RID_BYTES: usize = 256;

/// A request, as far as its topic tells.
#[derive(Debug, PartialEq)]
pub(crate) struct Asked {
    /// The device's name for the request. Only ever repeated, as it came; names may repeat too.
    pub(crate) rid: String,
    /// What is asked, or why it cannot be told.
    pub(crate) action: Result<Action, ServiceError>,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Action {
    Register,
    Poll(OperationId),
}

impl Asked {
    /// Reads a topic; `None` if it is not one of ours, or nobody would know how to answer.
    ///
    /// Pairs come in any order, and the first of a name counts.
    ///
    /// # Source
    /// `az_iot_provisioning_client.c` (embedded C), `mqtt_topic_provisioning.py` (Python).
    pub(crate) fn read(topic: &str) -> Option<Self> {
        let (query, poll) = match topic.strip_prefix(REGISTER) {
            Some(query) => (query, false),
            None => (topic.strip_prefix(POLL)?, true),
        };
        let rid = value(query, "$rid")?;
        if rid.is_empty() || rid.len() > MAX_RID_BYTES {
            return None;
        }
        let action = if poll {
            operation(query).map(Action::Poll)
        } else {
            Ok(Action::Register)
        };
        Some(Self {
            rid: rid.to_owned(),
            action,
        })
    }
}

fn value<'a>(query: &'a str, wanted: &str) -> Option<&'a str> {
    pairs(query)
        .find(|(name, _)| *name == wanted)
        .map(|(_, value)| value)
}

/// Python escapes the id; the others paste it.
fn operation(query: &str) -> Result<OperationId, ServiceError> {
    let malformed = |message| ServiceError::new(Reason::Malformed).with_message(message);
    let id = value(query, "operationId").ok_or_else(|| malformed("operationId is missing"))?;
    let id = percent_decode(id).ok_or_else(|| malformed("operationId is not well escaped"))?;
    OperationId::parse(&id).map_err(|wrong| {
        ServiceError::new(Reason::Malformed).with_message(format!("operation id: {wrong}"))
    })
}

/// The topic of an answer. The order of its parts is fixed: the SDK for Python looks for `$rid` first
/// and `retry-after` second (`mqtt_topic_provisioning.py`), the one for C# for `$rid` right behind
/// the `?` (`ProvisioningChannelHandlerAdapter.cs`).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Response<'a> {
    pub(crate) status: u16,
    pub(crate) rid: &'a str,
    /// In seconds.
    pub(crate) retry_after: Option<u64>,
}

impl fmt::Display for Response<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, rid, .. } = self;
        write!(f, "$dps/registrations/res/{status}/?$rid={rid}")?;
        self.retry_after
            .map_or(Ok(()), |seconds| write!(f, "&retry-after={seconds}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn poll_of(query: &str) -> Option<Result<String, Reason>> {
        let asked = Asked::read(&format!("{POLL}{query}"))?;
        assert_eq!(asked.rid, "7");
        Some(match asked.action {
            Ok(Action::Poll(operation)) => Ok(operation.to_string()),
            Ok(Action::Register) => panic!("a poll is no register"),
            Err(error) => Err(error.reason()),
        })
    }

    #[test]
    fn a_register_is_read_as_every_sdk_writes_it() {
        for rid in ["1", "0f9c9bb1-9d5b-4b3e-8f43-3a8d7f6f2a11", "a/b?c$", "%20"] {
            let asked = Asked::read(&format!("{REGISTER}$rid={rid}")).unwrap();
            assert_eq!(asked.rid, rid);
            assert_eq!(asked.action, Ok(Action::Register));
        }
    }

    #[test]
    fn pairs_come_in_any_order_beside_others() {
        let wanted = Some(Ok("5.0.a".to_owned()));
        for query in [
            "$rid=7&operationId=5.0.a",
            "operationId=5.0.a&$rid=7",
            "x&operationId=5.0.a&y=1=2&$rid=7&",
            "$rid=7&operationId=5%2e0%2Ea",
            "$rid=7&operationId=5.0.a&$rid=8&operationId=6",
        ] {
            assert_eq!(poll_of(query), wanted, "{query}");
        }
    }

    #[test]
    fn a_request_without_rid_cannot_be_answered() {
        for query in ["", "$rid", "$rid=", "rid=1", "$RID=1", "operationId=5.0.a"] {
            assert_eq!(Asked::read(&format!("{REGISTER}{query}")), None, "{query}");
            assert_eq!(poll_of(query), None, "{query}");
        }
    }

    #[test]
    fn a_rid_is_bounded() {
        let topic = |length| format!("{REGISTER}$rid={}", "r".repeat(length));
        assert!(Asked::read(&topic(MAX_RID_BYTES)).is_some());
        assert!(Asked::read(&topic(MAX_RID_BYTES + 1)).is_none());
    }

    #[test]
    fn an_operation_that_cannot_be_named_is_an_answer() {
        for query in [
            "$rid=7",
            "$rid=7&operationId",
            "$rid=7&operationId=",
            "$rid=7&operationId=%2",
            "$rid=7&operationId=%zz",
            "$rid=7&operationId=%ff",
            "$rid=7&operationId=a/b",
        ] {
            assert_eq!(poll_of(query), Some(Err(Reason::Malformed)), "{query}");
        }
    }

    #[test]
    fn other_topics_are_not_ours() {
        for topic in [
            "$dps/registrations/PUT/iotdps-register/",
            "$dps/registrations/PUT/iotdps-register?$rid=1",
            "$dps/registrations/put/iotdps-register/?$rid=1",
            "$dps/registrations/POST/iotdps-get-registration/?$rid=1",
            "$dps/registrations/res/200/?$rid=1",
            "devices/a/messages/events/",
            "/$dps/registrations/PUT/iotdps-register/?$rid=1",
        ] {
            assert_eq!(Asked::read(topic), None, "{topic}");
        }
    }

    #[test]
    fn the_topic_of_an_answer_is_exact() {
        let topic = |status, rid, retry_after| {
            let response = Response {
                status,
                rid,
                retry_after,
            };
            response.to_string()
        };
        assert_eq!(
            topic(202, "1", Some(3)),
            "$dps/registrations/res/202/?$rid=1&retry-after=3"
        );
        assert_eq!(
            topic(200, "a-b", None),
            "$dps/registrations/res/200/?$rid=a-b"
        );
    }

    proptest! {
        #[test]
        fn any_topic_is_a_request_or_none(text in ".{0,80}") {
            let _ = Asked::read(&text);
            for prefix in [REGISTER, POLL] {
                if let Some(asked) = Asked::read(&format!("{prefix}{text}")) {
                    let in_query = text.contains(&format!("$rid={}", asked.rid));
                    prop_assert!(in_query);
                }
            }
        }

        #[test]
        fn every_operation_comes_through_escaped(id in "[0-9A-Za-z.-]{1,128}") {
            let escaped: String = id.bytes().map(|b| format!("%{b:02x}")).collect();
            prop_assert_eq!(poll_of(&format!("operationId={escaped}&$rid=7")), Some(Ok(id)));
        }
    }
}
