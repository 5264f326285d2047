//! One provider's keys, kept for a while, and fetched no more often than needed.

use std::sync::Arc;
use std::time::Duration;

use dps_core::access::TokenError;
use dps_core::time::Timestamp;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::algorithm::Algorithm;
use crate::discovery::discover;
use crate::fetch::{Client, FetchError};
use crate::keys::{self, PublicKey};

/// How long keys are used before they are fetched again, which nobody waits for.
pub const KEY_LIFETIME: Duration = Duration::from_secs(60 * 60);

/// How long keys are used at the most, while they cannot be fetched again. A key that its provider has withdrawn
/// may be good that long to somebody who can keep us from the provider.
pub const MAX_KEY_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// How often keys are fetched at the most while there are some: tokens with made-up keys do not make us fetch more.
pub const REFRESH_INTERVAL: Duration = Duration::from_secs(60);

/// How often keys are fetched at the most while there are none.
pub const RETRY_INTERVAL: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct Provider {
    issuer: Arc<str>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    keys: Option<Keys>,
    attempted: Option<Timestamp>,
    /// Closed when what runs is done.
    running: Option<watch::Receiver<()>>,
    failure: Option<Arc<FetchError>>,
}

#[derive(Clone, Debug)]
struct Keys {
    keys: Arc<[PublicKey]>,
    fetched: Timestamp,
}

/// There are no keys, for a reason that others are told, too.
#[derive(Debug, thiserror::Error)]
#[error("the keys of the OpenID provider cannot be had")]
struct NoKeys(#[source] Option<Arc<FetchError>>);

/// What a look at the keys gives.
enum Look {
    Found(PublicKey),
    /// Perhaps later.
    Wait(watch::Receiver<()>),
    Not(TokenError),
}

impl Provider {
    pub(crate) fn new(issuer: &Arc<str>) -> Self {
        Self {
            issuer: Arc::clone(issuer),
            state: Mutex::default(),
        }
    }

    /// The key that a token says it was signed with, fetched if need be.
    pub(crate) async fn key(
        self: &Arc<Self>,
        fetcher: &Fetcher,
        (algorithm, kid): (Algorithm, Option<&str>),
        now: Timestamp,
    ) -> Result<PublicKey, TokenError> {
        let look = || self.look(fetcher, (algorithm, kid), now);
        let mut wait = match look() {
            Look::Found(key) => return Ok(key),
            Look::Not(error) => return Err(error),
            Look::Wait(wait) => wait,
        };
        // Nothing is sent: it ends.
        let _ = wait.changed().await;
        match look() {
            Look::Found(key) => Ok(key),
            Look::Not(error) => Err(error),
            Look::Wait(_) => Err(TokenError::Unavailable(Box::new(NoKeys(None)))),
        }
    }

    fn look(
        self: &Arc<Self>,
        fetcher: &Fetcher,
        (algorithm, kid): (Algorithm, Option<&str>),
        now: Timestamp,
    ) -> Look {
        let mut state = self.state.lock();
        let usable = state.keys.clone();
        let usable = usable.filter(|keys| now.since(keys.fetched) < MAX_KEY_AGE);
        let found = usable
            .as_ref()
            .and_then(|usable| keys::find(&usable.keys, algorithm, kid).cloned());
        let due = match (&usable, &found) {
            (None, _) => state.is_due(RETRY_INTERVAL, now),
            (Some(keys), Some(_)) if now.since(keys.fetched) < KEY_LIFETIME => false,
            (Some(_), _) => state.is_due(REFRESH_INTERVAL, now),
        };
        if due {
            state.attempted = Some(now);
            state.running = Some(Arc::clone(self).fetch(fetcher.clone(), now));
        }
        if let Some(key) = found {
            return Look::Found(key);
        }
        match (state.running.as_ref().filter(|run| is_open(run)), usable) {
            (Some(running), _) => Look::Wait(running.clone()),
            (None, Some(_)) => Look::Not(TokenError::Refused(
                "is signed with a key that is not known",
            )),
            (None, None) => {
                let failure = NoKeys(state.failure.clone());
                Look::Not(TokenError::Unavailable(Box::new(failure)))
            }
        }
    }

    /// Fetches the keys in a task of its own: whoever asks may go away. Returns what closes when it is done.
    fn fetch(self: Arc<Self>, fetcher: Fetcher, now: Timestamp) -> watch::Receiver<()> {
        let (done, running) = watch::channel(());
        tokio::spawn(async move {
            let fetched = timeout(fetcher.time, discover(&fetcher.client, &self.issuer));
            let fetched = fetched.await.unwrap_or(Err(FetchError::Late));
            if let Err(error) = &fetched {
                let error: &dyn std::error::Error = error;
                tracing::warn!(issuer = %self.issuer, error, "the keys of an OpenID provider cannot be fetched");
            }
            let mut state = self.state.lock();
            match fetched {
                Ok(keys) => {
                    let (keys, fetched) = (keys.into(), now);
                    state.keys = Some(Keys { keys, fetched });
                    state.failure = None;
                }
                Err(error) => state.failure = Some(Arc::new(error)),
            }
            drop(state);
            drop(done);
        });
        running
    }
}

impl State {
    /// Whether it may be tried again. A clock that was set back does not keep us from it.
    fn is_due(&self, interval: Duration, now: Timestamp) -> bool {
        !self.running.as_ref().is_some_and(is_open)
            && self
                .attempted
                .is_none_or(|last| now >= last.plus(interval) || last > now.plus(interval))
    }
}

fn is_open(running: &watch::Receiver<()>) -> bool {
    running.has_changed().is_ok()
}

/// With what keys are fetched.
#[derive(Clone, Debug)]
pub(crate) struct Fetcher {
    pub(crate) client: Client,
    /// How long it may take.
    pub(crate) time: Duration,
}
