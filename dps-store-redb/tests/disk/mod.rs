//! A disk in memory whose power can be cut, and whose calls can fail.
#![allow(dead_code, reason = "no test needs all of it")]

use std::io;
use std::sync::Arc;

use dps_testkit::run::Dice;
use parking_lot::Mutex;
use redb::StorageBackend;

/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

/// What happens at the chosen call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The power goes: of what was not synced, nothing is left.
    PowerNothing,
    /// The power goes, but everything that was written is on the disk: as when only the process dies.
    PowerEverything,
    /// The power goes: of what was not synced, some sectors are left and others are not.
    PowerSome,
    /// Every call fails from here on until the disk is repaired; what was written is there.
    Broken,
    /// This one call fails and no other. If it is a sync, what it was to sync is partly lost.
    Once,
}

impl Fault {
    pub(crate) const ALL: [Self; 5] = [
        Self::PowerNothing,
        Self::PowerEverything,
        Self::PowerSome,
        Self::Broken,
        Self::Once,
    ];
}

/// The disk. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// What a loss of power cannot take.
    synced: Vec<u8>,
    /// What reads see.
    now: Vec<u8>,
    /// What happened since the last sync, in order.
    pending: Vec<Effect>,
    /// Counted since the last call of `arm`: writes, syncs, changes of the length.
    effects: usize,
    armed: Option<(usize, Fault)>,
    struck: Option<Fault>,
    /// Whoever plugged in earlier than the last is dead.
    plugged: usize,
    /// It says that it has synced, and has not.
    lies: bool,
    dice: Dice,
}

#[derive(Debug)]
enum Effect {
    Write(usize, Vec<u8>),
    Length(usize),
}

/// The disk as one process has it.
#[derive(Debug)]
pub(crate) struct Plug {
    disk: Disk,
    nth: usize,
}

impl Disk {
    /// An empty one, on which the same things are lost for the same seed.
    pub(crate) fn new(seed: u64) -> Self {
        let disk = Self::default();
        disk.0.lock().dice = Dice::new(seed);
        disk
    }

    /// One that does not do what a sync asks for.
    pub(crate) fn lying() -> Self {
        let disk = Self::default();
        disk.0.lock().lies = true;
        disk
    }

    /// Another one with the same on it, which loses other things.
    pub(crate) fn copy(&self, seed: u64) -> Self {
        let copy = Self::new(seed);
        let (now, lies) = {
            let state = self.0.lock();
            (state.now.clone(), state.lies)
        };
        let mut state = copy.0.lock();
        (state.synced, state.now, state.lies) = (now.clone(), now, lies);
        drop(state);
        copy
    }

    /// For a new process. All earlier ones have it no more.
    pub(crate) fn plug(&self) -> Plug {
        let mut state = self.0.lock();
        state.plugged += 1;
        let (disk, nth) = (self.clone(), state.plugged);
        Plug { disk, nth }
    }

    /// Loses other things from now on.
    pub(crate) fn reseed(&self, seed: u64) {
        self.0.lock().dice = Dice::new(seed);
    }

    /// Lets `fault` happen at the `nth` effect from now on, counted from 1.
    pub(crate) fn arm(&self, nth: usize, fault: Fault) {
        let mut state = self.0.lock();
        (state.effects, state.armed, state.struck) = (0, Some((nth, fault)), None);
    }

    /// Lets it happen now.
    pub(crate) fn strike(&self, fault: Fault) {
        self.0.lock().strike(fault);
    }

    /// Whether the fault has happened.
    pub(crate) fn struck(&self) -> bool {
        self.0.lock().struck.is_some()
    }

    /// How many effects there were since it was armed.
    pub(crate) fn effects(&self) -> usize {
        self.0.lock().effects
    }

    /// Nothing fails from now on. What a loss of power took is gone.
    pub(crate) fn repair(&self) {
        let mut state = self.0.lock();
        (state.armed, state.struck) = (None, None);
        // Whoever is plugged in still, is no longer.
        state.plugged += 1;
    }
}

impl State {
    fn strike(&mut self, fault: Fault) {
        self.struck = Some(fault);
        match fault {
            Fault::PowerEverything | Fault::Broken | Fault::Once => {}
            Fault::PowerNothing => self.lose(false),
            Fault::PowerSome => self.lose(true),
        }
    }

    /// Goes back to what was synced, and does some of what came after, if so wished.
    fn lose(&mut self, some: bool) {
        self.now.clone_from(&self.synced);
        for effect in std::mem::take(&mut self.pending) {
            if !some {
                continue;
            }
            match effect {
                // Half of the writes arrive whole or not at all, the others in part.
                Effect::Write(at, data) => {
                    let fate = self.dice.below(4);
                    for (nth, sector) in data.chunks(SECTOR).enumerate() {
                        let arrives = fate == 0 || fate > 1 && self.dice.below(2) == 0;
                        let at = at + nth * SECTOR;
                        if arrives && at + sector.len() <= self.now.len() {
                            self.now[at..at + sector.len()].copy_from_slice(sector);
                        }
                    }
                }
                // A file may have its new length without what was written into it.
                Effect::Length(length) => {
                    if self.dice.below(2) == 0 {
                        self.now.resize(length, 0);
                    }
                }
            }
        }
        self.synced.clone_from(&self.now);
    }
}

impl Plug {
    fn alive<T>(&self, act: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.disk.0.lock();
        match state.struck {
            _ if state.plugged != self.nth => Err(io::Error::other("another process has the disk")),
            None | Some(Fault::Once) => act(&mut state),
            Some(_) => Err(io::Error::other("the disk is gone")),
        }
    }

    /// An effect, before which the fault may happen.
    fn effect(&self, sync: bool, act: impl FnOnce(&mut State)) -> io::Result<()> {
        self.alive(|state| {
            state.effects += 1;
            if let Some((nth, fault)) = state.armed
                && nth == state.effects
                && state.struck.is_none()
            {
                if sync && fault == Fault::Once {
                    // What a failed sync has lost is not seen until the next start.
                    let seen = state.now.clone();
                    state.lose(true);
                    state.now = seen;
                    // The length is known to the file system.
                    state.synced.resize(state.now.len(), 0);
                }
                state.strike(fault);
                return Err(io::Error::other("the disk fails"));
            }
            act(state);
            Ok(())
        })
    }
}

impl StorageBackend for Plug {
    fn len(&self) -> io::Result<u64> {
        self.alive(|state| Ok(state.now.len() as u64))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.alive(|state| {
            let from = offset as usize;
            let found = state.now.get(from..from + out.len());
            let found = found.ok_or(io::ErrorKind::UnexpectedEof)?;
            out.copy_from_slice(found);
            Ok(())
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.effect(false, |state| {
            state.now.resize(len as usize, 0);
            state.pending.push(Effect::Length(len as usize));
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.effect(true, |state| {
            if state.lies {
                return;
            }
            let State { synced, now, .. } = state;
            for effect in state.pending.drain(..) {
                match effect {
                    Effect::Length(length) => synced.resize(length, 0),
                    Effect::Write(at, data) => {
                        synced[at..at + data.len()].copy_from_slice(&data);
                    }
                }
            }
            debug_assert!(synced.len() == now.len());
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let at = offset as usize;
        self.effect(false, |state| {
            state.now[at..at + data.len()].copy_from_slice(data);
            state.pending.push(Effect::Write(at, data.to_vec()));
        })
    }
}
