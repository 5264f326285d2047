//! The first experiment: CPU time of a server for each unit of work.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::LocalSet;

use crate::client::{self, Load, Unit, Visits};
use crate::process::{cpu_time, waited_for_cpu};
use crate::server::Spawned;

/// How long to measure.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// How often each contestant has its turn.
    pub rounds: usize,
    /// Load before the window of a turn, not counted; three times as long in the first turn.
    pub warm_up: Duration,
    /// The counted part of a turn.
    pub window: Duration,
}

impl Pace {
    /// For figures that mean something.
    pub fn full() -> Self {
        let (warm_up, window) = (Duration::from_millis(400), Duration::from_millis(1300));
        Self {
            rounds: 5,
            warm_up,
            window,
        }
    }

    /// To see that it works.
    pub fn quick() -> Self {
        let (warm_up, window) = (Duration::from_millis(20), Duration::from_millis(150));
        Self {
            rounds: 1,
            warm_up,
            window,
        }
    }
}

/// One server under one load.
#[derive(Debug)]
pub struct Contestant {
    /// What the table calls it.
    pub label: String,
    /// The server.
    pub server: Rc<Spawned>,
    /// The load on it.
    pub load: Load,
}

/// Registrations under way at once.
pub const TASKS: usize = 32;

/// What every answer to a registration says, our own and the constant ones.
pub const WANTED: &[u8] = br#""status":"assigned""#;

impl Contestant {
    /// A server with which devices register.
    pub fn registering(label: &str, server: &Rc<Spawned>, visits: &Visits, unit: Unit) -> Self {
        let (server, visits) = (Rc::clone(server), Rc::clone(visits));
        let load = Load {
            port: server.port(),
            tasks: TASKS,
            unit,
            visits,
            wanted: WANTED,
        };
        Self {
            label: label.to_owned(),
            server,
            load,
        }
    }
}

/// What one window showed.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// CPU time of the server for each unit, in microseconds.
    pub cpu_micros: f64,
    /// Units done in a second of real time.
    pub rate: f64,
    /// The part of real time that the server was on its CPU, 0 to 1.
    pub busy: f64,
    /// The part of real time that the server could have run, while its CPU was another's, 0 to 1.
    pub waited: f64,
}

/// What a contestant showed, one window a round.
#[derive(Clone, Debug)]
pub struct Figures {
    /// What the table calls it.
    pub label: String,
    /// The windows, in the order of the rounds.
    pub windows: Vec<Window>,
    /// How many units failed, warm-up included.
    pub failed: u64,
}

/// Middle, least and greatest of several values.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    /// The median.
    pub median: f64,
    /// The least.
    pub least: f64,
    /// The greatest.
    pub greatest: f64,
}

impl Spread {
    /// Of `values`, which must not be empty.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (last, middle) = (values.len() - 1, values.len() / 2);
        Self {
            median: values[middle],
            least: values[0],
            greatest: values[last],
        }
    }
}

impl Figures {
    /// CPU time of the server for each unit, in microseconds.
    pub fn cpu_micros(&self) -> Spread {
        Spread::of(self.windows.iter().map(|window| window.cpu_micros))
    }

    /// Units that one core could do in a second, by the median of the CPU time.
    pub fn per_core(&self) -> f64 {
        1e6 / self.cpu_micros().median
    }

    /// The rate of this server as a part of that of `other`, round by round: 0.8 is a rate a fifth lower.
    pub fn rate_beside(&self, other: &Self) -> Spread {
        let pairs = self.windows.iter().zip(&other.windows);
        Spread::of(pairs.map(|(mine, theirs)| theirs.cpu_micros / mine.cpu_micros))
    }
}

/// Lets the contestants take turns, so that what slows the machine slows all of them.
///
/// # Errors
/// When more than one unit in a thousand failed, or nothing was done in a window: with the first failure.
pub async fn alternate(
    set: &LocalSet,
    contestants: &[Contestant],
    pace: Pace,
) -> io::Result<Vec<Figures>> {
    let counters: Vec<_> = contestants.iter().map(|_| Rc::new(Cell::new(0))).collect();
    let mut all: Vec<_> = contestants
        .iter()
        .map(|one| Figures {
            label: one.label.clone(),
            windows: Vec::new(),
            failed: 0,
        })
        .collect();
    for round in 0..pace.rounds {
        for ((contestant, next), figures) in contestants.iter().zip(&counters).zip(&mut all) {
            let warm_up = pace.warm_up * if round == 0 { 3 } else { 1 };
            let (window, failed) = turn(set, contestant, next, warm_up, pace.window).await?;
            figures.windows.push(window);
            figures.failed += failed;
        }
    }
    Ok(all)
}

async fn turn(
    set: &LocalSet,
    contestant: &Contestant,
    next: &Rc<Cell<u64>>,
    warm_up: Duration,
    length: Duration,
) -> io::Result<(Window, u64)> {
    let running = client::start(set, &contestant.load, next);
    tokio::time::sleep(warm_up).await;
    let pid = contestant.server.pid();
    let (from, done) = (Instant::now(), running.tally().done());
    let (cpu, waited) = (cpu_time(pid), waited_for_cpu(pid));
    tokio::time::sleep(length).await;
    let passed = from.elapsed().as_secs_f64();
    let cpu = (cpu_time(pid) - cpu).as_secs_f64();
    let waited = (waited_for_cpu(pid) - waited).as_secs_f64();
    #[allow(
        clippy::cast_precision_loss,
        reason = "counts of one run are far below 2^53"
    )]
    let done = (running.tally().done() - done) as f64;
    let (failed, failure) = running.tally().failures();
    running.stop().await;
    #[allow(
        clippy::cast_precision_loss,
        reason = "counts of one run are far below 2^53"
    )]
    if done == 0.0 || failed as f64 > done / 1000.0 {
        let (label, why) = (
            &contestant.label,
            failure.unwrap_or_else(|| "no answer".to_owned()),
        );
        return Err(io::Error::other(format!(
            "{label}: {done} done, {failed} failed: {why}"
        )));
    }
    let window = Window {
        cpu_micros: cpu * 1e6 / done,
        rate: done / passed,
        busy: cpu / passed,
        waited: waited / passed,
    };
    Ok((window, failed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_knows_its_middle_and_its_ends() {
        let spread = Spread::of([3.0, 1.0, 2.0]);
        assert_eq!(
            (spread.median, spread.least, spread.greatest),
            (2.0, 1.0, 3.0)
        );
    }
}
