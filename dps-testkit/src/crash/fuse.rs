//! Dying at a chosen effect.

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use async_trait::async_trait;
use dps_core::hub::{DeviceAuth, DeviceLink, HubDevice, HubError, HubLinker, Linked};
use dps_core::id::{DeviceId, HubName};
use dps_core::instance::LinkedHub;
use dps_core::store::{
    Change, Key, Page, Scan, Shard, Store, StoreError, Version, Versioned, Write,
};
use parking_lot::Mutex;

use crate::run::give_way;

/// Whether the effect that is died at has taken hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// It has not, and never will.
    Before,
    /// It has, and nobody was told.
    After,
}

/// Counts effects (commits, links, unlinks), and stops everything at the chosen one.
///
/// After that no call that goes through it ever returns, as in a process that is no more; whoever
/// drives the futures drops them.
#[derive(Clone, Default)]
pub(super) struct Fuse(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    seen: usize,
    at: Option<(usize, When)>,
    blown: bool,
    yields: bool,
    names: Vec<String>,
}

impl fmt::Debug for Fuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.lock();
        write!(f, "Fuse({} effects, blown: {})", state.seen, state.blown)
    }
}

impl Fuse {
    /// Begins to count anew, and dies at the `nth` effect, counted from 1.
    pub(super) fn arm(&self, nth: usize, when: When) {
        let mut state = self.0.lock();
        *state = State {
            at: Some((nth, when)),
            yields: state.yields,
            ..State::default()
        };
    }

    /// Lives from now on.
    pub(super) fn disarm(&self) {
        let mut state = self.0.lock();
        (state.at, state.blown) = (None, false);
    }

    /// Whether it has died.
    #[must_use]
    pub(super) fn is_blown(&self) -> bool {
        self.0.lock().blown
    }

    /// The effects since it was armed, in order.
    #[must_use]
    pub(super) fn effects(&self) -> Vec<String> {
        self.0.lock().names.clone()
    }

    /// Makes every call give way once before and once after, so that several can be interleaved.
    pub(super) fn interleave(&self, on: bool) {
        self.0.lock().yields = on;
    }

    async fn effect<T>(&self, name: String, action: impl Future<Output = T>) -> T {
        self.give_way().await;
        let nth = {
            let mut state = self.0.lock();
            state.seen += 1;
            state.names.push(name);
            if state.at == Some((state.seen, When::Before)) {
                state.blown = true;
            }
            state.seen
        };
        self.while_alive().await;
        let out = action.await;
        {
            let mut state = self.0.lock();
            if state.at == Some((nth, When::After)) {
                state.blown = true;
            }
        }
        self.give_way().await;
        out
    }

    async fn while_alive(&self) {
        if self.is_blown() {
            std::future::pending::<()>().await;
        }
    }

    async fn give_way(&self) {
        let yields = self.0.lock().yields;
        if yields {
            give_way().await;
        }
        self.while_alive().await;
    }
}

/// Runs `future` until it is done, or until the fuse is blown; then it is dropped, and `None`.
pub(super) fn run<T>(fuse: &Fuse, future: impl Future<Output = T>) -> Option<T> {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut cx = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut cx) {
            Poll::Ready(out) => return Some(out),
            Poll::Pending if fuse.is_blown() => return None,
            Poll::Pending => thread::park_timeout(Duration::from_millis(50)),
        }
    }
}

/// A store whose commits are effects.
#[derive(Debug)]
pub(super) struct FusedStore {
    pub(super) store: Arc<dyn Store>,
    pub(super) fuse: Fuse,
}

#[async_trait]
impl Store for FusedStore {
    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Versioned>>, StoreError> {
        self.fuse.give_way().await;
        self.store.get_many(keys).await
    }

    async fn commit(&self, shard: &Shard, writes: &[Write]) -> Result<Version, StoreError> {
        let changed = writes
            .iter()
            .filter(|write| !matches!(write.change, Change::Keep));
        let tables: Vec<_> = changed.map(|write| format!("{:?}", write.table)).collect();
        let name = format!("commit {}", tables.join("+"));
        self.fuse
            .effect(name, self.store.commit(shard, writes))
            .await
    }

    async fn scan(&self, scan: &Scan) -> Result<Page, StoreError> {
        self.fuse.give_way().await;
        self.store.scan(scan).await
    }
}

/// What a hub does to every link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    /// It does what it is asked.
    Willing,
    /// It refuses.
    Refusing,
    /// It does what it is asked, and asks to be called again all the same.
    Deaf,
}

/// Hubs whose links and unlinks are effects.
#[derive(Debug)]
pub(super) struct FusedHubs {
    pub(super) hubs: Arc<dyn HubLinker>,
    pub(super) fuse: Fuse,
    pub(super) seen: Arc<Mutex<Seen>>,
}

/// What has come by, whatever became of it.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) moods: Vec<(HubName, Mood)>,
    pub(super) links: Vec<(HubName, DeviceId, DeviceAuth)>,
}

impl FusedHubs {
    fn mood(&self, hub: &LinkedHub) -> Mood {
        let seen = self.seen.lock();
        let found = seen.moods.iter().find(|(name, _)| *name == hub.name);
        found.map_or(Mood::Willing, |(_, mood)| *mood)
    }
}

#[async_trait]
impl HubLinker for FusedHubs {
    async fn link(&self, hub: &LinkedHub, link: &DeviceLink) -> Result<Linked, HubError> {
        let mood = self.mood(hub);
        let act = async {
            if mood == Mood::Refusing {
                let reason = "the hub is full".to_owned();
                return Err(HubError::Refused {
                    code: 413_002,
                    reason,
                });
            }
            let linked = self.hubs.link(hub, link).await?;
            let entry = (hub.name.clone(), link.device.clone(), link.auth.clone());
            self.seen.lock().links.push(entry);
            match mood {
                Mood::Deaf => Err(HubError::Retry {
                    after: None,
                    source: None,
                }),
                _ => Ok(linked),
            }
        };
        self.fuse.effect(format!("link {}", hub.name), act).await
    }

    async fn unlink(
        &self,
        hub: &LinkedHub,
        device: &DeviceId,
        deadline: Duration,
    ) -> Result<(), HubError> {
        let act = self.hubs.unlink(hub, device, deadline);
        self.fuse.effect(format!("unlink {}", hub.name), act).await
    }

    async fn read(
        &self,
        hub: &LinkedHub,
        device: &DeviceId,
        deadline: Duration,
    ) -> Result<Option<HubDevice>, HubError> {
        self.fuse.give_way().await;
        self.hubs.read(hub, device, deadline).await
    }
}
