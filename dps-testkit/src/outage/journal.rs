//! What devices were told and what hubs have, in a file.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use dps_core::hub::{DeviceLink, HubDevice, HubError, HubLinker, Linked};
use dps_core::id::DeviceId;
use dps_core::instance::LinkedHub;
use dps_core::time::{Clock, Timestamp};
use dps_core::twin::Twin;
use parking_lot::{Condvar, Mutex};

use crate::clock::ManualClock;

/// A file to which a line is added for each thing that happens, in one write, before anybody hears of it.
///
/// A process that is killed leaves every line that it wrote. It is also the hubs and the clock of a [`Town`], which
/// go on where they were when it is opened again.
///
/// [`Town`]: super::Town
pub struct Journal {
    file: Mutex<File>,
    ledger: Mutex<Ledger>,
    changed: Condvar,
    clock: ManualClock,
}

#[derive(Debug, Default)]
struct Ledger {
    devices: BTreeMap<String, Heard>,
    hubs: BTreeMap<String, BTreeSet<String>>,
}

/// What one device knows, and what happened since.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// The hub that it was told last.
    pub told: Option<String>,
    /// How often it was told one.
    pub times: u32,
    /// Whether it has asked since and does not know yet.
    pub asking: bool,
    /// The hubs that were asked to have it since.
    pub linked: BTreeSet<String>,
}

impl Journal {
    /// Opens the file at `path`, and makes it if it is not there. A line that was not finished counts as not written.
    ///
    /// # Errors
    /// What the file system says.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .read(true)
            .open(path.as_ref())?;
        let mut text = std::fs::read_to_string(path)?;
        let whole = text.rfind('\n').map_or(0, |at| at + 1);
        text.truncate(whole);
        file.set_len(whole as u64)?;
        let mut ledger = Ledger::default();
        let clock = ManualClock::new();
        for line in text.lines() {
            match line.strip_prefix("clock ") {
                Some(at) => {
                    let at = Timestamp(at.parse().map_err(io::Error::other)?);
                    clock.advance(at.since(clock.now()));
                }
                None => ledger.apply(line),
            }
        }
        Ok(Self {
            file: Mutex::new(file),
            ledger: Mutex::new(ledger),
            changed: Condvar::new(),
            clock,
        })
    }

    /// The time, which goes on where it was.
    #[must_use]
    pub const fn clock(&self) -> &ManualClock {
        &self.clock
    }

    /// Moves the clock.
    pub fn advance(&self, by: Duration) {
        let now = self.clock.advance(by);
        Self::write(&mut self.file.lock(), &format!("clock {}", now.0));
    }

    /// Writes the file anew with what is true now, so that it does not grow for ever. Nobody may be at work.
    ///
    /// # Errors
    /// What the file system says.
    pub fn shorten(&self) -> io::Result<()> {
        let mut text = format!("clock {}\n", self.clock.now().0);
        let mut file = self.file.lock();
        let ledger = &mut *self.ledger.lock();
        for (device, heard) in &mut ledger.devices {
            if let Some(hub) = &heard.told {
                text += &format!("told {device} {hub}\n");
            }
            heard.times = u32::from(heard.told.is_some());
        }
        for (hub, devices) in &ledger.hubs {
            for device in devices {
                text += &format!("has {device} {hub}\n");
            }
        }
        for (device, heard) in &ledger.devices {
            for hub in &heard.linked {
                text += &format!("linked {device} {hub}\n");
            }
            if heard.asking {
                text += &format!("ask {device}\n");
            }
        }
        file.set_len(0)?;
        file.write_all(text.as_bytes())
    }

    /// What each device knows, by its name.
    #[must_use]
    pub fn devices(&self) -> BTreeMap<String, Heard> {
        self.ledger.lock().devices.clone()
    }

    /// The hubs that have a device.
    #[must_use]
    pub fn hubs_of(&self, device: &str) -> Vec<String> {
        let ledger = self.ledger.lock();
        let having = ledger.hubs.iter().filter(|(_, has)| has.contains(device));
        having.map(|(hub, _)| hub.clone()).collect()
    }

    /// How many devices are on their way.
    #[must_use]
    pub fn asking(&self) -> usize {
        let ledger = self.ledger.lock();
        ledger.devices.values().filter(|heard| heard.asking).count()
    }

    /// How often devices were told a hub, all in all.
    #[must_use]
    pub fn told(&self) -> u64 {
        self.ledger.lock().told()
    }

    /// Waits until devices were told a hub so often, all in all; false if that takes longer than `most`.
    #[must_use]
    pub fn wait_until_told(&self, times: u64, most: Duration) -> bool {
        let end = Instant::now() + most;
        let mut ledger = self.ledger.lock();
        while ledger.told() < times {
            if self.changed.wait_until(&mut ledger, end).timed_out() {
                return false;
            }
        }
        true
    }

    /// The device is about to ask.
    pub(super) fn asks(&self, device: &str) {
        self.add(&format!("ask {device}"));
    }

    /// The device has been told where it is.
    pub(super) fn tells(&self, device: &str, hub: &str) {
        self.add(&format!("told {device} {hub}"));
    }

    fn add(&self, line: &str) {
        // Lines are applied in the order in which they are written.
        let mut file = self.file.lock();
        Self::write(&mut file, line);
        self.ledger.lock().apply(line);
        self.changed.notify_all();
    }

    fn write(file: &mut File, line: &str) {
        let written = file.write_all(format!("{line}\n").as_bytes());
        assert!(written.is_ok(), "it cannot be written: {written:?}");
    }

    fn has(&self, hub: &LinkedHub, device: &DeviceId) -> bool {
        let ledger = self.ledger.lock();
        let has = ledger.hubs.get(hub.name.as_str());
        has.is_some_and(|has| has.contains(device.as_str()))
    }
}

impl Ledger {
    fn told(&self) -> u64 {
        let times = self.devices.values().map(|heard| u64::from(heard.times));
        times.sum()
    }

    fn apply(&mut self, line: &str) {
        let mut words = line.split(' ');
        let (Some(what), Some(device)) = (words.next(), words.next()) else {
            return;
        };
        let hub = words.next().unwrap_or_default().to_owned();
        let heard = self.devices.entry(device.to_owned()).or_default();
        match what {
            "ask" => heard.asking = true,
            "told" => {
                let times = heard.times + 1;
                *heard = Heard {
                    told: Some(hub),
                    times,
                    ..Heard::default()
                };
            }
            "linked" => {
                heard.linked.insert(hub);
            }
            "has" => {
                self.hubs.entry(hub).or_default().insert(device.to_owned());
            }
            "link" => {
                heard.linked.insert(hub.clone());
                self.hubs.entry(hub).or_default().insert(device.to_owned());
            }
            "unlink" => {
                self.hubs.entry(hub).or_default().remove(device);
            }
            _ => {}
        }
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let devices = self.ledger.lock().devices.len();
        write!(f, "Journal({devices} devices)")
    }
}

/// Hubs that have no twins.
#[async_trait]
impl HubLinker for Journal {
    async fn link(&self, hub: &LinkedHub, link: &DeviceLink) -> Result<Linked, HubError> {
        let created = !self.has(hub, &link.device);
        self.add(&format!("link {} {}", link.device, hub.name));
        Ok(Linked { created })
    }

    async fn unlink(
        &self,
        hub: &LinkedHub,
        device: &DeviceId,
        _: Duration,
    ) -> Result<(), HubError> {
        self.add(&format!("unlink {device} {}", hub.name));
        Ok(())
    }

    async fn read(
        &self,
        hub: &LinkedHub,
        device: &DeviceId,
        _: Duration,
    ) -> Result<Option<HubDevice>, HubError> {
        Ok(self.has(hub, device).then(|| HubDevice {
            twin: Twin::default(),
            edge: false,
            enabled: true,
        }))
    }
}
