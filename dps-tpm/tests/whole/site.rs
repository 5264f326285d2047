//! A service, and devices that are connected to it by pipes, or by TLS over sockets.

use std::sync::Arc;
use std::time::Duration;

use dps_core::Provisioner;
use dps_core::access::Access;
use dps_core::admin::Admin;
use dps_core::allocate::Policy;
use dps_core::api::DeviceApi;
use dps_core::crypto::AWS_LC;
use dps_core::hub::DeviceAuth;
use dps_core::id::{DeviceId, HubName, IdScope, RegistrationId};
use dps_core::instance::{Instance, LinkedHub, Quotas};
use dps_core::store::Store;
use dps_core::tenant::OneStore;
use dps_core::time::{Clock, SystemClock};
use dps_store_memory::MemoryStore;
use dps_testkit::certs::Ca;
use dps_testkit::clock::ManualClock;
use dps_testkit::hubs::FakeHubs;
use dps_tpm::client::{Assignment, Endpoint, Error, Stream, Transport};
use dps_tpm::simulator::Simulator;
use dps_tpm::{Algorithm, Keys, Tpm};
use dps_transport::{FailureLimit, Listener, Peer, Protocol, ServerTls, Tasks, TlsProvider, bind};
use dps_transport_amqp::Amqp;
use dps_transport_http::Http;
use dps_transport_http::service::EnrollmentReader;
use hmac::{Hmac, KeyInit, Mac};
use rustls::RootCertStore;
use serde_json::json;
use sha2::Sha256;

pub const SCOPE: &str = "0ne00ABCDEF";
pub const HUB: &str = "a.hub.example";

pub const TRANSPORTS: [Transport; 3] = [
    Transport::Https,
    Transport::Amqp,
    Transport::AmqpOverWebSockets,
];

/// The quickest to make.
pub const ECC: Keys = Keys {
    endorsement: Algorithm::EccP256,
    storage: Algorithm::EccP256,
};

pub struct Site {
    http: Http,
    amqp: Amqp,
    pub hubs: FakeHubs,
    /// The service's; begins at the devices' time, which is the machine's.
    pub clock: ManualClock,
    pub admin: Admin,
    tasks: Tasks,
}

impl Site {
    pub async fn open() -> Self {
        Self::with_grace(Duration::from_secs(60)).await
    }

    /// * `grace`: how long a register waits for its end.
    pub async fn with_grace(grace: Duration) -> Self {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let (hubs, clock) = (FakeHubs::new(), ManualClock::at(SystemClock.now()));
        let tenants = Arc::new(OneStore::new(Arc::clone(&store)));
        let service = Provisioner::builder(tenants, Arc::new(hubs.clone()))
            .clock(Arc::new(clock.clone()))
            .build()
            .unwrap();
        let random = AWS_LC.random;
        let limited = FailureLimit::new(Arc::new(service), Arc::new(clock.clone()), random);
        let api: Arc<dyn DeviceApi> = Arc::new(limited);
        let amqp = Amqp::new(Arc::clone(&api))
            .with_clock(Arc::new(clock.clone()))
            .with_grace(grace);
        let websocket = Arc::new(amqp.clone().over_websockets());
        let http = Http::new(api)
            .with_grace(grace)
            .websocket("AMQPWSB10", websocket);
        let admin = Admin::new(store, IdScope::parse(SCOPE).unwrap());
        let hub = LinkedHub {
            name: HubName::parse(HUB).unwrap(),
            location: "somewhere".into(),
            weight: 1,
            in_policy: true,
            credential: None,
        };
        let instance = Instance {
            service_host: "dps.example".into(),
            policy: Policy::Hashed,
            hubs: vec![hub],
            certificates: Vec::new(),
            access: Access::default(),
            quotas: Quotas::default(),
        };
        admin.put_instance(&instance).await.unwrap();
        Self {
            http,
            amqp,
            hubs,
            clock,
            admin,
            tasks: Tasks::new(),
        }
    }

    /// Enrolls a device by the endorsement key of its TPM.
    pub async fn enroll(&self, device: &Device) {
        let endorsement = base64(&device.tpm.endorsement_key().unwrap());
        let entry = json!({
            "registrationId": device.id,
            "attestation": {"type": "tpm", "tpm": {"endorsementKey": endorsement}},
        });
        self.put(&entry).await;
    }

    /// Writes an enrollment as the service API has it.
    pub async fn put(&self, entry: &serde_json::Value) {
        let reader = EnrollmentReader::new(AWS_LC, self.clock.now());
        let entry = reader.individual(entry).unwrap().enrollment().unwrap();
        self.admin.put_enrollment(&entry).await.unwrap();
    }

    /// Registers a device through a pipe.
    pub async fn register(
        &self,
        transport: Transport,
        device: &mut Device,
    ) -> Result<Assignment, Error> {
        let endpoint = Endpoint::new("dps.test", SCOPE, RootCertStore::empty())?;
        let (stream, id) = (self.pipe(transport), &device.id);
        endpoint
            .register_on(stream, transport, &mut device.tpm, id, None)
            .await
    }

    fn pipe(&self, transport: Transport) -> Box<dyn Stream> {
        let protocol: Arc<dyn Protocol> = match transport {
            Transport::Amqp => Arc::new(self.amqp.clone()),
            _ => Arc::new(self.http.clone()),
        };
        let (io, theirs) = tokio::io::duplex(4096);
        let (peer, tasks) = (Peer::anonymous([192, 0, 2, 7].into()), self.tasks.clone());
        tokio::spawn(async move { protocol.serve(Box::new(theirs), peer, tasks).await });
        Box::new(io)
    }

    /// Listens on loopback, and says where.
    pub fn listen(&self) -> Endpoint {
        let root = Ca::root("Root");
        let own = root.server(&["localhost"]).unwrap();
        let chain = own.chain_der().to_vec();
        let tls = ServerTls::from_der(&TlsProvider::aws_lc(), chain, own.key_der()).unwrap();
        let protocols: [Arc<dyn Protocol>; 2] =
            [Arc::new(self.http.clone()), Arc::new(self.amqp.clone())];
        let [https, amqps] = protocols.map(|protocol| {
            let socket = bind(([127, 0, 0, 1], 0).into()).unwrap();
            let port = socket.local_addr().unwrap().port();
            let listener = Listener::new(tls.clone(), protocol, self.tasks.clone());
            tokio::spawn(async move { listener.serve(socket).await });
            port
        });
        let mut roots = RootCertStore::empty();
        roots.add(root.certificate_der().clone()).unwrap();
        let endpoint = Endpoint::new("localhost", SCOPE, roots).unwrap();
        endpoint.with_ports(https, amqps)
    }

    /// The key by which the hub knows a device.
    pub fn hub_key(&self, id: &str) -> Vec<u8> {
        let (hub, device) = (HubName::parse(HUB).unwrap(), DeviceId::parse(id).unwrap());
        let found = self.hubs.device(&hub, &device).unwrap();
        let DeviceAuth::Keys { primary, .. } = found.auth else {
            panic!("the hub has no key of {id}");
        };
        primary.expose().to_vec()
    }

    /// Whether the device's TPM signs with the key by which the hub knows it.
    pub fn knows(&self, device: &mut Device) -> bool {
        device.tpm.sign(b"data").unwrap() == hmac(&self.hub_key(&device.id), b"data")
    }

    /// Whether the service knows a registration.
    pub async fn has_registration(&self, id: &str) -> bool {
        let id = RegistrationId::parse(id).unwrap();
        self.admin.registration(&id).await.unwrap().is_some()
    }
}

/// A device, and the simulator that its TPM is.
pub struct Device {
    pub id: String,
    pub tpm: Tpm,
    _simulator: Simulator,
}

impl Device {
    pub fn new(id: &str, keys: Keys) -> Self {
        let simulator = Simulator::start().unwrap();
        Self {
            id: id.to_owned(),
            tpm: Tpm::open(&simulator.name(), keys).unwrap(),
            _simulator: simulator,
        }
    }
}

pub fn base64(bytes: &[u8]) -> String {
    base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes)
}

pub fn hmac(key: &[u8], data: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(data);
    mac.finalize().into_bytes().into()
}
