//! The AMQP acceptor that is there to be had: fe2o3-amqp, with a constant answer.

use std::io;
use std::sync::Arc;

use fe2o3_amqp::acceptor::sasl_acceptor::SaslServerFrame;
use fe2o3_amqp::acceptor::{
    ConnectionAcceptor, LinkAcceptor, LinkEndpoint, SaslAcceptor, SessionAcceptor,
};
use fe2o3_amqp::types::messaging::{Body, Data, Message, Properties};
use fe2o3_amqp::types::primitives::{Array, Symbol, Value};
use fe2o3_amqp::types::sasl::{SaslCode, SaslInit, SaslOutcome, SaslResponse};
use tokio::net::TcpStream;

use super::{Answer, Setup, accept_all, on_one_core};

/// Accepts a connection, a session, and a link each way, and answers one message.
///
/// Options: `body` (bytes of the answer's body, 600).
///
/// # Errors
/// When the server cannot listen.
pub fn serve(setup: &Setup) -> io::Result<()> {
    let answer = Arc::new(Answer::of(setup.option("body", 600)));
    on_one_core(accept_all(setup, move |stream, _| {
        let answer = Arc::clone(&answer);
        async move { converse(stream, &answer).await.map_err(io::Error::other) }
    }))
}

async fn converse(
    stream: TcpStream,
    answer: &Answer,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let acceptor = ConnectionAcceptor::builder()
        .container_id("dps-00000000-0000-0000-0000-000000000000")
        .sasl_acceptor(Anybody)
        .build();
    let mut connection = acceptor.accept(stream).await?;
    let mut session = SessionAcceptor::new().accept(&mut connection).await?;
    let links = LinkAcceptor::new();
    let (mut first, mut second) = (
        links.accept(&mut session).await?,
        links.accept(&mut session).await?,
    );
    if let (LinkEndpoint::Sender(sender), LinkEndpoint::Receiver(receiver)) =
        (&mut first, &mut second)
    {
        let request = receiver.recv::<Body<Value>>().await?;
        receiver.accept(&request).await?;
        let mut properties = Properties::default();
        let asked = request.message().properties.as_ref();
        properties.correlation_id = asked.and_then(|asked| asked.correlation_id.clone());
        properties.content_type = Some(Symbol::from(Answer::CONTENT_TYPE));
        let message = Message::builder()
            .properties(properties)
            .data(Data::from(answer.body().to_vec()))
            .build();
        sender.send(message).await?;
    }
    Ok(connection.on_close().await?)
}

/// Believes everybody who chooses PLAIN.
#[derive(Clone, Debug)]
struct Anybody;

impl SaslAcceptor for Anybody {
    fn mechanisms(&self) -> Array<Symbol> {
        Array::from(vec![Symbol::from("PLAIN")])
    }

    fn on_init(&mut self, _: SaslInit) -> SaslServerFrame {
        outcome(SaslCode::Ok)
    }

    fn on_response(&mut self, _: SaslResponse) -> SaslServerFrame {
        outcome(SaslCode::Sys)
    }
}

fn outcome(code: SaslCode) -> SaslServerFrame {
    SaslServerFrame::Outcome(SaslOutcome {
        code,
        additional_data: None,
    })
}
