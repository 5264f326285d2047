//! The service itself: every part as an assembly for production has it, but for hubs, which answer at
//! once.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use dps_core::api::DeviceApi;
use dps_core::crypto::AWS_LC;
use dps_core::id::ApiVersion;
use dps_core::operators::Operators;
use dps_core::store::Store;
use dps_core::tenant::OneStore;
use dps_core::time::SystemClock;
use dps_store_memory::MemoryStore;
use dps_transport::{FailureLimit, Listener, Peer, Protocol, ServerTls, Tasks, TlsProvider, bind};
use dps_transport_amqp::Amqp;
use dps_transport_http::Http;
use dps_transport_http::service::ServiceApi;
use dps_transport_mqtt::Mqtt;

use super::{Setup, accept_all, on_one_core};
use crate::pki::PkiFiles;
use crate::visits::scattered;
use crate::world;

/// Serves the device API: over HTTPS, with MQTT and AMQP in WebSockets; over MQTT; or over AMQP.
///
/// A client certificate is always asked for, never required; the transports' own limits.
///
/// Options: `protocol` (`http`, `mqtt` or `amqp`; `http`), and those of [`service`].
///
/// # Errors
/// When the server cannot listen.
pub fn serve(setup: &Setup) -> io::Result<()> {
    on_one_core(async {
        let service = service(setup).await;
        let tls = tls(setup)?;
        let mqtt = Mqtt::new(Arc::clone(&service));
        let amqp = Amqp::new(Arc::clone(&service));
        let listener = match setup.option("protocol", "http".to_owned()).as_str() {
            "mqtt" => Listener::new(tls, Arc::new(mqtt), Tasks::new()),
            "amqp" => Listener::new(tls, Arc::new(amqp), Tasks::new()),
            _ => {
                let http = Http::new(service)
                    .websocket("mqtt", Arc::new(mqtt.over_websockets()))
                    .websocket("AMQPWSB10", Arc::new(amqp.over_websockets()));
                Listener::new(tls, Arc::new(http), Tasks::new()).with_alpn(&["http/1.1"])
            }
        };
        let socket = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        setup.listening(socket.local_addr()?.port())?;
        listener.serve(socket).await
    })
}

/// Serves devices and operators over HTTP, with TLS or without.
///
/// Options: `tls` (true), and those of [`service`].
///
/// # Errors
/// When the server cannot listen.
pub fn operators(setup: &Setup) -> io::Result<()> {
    on_one_core(async {
        let store = filled(setup).await;
        let tenants = OneStore::new(Arc::clone(&store));
        let tenants = tenants.with_host(world::SERVICE_HOST, world::scope());
        let operators = Operators::new(Arc::new(tenants));
        let http = Http::new(over(&store)).with_service(ServiceApi::new(operators));
        if setup.option("tls", true) {
            return listen(setup, Arc::new(http)).await;
        }
        let tasks = Tasks::new();
        accept_all(setup, move |stream, from| {
            let (http, tasks) = (http.clone(), tasks.clone());
            async move {
                let peer = Peer::anonymous(from);
                http.serve(Box::new(stream), peer, tasks).await;
                Ok(())
            }
        })
        .await
    })
}

async fn listen(setup: &Setup, http: Arc<Http>) -> io::Result<()> {
    let listener = Listener::new(tls(setup)?, http, Tasks::new()).with_alpn(&["http/1.1"]);
    let socket = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    setup.listening(socket.local_addr()?.port())?;
    listener.serve(socket).await
}

fn tls(setup: &Setup) -> io::Result<ServerTls> {
    let files = setup.pki();
    let (chain, key) = (
        std::fs::read(files.server_chain())?,
        std::fs::read(files.server_key())?,
    );
    let tls = ServerTls::from_pem(&TlsProvider::aws_lc(), &chain, &key);
    tls.map_err(io::Error::other)
}

/// An X.509 group of the run's intermediate, with the run's root among the instance's certificates,
/// and a symmetric-key group; the store in memory; the limit of failed attempts before it all.
///
/// Options: `enrollments` (so many individual enrollments, 0), `known` (so many of them, scattered
/// over all, have registered before, 0), `members` (so many devices have registered through the
/// symmetric-key group, 0; without `enrollments`).
pub async fn service(setup: &Setup) -> Arc<dyn DeviceApi> {
    over(&filled(setup).await)
}

fn over(store: &Arc<dyn Store>) -> Arc<dyn DeviceApi> {
    let service = Arc::new(world::service(store));
    let limited = FailureLimit::new(service, Arc::new(SystemClock), AWS_LC.random);
    Arc::new(limited)
}

async fn filled(setup: &Setup) -> Arc<dyn Store> {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let files = setup.pki();
    let root = PkiFiles::certificate(&files.root());
    let intermediate = PkiFiles::certificate(&files.intermediate());
    let groups = [world::key_group(), world::certificate_group(&intermediate)];
    let enrollments: u64 = setup.option("enrollments", 0);
    world::fill(&store, &world::instance(Some(&root)), &groups, enrollments).await;
    let service = world::service(&store);
    let known = scattered(setup.option("known", 0), enrollments);
    for n in known.chain(0..setup.option("members", 0)) {
        world::register(&service, world::hello(n), &ApiVersion::usual()).await;
    }
    store
}
