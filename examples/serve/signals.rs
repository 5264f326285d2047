//! What people tell the process while it runs.

use std::io;

/// All signals that the process listens to. Those that come from now on are not lost.
pub(super) struct Signals {
    pub(super) end: End,
    /// A file has changed: SIGHUP.
    pub(super) hangup: Told,
    /// A backup is wanted: SIGUSR1.
    pub(super) backup: Told,
}

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            end: End::new()?,
            hangup: Told::hangup()?,
            backup: Told::backup()?,
        })
    }
}

/// Resolves when the process is asked to end: SIGTERM or SIGINT.
#[cfg(unix)]
pub(super) struct End([tokio::signal::unix::Signal; 2]);

#[cfg(unix)]
impl End {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self([
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
        ]))
    }

    pub(super) async fn come(&mut self) {
        let [terminate, interrupt] = &mut self.0;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
}

/// A signal that ends nothing.
#[cfg(unix)]
pub(super) struct Told(tokio::signal::unix::Signal);

#[cfg(unix)]
impl Told {
    fn hangup() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        signal(SignalKind::hangup()).map(Self)
    }

    fn backup() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        signal(SignalKind::user_defined1()).map(Self)
    }

    pub(super) async fn next(&mut self) {
        if self.0.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}

/// Resolves when the process is asked to end: Ctrl-C.
#[cfg(not(unix))]
pub(super) struct End;

#[cfg(not(unix))]
impl End {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    pub(super) async fn come(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Nothing tells it.
#[cfg(not(unix))]
pub(super) struct Told;

#[cfg(not(unix))]
impl Told {
    fn hangup() -> io::Result<Self> {
        Ok(Self)
    }

    fn backup() -> io::Result<Self> {
        Ok(Self)
    }

    pub(super) async fn next(&mut self) {
        std::future::pending::<()>().await;
    }
}
