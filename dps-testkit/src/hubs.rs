//! Hubs in memory: a device registry with twins, and faults on demand.

use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use dps_core::hub::{DeviceAuth, DeviceLink, HubDevice, HubError, HubLinker, Linked, TwinPlan};
use dps_core::id::{DeviceId, HubName};
use dps_core::instance::LinkedHub;
use dps_core::time::{Clock, Timestamp};
use dps_core::twin::Twin;
use parking_lot::Mutex;
use serde_json::{Map, Value};

/// All hubs there are. Every hub that is named exists; clones share one registry.
#[derive(Clone, Debug, Default)]
pub struct FakeHubs {
    state: Arc<Mutex<State>>,
    clock: Option<Arc<dyn Clock>>,
}

/// A device as a fake hub keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct FakeDevice {
    /// How it signs in, as the last link asked.
    pub auth: DeviceAuth,
    /// Whether it is an IoT Edge device.
    pub edge: bool,
    /// Whether the hub lets it in.
    pub enabled: bool,
    /// Its twin.
    pub twin: Twin,
}

/// One call that reached a hub, in the order of arrival.
#[derive(Clone, Debug)]
pub struct HubCall {
    /// The hub.
    pub hub: HubName,
    /// The device.
    pub device: DeviceId,
    /// What was asked.
    pub ask: Ask,
}

/// What a hub was asked.
#[derive(Clone, Debug)]
pub enum Ask {
    /// To have the device.
    Link(Box<DeviceLink>),
    /// Not to have it any more.
    Unlink,
    /// What it has of it.
    Read,
}

/// What goes wrong with a call.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The hub asks to be called again; nothing has changed.
    Retry {
        /// When, if the hub says so.
        after: Option<Duration>,
    },
    /// The hub does what it is asked, but its answer is lost: the caller sees a retry.
    Lost,
    /// The hub refuses; nothing has changed.
    Refused {
        /// Six digits.
        code: u32,
        /// What the device is told.
        reason: String,
    },
}

/// Keeps every call waiting before it has any effect. Dropping it lets them go on.
#[derive(Debug)]
#[must_use = "the hubs answer again when this is dropped"]
pub struct Hold {
    state: Arc<Mutex<State>>,
}

impl FakeHubs {
    /// Hubs without devices.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes calls give up by their deadline, as `clock` has it, when they were held for longer.
    ///
    /// Without a clock a deadline never passes.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Keeps no record of calls from now on: for benchmarks, where it would grow without end.
    #[must_use]
    pub fn without_record(self) -> Self {
        let mut state = self.state.lock();
        state.forgetful = true;
        state.calls = Vec::new();
        drop(state);
        self
    }

    /// The devices of a hub, ascending.
    #[must_use]
    pub fn devices(&self, hub: &HubName) -> Vec<DeviceId> {
        let state = self.state.lock();
        let devices = state.hubs.get(hub);
        devices.map_or_else(Vec::new, |devices| devices.keys().cloned().collect())
    }

    /// How many devices a hub has.
    #[must_use]
    pub fn count(&self, hub: &HubName) -> usize {
        self.state.lock().hubs.get(hub).map_or(0, BTreeMap::len)
    }

    /// What a hub has of a device; `None` if it is not there.
    #[must_use]
    pub fn device(&self, hub: &HubName, device: &DeviceId) -> Option<FakeDevice> {
        self.state.lock().hubs.get(hub)?.get(device).cloned()
    }

    /// The hubs that have a device, ascending: one, unless something went wrong or is under way.
    #[must_use]
    pub fn hubs_of(&self, device: &DeviceId) -> Vec<HubName> {
        let state = self.state.lock();
        let mut having = Vec::new();
        for (hub, devices) in &state.hubs {
            if devices.contains_key(device) {
                having.push(hub.clone());
            }
        }
        having
    }

    /// Everything all hubs have. A hub is in it once it has had a device.
    #[must_use]
    pub fn registry(&self) -> BTreeMap<HubName, BTreeMap<DeviceId, FakeDevice>> {
        self.state.lock().hubs.clone()
    }

    /// Changes a device by hand, as an operator or the device itself would; false if it is not there.
    pub fn change(
        &self,
        hub: &HubName,
        device: &DeviceId,
        change: impl FnOnce(&mut FakeDevice),
    ) -> bool {
        let mut state = self.state.lock();
        let found = state
            .hubs
            .get_mut(hub)
            .and_then(|devices| devices.get_mut(device));
        found.map(change).is_some()
    }

    /// Sets what a device says of itself; false if it is not there.
    pub fn set_reported(
        &self,
        hub: &HubName,
        device: &DeviceId,
        reported: Map<String, Value>,
    ) -> bool {
        self.change(hub, device, |found| found.twin.reported = reported)
    }

    /// Shuts a device out; false if it is not there.
    pub fn disable(&self, hub: &HubName, device: &DeviceId) -> bool {
        self.change(hub, device, |found| found.enabled = false)
    }

    /// Removes a device behind the service's back; false if it was not there.
    pub fn delete(&self, hub: &HubName, device: &DeviceId) -> bool {
        let mut state = self.state.lock();
        let devices = state.hubs.get_mut(hub);
        devices.is_some_and(|devices| devices.remove(device).is_some())
    }

    /// All calls so far, those that failed included.
    #[must_use]
    pub fn calls(&self) -> Vec<HubCall> {
        self.state.lock().calls.clone()
    }

    /// Forgets the calls so far.
    pub fn clear_calls(&self) {
        self.state.lock().calls.clear();
    }

    /// Lets the next `calls` calls, to whatever hub, go wrong. Adds to what is to go wrong already.
    pub fn fail_next(&self, calls: usize, fault: &Fault) {
        let faults = std::iter::repeat_n(fault.clone(), calls);
        self.state.lock().faults.extend(faults);
    }

    /// Lets every call to `hub` go wrong until [`FakeHubs::mend`].
    pub fn fail_at(&self, hub: &HubName, fault: Fault) {
        self.state.lock().broken.insert(hub.clone(), fault);
    }

    /// Lets `hub` work again.
    pub fn mend(&self, hub: &HubName) {
        self.state.lock().broken.remove(hub);
    }

    /// Keeps every call waiting, without effect, until what is returned is dropped.
    ///
    /// A call that is dropped while it waits never has an effect.
    pub fn hold(&self) -> Hold {
        self.state.lock().holds += 1;
        Hold {
            state: Arc::clone(&self.state),
        }
    }

    /// How many calls are waiting now.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.state.lock().waiting.len()
    }

    /// Waits where calls are held, then does `effect` unless something is to go wrong.
    async fn reach<T>(
        &self,
        hub: &HubName,
        device: &DeviceId,
        deadline: Duration,
        ask: impl FnOnce() -> Ask,
        effect: impl FnOnce(&mut BTreeMap<DeviceId, FakeDevice>) -> T,
    ) -> Result<T, HubError> {
        let begun = self.now();
        self.record(hub, device, ask);
        let mut place = Waiting {
            state: &self.state,
            number: None,
        };
        poll_fn(|cx| place.poll(cx.waker())).await;

        let mut state = self.state.lock();
        if let (Some(begun), Some(now)) = (begun, self.now())
            && now.since(begun) >= deadline
        {
            return Err(retry(None));
        }
        let fault = match state.faults.pop_front() {
            Some(fault) => Some(fault),
            None => state.broken.get(hub).cloned(),
        };
        match fault {
            Some(Fault::Retry { after }) => return Err(retry(after)),
            Some(Fault::Refused { code, reason }) => {
                return Err(HubError::Refused { code, reason });
            }
            Some(Fault::Lost) | None => {}
        }
        let done = effect(state.hubs.entry(hub.clone()).or_default());
        match fault {
            Some(_) => Err(retry(None)),
            None => Ok(done),
        }
    }

    fn record(&self, hub: &HubName, device: &DeviceId, ask: impl FnOnce() -> Ask) {
        let mut state = self.state.lock();
        if !state.forgetful {
            state.calls.push(HubCall {
                hub: hub.clone(),
                device: device.clone(),
                ask: ask(),
            });
        }
    }

    fn now(&self) -> Option<Timestamp> {
        self.clock.as_ref().map(|clock| clock.now())
    }
}

#[async_trait]
impl HubLinker for FakeHubs {
    async fn link(&self, hub: &LinkedHub, link: &DeviceLink) -> Result<Linked, HubError> {
        let ask = || Ask::Link(Box::new(link.clone()));
        self.reach(&hub.name, &link.device, link.deadline, ask, |devices| {
            if let Some(found) = devices.get_mut(&link.device) {
                found.auth = link.auth.clone();
                if let TwinPlan::Replace(twin) = &link.twin {
                    found.twin = twin.clone();
                }
                return Linked { created: false };
            }
            let twin = match &link.twin {
                TwinPlan::Keep => Twin::default(),
                TwinPlan::IfNew(twin) | TwinPlan::Replace(twin) => twin.clone(),
            };
            let device = FakeDevice {
                auth: link.auth.clone(),
                edge: link.edge,
                enabled: link.enabled,
                twin,
            };
            devices.insert(link.device.clone(), device);
            Linked { created: true }
        })
        .await
    }

    async fn unlink(
        &self,
        hub: &LinkedHub,
        device: &DeviceId,
        deadline: Duration,
    ) -> Result<(), HubError> {
        self.reach(
            &hub.name,
            device,
            deadline,
            || Ask::Unlink,
            |devices| {
                devices.remove(device);
            },
        )
        .await
    }

    async fn read(
        &self,
        hub: &LinkedHub,
        device: &DeviceId,
        deadline: Duration,
    ) -> Result<Option<HubDevice>, HubError> {
        self.reach(
            &hub.name,
            device,
            deadline,
            || Ask::Read,
            |devices| {
                let found = devices.get(device)?;
                Some(HubDevice {
                    twin: found.twin.clone(),
                    edge: found.edge,
                    enabled: found.enabled,
                })
            },
        )
        .await
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut state = self.state.lock();
        state.holds -= 1;
        if state.holds > 0 {
            return;
        }
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        for waker in waiting.into_values() {
            waker.wake();
        }
    }
}

#[derive(Debug, Default)]
struct State {
    hubs: BTreeMap<HubName, BTreeMap<DeviceId, FakeDevice>>,
    calls: Vec<HubCall>,
    forgetful: bool,
    faults: VecDeque<Fault>,
    broken: BTreeMap<HubName, Fault>,
    holds: usize,
    waiting: BTreeMap<u64, Waker>,
    numbers: u64,
}

/// A call's place among those that wait; given up when the call is dropped.
struct Waiting<'a> {
    state: &'a Mutex<State>,
    number: Option<u64>,
}

impl Waiting<'_> {
    fn poll(&mut self, waker: &Waker) -> Poll<()> {
        let mut state = self.state.lock();
        if state.holds == 0 {
            return Poll::Ready(());
        }
        let number = *self.number.get_or_insert_with(|| {
            state.numbers += 1;
            state.numbers
        });
        state.waiting.insert(number, waker.clone());
        Poll::Pending
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.state.lock().waiting.remove(&number);
        }
    }
}

fn retry(after: Option<Duration>) -> HubError {
    HubError::Retry {
        after,
        source: Some("a fault that the test asked for".into()),
    }
}
