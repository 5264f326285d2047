//! The second experiment: memory of a server for each connection that is held and does nothing.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use tokio::task::LocalSet;

use crate::client::{Line, Visit, Visits};
use crate::process::{cpu_time, open_files_limit, resident_bytes};
use crate::server::Spawned;

/// How many connections to hold.
#[derive(Clone, Copy, Debug)]
pub struct Held {
    /// Connections opened between two readings of the memory.
    pub step: u64,
    /// How many steps.
    pub steps: u64,
    /// The conversation on each, up to the goodbye, before it rests; otherwise the handshake alone.
    pub request: bool,
    /// How long all connections rest before the memory is read: what a server gives back it gives
    /// back after a while.
    pub rest: Duration,
}

impl Held {
    /// As many connections as both ends may have open, 5,000 at most; 200 if `quick`.
    pub fn possible(quick: bool, request: bool) -> Self {
        /// What a process has open besides its connections.
        const OTHERS: u64 = 100;
        let most = open_files_limit().saturating_sub(OTHERS).min(5000);
        Self {
            step: if quick { 40 } else { most / 5 },
            steps: 5,
            request,
            rest: Duration::ZERO,
        }
    }

    /// How many connections that are in all.
    pub fn count(&self) -> u64 {
        self.step * self.steps
    }
}

/// What a server's memory did.
#[derive(Clone, Debug)]
pub struct Memory {
    /// What the table calls it.
    pub label: String,
    /// Resident bytes before the first of the connections counted; a few others are held already.
    pub before: u64,
    /// Connections held and resident bytes, after each step.
    pub steps: Vec<(u64, u64)>,
}

impl Memory {
    /// Bytes for each connection, over all of them.
    pub fn bytes_each(&self) -> f64 {
        let (held, bytes) = self.steps.last().copied().unwrap_or((1, self.before));
        each(bytes.saturating_sub(self.before), held)
    }

    /// Bytes for each connection, step by step: equal numbers mean that nothing else grew.
    pub fn bytes_each_step(&self) -> Vec<f64> {
        let mut last = (0, self.before);
        let mut found = Vec::new();
        for (held, bytes) in self.steps.iter().copied() {
            found.push(each(bytes.saturating_sub(last.1), held - last.0));
            last = (held, bytes);
        }
        found
    }
}

#[allow(
    clippy::cast_precision_loss,
    reason = "memory of one run is far below 2^53 bytes"
)]
fn each(bytes: u64, connections: u64) -> f64 {
    bytes as f64 / connections as f64
}

/// Opens connections step by step, holds them all, and reads the memory of `server` after each step.
///
/// * `server`: a fresh process: memory once used and given back would hide the next use.
/// * `wanted`: what the last answer must contain, if there is a conversation.
///
/// # Errors
/// When a connection or a request fails.
pub async fn hold(
    set: &LocalSet,
    label: &str,
    server: &Spawned,
    visits: &Visits,
    wanted: &'static [u8],
    held: Held,
) -> io::Result<Memory> {
    /// Enough at once to be quick, and few enough not to be what grows.
    const AT_ONCE: u64 = 8;
    settled(server.pid()).await;
    let before = resident_bytes(server.pid());
    let mut memory = Memory {
        label: label.to_owned(),
        before,
        steps: Vec::new(),
    };
    let mut kept: Vec<Line> = Vec::new();
    for step in 0..held.steps {
        let first = step * held.step;
        let tasks: Vec<_> = (0..AT_ONCE)
            .map(|task| {
                let (visits, port) = (Rc::clone(visits), server.port());
                set.spawn_local(async move {
                    let mut mine = Vec::new();
                    let last = first + held.step;
                    for n in (first + task..last).step_by(usize_of(AT_ONCE)) {
                        mine.push(open(port, n, &visits, wanted, held.request).await?.0);
                    }
                    Ok::<_, io::Error>(mine)
                })
            })
            .collect();
        for task in tasks {
            kept.extend(task.await.map_err(io::Error::other)??);
        }
        tokio::time::sleep(held.rest).await;
        settled(server.pid()).await;
        memory
            .steps
            .push((first + held.step, resident_bytes(server.pid())));
    }
    still_open(&kept).await?;
    Ok(memory)
}

/// Lets every device come and go once, so that what a server keeps of devices is not counted as what
/// it keeps of connections.
///
/// * `visits`: conversations after which the server ends the connection.
///
/// # Errors
/// When a connection or a request fails.
pub async fn visit_all(
    server: &Spawned,
    visits: &Visits,
    wanted: &[u8],
    count: u64,
) -> io::Result<()> {
    for n in 0..count {
        let (mut line, visit) = open(server.port(), n, visits, wanted, true).await?;
        visit.part(&mut line).await?;
    }
    Ok(())
}

async fn open(
    port: u16,
    n: u64,
    visits: &Visits,
    wanted: &[u8],
    request: bool,
) -> io::Result<(Line, Visit)> {
    let visit = visits(n);
    let mut line = Line::open(port, n, visit.tls.as_ref()).await?;
    if request {
        visit.converse(&mut line, wanted, &mut Vec::new()).await?;
    }
    Ok((line, visit))
}

fn usize_of(n: u64) -> usize {
    usize::try_from(n).expect("a small number")
}

/// Waits until the server has nothing to do, at most for two seconds.
async fn settled(pid: u32) {
    let mut last = cpu_time(pid);
    for _ in 0..40 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let now = cpu_time(pid);
        if now - last < Duration::from_micros(500) {
            return;
        }
        last = now;
    }
}

/// Sees to it that nobody hung up: memory of closed connections would be cheap.
async fn still_open(kept: &[Line]) -> io::Result<()> {
    for line in kept {
        match line.tcp().try_read(&mut [0; 64]) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
            Ok(_) => {
                return Err(io::Error::other(
                    "the server closed or spoke on an idle connection",
                ));
            }
        }
    }
    Ok(())
}
