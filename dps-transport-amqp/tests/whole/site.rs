//! A service, and devices that are connected to it by pipes.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use dps_core::attest::derive_device_key;
use dps_core::id::SecretBytes;
use dps_testkit::certs::Identity;
use dps_transport::Peer;
use dps_transport_amqp::Amqp;

use crate::common::{Line, greeting, linking, peer};
pub use crate::service::*;

pub struct Site {
    pub amqp: Amqp,
    service: Service,
}

impl Deref for Site {
    type Target = Service;

    fn deref(&self) -> &Service {
        &self.service
    }
}

impl Site {
    pub async fn open() -> Self {
        Self::with(Service::open().await)
    }

    pub fn with(service: Service) -> Self {
        let amqp = Amqp::new(Arc::clone(&service.api)).with_clock(Arc::new(service.clock.clone()));
        Self { amqp, service }
    }

    /// Every registration takes two steps.
    pub fn without_grace(mut self) -> Self {
        self.amqp = self.amqp.with_grace(Duration::ZERO);
        self
    }

    /// A device with a token that has its links.
    pub async fn with_key(&self, id: &str, key: &SecretBytes) -> Line {
        let mut line = self.line(peer());
        line.greet(&greeting(&name(id), &self.token(id, key))).await;
        line
    }

    pub async fn derived(&self, id: &str, group: &SecretBytes) -> Line {
        self.with_key(id, &derive_device_key(group, id)).await
    }

    /// A device with a certificate and its issuers that has its links.
    pub async fn with_identity(&self, id: &str, identity: &Identity) -> Line {
        let mut line = self.line(holder(identity));
        line.greet(&linking(&name(id))).await;
        line
    }

    /// A connection on which nothing has been said.
    pub fn line(&self, peer: Peer) -> Line {
        Line::open(&self.amqp, peer, &self.tasks)
    }
}

pub fn name(id: &str) -> String {
    format!("{SCOPE}/registrations/{id}")
}

pub fn holder(identity: &Identity) -> Peer {
    Peer {
        chain: Arc::from(identity.chain_der()),
        ..peer()
    }
}
