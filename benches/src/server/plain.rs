//! MQTT and AMQP without TLS: what the session, its packets and its driver cost, beside the least that could be
//! done with the same packets or frames on the same runtime.

use std::io;
use std::sync::Arc;

use dps_core::api::DeviceApi;
use dps_core::id::ApiVersion;
use dps_core::store::Store;
use dps_store_memory::MemoryStore;
use dps_testkit::Scripted;
use dps_transport::{Peer, Protocol, Tasks};
use dps_transport_amqp::Amqp;
use dps_transport_mqtt::Mqtt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Canned, Setup, accept_all, on_one_core, ours};
use crate::world;

/// Answers each packet with constant bytes: no session, no limits, no clock.
///
/// Options: those of [`Canned`].
///
/// # Errors
/// When the server cannot listen.
pub fn echo(setup: &Setup) -> io::Result<()> {
    let canned: Arc<Canned> = Canned::of(setup).into();
    on_one_core(accept_all(setup, move |stream, _| {
        converse(stream, Arc::clone(&canned))
    }))
}

async fn converse(mut stream: TcpStream, canned: Arc<Canned>) -> io::Result<()> {
    let mut room = [0; 2048];
    let mut part = Vec::new();
    loop {
        let read = stream.read(&mut room).await?;
        if read == 0 {
            return Ok(());
        }
        let mut text = &room[..read];
        if !part.is_empty() {
            part.extend_from_slice(text);
            text = &part;
        }
        while let Some(said) = canned.answer(text) {
            text = &text[said.taken..];
            stream.write_all(said.answer).await?;
            if said.last {
                return stream.shutdown().await;
            }
        }
        part = text.to_vec();
    }
}

/// The session and its driver as they are, on the bare stream.
///
/// Options: `protocol` (`mqtt` or `amqp`; `mqtt`); `api`: `scripted` (believes everybody, and says what the service says to an assigned
/// device) or `service`, with the options of [`ours::service`]; `scripted`.
///
/// # Errors
/// When the server cannot listen.
pub fn ours(setup: &Setup) -> io::Result<()> {
    on_one_core(async {
        let api: Arc<dyn DeviceApi> = match setup.option("api", String::new()).as_str() {
            "service" => ours::service(setup).await,
            _ => Arc::new(scripted().await),
        };
        match setup.option("protocol", String::new()).as_str() {
            "amqp" => converse_in(setup, Amqp::new(api)).await,
            _ => converse_in(setup, Mqtt::new(api)).await,
        }
    })
}

async fn converse_in(setup: &Setup, protocol: impl Protocol + Clone) -> io::Result<()> {
    let tasks = Tasks::new();
    accept_all(setup, move |stream, from| {
        let (protocol, tasks) = (protocol.clone(), tasks.clone());
        async move {
            let peer = Peer::anonymous(from);
            protocol.serve(Box::new(stream), peer, tasks).await;
            Ok(())
        }
    })
    .await
}

async fn scripted() -> Scripted {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    world::fill(&store, &world::instance(None), &[world::key_group()], 0).await;
    let service = world::service(&store);
    let response = world::register(&service, world::hello(0), &ApiVersion::usual()).await;
    Scripted::answering(response)
}
