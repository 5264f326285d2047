//! Keys in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use dps_core::id::IdScope;
use dps_core::seal::{DataKey, KeyError, KeyName, KeyProvider};
use parking_lot::Mutex;

/// Keys in memory, made up as they are needed: nothing that they seal is secret. Clones share them.
#[derive(Clone, Debug)]
pub struct FakeKeys(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    keys: BTreeMap<KeyName, Arc<DataKey>>,
    current: Option<KeyName>,
    away: bool,
    refused: bool,
    asked: usize,
}

impl FakeKeys {
    /// One key, `fake-1`, which is current.
    #[must_use]
    pub fn new() -> Self {
        let keys = Self(Arc::new(Mutex::new(State {
            keys: BTreeMap::new(),
            current: None,
            away: false,
            refused: false,
            asked: 0,
        })));
        keys.rotate();
        keys
    }

    /// Makes one more key, `fake-2` and so on, and has it current. Which one it is.
    pub fn rotate(&self) -> KeyName {
        let mut state = self.0.lock();
        let nth = state.keys.len() + 1;
        let name = KeyName::parse(&format!("fake-{nth}")).expect("a name");
        drop(state.keys.insert(name.clone(), key(&name, nth)));
        state.current = Some(name.clone());
        name
    }

    /// Has another key current, or none. Nodes that know of a rotation at different times are clones that share nothing.
    pub fn set_current(&self, name: Option<KeyName>) {
        self.0.lock().current = name;
    }

    /// A provider of its own, with the keys that this one has now.
    #[must_use]
    pub fn copied(&self) -> Self {
        let state = self.0.lock();
        Self(Arc::new(Mutex::new(State {
            keys: state.keys.clone(),
            current: state.current.clone(),
            away: state.away,
            refused: state.refused,
            asked: 0,
        })))
    }

    /// Loses a key; to bring it back later.
    ///
    /// # Panics
    /// If there is no such key.
    pub fn lose(&self, name: &KeyName) -> Arc<DataKey> {
        self.0
            .lock()
            .keys
            .remove(name)
            .expect("a key that is there")
    }

    /// Adds a key, or puts it in the place of the one of its name, which a real provider must not.
    pub fn bring(&self, key: Arc<DataKey>) {
        self.0.lock().keys.insert(key.name().clone(), key);
    }

    /// Whether it does not answer: every question is [`KeyError::Unavailable`] then.
    pub fn set_away(&self, away: bool) {
        self.0.lock().away = away;
    }

    /// Whether it refuses every question for good.
    pub fn set_refused(&self, refused: bool) {
        self.0.lock().refused = refused;
    }

    /// How often it was asked.
    #[must_use]
    pub fn asked(&self) -> usize {
        self.0.lock().asked
    }

    fn find(&self, name: Option<&KeyName>) -> Result<Arc<DataKey>, KeyError> {
        let mut state = self.0.lock();
        state.asked += 1;
        if state.away {
            return Err(KeyError::Unavailable("the fake keys are away".into()));
        }
        if state.refused {
            return Err(KeyError::Refused("the fake keys were revoked".into()));
        }
        let Some(name) = name.or(state.current.as_ref()) else {
            return Err(KeyError::Unavailable("no key is current".into()));
        };
        let found = state.keys.get(name).cloned();
        found.ok_or_else(|| KeyError::Unknown { name: name.clone() })
    }
}

impl Default for FakeKeys {
    fn default() -> Self {
        Self::new()
    }
}

fn key(name: &KeyName, nth: usize) -> Arc<DataKey> {
    let mut bytes = [0x5e; 32];
    bytes[..8].copy_from_slice(&nth.to_le_bytes());
    Arc::new(DataKey::new(name.clone(), &bytes))
}

#[async_trait]
impl KeyProvider for FakeKeys {
    async fn sealing_key(&self, _: &IdScope) -> Result<Arc<DataKey>, KeyError> {
        self.find(None)
    }

    async fn opening_key(&self, _: &IdScope, name: &KeyName) -> Result<Arc<DataKey>, KeyError> {
        self.find(Some(name))
    }
}
