//! The device API inside an application that is there already, with an allocation policy of its own.
//!
//! Shows an axum router with a route of its own beside the device API, served by the listener of
//! `dps-transport` (it gives each request the connection's `Peer`, where the device API finds the client
//! certificate), and an [`AllocationHook`] that looks at what devices send along.
//!
//! ```text
//! cargo run --example embed             # serves until Ctrl-C
//! cargo run --example embed -- --once   # provisions one device against itself and ends
//! ```
//!
//! Corners it cuts: everything is in memory, hubs are fakes, and the certificate is made at each start.
#![allow(clippy::print_stdout, reason = "a program that reports to people")]

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::routing::get;
use axum::{Extension, Router};
use dps_core::Provisioner;
use dps_core::access::Access;
use dps_core::admin::Admin;
use dps_core::allocate::{
    Allocation, AllocationHook, AllocationRequest, BuiltIn, HookError, Policy,
};
use dps_core::crypto::AWS_LC;
use dps_core::id::{HubName, IdScope, SecretBytes};
use dps_core::instance::{Instance, LinkedHub, Quotas};
use dps_core::store::{BoxError, Store};
use dps_core::tenant::OneStore;
use dps_core::time::{Clock, SystemClock};
use dps_examples::device::{Device, Service};
use dps_examples::server::Server;
use dps_store_memory::MemoryStore;
use dps_testkit::certs::Ca;
use dps_testkit::hubs::FakeHubs;
use dps_transport::{ByteStream, Peer, Protocol, ServerTls, Tasks, TlsProvider};
use dps_transport_http::Http;
use dps_transport_http::service::EnrollmentReader;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use serde_json::json;

const SCOPE: &str = "0ne0000E3BED";

/// Sends a device to the hub of the customer it names, and any other where its weight leads it.
#[derive(Debug)]
struct ByCustomer;

#[async_trait]
impl AllocationHook for ByCustomer {
    async fn allocate(&self, request: &AllocationRequest<'_>) -> Result<Allocation, HookError> {
        let customer = request
            .payload
            .and_then(|payload| payload["customer"].as_str());
        let theirs = request
            .hubs
            .iter()
            .find(|hub| customer == Some(&*hub.location));
        match theirs {
            Some(hub) => Ok(hub.name.clone().into()),
            None => BuiltIn::new(Policy::Hashed).allocate(request).await,
        }
    }
}

/// Your application, as a protocol that the listener hands connections to.
#[derive(Debug)]
struct Application {
    router: Router,
}

#[async_trait]
impl Protocol for Application {
    async fn serve(&self, io: Box<dyn ByteStream>, peer: Peer, tasks: Tasks) {
        let router = self.router.clone().layer(Extension(peer));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(io), TowerToHyperService::new(router));
        let mut connection = pin!(connection);
        tokio::select! {
            _ = connection.as_mut() => return,
            () = tasks.draining() => connection.as_mut().graceful_shutdown(),
        }
        let _ = connection.await;
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let hubs = FakeHubs::new().without_record();
    let key = set_up(&store).await?;
    let service = Provisioner::builder(Arc::new(OneStore::new(store)), Arc::new(hubs))
        .hook(Arc::new(ByCustomer))
        .build()?;

    let tasks = Tasks::new();
    let devices = Http::new(Arc::new(service)).with_tasks(tasks.clone());
    let router = Router::new()
        .route(
            "/hello",
            get(|| async { r#"{"hello":"from the application itself"}"# }),
        )
        .route_service("/{scope}/registrations/{*rest}", devices);

    let root = Ca::root("Embed Root");
    let own = root.server(&["localhost"])?;
    let chain = own.chain_der().to_vec();
    let tls = ServerTls::from_der(&TlsProvider::aws_lc(), chain, own.key_der())?;
    let application = Arc::new(Application { router });
    let mut server = Server::new(tls, tasks);
    let address = server.bind(application, &["http/1.1"], ([127, 0, 0, 1], 0).into())?;
    server.start()?;
    println!("listening on https://{}", address);

    let here = Service::new(address, "localhost", root.certificate_der().clone(), SCOPE)?;
    let hello = here.get("/hello").await?;
    println!(
        "GET /hello                      {} {}",
        hello.status, hello.body
    );
    let device = Device::of_group("pump-1", &key);
    let answer = here
        .register(&device, Some(&json!({"customer": "contoso"})))
        .await?;
    let hub = answer
        .hub()
        .ok_or_else(|| format!("pump-1 got no hub: {}", answer.body))?;
    println!(
        "pump-1, customer contoso        {} assigned to {hub}",
        answer.status
    );

    if !std::env::args().any(|argument| argument == "--once") {
        println!("serving until Ctrl-C");
        tokio::signal::ctrl_c().await?;
    }
    let _drained = server.stop(Duration::from_secs(5)).await?;
    Ok(())
}

/// One instance with a hub for each customer and a group of devices; returns the group's key.
async fn set_up(store: &Arc<dyn Store>) -> Result<SecretBytes, BoxError> {
    let hub = |name: &str, customer: &str| {
        Ok::<_, BoxError>(LinkedHub {
            name: HubName::parse(name)?,
            location: customer.into(),
            weight: 1,
            in_policy: true,
            credential: None,
        })
    };
    let admin = Admin::new(Arc::clone(store), IdScope::parse(SCOPE)?);
    let instance = Instance {
        service_host: "embed.example.net".into(),
        policy: Policy::Custom,
        hubs: vec![
            hub("contoso.example.net", "contoso")?,
            hub("fabrikam.example.net", "fabrikam")?,
        ],
        certificates: Vec::new(),
        access: Access::default(),
        quotas: Quotas::default(),
    };
    admin.put_instance(&instance).await?;
    let group = json!({"enrollmentGroupId": "pumps", "attestation": {"type": "symmetricKey"}});
    let group = EnrollmentReader::new(AWS_LC, SystemClock.now())
        .group(&group)?
        .enrollment()?;
    admin.put_group(&group).await?;
    match group.attestation {
        // Keys that a document leaves out are made.
        dps_core::enrollment::Attestation::SymmetricKey { primary, .. } => Ok(primary),
        _ => Err("the group has no key".into()),
    }
}
