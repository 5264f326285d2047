//! Keys that are asked for elsewhere, remembered.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::key::{DataKey, KeyError, KeyName, KeyProvider};
use crate::id::IdScope;
use crate::time::{Clock, Timestamp};

/// How long an error is remembered, and how long one caller has to ask again while others use the old key.
const PAUSE: Duration = Duration::from_secs(5);

/// The most answers that are remembered. Names of keys come from the store.
const MAX_HELD: usize = 4096;

/// Remembers the keys of a provider that has to ask elsewhere.
///
/// A key is asked for again every five minutes, unless set otherwise. Where nobody answers then, the old one is used for
/// a day at the most, unless set otherwise; where the key is refused, or unknown, it is forgotten at once. An error is
/// remembered for five seconds, so that an outage is not made worse by asking.
#[derive(Debug)]
pub struct CachedKeys<P> {
    keys: P,
    clock: Arc<dyn Clock>,
    fresh: Duration,
    stale: Duration,
    held: Mutex<BTreeMap<Asked, Held>>,
}

/// A question: which key is current in a scope, or which has this name.
type Asked = (IdScope, Option<KeyName>);

#[derive(Debug)]
struct Held {
    answer: Result<Arc<DataKey>, Failed>,
    /// When the answer was given.
    at: Timestamp,
    /// When it is asked for again.
    again: Timestamp,
}

/// A [`KeyError`] that can be told several times.
#[derive(Clone, Debug)]
enum Failed {
    Unavailable(String),
    Unknown(KeyName),
    Refused(String),
}

impl<P: KeyProvider> CachedKeys<P> {
    /// Remembers what `keys` answers.
    #[must_use]
    pub fn new(keys: P, clock: Arc<dyn Clock>) -> Self {
        Self {
            keys,
            clock,
            fresh: Duration::from_secs(5 * 60),
            stale: Duration::from_secs(24 * 60 * 60),
            held: Mutex::default(),
        }
    }

    /// Sets after how long a key is asked for again; five minutes. So long a key may go on being used that was revoked,
    /// or that is current no more.
    #[must_use]
    pub const fn with_fresh_for(mut self, fresh: Duration) -> Self {
        self.fresh = fresh;
        self
    }

    /// Sets how long a key is used since it was last given, while nobody answers; a day. A longer time carries the service
    /// over longer outages.
    #[must_use]
    pub const fn with_usable_for(mut self, usable: Duration) -> Self {
        self.stale = usable;
        self
    }

    /// What is remembered and need not be asked for.
    fn remembered(&self, asked: &Asked, now: Timestamp) -> Option<Result<Arc<DataKey>, KeyError>> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let one = held.get_mut(asked)?;
        // A clock that was set back must not keep a key for longer.
        if one.at <= now && now < one.again {
            return Some(one.answer.clone().map_err(Failed::into_error));
        }
        // This caller asks; others use what there is meanwhile.
        if one.answer.is_ok() && one.at <= now && now < one.at.plus(self.stale) {
            one.again = now.plus(PAUSE);
        }
        None
    }

    /// Remembers an answer; what the caller is told.
    fn remember(
        &self,
        asked: Asked,
        answer: Result<Arc<DataKey>, KeyError>,
        now: Timestamp,
    ) -> Result<Arc<DataKey>, KeyError> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(answer, Err(KeyError::Unavailable(_)))
            && let Some(Held {
                answer: Ok(key),
                at,
                ..
            }) = held.get(&asked)
            && *at <= now
            && now < at.plus(self.stale)
        {
            return Ok(Arc::clone(key));
        }
        if held.len() >= MAX_HELD {
            held.retain(|_, one| now < one.again);
        }
        if held.len() >= MAX_HELD {
            held.clear();
        }
        let answer = answer.map_err(Failed::of);
        let pause = if answer.is_ok() { self.fresh } else { PAUSE };
        let one = Held {
            answer: answer.clone(),
            at: now,
            again: now.plus(pause),
        };
        held.insert(asked, one);
        answer.map_err(Failed::into_error)
    }
}

#[async_trait]
impl<P: KeyProvider> KeyProvider for CachedKeys<P> {
    async fn sealing_key(&self, scope: &IdScope) -> Result<Arc<DataKey>, KeyError> {
        let asked = (scope.clone(), None);
        if let Some(answer) = self.remembered(&asked, self.clock.now()) {
            return answer;
        }
        let answer = self.keys.sealing_key(scope).await;
        self.remember(asked, answer, self.clock.now())
    }

    async fn opening_key(&self, scope: &IdScope, name: &KeyName) -> Result<Arc<DataKey>, KeyError> {
        let asked = (scope.clone(), Some(name.clone()));
        if let Some(answer) = self.remembered(&asked, self.clock.now()) {
            return answer;
        }
        let answer = self.keys.opening_key(scope, name).await;
        self.remember(asked, answer, self.clock.now())
    }
}

impl Failed {
    fn of(error: KeyError) -> Self {
        match error {
            KeyError::Unavailable(source) => Self::Unavailable(chain(&*source)),
            KeyError::Unknown { name } => Self::Unknown(name),
            KeyError::Refused(source) => Self::Refused(chain(&*source)),
        }
    }

    fn into_error(self) -> KeyError {
        match self {
            Self::Unavailable(text) => KeyError::Unavailable(text.into()),
            Self::Unknown(name) => KeyError::Unknown { name },
            Self::Refused(text) => KeyError::Refused(text.into()),
        }
    }
}

/// An error and its sources in one line.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}
