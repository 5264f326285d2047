//! What stands between redb and the file.
//!
//! It does three things that redb leaves to others. It *holds back* all changes until somebody has looked at
//! what is in the file, so that opening a wrong or a damaged one changes nothing. It keeps the file and
//! its locks when redb has to be closed and opened again. And it remembers what was not synced yet: when
//! a sync fails, the system may think that it wrote what it did not, so all of it is written anew.

use std::fmt;
use std::io::{self, ErrorKind};
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use redb::{BackendError, StorageBackend};

type Range = (Bound<u64>, Bound<u64>);

/// What redb is given: a way to the keeper, which outlives it.
#[derive(Debug)]
pub(crate) struct Handle {
    keeper: Arc<Keeper>,
    /// Of an earlier redb, which may do nothing any more.
    cut: Arc<AtomicBool>,
}

/// Keeps the file.
pub(crate) struct Keeper {
    backend: Box<dyn StorageBackend>,
    /// Whether changes are held back.
    holding: AtomicBool,
    state: Mutex<State>,
    /// What redb has locked, also while it is closed.
    locks: Mutex<Vec<Range>>,
}

#[derive(Default)]
struct State {
    held: Vec<Effect>,
    /// Nothing in the backend counts.
    empty: bool,
    /// What was written since the last sync: where, and how many bytes.
    unsynced: Vec<(u64, usize)>,
    /// Since then a sync has failed.
    doubtful: bool,
    /// Of the redb that is open.
    cut: Arc<AtomicBool>,
}

enum Effect {
    Write(u64, Vec<u8>),
    SetLen(u64),
    Sync,
}

impl Keeper {
    /// * `empty`: whether what is in the backend is to be ignored, as a file that was never finished.
    pub(crate) fn new(backend: Box<dyn StorageBackend>, empty: bool) -> Arc<Self> {
        let state = State {
            empty,
            ..State::default()
        };
        Arc::new(Self {
            backend,
            holding: AtomicBool::new(true),
            state: Mutex::new(state),
            locks: Mutex::default(),
        })
    }

    /// Begins to hold changes back, for a redb that is to be opened with what is returned. The one before
    /// can do nothing any more.
    pub(crate) fn hold(self: &Arc<Self>) -> Handle {
        let mut state = self.state.lock();
        state.cut.store(true, Ordering::Release);
        state.cut = Arc::default();
        state.held.clear();
        self.holding.store(true, Ordering::Release);
        Handle {
            keeper: Arc::clone(self),
            cut: Arc::clone(&state.cut),
        }
    }

    /// Ends whatever redb still does.
    pub(crate) fn cut(&self) {
        self.state.lock().cut.store(true, Ordering::Release);
    }

    /// Makes the changes that were held back, and lets all others pass. After an error the rest is held still.
    pub(crate) fn let_go(&self) -> io::Result<()> {
        if !self.holding.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut state = self.state.lock();
        if state.empty && !state.held.is_empty() {
            self.backend.set_len(0)?;
            state.empty = false;
        }
        self.write_again(&state)?;
        let mut held = std::mem::take(&mut state.held).into_iter();
        while let Some(effect) = held.next() {
            if let Err(error) = self.make(&mut state, &effect) {
                state.held = std::iter::once(effect).chain(held).collect();
                return Err(error);
            }
        }
        self.holding.store(false, Ordering::Release);
        Ok(())
    }

    /// Syncs, after an error; after a failed sync, writes again whatever may not have reached the disk.
    pub(crate) fn settle(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        self.write_again(&state)?;
        self.make(&mut state, &Effect::Sync)
    }

    fn write_again(&self, state: &State) -> io::Result<()> {
        if !state.doubtful {
            return Ok(());
        }
        let length = self.backend.len()?;
        let mut ranges = state.unsynced.clone();
        ranges.sort_unstable();
        ranges.dedup();
        for (at, count) in ranges {
            let there = usize::try_from(length.saturating_sub(at)).unwrap_or(usize::MAX);
            let mut bytes = vec![0; count.min(there)];
            self.backend.read(at, &mut bytes)?;
            self.backend.write(at, &bytes)?;
        }
        Ok(())
    }

    fn make(&self, state: &mut State, effect: &Effect) -> io::Result<()> {
        match effect {
            Effect::Write(at, data) => {
                state.unsynced.push((*at, data.len()));
                self.backend.write(*at, data)
            }
            Effect::SetLen(length) => self.backend.set_len(*length),
            Effect::Sync => match self.backend.sync_data() {
                Ok(()) => {
                    state.unsynced.clear();
                    state.doubtful = false;
                    Ok(())
                }
                Err(error) => {
                    state.doubtful = true;
                    Err(error)
                }
            },
        }
    }

    fn length(&self, state: &State) -> io::Result<u64> {
        let start = if state.empty { 0 } else { self.backend.len()? };
        let length = |length: u64, effect: &Effect| match effect {
            Effect::Write(at, data) => length.max(at + data.len() as u64),
            Effect::SetLen(length) => *length,
            Effect::Sync => length,
        };
        Ok(state.held.iter().fold(start, length))
    }

    /// As the file would be if nothing were held back.
    fn read_held(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.state.lock();
        let end = offset + out.len() as u64;
        if end > self.length(&state)? {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        out.fill(0);
        let start = if state.empty { 0 } else { self.backend.len()? };
        let there = start.saturating_sub(offset);
        let there = out.len().min(usize::try_from(there).unwrap_or(usize::MAX));
        if there > 0 {
            self.backend.read(offset, &mut out[..there])?;
        }
        // Places within `out`, for positions in the file.
        let place = |at: u64| usize::try_from(at.clamp(offset, end) - offset).unwrap_or(0);
        for effect in &state.held {
            match effect {
                Effect::Write(at, data) => {
                    let (from, to) = (place(*at), place(*at + data.len() as u64));
                    if from < to {
                        let skip = usize::try_from(offset.saturating_sub(*at)).unwrap_or(0);
                        out[from..to].copy_from_slice(&data[skip..][..to - from]);
                    }
                }
                Effect::SetLen(length) => out[place(*length)..].fill(0),
                Effect::Sync => {}
            }
        }
        Ok(())
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let _ = self.backend.close();
    }
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keeper({:?})", self.backend)
    }
}

impl Handle {
    fn check(&self) -> io::Result<()> {
        if self.cut.load(Ordering::Acquire) {
            return Err(io::Error::other("the file was given up"));
        }
        Ok(())
    }

    fn change(&self, effect: Effect) -> io::Result<()> {
        self.check()?;
        let mut state = self.keeper.state.lock();
        if self.keeper.holding.load(Ordering::Acquire) {
            state.held.push(effect);
            return Ok(());
        }
        self.keeper.make(&mut state, &effect)
    }
}

impl StorageBackend for Handle {
    fn len(&self) -> io::Result<u64> {
        self.check()?;
        self.keeper.length(&self.keeper.state.lock())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.check()?;
        if self.keeper.holding.load(Ordering::Acquire) {
            return self.keeper.read_held(offset, out);
        }
        self.keeper.backend.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(Effect::SetLen(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.change(Effect::Sync)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.check()?;
        let mut state = self.keeper.state.lock();
        if self.keeper.holding.load(Ordering::Acquire) {
            state.held.push(Effect::Write(offset, data.to_vec()));
            return Ok(());
        }
        state.unsynced.push((offset, data.len()));
        self.keeper.backend.write(offset, data)
    }

    /// The keeper closes the backend, when it goes.
    fn close(&self) -> io::Result<()> {
        Ok(())
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        let mut locks = self.keeper.locks.lock();
        if locks.contains(&(start, end)) {
            return Ok(true);
        }
        let locked = self.keeper.backend.try_lock_range(start, end)?;
        if locked {
            locks.push((start, end));
        }
        Ok(locked)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.keeper.backend.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.keeper.backend.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.keeper.backend.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.keeper
            .locks
            .lock()
            .retain(|held| *held != (start, end));
        self.keeper.backend.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.keeper.backend.query_lock_range(start, end)
    }
}
