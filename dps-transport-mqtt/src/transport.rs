//! The device API over MQTT.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dps_core::api::{DeviceApi, Transport};
use dps_core::time::Clock;
use dps_transport::{ByteStream, ClockStamps, Peer, Protocol, Tasks, Terms, Timeouts};

use crate::session::Session;

/// The device API over MQTT 3.1.1.
///
/// Cheap to clone; clones are one. A listener of `dps-transport` serves it over TLS; a WebSocket is a
/// [`ByteStream`] like others.
#[derive(Clone, Debug)]
pub struct Mqtt {
    parts: Arc<Parts>,
}

#[derive(Clone, Debug)]
struct Parts {
    terms: Terms,
    transport: Transport,
}

impl Mqtt {
    /// How long a register waits for its hub unless said otherwise.
    pub const DEFAULT_GRACE: Duration = Terms::DEFAULT_GRACE;

    /// Serves `api`.
    #[must_use]
    pub fn new(api: Arc<dyn DeviceApi>) -> Self {
        let parts = Parts {
            terms: Terms::new(api),
            transport: Transport::Mqtt,
        };
        Self {
            parts: Arc::new(parts),
        }
    }

    /// How long a register or poll waits for what is still being done, so that its answer says
    /// `assigned` at once. Zero makes every registration take two steps, as the service does.
    /// Default [`Mqtt::DEFAULT_GRACE`]; an answer takes 10 s at the most, whatever is said here.
    #[must_use]
    pub fn with_grace(mut self, grace: Duration) -> Self {
        Arc::make_mut(&mut self.parts).terms.grace = grace;
        self
    }

    /// How long a device is waited for.
    ///
    /// * `first_request`: how long a device that is not believed may stay.
    /// * `request`: from the beginning of the connection to its CONNECT, from the first byte of a
    ///   packet to its last, and for the device to take what it is sent.
    /// * `idle`: without a packet, for devices whose keep-alive is 0; for others it is one and a half
    ///   times their keep-alive. The SDKs for C and C# never ping (`prov_transport_mqtt_common.c`,
    ///   `ProvisioningTransportHandlerMqtt.cs`).
    #[must_use]
    pub fn with_timeouts(mut self, timeouts: Timeouts) -> Self {
        Arc::make_mut(&mut self.parts).terms.timeouts = timeouts;
        self
    }

    /// What tells the time written into error bodies. Default the system's clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        Arc::make_mut(&mut self.parts).terms.stamps = Arc::new(ClockStamps::new(clock));
        self
    }

    /// Says that its bytes come out of WebSockets: in what operators see, and nowhere else.
    #[must_use]
    pub fn over_websockets(mut self) -> Self {
        Arc::make_mut(&mut self.parts).transport = Transport::MqttWs;
        self
    }
}

#[async_trait]
impl Protocol for Mqtt {
    async fn serve(&self, io: Box<dyn ByteStream>, peer: Peer, tasks: Tasks) {
        let Parts { terms, transport } = &*self.parts;
        let mut session = Session::new(peer, *transport, terms.timeouts, &*terms.stamps);
        terms.hold(&mut session, io, &tasks).await;
        if let Some(end) = session.end() {
            tracing::debug!(%end, "an MQTT connection is over");
        }
    }
}
