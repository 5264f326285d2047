//! Over AMQP: SASL has the device believed, and two links carry questions and answers.
//!
//! Source: azure-iot-sdk-node, `provisioning/transport/amqp/src/amqp.ts`; azure-iot-sdk-csharp,
//! `provisioning/transport/amqp/src/ProvisioningTransportHandlerAmqp.cs`.

use std::time::Duration;

use fe2o3_amqp::connection::ConnectionHandle;
use fe2o3_amqp::session::SessionHandle;
use fe2o3_amqp::types::messaging::{ApplicationProperties, Body, Message, Outcome};
use fe2o3_amqp::types::primitives::{SimpleValue, Value as Amqpvalue};
use fe2o3_amqp::{Connection, Receiver, Sender, Session};
use serde_json::Value;

use super::error::Error;
use super::stream::Stream;
use super::{Answer, Keys, Question, sasl};

/// A connection of a device that is believed.
pub(super) struct Amqp {
    connection: ConnectionHandle<()>,
    session: SessionHandle<()>,
    sender: Sender,
    receiver: Receiver,
}

impl Amqp {
    /// Asks for the challenge, answers it, and opens the links.
    pub(super) async fn prove(
        mut stream: Box<dyn Stream>,
        host: &str,
        names: [&str; 2],
        keys: &Keys,
        prove: impl FnOnce(&[u8]) -> Result<String, crate::Error>,
    ) -> Result<Self, Error> {
        sasl::authenticate(stream.as_mut(), host, names, keys, prove).await?;
        let mut connection = Connection::builder()
            .container_id(names[1])
            .hostname(host)
            .scheme("amqp")
            .open_with_stream(stream)
            .await
            .map_err(broken)?;
        let mut session = Session::begin(&mut connection).await.map_err(broken)?;
        let address = format!("/{}/registrations/{}", names[0], names[1]);
        let receiver = Receiver::attach(&mut session, "provision_receiver_link", address.as_str())
            .await
            .map_err(broken)?;
        let sender = Sender::attach(&mut session, "provision_sender_link", address)
            .await
            .map_err(broken)?;
        Ok(Self {
            connection,
            session,
            sender,
            receiver,
        })
    }

    pub(super) async fn ask(&mut self, question: Question<'_>) -> Result<Answer, Error> {
        let properties = ApplicationProperties::builder();
        let (properties, body) = match question {
            Question::Register(body) => {
                let properties = properties.insert("iotdps-operation-type", "iotdps-register");
                (properties, body.to_string())
            }
            Question::Poll(operation) => {
                let properties = properties
                    .insert("iotdps-operation-type", "iotdps-get-operationstatus")
                    .insert("iotdps-operation-id", operation);
                (properties, String::new())
            }
        };
        let message = Message::builder()
            .application_properties(properties.build())
            .data(body.into_bytes())
            .build();
        match self.sender.send(message).await.map_err(broken)? {
            Outcome::Accepted(_) => {}
            Outcome::Rejected(rejected) => {
                let said = rejected.error.and_then(|error| error.description);
                return refused(said.as_deref().unwrap_or_default());
            }
            _ => return Err(Error::Unreadable("outcome")),
        }
        let delivery = self
            .receiver
            .recv::<Body<Amqpvalue>>()
            .await
            .map_err(broken)?;
        self.receiver.accept(&delivery).await.map_err(broken)?;
        let message = delivery.into_message();
        let delay = message
            .application_properties
            .and_then(|properties| match properties.0.get("retry-after")? {
                SimpleValue::Int(seconds) => u64::try_from(*seconds).ok(),
                _ => None,
            })
            .map(Duration::from_secs);
        let Body::Data(data) = message.body else {
            return Err(Error::Missing("data"));
        };
        let data: Vec<u8> = data
            .into_iter()
            .flat_map(|part| part.0.into_vec())
            .collect();
        Ok(Answer {
            status: 200,
            body: serde_json::from_slice(&data).map_err(|_| Error::Unreadable("data"))?,
            delay,
        })
    }

    pub(super) async fn close(mut self) -> Result<(), Error> {
        self.sender.close().await.map_err(broken)?;
        self.receiver.close().await.map_err(broken)?;
        self.session.end().await.map_err(broken)?;
        self.connection.close().await.map_err(broken)
    }
}

/// What a refusal says is what HTTP would have said.
fn refused(said: &str) -> Result<Answer, Error> {
    let body: Value = serde_json::from_str(said).unwrap_or_default();
    let code = body["errorCode"].as_u64().unwrap_or_default();
    Ok(Answer {
        status: u16::try_from(code / 1000).unwrap_or_default(),
        body,
        delay: None,
    })
}

fn broken(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Amqp(Box::new(error))
}
