//! The client of fe2o3-amqp, which is nobody's SDK but another AMQP: it registers and polls.

use dps_testkit::certs::Identity;
use dps_transport::{Peer, Protocol};
use fe2o3_amqp::connection::{ConnectionHandle, OpenError};
use fe2o3_amqp::sasl_profile::SaslProfile;
use fe2o3_amqp::session::SessionHandle;
use fe2o3_amqp::types::messaging::{
    ApplicationProperties, Body, Message, MessageId, Outcome, Properties,
};
use fe2o3_amqp::types::primitives::{SimpleValue, Uuid, Value};
use fe2o3_amqp::{Connection, Receiver, Sender, Session};

use crate::common::peer;
use crate::site::*;

async fn connect(
    site: &Site,
    peer: Peer,
    profile: Option<SaslProfile>,
    max_frame_size: u32,
) -> Result<ConnectionHandle<()>, OpenError> {
    let (io, theirs) = tokio::io::duplex(4096);
    let (amqp, tasks) = (site.amqp.clone(), site.tasks.clone());
    tokio::spawn(async move { amqp.serve(Box::new(theirs), peer, tasks).await });
    let mut builder = Connection::builder()
        .container_id("device")
        .hostname("dps.example")
        .scheme("amqp")
        .max_frame_size(max_frame_size);
    if let Some(profile) = profile {
        builder = builder.sasl_profile(profile);
    }
    builder.open_with_stream(io).await
}

fn plain(site: &Site, id: &str, byte: u8) -> SaslProfile {
    SaslProfile::Plain {
        username: name(id),
        password: site.token(id, &key(byte)),
    }
}

/// A device with its two links.
struct Device {
    connection: ConnectionHandle<()>,
    session: SessionHandle<()>,
    sender: Sender,
    receiver: Receiver,
}

impl Device {
    async fn link(mut connection: ConnectionHandle<()>, id: &str) -> Self {
        let mut session = Session::begin(&mut connection).await.unwrap();
        let sender = Sender::attach(&mut session, "to", name(id)).await.unwrap();
        let receiver = Receiver::attach(&mut session, "from", name(id)).await;
        Self {
            connection,
            session,
            sender,
            receiver: receiver.unwrap(),
        }
    }

    async fn ask(&mut self, id: MessageId, properties: &[(&str, &str)], body: &str) -> Outcome {
        let mut all = ApplicationProperties::builder();
        for (key, value) in properties {
            all = all.insert(*key, *value);
        }
        let message = Message::builder()
            .properties(Properties::builder().correlation_id(id).build())
            .application_properties(all.build())
            .data(body.as_bytes().to_vec())
            .build();
        self.sender.send(message).await.unwrap()
    }

    /// The answer, with its name and its delay.
    async fn hear(&mut self) -> (serde_json::Value, MessageId, Option<SimpleValue>) {
        let delivery = self.receiver.recv::<Body<Value>>().await.unwrap();
        self.receiver.accept(&delivery).await.unwrap();
        let message = delivery.into_message();
        let Body::Data(sections) = message.body else {
            panic!("no data");
        };
        let [data] = &Vec::from_iter(sections)[..] else {
            panic!("not one section");
        };
        let delay = message
            .application_properties
            .and_then(|properties| properties.0.get("retry-after").cloned());
        let id = message.properties.unwrap().correlation_id.unwrap();
        (serde_json::from_slice(&data.0).unwrap(), id, delay)
    }

    async fn goodbye(mut self) {
        self.sender.close().await.unwrap();
        self.receiver.close().await.unwrap();
        self.session.end().await.unwrap();
        self.connection.close().await.unwrap();
    }
}

async fn registers_and_polls(mut device: Device, payload: &str) {
    let ids = [
        MessageId::Ulong(7),
        MessageId::Uuid(Uuid::from([7; 16])),
        MessageId::Binary(vec![0, 255].into()),
        MessageId::String("seven".into()),
    ];
    for id in ids {
        let register = [("iotdps-operation-type", "iotdps-register")];
        let outcome = device.ask(id.clone(), &register, payload).await;
        assert!(matches!(outcome, Outcome::Accepted(_)), "{outcome:?}");
        let (body, found, delay) = device.hear().await;
        assert_eq!(
            (body["status"].as_str(), found),
            (Some("assigning"), id.clone())
        );
        assert_eq!(delay, Some(SimpleValue::Int(3)));
        let operation = body["operationId"].as_str().unwrap();
        let poll = [
            ("iotdps-operation-type", "iotdps-get-operationstatus"),
            ("iotdps-operation-id", operation),
        ];
        device.ask(id.clone(), &poll, "").await;
        let (body, found, delay) = device.hear().await;
        assert_eq!(body["registrationState"]["assignedHub"], A);
        assert_eq!((found, delay), (id, None));
    }
    let outcome = device
        .ask(
            MessageId::Ulong(1),
            &[("iotdps-operation-type", "iotdps-x")],
            "",
        )
        .await;
    let Outcome::Rejected(rejected) = outcome else {
        panic!("not rejected: {outcome:?}");
    };
    let text = rejected.error.unwrap().description.unwrap();
    assert!(text.contains("400004"), "{text}");
    device.goodbye().await;
}

#[tokio::test]
async fn it_registers_with_a_key() {
    let site = Site::open().await.without_grace();
    site.put(&individual("press-1", keys(1))).await;
    let profile = plain(&site, "press-1", 1);
    let connection = connect(&site, peer(), Some(profile), 65_536).await;
    let device = Device::link(connection.unwrap(), "press-1").await;
    registers_and_polls(device, r#"{"payload":{"a":1}}"#).await;
}

#[tokio::test]
async fn it_registers_in_the_smallest_frames() {
    let site = Site::open().await.without_grace();
    site.put(&individual("press-1", keys(1))).await;
    let profile = plain(&site, "press-1", 1);
    let connection = connect(&site, peer(), Some(profile), 512).await;
    let device = Device::link(connection.unwrap(), "press-1").await;
    let payload = format!(r#"{{"payload":"{}"}}"#, "a".repeat(90_000));
    registers_and_polls(device, &payload).await;
}

#[tokio::test]
async fn it_registers_with_a_certificate() {
    let site = Site::open().await.without_grace();
    let identity = Identity::self_signed("press-1");
    site.put(&individual("press-1", leaf(&identity))).await;
    let connection = connect(&site, holder(&identity), None, 65_536).await;
    let device = Device::link(connection.unwrap(), "press-1").await;
    registers_and_polls(device, "{}").await;
}

#[tokio::test]
async fn it_is_told_if_it_is_not_believed() {
    let site = Site::open().await;
    site.put(&individual("press-1", keys(1))).await;
    for profile in [plain(&site, "press-1", 9), SaslProfile::Anonymous] {
        let refused = connect(&site, peer(), Some(profile), 65_536).await;
        let error = refused.unwrap_err();
        assert!(
            matches!(
                error,
                OpenError::SaslError { .. } | OpenError::NotImplemented(_)
            ),
            "{error:?}"
        );
    }
    let identity = Identity::self_signed("press-2");
    let connection = connect(&site, holder(&identity), None, 65_536).await;
    let mut connection = connection.unwrap();
    let mut session = Session::begin(&mut connection).await.unwrap();
    Sender::attach(&mut session, "to", name("press-2"))
        .await
        .unwrap_err();
}
