//! A file of keys, and what was last read of it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dps_core::crypto::{Crypto, CryptoError};
use dps_core::id::IdScope;
use dps_core::seal::{DataKey, KeyError, KeyName, KeyProvider};
use zeroize::Zeroizing;

use crate::parse::{Fault, LineError, MAX_FILE_BYTES, parse};

/// How often a name that is not known makes the file be read again.
const REREAD: Duration = Duration::from_secs(5);

/// Who besides the owner may do what: the group may read, others nothing.
#[cfg(unix)]
const FORBIDDEN_MODE: u32 = 0o027;

/// Why a file of keys is not taken. It shows nothing of what is in the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// It cannot be read.
    #[error("{} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is a directory, or a device.
    #[error("{} is no file", path.display())]
    NoFile {
        /// What it is not.
        path: PathBuf,
    },
    /// Others than its owner may read or write it.
    #[error(
        "{} may be read or written by others (mode {mode:03o}): chmod 600, or 640 for its group", path.display()
    )]
    Shared {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It has more than [`MAX_FILE_BYTES`].
    #[error("{} is larger than {MAX_FILE_BYTES} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// A line is wrong.
    #[error("{} line {line}: {error}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Which line, counted from 1.
        line: usize,
        /// What is wrong with it.
        error: LineError,
    },
    /// No line says which key is current.
    #[error("{}: no line says which key is current", path.display())]
    NoCurrent {
        /// The file.
        path: PathBuf,
    },
}

/// The keys of a file. `Debug` shows its path and the names.
#[derive(Debug)]
pub struct KeyFile {
    path: PathBuf,
    shared: bool,
    reread: Duration,
    read: RwLock<Keys>,
}

#[derive(Debug)]
struct Keys {
    by_name: BTreeMap<KeyName, Held>,
    current: KeyName,
    /// When the file was last looked at because of a name.
    looked: Option<Instant>,
}

#[derive(Clone)]
struct Held {
    bytes: Arc<Zeroizing<[u8; 32]>>,
    key: Arc<DataKey>,
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.key.fmt(f)
    }
}

impl KeyFile {
    /// Reads a file of keys. Blocks while it is read.
    ///
    /// # Errors
    /// [`KeyFileError`]. On Unix the group may read the file, and others nothing.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, KeyFileError> {
        Self::open_as(path.as_ref(), false)
    }

    /// The same, whoever else may read the file: for systems in which the mode of a file says nothing.
    ///
    /// # Errors
    /// As [`open`](Self::open) has them.
    pub fn open_shared(path: impl AsRef<Path>) -> Result<Self, KeyFileError> {
        Self::open_as(path.as_ref(), true)
    }

    fn open_as(path: &Path, shared: bool) -> Result<Self, KeyFileError> {
        let keys = read(path, shared, None)?;
        Ok(Self {
            path: path.to_owned(),
            shared,
            reread: REREAD,
            read: RwLock::new(keys),
        })
    }

    /// Sets how often a name that is not known may make the file be read again; every five seconds. Names come from the
    /// store.
    #[must_use]
    pub const fn with_reread_every(mut self, pause: Duration) -> Self {
        self.reread = pause;
        self
    }

    /// Reads the file again, as after `SIGHUP`. Blocks while it is read.
    ///
    /// # Errors
    /// [`KeyFileError`], also if a name has another key than before. The keys stay as they were then.
    pub fn reload(&self) -> Result<(), KeyFileError> {
        let before = self.held(|keys| keys.by_name.clone());
        let mut keys = read(&self.path, self.shared, Some(&before))?;
        let mut held = self.read.write().unwrap_or_else(PoisonError::into_inner);
        keys.looked = held.looked;
        *held = keys;
        Ok(())
    }

    /// Which keys there are, by name.
    #[must_use]
    pub fn names(&self) -> Vec<KeyName> {
        self.held(|keys| keys.by_name.keys().cloned().collect())
    }

    /// The key that new values are sealed with.
    ///
    /// # Errors
    /// [`KeyError::Unknown`], which no file that was taken has.
    pub fn current(&self) -> Result<Arc<DataKey>, KeyError> {
        self.held(|keys| keys.find(&keys.current))
    }

    fn held<T>(&self, look: impl FnOnce(&Keys) -> T) -> T {
        look(&self.read.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether it is this caller's turn to read the file again.
    fn may_look(&self) -> bool {
        let now = Instant::now();
        let mut held = self.read.write().unwrap_or_else(PoisonError::into_inner);
        let due = held
            .looked
            .is_none_or(|looked| now.duration_since(looked) >= self.reread);
        if due {
            held.looked = Some(now);
        }
        due
    }
}

impl Keys {
    fn find(&self, name: &KeyName) -> Result<Arc<DataKey>, KeyError> {
        let found = self.by_name.get(name).map(|held| Arc::clone(&held.key));
        found.ok_or_else(|| KeyError::Unknown { name: name.clone() })
    }
}

#[async_trait]
impl KeyProvider for KeyFile {
    async fn sealing_key(&self, _: &IdScope) -> Result<Arc<DataKey>, KeyError> {
        self.current()
    }

    async fn opening_key(&self, _: &IdScope, name: &KeyName) -> Result<Arc<DataKey>, KeyError> {
        match self.held(|keys| keys.find(name)) {
            Err(KeyError::Unknown { .. }) if self.may_look() => {
                // Somebody may have added it since. A file that is wrong now is said to be when a key is missing.
                let read = self.reload();
                match self.held(|keys| keys.find(name)) {
                    Err(unknown) => match read {
                        Ok(()) => Err(unknown),
                        Err(error) => Err(KeyError::Unavailable(Box::new(error))),
                    },
                    found => found,
                }
            }
            found => found,
        }
    }
}

/// A line for a file of keys, with its end: a new key of this name. It is text, and wiped by nobody.
///
/// # Errors
/// [`CryptoError`] if there is no randomness.
pub fn key_line(name: &KeyName, crypto: &Crypto) -> Result<String, CryptoError> {
    let bytes = Zeroizing::new(crypto.random::<32>()?);
    Ok(format!("key {name} {}\n", STANDARD.encode(&bytes[..])))
}

/// Reads a file. Keys that were there `before` stay the same values.
fn read(
    path: &Path,
    shared: bool,
    before: Option<&BTreeMap<KeyName, Held>>,
) -> Result<Keys, KeyFileError> {
    let owned = || path.to_owned();
    let unreadable = |source| {
        let path = owned();
        KeyFileError::Unreadable { path, source }
    };
    let file = File::open(path).map_err(unreadable)?;
    let about = file.metadata().map_err(unreadable)?;
    if !about.is_file() {
        return Err(KeyFileError::NoFile { path: owned() });
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = about.permissions().mode() & 0o777;
        if !shared && mode & FORBIDDEN_MODE != 0 {
            return Err(KeyFileError::Shared {
                path: owned(),
                mode,
            });
        }
    }
    #[cfg(not(unix))]
    let _ = shared;
    // It has room for all that is read, so that nothing is copied and left behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_FILE_BYTES + 1));
    let limit = MAX_FILE_BYTES as u64 + 1;
    file.take(limit)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() > MAX_FILE_BYTES {
        return Err(KeyFileError::TooLarge { path: owned() });
    }
    let wrong = |line, error| {
        let path = owned();
        KeyFileError::Line { path, line, error }
    };
    let parsed = parse(&bytes).map_err(|fault| match fault {
        Fault::Line(line, error) => wrong(line, error),
        Fault::NoCurrent => KeyFileError::NoCurrent { path: owned() },
    })?;
    let mut by_name = BTreeMap::new();
    for line in parsed.keys {
        let held = match before.and_then(|keys| keys.get(&line.name)) {
            Some(held) if **held.bytes == *line.bytes => held.clone(),
            Some(_) => return Err(wrong(line.number, LineError::Changed)),
            None => Held {
                key: Arc::new(DataKey::new(line.name.clone(), &line.bytes)),
                bytes: Arc::new(line.bytes),
            },
        };
        by_name.insert(line.name, held);
    }
    Ok(Keys {
        by_name,
        current: parsed.current,
        looked: None,
    })
}
