//! The whole service around a policy.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use dps_core::access::{Access, Ingress};
use dps_core::admin::{Admin, AdminError};
use dps_core::allocate::{AllocationHook, Policy};
use dps_core::api::{
    Authentication, DeviceApi, DeviceHello, DeviceRequest, DeviceResponse, Origin, Reply, Transport,
};
use dps_core::attest::{Evidence, derive_device_key};
use dps_core::crypto::Crypto;
use dps_core::enrollment::{Attestation, Enrollment, ReprovisionPolicy};
use dps_core::error::ServiceError;
use dps_core::event::{Event, Recent};
use dps_core::hub::HubLinker;
use dps_core::id::{ApiVersion, IdScope, OperationId, RegistrationId, SecretBytes};
use dps_core::instance::{Instance, LinkedHub, Quotas};
use dps_core::registration::{RegistrationState, Status};
use dps_core::store::Store;
use dps_core::tenant::OneStore;
use dps_core::time::Clock;
use dps_core::{ConfigError, Provisioner, Sweep, SweepError};
use serde_json::Value;

use super::{enrollment, scope};
use crate::clock::ManualClock;
use crate::hubs::FakeHubs;
use crate::sas;

/// The whole [`Provisioner`] around a policy: one tenant, one group that every device belongs to,
/// [`FakeHubs`], and a [`ManualClock`]. On your own store, if you give it one.
///
/// For policies that must be seen through registering again, lost replies and retries. Nothing waits:
/// time passes only in [`Service::register`], while a device waits for its next poll, and where you
/// move the clock.
#[derive(Debug)]
pub struct Service {
    provisioner: Provisioner,
    admin: Admin,
    group_key: SecretBytes,
    /// The hubs, to look into and to break.
    pub hubs: FakeHubs,
    /// The time.
    pub clock: ManualClock,
    /// Why things went as they did: the last thousand events.
    pub events: Recent,
}

/// A device's registration, as it came to its end.
#[derive(Clone, Debug)]
pub struct Told {
    /// Its operation.
    pub operation: OperationId,
    /// What the device knows now.
    pub state: RegistrationState,
    /// How many requests it took, the register included.
    pub exchanges: u32,
}

impl Service {
    /// Puts the service together.
    ///
    /// * `store`: empty.
    /// * `policy`: asked at every registration.
    /// * `crypto`: as [`ProvisionerBuilder::crypto`](dps_core::ProvisionerBuilder::crypto).
    ///
    /// # Errors
    /// [`ConfigError`] as the builder of the provisioner has it.
    pub fn new(
        store: Arc<dyn Store>,
        policy: Arc<dyn AllocationHook>,
        crypto: Crypto,
    ) -> Result<Self, ConfigError> {
        let (hubs, clock, events) = (FakeHubs::new(), ManualClock::new(), Recent::new(1000));
        let linker: Arc<dyn HubLinker> = Arc::new(hubs.clone());
        let tenants = Arc::new(OneStore::new(Arc::clone(&store)));
        let provisioner = Provisioner::builder(tenants, linker)
            .hook(policy)
            .clock(Arc::new(clock.clone()))
            .events(Arc::new(events.clone()))
            .crypto(crypto)
            .build()?;
        let (admin, group_key) = (Admin::new(store, scope()), SecretBytes::from([0x42; 32]));
        Ok(Self {
            provisioner,
            admin,
            group_key,
            hubs,
            clock,
            events,
        })
    }

    /// Links `hubs`, and lets devices that register again do what `reprovision` says.
    ///
    /// # Errors
    /// [`AdminError`] if the store fails or a hub stands twice.
    pub async fn set_up(
        &self,
        hubs: &[LinkedHub],
        reprovision: ReprovisionPolicy,
    ) -> Result<(), AdminError> {
        let instance = Instance {
            service_host: "simulation.invalid".into(),
            policy: Policy::Hashed,
            hubs: hubs.to_vec(),
            certificates: Vec::new(),
            access: Access::default(),
            quotas: Quotas::default(),
        };
        self.admin.put_instance(&instance).await?;
        let (primary, secondary) = (self.group_key.clone(), self.group_key.clone());
        let group = Enrollment {
            attestation: Attestation::SymmetricKey { primary, secondary },
            reprovision: Some(reprovision),
            ..enrollment()
        };
        self.admin.put_group(&group).await
    }

    /// Registers a device as it would itself: it asks, does not mind a lost reply, waits as long as
    /// it is told, and polls until it knows.
    ///
    /// # Errors
    /// [`ServiceError`] if it is refused, or is still told to wait after a thousand requests.
    pub async fn register(
        &self,
        device: &RegistrationId,
        payload: Option<Value>,
    ) -> Result<Told, ServiceError> {
        let mut request = DeviceRequest::Register { payload };
        let mut exchanges = 0;
        loop {
            exchanges += 1;
            match self.finish(self.ask(device, request).await).await {
                DeviceResponse::Operation {
                    operation,
                    state,
                    retry_after,
                } => {
                    if state.status != Status::Assigning || exchanges == 1000 {
                        return Ok(Told {
                            operation,
                            state,
                            exchanges,
                        });
                    }
                    self.clock
                        .advance(retry_after.unwrap_or(Duration::from_secs(1)));
                    request = DeviceRequest::OperationStatus { operation };
                }
                DeviceResponse::Error(error) => return Err(error),
                other => unreachable!("a register is answered by an operation, not {other:?}"),
            }
        }
    }

    /// Sends one request. Dropping the reply's work is what a crash does.
    pub async fn ask(&self, device: &RegistrationId, request: DeviceRequest) -> Reply {
        let key = derive_device_key(&self.group_key, device.as_str());
        let expires = self.clock.now().plus(Duration::from_secs(3600));
        let token = sas::token(&key, scope().as_str(), device.as_str(), expires);
        let hello = DeviceHello {
            scope: scope(),
            registration: device.clone(),
            evidence: Some(Evidence::Sas { token }),
            operation: None,
            origin: Origin {
                address: IpAddr::V4(Ipv4Addr::LOCALHOST),
                ingress: Ingress::Public,
                transport: Transport::Http,
            },
        };
        match self.provisioner.authenticate(hello).await {
            Authentication::Accepted(session) => {
                self.provisioner
                    .call(&session, &ApiVersion::usual(), request)
                    .await
            }
            Authentication::Denied(error) => DeviceResponse::Error(error).into(),
            other => unreachable!("a token is accepted or denied: {other:?}"),
        }
    }

    /// Cleans the places that devices have left, up to a thousand.
    ///
    /// # Errors
    /// [`SweepError`] if the store fails.
    pub async fn sweep(&self) -> Result<Sweep, SweepError> {
        self.provisioner.sweep(&scope(), None, 1000).await
    }

    /// Why the device's registrations went as they did, oldest first.
    #[must_use]
    pub fn why(&self, device: &RegistrationId) -> Vec<Event> {
        self.events.of(&scope(), device)
    }

    /// The service itself, for what is not here.
    #[must_use]
    pub const fn provisioner(&self) -> &Provisioner {
        &self.provisioner
    }

    /// The tenant that devices name.
    #[must_use]
    pub fn scope(&self) -> IdScope {
        scope()
    }

    async fn finish(&self, reply: Reply) -> DeviceResponse {
        let Reply {
            mut response,
            mut work,
        } = reply;
        while let Some(owed) = work.take() {
            let newer = owed.await;
            (response, work) = (newer.response, newer.work);
        }
        response
    }
}
