//! Through which door an instance is reached, and from where.

use std::net::IpAddr;
use std::sync::Arc;

use super::{Access, Endpoint, IpRule};

/// The most private endpoints of an instance. Our choice.
pub const MAX_PRIVATE_ENDPOINTS: usize = 50;

/// The door that a caller came through. The listener that took the connection says it, never the caller.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Ingress {
    /// The one that everybody can reach.
    #[default]
    Public,
    /// A private endpoint, by the name that the service gave it, such as that of a network that only some
    /// customers are in. It serves the instances that name it, and no others.
    Private(Arc<str>),
}

/// By which doors an instance can be reached.
///
/// # Source
/// `publicNetworkAccess` and `privateEndpointConnections` of the resource API. That private endpoints are
/// named by the service is ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Whether it can be reached by the public one. Default: yes.
    pub public: bool,
    /// The private endpoints that it can be reached by, each once.
    pub private: Vec<Arc<str>>,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            public: true,
            private: Vec::new(),
        }
    }
}

impl Network {
    /// Whether callers may come this way.
    #[must_use]
    pub fn serves(&self, ingress: &Ingress) -> bool {
        match ingress {
            Ingress::Public => self.public,
            Ingress::Private(name) => self.private.contains(name),
        }
    }
}

/// What keeps a caller out, whatever it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection<'a> {
    /// The instance cannot be reached this way.
    Ingress,
    /// A rule about its address.
    Rule(&'a IpRule),
}

impl Access {
    /// What keeps a caller out; `None` if it may come.
    ///
    /// Rules are about addresses of the public network: callers at a private endpoint are not judged by them,
    /// as their addresses are those of that network.
    ///
    /// # Source
    /// *Configure IP filter rules* of the service.
    #[must_use]
    pub fn rejection(
        &self,
        address: IpAddr,
        ingress: &Ingress,
        endpoint: Endpoint,
    ) -> Option<Rejection<'_>> {
        if !self.network.serves(ingress) {
            return Some(Rejection::Ingress);
        }
        match ingress {
            Ingress::Public => self.rule_against(address, endpoint).map(Rejection::Rule),
            Ingress::Private(_) => None,
        }
    }
}
