//! A service, and devices that are connected to it by pipes.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use dps_core::attest::derive_device_key;
use dps_core::id::SecretBytes;
use dps_testkit::certs::Identity;
use dps_transport::Peer;
use dps_transport_mqtt::Mqtt;

use crate::common::{Line, connect, peer};
pub use crate::service::*;

pub struct Site {
    pub mqtt: Mqtt,
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
        let service = Service::open().await;
        let mqtt = Mqtt::new(Arc::clone(&service.api)).with_clock(Arc::new(service.clock.clone()));
        Self { mqtt, service }
    }

    /// Every registration takes two steps.
    pub fn without_grace(mut self) -> Self {
        self.mqtt = self.mqtt.with_grace(Duration::ZERO);
        self
    }

    /// A device that connects with a token, and subscribes.
    pub async fn with_key(&self, id: &str, key: &SecretBytes) -> Line {
        let token = self.token(id, key);
        self.line(id, SCOPE, Some(&token), peer()).await
    }

    pub async fn derived(&self, id: &str, group: &SecretBytes) -> Line {
        self.with_key(id, &derive_device_key(group, id)).await
    }

    /// A device that connects with a certificate and its issuers, and subscribes.
    pub async fn with_identity(&self, id: &str, identity: &Identity) -> Line {
        let peer = Peer {
            chain: Arc::from(identity.chain_der()),
            ..peer()
        };
        self.line(id, SCOPE, None, peer).await
    }

    pub async fn line(&self, id: &str, scope: &str, token: Option<&str>, peer: Peer) -> Line {
        let mut line = Line::open(&self.mqtt, peer, &self.tasks);
        let user = format!("{scope}/registrations/{id}/api-version=2019-03-31");
        line.greet(&connect(id, &user, token, 0)).await;
        line
    }
}
