//! From a message to what is asked.

use dps_core::api::DeviceRequest;
use dps_core::error::{Reason, ServiceError};
use dps_core::id::{ApiVersion, OperationId, RegistrationId};
use dps_transport::Question;
use dps_transport::device_json::{DeviceRegistration, MAX_BODY_BYTES};

use super::Session;
use crate::codec::{Body, Map, Message, MessageId, Value, Writer};
use crate::engine::Delivery;

const OPERATION_TYPE: &str = "iotdps-operation-type";
const OPERATION_ID: &str = "iotdps-operation-id";
const REGISTER: &str = "iotdps-register";
const POLL: &str = "iotdps-get-operationstatus";

/// The longest name of a request that is repeated, in bytes as encoded. Our choice: the SDKs send UUIDs.
const MAX_ID_BYTES: usize = 256;

/// A request without its answer.
pub(super) struct Waiting {
    pub(super) delivery: Delivery,
    /// What the device calls its request, encoded.
    pub(super) id: Option<Box<[u8]>>,
    version: ApiVersion,
    what: Result<What, ServiceError>,
}

enum What {
    /// With its body; it is read when its turn comes.
    Register(Box<[u8]>),
    Poll(OperationId),
}

impl Waiting {
    /// What to ask, or why it cannot be asked.
    pub(super) fn question(&self, registration: &RegistrationId) -> Result<Question, ServiceError> {
        let request = match &self.what {
            Ok(What::Register(body)) => DeviceRequest::Register {
                payload: DeviceRegistration::parse(body, registration)?.payload,
            },
            Ok(What::Poll(operation)) => DeviceRequest::OperationStatus {
                operation: operation.clone(),
            },
            Err(error) => return Err(error.clone()),
        };
        Ok(Question::Call(self.version.clone(), request))
    }

    pub(super) fn bytes(&self) -> usize {
        match &self.what {
            Ok(What::Register(body)) => body.len(),
            _ => 0,
        }
    }
}

impl Session<'_> {
    /// A message has come. One that cannot be understood gets an answer as well.
    pub(super) fn request(&mut self, delivery: Delivery, bytes: &[u8]) {
        let version = self
            .versions
            .iter()
            .find(|(link, _)| *link == delivery.link);
        let version = version.map_or_else(ApiVersion::usual, |(_, version)| version.clone());
        let (id, what) = match Message::read(bytes) {
            Ok(message) => match id(&message) {
                Ok(id) => (id, what(&message)),
                Err(error) => (None, Err(error)),
            },
            Err(error) => (None, Err(malformed(format!("the message: {error}")))),
        };
        let waiting = Waiting {
            delivery,
            id,
            version,
            what,
        };
        self.unanswered_bytes += waiting.bytes();
        self.unanswered.push_back(waiting);
    }
}

/// What an answer repeats: the name of the exchange, or else that of the message.
fn id(message: &Message<'_>) -> Result<Option<Box<[u8]>>, ServiceError> {
    let Some(id) = message.correlation_id.or(message.message_id) else {
        return Ok(None);
    };
    let encoded = encoded(id);
    if encoded.len() > MAX_ID_BYTES {
        return Err(malformed(format!(
            "the correlation-id takes more than {MAX_ID_BYTES} bytes"
        )));
    }
    Ok(Some(encoded.into()))
}

fn encoded(id: MessageId<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    Writer(&mut bytes).value(id.value());
    bytes
}

/// # Source
/// `prov_transport_amqp_common.c` (C), `amqp.ts` (Node.js), `ProvisioningTransportHandlerAmqp.cs` (C#),
/// `ProvisioningAmqpOperations.java` (Java).
fn what(message: &Message<'_>) -> Result<What, ServiceError> {
    let properties = message.application_properties;
    match text(properties, OPERATION_TYPE) {
        Some(REGISTER) => body(&message.body).map(What::Register),
        Some(POLL) => {
            let id = text(properties, OPERATION_ID)
                .ok_or_else(|| malformed(format!("{OPERATION_ID} is missing")))?;
            let id = OperationId::parse(id)
                .map_err(|wrong| malformed(format!("operation id: {wrong}")))?;
            Ok(What::Poll(id))
        }
        Some(_) => Err(malformed(format!("{OPERATION_TYPE} is none that is known"))),
        None => Err(malformed(format!("{OPERATION_TYPE} is missing"))),
    }
}

fn text<'a>(properties: Map<'a>, key: &str) -> Option<&'a str> {
    match properties.get(key)? {
        Value::String(text) | Value::Symbol(text) => Some(text),
        _ => None,
    }
}

/// The JSON of a register: data, or a value that is text or bytes, or nothing.
fn body(body: &Body<'_>) -> Result<Box<[u8]>, ServiceError> {
    let bytes: &[u8] = match body {
        Body::Absent | Body::Value(Value::Null) => &[],
        Body::Data(bytes) => bytes,
        Body::Value(Value::String(text)) => text.as_bytes(),
        Body::Value(Value::Binary(bytes)) => bytes,
        Body::Value(_) => return Err(malformed("the body has to be data, or a text")),
    };
    if bytes.len() > MAX_BODY_BYTES {
        return Err(ServiceError::new(Reason::TooLarge));
    }
    Ok(Box::from(bytes))
}

fn malformed(message: impl Into<std::borrow::Cow<'static, str>>) -> ServiceError {
    ServiceError::new(Reason::Malformed).with_message(message)
}
