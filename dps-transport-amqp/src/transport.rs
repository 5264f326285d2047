//! The device API over AMQP.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dps_core::api::{DeviceApi, Transport};
use dps_core::time::Clock;
use dps_transport::{ByteStream, ClockStamps, Peer, Protocol, Tasks, Terms, Timeouts};

use crate::conversation::Session;

/// The device API over AMQP 1.0.
///
/// Cheap to clone; clones are one. A listener of `dps-transport` serves it over TLS; a WebSocket is a
/// [`ByteStream`] like others.
#[derive(Clone, Debug)]
pub struct Amqp {
    parts: Arc<Parts>,
}

#[derive(Clone, Debug)]
struct Parts {
    terms: Terms,
    transport: Transport,
    /// What we call ourselves.
    container_id: Arc<str>,
}

impl Amqp {
    /// How long a register waits for its hub unless said otherwise.
    pub const DEFAULT_GRACE: Duration = Terms::DEFAULT_GRACE;

    /// Serves `api`.
    #[must_use]
    pub fn new(api: Arc<dyn DeviceApi>) -> Self {
        let terms = Terms::new(api);
        let container_id = format!("dps-{}", terms.stamps.stamp().id).into();
        let parts = Parts {
            terms,
            transport: Transport::Amqp,
            container_id,
        };
        Self {
            parts: Arc::new(parts),
        }
    }

    /// How long a register or poll waits for what is still being done, so that its answer says
    /// `assigned` at once. Zero makes every registration take two steps, as the service does.
    /// Default [`Amqp::DEFAULT_GRACE`]; an answer takes 10 s at the most, whatever is said here.
    #[must_use]
    pub fn with_grace(mut self, grace: Duration) -> Self {
        Arc::make_mut(&mut self.parts).terms.grace = grace;
        self
    }

    /// How long a device is waited for.
    ///
    /// * `first_request`: how long a device that is not believed may stay.
    /// * `request`: for each of its steps until it is believed, from the first byte of a frame to its
    ///   last, and for the device to take what it is sent.
    /// * `idle`: without a frame. Devices are told half of it as `idle-time-out`, and say within that
    ///   time that they are alive.
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
        Arc::make_mut(&mut self.parts).transport = Transport::AmqpWs;
        self
    }
}

#[async_trait]
impl Protocol for Amqp {
    async fn serve(&self, io: Box<dyn ByteStream>, peer: Peer, tasks: Tasks) {
        let Parts {
            terms,
            transport,
            container_id,
        } = &*self.parts;
        let (timeouts, stamps) = (terms.timeouts, &*terms.stamps);
        let mut session = Session::new(peer, *transport, timeouts, container_id, stamps);
        terms.hold(&mut session, io, &tasks).await;
        tracing::debug!(end = %session.end(), "an AMQP connection is over");
    }
}
