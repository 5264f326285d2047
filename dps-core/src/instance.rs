//! A tenant's instance: its hubs, its policy, its certificates.

use std::sync::Arc;

use crate::access::Access;
use crate::allocate::Policy;
use crate::certificate::Certificate;
use crate::id::{HubName, SecretBytes};

/// What one tenant has set up.
#[derive(Clone, Debug)]
pub struct Instance {
    /// The host name that operators reach it by.
    pub service_host: Arc<str>,
    /// For enrollments that name no policy of their own.
    pub policy: Policy,
    /// Linked hubs, at most 50, each name once.
    pub hubs: Vec<LinkedHub>,
    /// Certificate authorities that the tenant has proven to hold: where chains may end.
    pub certificates: Vec<CaCertificate>,
    /// Who may operate it.
    pub access: Access,
}

impl Instance {
    /// The linked hub of this name.
    #[must_use]
    pub fn hub(&self, name: &HubName) -> Option<&LinkedHub> {
        self.hubs.iter().find(|hub| hub.name == *name)
    }
}

/// The most hubs an instance may link.
///
/// # Source
/// *IoT Hub Device Provisioning Service limits*.
pub const MAX_HUBS: usize = 50;

/// A hub that devices may be assigned to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkedHub {
    /// Its host name.
    pub name: HubName,
    /// Where it is, in whatever words the operator uses; for latency oracles and people.
    pub location: Arc<str>,
    /// Its share among the candidates, relative to the others, without unit; 0 takes it out of
    /// weighted choices and out of those by latency.
    pub weight: u32,
    /// Whether policies may choose it. A hub out of policy keeps its devices and gets no new ones,
    /// but for custom policies, which are offered all.
    pub in_policy: bool,
    /// How the service signs in to it; what that is only the hub linker knows.
    pub credential: Option<SecretBytes>,
}

/// A certificate authority of the instance.
#[derive(Clone, Debug)]
pub struct CaCertificate {
    /// The name enrollment groups refer to it by.
    pub name: Arc<str>,
    /// The certificate.
    pub certificate: Certificate,
    /// Whether the tenant has proven to hold its key. Chains end only at verified ones.
    pub verified: bool,
}
