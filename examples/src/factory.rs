//! Devices of one factory, and how they provision themselves whatever happens to the service meanwhile.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dps_core::access::Access;
use dps_core::admin::{Admin, AdminError, EntryId, Existing};
use dps_core::allocate::Policy;
use dps_core::crypto::AWS_LC;
use dps_core::enrollment::Attestation;
use dps_core::id::{GroupId, HubName, IdScope, RegistrationId};
use dps_core::instance::{Instance, LinkedHub, Quotas};
use dps_core::store::{BoxError, Store};
use dps_core::time::{Clock, SystemClock};
use dps_transport_http::service::EnrollmentReader;
use rustls_pki_types::CertificateDer;
use serde_json::json;

use crate::device::{Device, Service};
use crate::node::{HOST, Node};

const SCOPE: &str = "0ne00000001";
const GROUP: &str = "presses";
const HUBS: [&str; 3] = ["west.example.net", "north.example.net", "east.example.net"];

/// How long a device waits before it tries again.
const AGAIN: Duration = Duration::from_millis(250);

/// How often a device tries before it gives up.
const MOST_TRIES: u32 = 400;

/// The instance in `store`.
///
/// # Errors
/// None that anybody has seen.
pub fn admin(store: Arc<dyn Store>) -> Result<Admin, BoxError> {
    Ok(Admin::new(store, IdScope::parse(SCOPE)?))
}

/// Makes an instance with three hubs and one group, unless they are there, and the devices of the group. Each of
/// them stays at the hub that it is told first.
///
/// # Errors
/// The store failed.
pub async fn devices(admin: &Admin, count: usize) -> Result<Vec<Device>, BoxError> {
    let now = SystemClock.now();
    let group = EnrollmentReader::new(AWS_LC, now).group(&json!({
        "enrollmentGroupId": GROUP,
        "attestation": {"type": "symmetricKey"},
        "reprovisionPolicy": {"updateHubAssignment": false, "migrateDeviceData": false},
    }))?;
    // The key of the group is made once, and is that of the entry if there is one.
    let mut import = admin.import(Existing::Keep, now);
    for outcome in import.batch(vec![group.draft]).await? {
        outcome?;
    }
    match admin.create_instance(&instance()?).await {
        Ok(()) | Err(AdminError::Exists) => {}
        Err(error) => return Err(error.into()),
    }
    let id = EntryId::Group(GroupId::parse(GROUP)?);
    let entry = admin.entry(&id).await?.ok_or("the group is gone")?;
    let Attestation::SymmetricKey { primary, .. } = entry.value.attestation else {
        return Err("the group has no key".into());
    };
    let member = |number| Device::of_group(&format!("press-{number}"), &primary);
    Ok((1..=count).map(member).collect())
}

fn instance() -> Result<Instance, BoxError> {
    let hub = |name| {
        Ok::<_, BoxError>(LinkedHub {
            name: HubName::parse(name)?,
            location: "".into(),
            weight: 1,
            in_policy: true,
            credential: None,
        })
    };
    Ok(Instance {
        service_host: "factory.example.net".into(),
        policy: Policy::Custom,
        hubs: HUBS.into_iter().map(hub).collect::<Result<_, _>>()?,
        certificates: Vec::new(),
        access: Access::default(),
        quotas: Quotas::default(),
    })
}

/// Where devices find the service: what a name server, or a balancer in front of nodes, would tell them.
#[derive(Debug)]
pub struct Directory {
    root: CertificateDer<'static>,
    nodes: Mutex<Vec<Service>>,
}

impl Directory {
    /// Nothing is to be found yet. The service's certificate is issued by `root`.
    #[must_use]
    pub const fn new(root: CertificateDer<'static>) -> Self {
        Self {
            root,
            nodes: Mutex::new(Vec::new()),
        }
    }

    /// From now on devices are sent to these, in turn.
    ///
    /// # Errors
    /// The root is no certificate.
    pub fn set<'a>(&self, nodes: impl IntoIterator<Item = &'a Node>) -> Result<(), BoxError> {
        let service = |node: &Node| Service::new(node.address, HOST, self.root.clone(), SCOPE);
        let nodes: Result<_, _> = nodes.into_iter().map(service).collect();
        *self.nodes.lock().unwrap_or_else(PoisonError::into_inner) = nodes?;
        Ok(())
    }

    fn find(&self, nth: usize) -> Option<Service> {
        let nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        let nth = nth.checked_rem(nodes.len())?;
        nodes.get(nth).cloned()
    }

    /// Lets a device register, as often as it takes.
    ///
    /// * `first`: which node it is sent to first.
    ///
    /// # Errors
    /// It is told no hub for more than a minute.
    pub async fn provision(&self, device: &Device, first: usize) -> Result<Told, BoxError> {
        let mut told = Told::default();
        let mut last = String::new();
        while told.tries < MOST_TRIES {
            let service = self.find(first + told.tries as usize);
            told.tries += 1;
            match service {
                Some(service) => match service.register(device, None).await {
                    Ok(answer) => {
                        if let Some(hub) = answer.hub() {
                            hub.clone_into(&mut told.hub);
                            return Ok(told);
                        }
                        last = format!("{} {}", answer.status, answer.body);
                    }
                    Err(error) => last = error.to_string(),
                },
                None => "there is no node".clone_into(&mut last),
            }
            tokio::time::sleep(AGAIN).await;
        }
        Err(format!("{}: {last}", device.registration).into())
    }
}

/// What a device was told in the end.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// Its hub.
    pub hub: String,
    /// How often it had to ask.
    pub tries: u32,
}

/// The hub that a device is at, by the records.
///
/// # Errors
/// The store failed.
pub async fn assigned(admin: &Admin, device: &Device) -> Result<Option<String>, BoxError> {
    let id = RegistrationId::parse(&device.registration)?;
    let known = admin.registration(&id).await?;
    let assignment = known.and_then(|known| known.assignment);
    Ok(assignment.map(|at| at.place.hub.to_string()))
}
