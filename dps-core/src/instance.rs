//! A tenant's instance: its hubs, its policy, its certificates.

use std::sync::Arc;

use crate::access::Access;
use crate::allocate::Policy;
use crate::certificate::Certificate;
use crate::id::{HubName, SecretBytes};
use crate::time::Timestamp;

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
    /// How much of everything there may be.
    pub quotas: Quotas,
}

/// How many entries an operator may make, and how many devices may register; 0 for any number.
///
/// What counts is what is there when an entry is added. An instance that has more already, because the
/// number was lowered, keeps them.
///
/// # Source
/// The defaults: *IoT Hub Device Provisioning Service limits*.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quotas {
    /// Individual enrollments. Default: 1,000,000.
    pub enrollments: u64,
    /// Groups that are attested by certificates. Default: 100.
    pub x509_groups: u64,
    /// Groups that are attested by symmetric keys. Default: 100. A device names none, so that each of
    /// them costs every unknown caller two HMACs.
    pub symmetric_key_groups: u64,
    /// Certificates of the instance. Default: 25.
    pub certificates: u64,
    /// Registrations. Default: 1,000,000. What counts is what each node counted last
    /// ([`Provisioner::count_registrations`](crate::Provisioner::count_registrations)) and added since; before
    /// its first count a node turns nobody away.
    pub registrations: u64,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            enrollments: 1_000_000,
            x509_groups: 100,
            symmetric_key_groups: 100,
            certificates: 25,
            registrations: 1_000_000,
        }
    }
}

impl Quotas {
    /// Any number of everything.
    pub const UNLIMITED: Self = Self {
        enrollments: 0,
        x509_groups: 0,
        symmetric_key_groups: 0,
        certificates: 0,
        registrations: 0,
    };
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

/// A certificate authority of the instance, with what became of it.
#[derive(Clone, Debug)]
pub struct HeldCertificate {
    /// The certificate authority.
    pub entry: CaCertificate,
    /// When it was first written; `None` if a program's configuration brought it.
    pub created: Option<Timestamp>,
    /// When it was last written or verified; `None` if a program's configuration brought it.
    pub updated: Option<Timestamp>,
    /// The code that a proof has to name, if one was asked for and not used yet.
    pub(crate) code: Option<PendingCode>,
}

/// A verification code that is out. Whoever writes the certificate anew leaves it out, so that it is
/// void.
#[derive(Clone, Debug)]
pub(crate) struct PendingCode {
    /// SHA-256 of its text: whoever reads the store cannot use it.
    pub(crate) hash: [u8; 32],
    /// From when on it is not good any more.
    pub(crate) expires: Timestamp,
}
