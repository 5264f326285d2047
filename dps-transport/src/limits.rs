//! How many connections there may be, and from where.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::prefix::Prefix;

/// What a listener grants before anybody has proven anything. The defaults are ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Connections at a time, handshakes among them; 20,000. Each costs about 15 kB while idle, and
    /// a file descriptor.
    pub connections: usize,
    /// Of these, from one IPv4 address or one IPv6 network of 64 bits; 1,024. Devices behind one
    /// address translator share them.
    pub connections_per_address: usize,
    /// From accepting a connection to the end of its handshake; 10 s.
    pub handshake: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 20_000,
            connections_per_address: 1_024,
            handshake: Duration::from_secs(10),
        }
    }
}

/// Counts connections. Holds one entry for each address that has any.
#[derive(Debug)]
pub(crate) struct Gate {
    limits: Limits,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    all: usize,
    by_prefix: HashMap<Prefix, usize>,
}

/// Why a connection is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    All,
    Address,
}

/// One connection within the limits; its place is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    gate: Arc<Gate>,
    prefix: Prefix,
}

impl Gate {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            open: Mutex::default(),
        }
    }

    pub(crate) fn enter(self: &Arc<Self>, address: IpAddr) -> Result<Permit, Full> {
        let prefix = Prefix::from(address);
        let mut open = self.open();
        if open.all >= self.limits.connections {
            return Err(Full::All);
        }
        let here = open.by_prefix.get(&prefix).copied().unwrap_or(0);
        if here >= self.limits.connections_per_address {
            return Err(Full::Address);
        }
        open.by_prefix.insert(prefix, here + 1);
        open.all += 1;
        drop(open);
        Ok(Permit {
            gate: Arc::clone(self),
            prefix,
        })
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut open = self.gate.open();
        open.all -= 1;
        if let Some(here) = open.by_prefix.get_mut(&self.prefix) {
            *here -= 1;
            if *here == 0 {
                open.by_prefix.remove(&self.prefix);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(connections: usize, connections_per_address: usize) -> Arc<Gate> {
        Arc::new(Gate::new(Limits {
            connections,
            connections_per_address,
            ..Limits::default()
        }))
    }

    fn address(n: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, n])
    }

    #[test]
    fn one_address_cannot_take_every_place() {
        let gate = gate(4, 2);
        let _two = [gate.enter(address(1)), gate.enter(address(1))];
        assert_eq!(gate.enter(address(1)).unwrap_err(), Full::Address);
        assert!(gate.enter(address(2)).is_ok());
    }

    #[test]
    fn no_more_are_taken_than_there_are_places_and_a_place_comes_free() {
        let gate = gate(2, 2);
        let first = gate.enter(address(1));
        let _second = gate.enter(address(2));
        assert_eq!(gate.enter(address(3)).unwrap_err(), Full::All);
        drop(first);
        assert!(gate.enter(address(3)).is_ok());
    }

    #[test]
    fn nothing_is_remembered_of_those_who_have_gone() {
        let gate = gate(10, 2);
        for n in 0..=255 {
            drop(gate.enter(address(n)));
        }
        let open = gate.open();
        assert_eq!((open.all, open.by_prefix.len()), (0, 0));
    }
}
