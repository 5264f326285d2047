//! The service, and devices that do not leave it alone.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dps_core::Provisioner;
use dps_core::access::{Access, Ingress};
use dps_core::admin::{Admin, AdminError};
use dps_core::allocate::{HookError, Policy};
use dps_core::api::{
    Authentication, DeviceApi, DeviceHello, DeviceRequest, DeviceResponse, Origin, Transport,
};
use dps_core::attest::{Evidence, derive_device_key};
use dps_core::crypto::AWS_LC;
use dps_core::enrollment::{Attestation, Enrollment, ReprovisionPolicy, Subject};
use dps_core::hub::HubLinker;
use dps_core::id::{ApiVersion, GroupId, HubName, IdScope, RegistrationId, SecretBytes};
use dps_core::instance::{Instance, LinkedHub, Quotas};
use dps_core::registration::Status;
use dps_core::store::Store;
use dps_core::tenant::OneStore;
use dps_core::time::Clock;

use super::journal::{Heard, Journal};
use crate::sas;
use crate::sim::HookFn;

const HUBS: [&str; 4] = ["a.example", "b.example", "c.example", "d.example"];

/// The service on a store, with a journal for what is outside it.
///
/// Every registration may go to another hub than the one before.
#[derive(Debug)]
pub struct Town {
    provisioner: Provisioner,
    admin: Admin,
    journal: Arc<Journal>,
    scope: IdScope,
    group_key: SecretBytes,
}

impl Town {
    /// Puts the service together.
    ///
    /// * `seed`: decides which hubs are chosen.
    ///
    /// # Panics
    /// Never: the parts fit.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, journal: Arc<Journal>, seed: u64) -> Self {
        let scope = IdScope::parse("0ne000A7A6E").expect("it is a scope");
        let tenants = Arc::new(OneStore::new(Arc::clone(&store)));
        let drawn = AtomicU64::new(seed);
        let policy = HookFn::new(move |request| {
            // Weyl's sequence, stirred: every hub comes, in no order.
            let drawn = drawn.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
            let stirred = (drawn ^ (drawn >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 33;
            let nth = stirred as usize % request.hubs.len().max(1);
            let hub = request.hubs.get(nth).ok_or(HookError::NoHub)?;
            Ok(hub.name.clone().into())
        });
        let hubs: Arc<dyn HubLinker> = Arc::clone(&journal) as _;
        let provisioner = Provisioner::builder(tenants, hubs)
            .hook(Arc::new(policy))
            .clock(Arc::new(journal.clock().clone()))
            .crypto(AWS_LC)
            .build()
            .expect("all parts are there");
        Self {
            provisioner,
            admin: Admin::new(store, scope.clone()),
            journal,
            scope,
            group_key: SecretBytes::from([0x42; 32]),
        }
    }

    /// Writes the configuration, as an operator would who changes something now and then.
    ///
    /// * `with_data`: whether devices that move take their twin along.
    ///
    /// # Errors
    /// [`AdminError`] if the store fails.
    pub async fn set_up(&self, with_data: bool) -> Result<(), AdminError> {
        let hub = |name| LinkedHub {
            name: HubName::parse(name).expect("it is a host name"),
            location: "somewhere".into(),
            weight: 1,
            in_policy: true,
            credential: None,
        };
        let instance = Instance {
            service_host: "outage.example".into(),
            policy: Policy::Hashed,
            hubs: HUBS.map(hub).to_vec(),
            certificates: Vec::new(),
            access: Access::default(),
            quotas: Quotas::default(),
        };
        self.admin.put_instance(&instance).await?;
        let subject = Subject::Group {
            id: GroupId::parse("everybody").expect("it is a group id"),
        };
        let attestation = Attestation::SymmetricKey {
            primary: self.group_key.clone(),
            secondary: self.group_key.clone(),
        };
        let group = Enrollment {
            policy: Some(Policy::Custom),
            reprovision: Some(ReprovisionPolicy {
                update_hub: true,
                migrate_data: with_data,
            }),
            ..Enrollment::new(subject, attestation, self.journal.clock().now())
        };
        self.admin.put_group(&group).await
    }

    /// Registers the device with this number and does all there is to do, until it knows its hub.
    ///
    /// Dropped at any moment it is on its way.
    ///
    /// # Errors
    /// Says what the device was told instead of a hub.
    pub async fn register(&self, nth: usize) -> Result<(), String> {
        let device = RegistrationId::parse(&format!("device-{nth}"));
        let device = device.map_err(|error| error.to_string())?;
        self.journal.asks(device.as_str());
        let mut request = DeviceRequest::Register { payload: None };
        for _ in 0..400 {
            match self.ask(&device, request).await {
                DeviceResponse::Operation {
                    operation,
                    state,
                    retry_after,
                } => match (state.status, state.assignment) {
                    (Status::Assigned, Some(assignment)) => {
                        let hub = assignment.place.hub.as_str();
                        self.journal.tells(device.as_str(), hub);
                        return Ok(());
                    }
                    (Status::Assigning, _) => {
                        let wait = retry_after.unwrap_or(Duration::from_secs(1));
                        self.journal.advance(wait);
                        request = DeviceRequest::OperationStatus { operation };
                    }
                    // An operation that was left alone for too long; the device begins anew.
                    (Status::Failed, _) => request = DeviceRequest::Register { payload: None },
                    (status, _) => return Err(format!("{device} was told {status}")),
                },
                DeviceResponse::Error(error) => return Err(format!("{device} was told {error:?}")),
                other => return Err(format!("{device} was told {other:?}")),
            }
        }
        Err(format!("{device} asked 400 times and still does not know"))
    }

    /// Lets every device that was on its way ask again, until none is.
    ///
    /// # Errors
    /// As [`Town::register`].
    pub async fn recover(&self) -> Result<(), String> {
        self.journal.advance(Duration::from_secs(60));
        for (device, heard) in self.journal.devices() {
            if heard.asking {
                let nth = device.strip_prefix("device-").unwrap_or_default();
                self.register(nth.parse().unwrap_or_default()).await?;
            }
        }
        Ok(())
    }

    /// Cleans all places that devices have left.
    ///
    /// # Errors
    /// Says why there is no end to it.
    pub async fn clean(&self) -> Result<(), String> {
        for _ in 0..100 {
            self.journal.advance(Duration::from_secs(2 * 60 * 60));
            let swept = self.provisioner.sweep(&self.scope, None, 1000).await;
            let swept = swept.map_err(|error| format!("the sweep failed: {error}"))?;
            if swept.unreadable > 0 {
                return Err(format!("{} places cannot be read", swept.unreadable));
            }
            if swept.cleaned + swept.waiting == 0 {
                return Ok(());
            }
        }
        Err("sweeping does not end".into())
    }

    /// Compares what the store has with what devices and hubs know. Nobody may be at work meanwhile.
    ///
    /// # Errors
    /// Says of which device the store has forgotten or made up something.
    pub async fn check_promises(&self) -> Result<(), String> {
        for (device, heard) in self.journal.devices() {
            let stored = self.stored(&device).await?;
            let has = self.journal.hubs_of(&device);
            let said = format!("{device}: {heard:?}, the store says {stored:?}, on {has:?}");
            check_told(&heard, stored.as_deref()).map_err(|why| format!("{why}: {said}"))?;
            if let Some(hub) = stored
                && !has.contains(&hub)
            {
                return Err(format!("its hub does not have the device: {said}"));
            }
        }
        Ok(())
    }

    /// The same when nobody is on the way and all is clean: one hub has the device, and it knows which.
    ///
    /// # Errors
    /// Says which device is elsewhere.
    pub async fn check_settled(&self) -> Result<(), String> {
        for (device, heard) in self.journal.devices() {
            let stored = self.stored(&device).await?;
            let has = self.journal.hubs_of(&device);
            let one = Vec::from_iter(stored.clone());
            if heard.asking || heard.told != stored || has != one {
                return Err(format!(
                    "not on the one hub that it was told: {device}: {heard:?}, the store says {stored:?}, on {has:?}"
                ));
            }
        }
        Ok(())
    }

    async fn stored(&self, device: &str) -> Result<Option<String>, String> {
        let id = RegistrationId::parse(device).map_err(|error| error.to_string())?;
        let found = self.admin.registration(&id).await;
        let found = found.map_err(|error| format!("{device} cannot be read: {error}"))?;
        let place = found.and_then(|found| found.assignment);
        Ok(place.map(|assignment| assignment.place.hub.as_str().to_owned()))
    }

    async fn ask(&self, device: &RegistrationId, request: DeviceRequest) -> DeviceResponse {
        let key = derive_device_key(&self.group_key, device.as_str());
        let expires = self.journal.clock().now().plus(Duration::from_secs(3600));
        let token = sas::token(&key, self.scope.as_str(), device.as_str(), expires);
        let hello = DeviceHello {
            scope: self.scope.clone(),
            registration: device.clone(),
            evidence: Some(Evidence::Sas { token }),
            operation: None,
            origin: Origin {
                address: IpAddr::V4(Ipv4Addr::LOCALHOST),
                ingress: Ingress::Public,
                transport: Transport::Http,
            },
        };
        let mut reply = match self.provisioner.authenticate(hello).await {
            Authentication::Accepted(session) => {
                let version = ApiVersion::usual();
                self.provisioner.call(&session, &version, request).await
            }
            Authentication::Denied(error) => return DeviceResponse::Error(error),
            other => unreachable!("a token is accepted or denied: {other:?}"),
        };
        while let Some(work) = reply.work.take() {
            reply = work.await;
        }
        reply.response
    }
}

fn check_told(heard: &Heard, stored: Option<&str>) -> Result<(), &'static str> {
    let stored = match (stored, &heard.told) {
        (None, None) => return Ok(()),
        (None, Some(_)) => return Err("a device that was told its hub is not in the store"),
        (Some(stored), _) => stored,
    };
    if heard.told.as_deref() == Some(stored) || heard.asking && heard.linked.contains(stored) {
        return Ok(());
    }
    Err("the store has another hub than the device was told")
}
