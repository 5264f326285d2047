//! One tenant, one device, three hubs, and a process that can die.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use async_trait::async_trait;
use dps_core::access::{Access, Ingress};
use dps_core::admin::Admin;
use dps_core::allocate::{Allocation, AllocationHook, AllocationRequest, HookError, Policy};
use dps_core::api::{
    Authentication, DeviceApi, DeviceHello, DeviceRequest, DeviceResponse, Origin, Reply,
    Transport, Work,
};
use dps_core::attest::{
    AttestError, AttestRequest, AttestationVerifier, Attested, Evidence, SignIn, Verdict,
};
use dps_core::crypto::{Crypto, CryptoError, SecureRandom};
use dps_core::enrollment::{Attestation, Enrollment, ReprovisionPolicy, Subject};
use dps_core::hub::{DeviceAuth, DeviceLink, HubDevice, HubLinker, Place, TwinPlan};
use dps_core::id::{
    ApiVersion, DeviceId, GroupId, HubName, IdScope, OperationId, RegistrationId, SecretBytes,
};
use dps_core::instance::{Instance, LinkedHub, Quotas};
use dps_core::registration::{RegistrationState, Status};
use dps_core::store::Store;
use dps_core::tenant::OneStore;
use dps_core::time::{Clock, Timestamp};
use dps_core::twin::Twin;
use dps_core::{CALL_DEADLINE, Provisioner};
use parking_lot::Mutex;
use serde_json::{Map, json};

use super::Assembly;
use super::fuse::{Fuse, FusedHubs, FusedStore, Mood, Seen, run};
use crate::clock::ManualClock;
use crate::tpm::{Kind, SoftTpm};

pub(super) const HUBS: [&str; 3] = ["hub-a.example", "hub-b.example", "hub-c.example"];
const DEVICE: &str = "press-1";

/// The credential of the device when it proves itself with its TPM.
pub(super) const WITH_TPM: &str = "its TPM";

/// The device's.
static TPM: LazyLock<SoftTpm> = LazyLock::new(|| SoftTpm::new(Kind::Ecc));

/// What happened that must not have, in words.
pub(super) type Broken = String;

pub(super) struct World {
    store: Arc<dyn Store>,
    hubs: Arc<dyn HubLinker>,
    seen: Arc<Mutex<Seen>>,
    pub(super) clock: ManualClock,
    pub(super) fuse: Fuse,
    admin: Admin,
    scope: IdScope,
    asked: Arc<AtomicUsize>,
}

/// What the device was told last.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) operation: Option<OperationId>,
    pub(super) state: Option<RegistrationState>,
}

impl Told {
    /// The key for its hub, as its TPM opens it.
    pub(super) fn hub_key(&self) -> Result<SecretBytes, Broken> {
        let blob = self
            .state
            .as_ref()
            .and_then(|state| state.extras.tpm.as_ref());
        let blob = blob.ok_or("the device was told no key")?;
        Ok(TPM.open(blob).map_err(|error| error.to_string())?.key)
    }
}

impl World {
    pub(super) fn new(assembly: Assembly) -> Self {
        let scope = IdScope::parse("0ne00CRA5E").expect("a scope");
        let world = Self {
            admin: Admin::new(Arc::clone(&assembly.store), scope.clone()),
            store: assembly.store,
            hubs: assembly.hubs,
            seen: Arc::default(),
            clock: ManualClock::new(),
            fuse: Fuse::default(),
            scope,
            asked: Arc::default(),
        };
        let hubs = HUBS.map(hub).to_vec();
        let instance = Instance {
            service_host: "crash.example".into(),
            policy: Policy::Hashed,
            hubs,
            certificates: Vec::new(),
            access: Access::default(),
            quotas: Quotas::default(),
        };
        world
            .alive(world.admin.put_instance(&instance))
            .expect("the store takes the instance");
        world
    }

    fn alive<T>(&self, future: impl Future<Output = T>) -> T {
        run(&self.fuse, future).expect("the fuse is not armed")
    }

    /// Writes the enrollment: a group whose devices go to `hubs` (static if one, else by `policy`).
    pub(super) fn enroll(&self, policy: Policy, hubs: &[&str], reprovision: ReprovisionPolicy) {
        let key = SecretBytes::new(vec![7; 32]);
        let subject = Subject::Group {
            id: GroupId::parse("presses").expect("an id"),
        };
        let attestation = Attestation::SymmetricKey {
            primary: key.clone(),
            secondary: key,
        };
        let entry = Enrollment {
            hubs: hubs.iter().map(|name| hub(name).name).collect(),
            policy: Some(policy),
            initial_twin: initial_twin(),
            reprovision: Some(reprovision),
            ..Enrollment::new(subject, attestation, self.now())
        };
        self.alive(self.admin.put_group(&entry))
            .expect("the store takes the group");
    }

    /// What `hub` does to links from now on.
    pub(super) fn mood(&self, name: &str, mood: Mood) {
        let mut seen = self.seen.lock();
        let name = hub(name).name;
        seen.moods.retain(|(other, _)| *other != name);
        seen.moods.push((name, mood));
    }

    /// A new process on the same store and hubs.
    pub(super) fn start(&self) -> Provisioner {
        let store = FusedStore {
            store: Arc::clone(&self.store),
            fuse: self.fuse.clone(),
        };
        let hubs = FusedHubs {
            hubs: Arc::clone(&self.hubs),
            fuse: self.fuse.clone(),
            seen: Arc::clone(&self.seen),
        };
        Provisioner::builder(Arc::new(OneStore::new(Arc::new(store))), Arc::new(hubs))
            .crypto(crypto())
            .clock(Arc::new(self.clock.clone()))
            .verifier(Arc::new(Gullible))
            .hook(Arc::new(Fickle {
                asked: Arc::clone(&self.asked),
            }))
            .build()
            .expect("all parts are there")
    }

    /// Sends one request with a credential of that name.
    pub(super) async fn ask(
        &self,
        service: &Provisioner,
        credential: &str,
        request: DeviceRequest,
    ) -> Reply {
        let hello = DeviceHello {
            scope: self.scope.clone(),
            registration: device(),
            evidence: Some(Evidence::Sas {
                token: credential.to_owned(),
            }),
            operation: None,
            origin: Origin {
                address: IpAddr::V4(Ipv4Addr::LOCALHOST),
                ingress: Ingress::Public,
                transport: Transport::Http,
            },
        };
        match service.authenticate(hello).await {
            Authentication::Accepted(session) => {
                let version = ApiVersion::parse("2021-06-01").expect("a version");
                service.call(&session, &version, request).await
            }
            Authentication::Denied(error) => DeviceResponse::Error(error).into(),
            other => unreachable!("nobody challenges here: {other:?}"),
        }
    }

    /// Registers and does all the work; `None` if the process died.
    pub(super) fn register(&self, credential: &str) -> Option<Told> {
        let service = self.start();
        let mut told = None;
        let lived = run(&self.fuse, async {
            let request = DeviceRequest::Register { payload: None };
            let reply = self.ask(&service, credential, request).await;
            self.follow(reply, &mut told).await;
        });
        lived.and(told)
    }

    /// Registers and does all the work; everything the device heard.
    pub(super) fn listen(&self, credential: &str) -> Vec<Told> {
        let service = self.start();
        let mut heard = Vec::new();
        self.alive(async {
            let request = DeviceRequest::Register { payload: None };
            let mut reply = self.ask(&service, credential, request).await;
            heard.push(hear(&reply.response));
            while let Some(work) = reply.work.take() {
                reply = work.await;
                heard.push(hear(&reply.response));
            }
        });
        heard
    }

    /// Registers and drops the work.
    pub(super) fn only_ask(&self, credential: &str) -> (Told, Option<Work>) {
        let service = self.start();
        let request = DeviceRequest::Register { payload: None };
        let reply = self.alive(self.ask(&service, credential, request));
        (hear(&reply.response), reply.work)
    }

    pub(super) fn poll_for_work(&self, credential: &str, operation: &OperationId) -> Option<Work> {
        let service = self.start();
        let request = DeviceRequest::OperationStatus {
            operation: operation.clone(),
        };
        self.alive(self.ask(&service, credential, request)).work
    }

    async fn follow(&self, reply: Reply, told: &mut Option<Told>) {
        let mut next = Some(reply);
        while let Some(reply) = next.take() {
            *told = Some(hear(&reply.response));
            if let Some(work) = reply.work {
                next = Some(work.await);
            }
        }
    }

    /// Lives on as a device does: asks after its operation, or registers again, until it knows.
    pub(super) fn recover(
        &self,
        credential: &str,
        known: Option<OperationId>,
    ) -> Result<Told, Broken> {
        self.fuse.disarm();
        let mut known = known;
        for _ in 0..400 {
            let service = self.start();
            let request = match &known {
                Some(operation) => DeviceRequest::OperationStatus {
                    operation: operation.clone(),
                },
                None => DeviceRequest::Register { payload: None },
            };
            let mut told = None;
            self.alive(async {
                let reply = self.ask(&service, credential, request).await;
                self.follow(reply, &mut told).await;
            });
            let Some(told) = told else {
                return Err("no answer".into());
            };
            known.clone_from(&told.operation);
            if told
                .state
                .as_ref()
                .is_some_and(|state| state.status.is_final())
            {
                return Ok(told);
            }
            self.clock.advance(Duration::from_secs(5));
        }
        Err("the device asked 400 times and still does not know".into())
    }

    /// Sweeps until nothing is left to clean.
    pub(super) fn sweep(&self) -> Result<(), Broken> {
        for _ in 0..10 {
            self.clock.advance(Duration::from_secs(2 * 60 * 60));
            let swept = self.alive(self.start().sweep(&self.scope, None, 100));
            let swept = swept.map_err(|error| format!("the sweep failed: {error}"))?;
            if swept.cleaned + swept.waiting == 0 {
                return Ok(());
            }
        }
        Err("sweeping does not end".into())
    }

    /// Where the store says the device is.
    pub(super) fn assigned(&self) -> Option<Place> {
        let found = self
            .alive(self.admin.registration(&device()))
            .expect("the store answers");
        found.and_then(|record| Some(record.assignment?.place))
    }

    /// The operation that the store has for the device.
    pub(super) fn recorded(&self) -> Option<OperationId> {
        let found = self
            .alive(self.admin.registration(&device()))
            .expect("the store answers");
        found.map(|record| record.operation.id)
    }

    /// What hub `name` has of the device.
    pub(super) fn on(&self, name: &str) -> Option<HubDevice> {
        let id = DeviceId::from(&device());
        let read = self.alive(self.hubs.read(&hub(name), &id, CALL_DEADLINE));
        read.expect("the hub answers")
    }

    /// The names of all hubs that have the device.
    pub(super) fn hubs_with_device(&self) -> Vec<&'static str> {
        HUBS.into_iter()
            .filter(|name| self.on(name).is_some())
            .collect()
    }

    /// Lets the device say something of itself, on the hub where it is.
    pub(super) fn report(&self, name: &str) {
        let mut twin = self.on(name).expect("the device is there").twin;
        twin.reported = reported();
        let link = DeviceLink {
            operation: OperationId::parse("by.the.device").expect("an id"),
            device: DeviceId::from(&device()),
            auth: auth("before"),
            edge: false,
            enabled: true,
            twin: TwinPlan::Replace(twin),
            deadline: CALL_DEADLINE,
        };
        self.alive(self.hubs.link(&hub(name), &link))
            .expect("the hub answers");
    }

    /// How the last link to hub `name` said that the device signs in.
    pub(super) fn signs_in(&self, name: &str) -> Option<DeviceAuth> {
        let name = hub(name).name;
        let seen = self.seen.lock();
        seen.links
            .iter()
            .rev()
            .find(|(hub, ..)| *hub == name)
            .map(|(_, _, auth)| auth.clone())
    }

    /// How many hubs were ever asked to have the device.
    pub(super) fn hubs_touched(&self) -> usize {
        let seen = self.seen.lock();
        let mut names: Vec<_> = seen.links.iter().map(|(hub, ..)| hub.clone()).collect();
        names.sort();
        names.dedup();
        names.len()
    }

    /// A promise once made is kept even while everything is down: where the store says the device
    /// is, it is.
    pub(super) fn check_promise(&self) -> Result<(), Broken> {
        match self.assigned() {
            Some(place) if self.on(place.hub.as_str()).is_none() => Err(format!(
                "the store says {}, but the hub does not have the device",
                place.hub
            )),
            _ => Ok(()),
        }
    }

    /// At the end: the device is on the hub that it was told, that the store names, and on no other.
    pub(super) fn check_end(&self, told: &Told) -> Result<(), Broken> {
        let having = self.hubs_with_device();
        let assigned = self.assigned();
        let stored: Vec<_> = assigned
            .iter()
            .map(|place| place.hub.as_str().to_owned())
            .collect();
        if having != stored {
            return Err(format!(
                "the device is on {having:?}, the store says {stored:?}"
            ));
        }
        let Some(state) = &told.state else {
            return Err("the device knows nothing".into());
        };
        let heard = state.assignment.as_ref().map(|at| &at.place);
        if state.status == Status::Assigned && heard != assigned.as_ref() {
            return Err(format!(
                "the device was told {heard:?}, the store says {assigned:?}"
            ));
        }
        Ok(())
    }
}

pub(super) fn device() -> RegistrationId {
    RegistrationId::parse(DEVICE).expect("an id")
}

pub(super) fn initial_twin() -> Twin {
    let mut tags = Map::new();
    tags.insert("line".into(), json!(4));
    Twin {
        tags,
        ..Twin::default()
    }
}

pub(super) fn reported() -> Map<String, serde_json::Value> {
    let mut reported = Map::new();
    reported.insert("temperature".into(), json!(81));
    reported
}

pub(super) fn auth(credential: &str) -> DeviceAuth {
    let key = SecretBytes::new(credential.as_bytes().to_vec());
    DeviceAuth::Keys {
        primary: key.clone(),
        secondary: key,
    }
}

fn hub(name: &str) -> LinkedHub {
    LinkedHub {
        name: HubName::parse(name).expect("a host name"),
        location: "somewhere".into(),
        weight: 1,
        in_policy: true,
        credential: None,
    }
}

fn hear(response: &DeviceResponse) -> Told {
    match response {
        DeviceResponse::Operation {
            operation, state, ..
        } => Told {
            operation: Some(operation.clone()),
            state: Some(state.clone()),
        },
        _ => Told {
            operation: None,
            state: None,
        },
    }
}

/// Checks no signatures, and never draws the same.
fn crypto() -> Crypto {
    let crypto = Crypto::new(&[], &COUNTED);
    match Crypto::built_in().and_then(|crypto| crypto.parents) {
        Some(parents) => crypto.with_parents(parents),
        None => crypto,
    }
}

/// Random bytes that come again: no operation needs a secret here, only an id of its own.
#[derive(Debug)]
struct Counted(AtomicU64);

static COUNTED: Counted = Counted(AtomicU64::new(1));

impl SecureRandom for Counted {
    fn fill(&self, out: &mut [u8]) -> Result<(), CryptoError> {
        for chunk in out.chunks_mut(8) {
            let next = self.0.fetch_add(1, Ordering::Relaxed).to_be_bytes();
            chunk.copy_from_slice(next.get(..chunk.len()).unwrap_or_default());
        }
        Ok(())
    }
}

/// Believes everybody, and takes the token for the key the device will use.
#[derive(Debug)]
struct Gullible;

impl AttestationVerifier for Gullible {
    fn verify(&self, request: &AttestRequest<'_>) -> Result<Verdict, AttestError> {
        let token = match request.evidence {
            Evidence::Sas { token } => token.as_str(),
            _ => "certificate",
        };
        let sign_in = if token == WITH_TPM {
            SignIn::Fresh(TPM.keys())
        } else {
            SignIn::Known(auth(token))
        };
        Ok(Verdict::Attested(Attested::assertion(sign_in)))
    }
}

/// A custom policy that changes its mind each time it is asked.
#[derive(Debug)]
struct Fickle {
    asked: Arc<AtomicUsize>,
}

#[async_trait]
impl AllocationHook for Fickle {
    async fn allocate(&self, request: &AllocationRequest<'_>) -> Result<Allocation, HookError> {
        let nth = self.asked.fetch_add(1, Ordering::Relaxed);
        let hub = request
            .hubs
            .get(nth % request.hubs.len())
            .ok_or(HookError::NoHub)?;
        Ok(hub.name.clone().into())
    }
}

impl World {
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
