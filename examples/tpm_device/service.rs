//! A service for one device: HTTPS with AMQP in WebSockets, and AMQP, on free loopback ports.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use dps_core::Provisioner;
use dps_core::access::Access;
use dps_core::admin::Admin;
use dps_core::allocate::Policy;
use dps_core::api::DeviceApi;
use dps_core::crypto::AWS_LC;
use dps_core::id::{HubName, IdScope};
use dps_core::instance::{Instance, LinkedHub, Quotas};
use dps_core::store::{BoxError, Store};
use dps_core::tenant::OneStore;
use dps_core::time::{Clock, SystemClock};
use dps_examples::server::Server;
use dps_store_memory::MemoryStore;
use dps_testkit::certs::Ca;
use dps_testkit::hubs::FakeHubs;
use dps_tpm::client::Endpoint;
use dps_transport::{ServerTls, Tasks, TlsProvider};
use dps_transport_amqp::Amqp;
use dps_transport_http::Http;
use dps_transport_http::service::EnrollmentReader;
use rustls::RootCertStore;
use serde_json::json;

const SCOPE: &str = "0ne00000001";

/// Starts the service; it runs as long as the program.
///
/// * `registration`: the one device that it knows.
/// * `endorsement_key`: by which it knows it.
pub(super) async fn start(
    registration: &str,
    endorsement_key: &[u8],
) -> Result<Endpoint, BoxError> {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let admin = Admin::new(Arc::clone(&store), IdScope::parse(SCOPE)?);
    let hub = LinkedHub {
        name: HubName::parse("west.example.net")?,
        location: "westus".into(),
        weight: 1,
        in_policy: true,
        credential: None,
    };
    let instance = Instance {
        service_host: "tpm.example.net".into(),
        policy: Policy::Hashed,
        hubs: vec![hub],
        certificates: Vec::new(),
        access: Access::default(),
        quotas: Quotas::default(),
    };
    admin.put_instance(&instance).await?;
    let entry = EnrollmentReader::new(AWS_LC, SystemClock.now()).individual(&json!({
        "registrationId": registration,
        "attestation": {"type": "tpm", "tpm": {"endorsementKey": STANDARD.encode(endorsement_key)}},
    }))?;
    admin.put_enrollment(&entry.enrollment()?).await?;

    let hubs = Arc::new(FakeHubs::new());
    let service = Provisioner::builder(Arc::new(OneStore::new(store)), hubs).build()?;
    let api: Arc<dyn DeviceApi> = Arc::new(service);
    let root = Ca::root("Server Root");
    let own = root.server(&["localhost"])?;
    let chain = own.chain_der().to_vec();
    let tls = ServerTls::from_der(&TlsProvider::aws_lc(), chain, own.key_der())?;
    let amqp = Amqp::new(Arc::clone(&api));
    let http = Http::new(api).websocket("AMQPWSB10", Arc::new(amqp.clone().over_websockets()));
    let (mut server, anywhere) = (Server::new(tls, Tasks::new()), ([127, 0, 0, 1], 0).into());
    let https = server.bind(Arc::new(http), &["http/1.1"], anywhere)?;
    let amqps = server.bind(Arc::new(amqp), &[], anywhere)?;
    server.start()?;
    println!("A service, ID scope {SCOPE}, listens at https://{https} and amqps://{amqps}");

    let mut roots = RootCertStore::empty();
    roots.add(root.certificate_der().clone())?;
    let endpoint = Endpoint::new("localhost", SCOPE, roots)?;
    Ok(endpoint.with_ports(https.port(), amqps.port()))
}
