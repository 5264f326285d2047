//! A file that is written only now and then, whatever it says.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use redb::StorageBackend;

/// Syncs between two that reach the file.
const LAZINESS: u64 = 40;

#[derive(Debug)]
pub(crate) struct Lazy {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    bytes: Vec<u8>,
    syncs: u64,
}

impl Lazy {
    pub(crate) fn open(path: &Path) -> Self {
        let bytes = fs::read(path).unwrap_or_default();
        Self {
            path: path.to_owned(),
            state: Mutex::new(State { bytes, syncs: 0 }),
        }
    }
}

impl StorageBackend for Lazy {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state.lock().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let from = offset as usize;
        out.copy_from_slice(&self.state.lock().bytes[from..from + out.len()]);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.state.lock().bytes.resize(len as usize, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        state.syncs += 1;
        if state.syncs % LAZINESS == 1 {
            // Whole or not at all.
            let beside = self.path.with_extension("new");
            fs::write(&beside, &state.bytes)?;
            fs::rename(beside, &self.path)?;
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let from = offset as usize;
        self.state.lock().bytes[from..from + data.len()].copy_from_slice(data);
        Ok(())
    }
}
