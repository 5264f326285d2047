//! Simulated devices.

use std::fmt::{self, Debug};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use dps_core::id::RegistrationId;
use serde_json::Value;

/// Devices that will register, each known by its number.
#[derive(Clone)]
pub struct Fleet {
    ids: Arc<[RegistrationId]>,
    payload: Arc<Payload>,
    origin: Arc<Origin>,
}

type Payload = dyn Fn(usize) -> Option<Value> + Send + Sync;
type Origin = dyn Fn(usize) -> IpAddr + Send + Sync;

impl Fleet {
    /// `n` devices, named `prefix` and their number, from 0. They send no payload and call from
    /// addresses within 10.0.0.0/8.
    ///
    /// # Panics
    /// If `prefix` with a number behind it is no registration id.
    #[must_use]
    pub fn sequential(prefix: &str, n: usize) -> Self {
        let named = |nth| RegistrationId::parse(&format!("{prefix}{nth}"));
        let ids = (0..n).map(|nth| named(nth).expect("the prefix begins a registration id"));
        Self::of(ids)
    }

    /// The devices of a list, numbered in its order: those of a recorded fleet, for example.
    pub fn of(ids: impl IntoIterator<Item = RegistrationId>) -> Self {
        Self {
            ids: ids.into_iter().collect(),
            payload: Arc::new(|_| None),
            origin: Arc::new(|nth| {
                let [_, a, b, c] = (nth as u32).to_be_bytes();
                Ipv4Addr::new(10, a, b, c).into()
            }),
        }
    }

    /// Lets each device send what `payload` makes of its number.
    #[must_use]
    pub fn payload(mut self, payload: impl Fn(usize) -> Value + Send + Sync + 'static) -> Self {
        self.payload = Arc::new(move |nth| Some(payload(nth)));
        self
    }

    /// Lets each device call from where `origin` puts its number.
    #[must_use]
    pub fn origin(mut self, origin: impl Fn(usize) -> IpAddr + Send + Sync + 'static) -> Self {
        self.origin = Arc::new(origin);
        self
    }

    /// How many devices there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The devices, by number.
    #[must_use]
    pub fn ids(&self) -> &[RegistrationId] {
        &self.ids
    }

    /// What a device sends along.
    #[must_use]
    pub fn payload_of(&self, nth: usize) -> Option<Value> {
        (self.payload)(nth)
    }

    /// Where a device calls from.
    #[must_use]
    pub fn origin_of(&self, nth: usize) -> IpAddr {
        (self.origin)(nth)
    }
}

impl Debug for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fleet({} devices)", self.len())
    }
}
