//! A server process as the benchmark sees it.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What a role prints, followed by its port, once it accepts connections.
pub(super) const LISTENING: &str = "listening on 127.0.0.1:";

/// Runs a server until stdin closes, which it does when the benchmark ends, however that comes about.
const WATCHED: &str = r#""$@" & server=$!; cat >/dev/null; kill "$server"; wait "$server""#;

/// A server process; it ends when this value is dropped, or when the benchmark itself ends.
#[derive(Debug)]
pub struct Spawned {
    child: Child,
    port: u16,
}

impl Spawned {
    /// Starts one of our own roles and waits until it listens.
    pub(crate) fn role(mut command: Command) -> io::Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let out = child.stdout.take().expect("stdout is piped");
        let mut spawned = Self { child, port: 0 };
        for line in BufReader::new(out).lines() {
            if let Some(port) = line?.strip_prefix(LISTENING) {
                spawned.port = port.parse().map_err(io::Error::other)?;
                return Ok(spawned);
            }
        }
        Err(io::Error::other("the server ended before it listened"))
    }

    /// Starts a foreign server that was told to listen on `port`, and waits until it does.
    ///
    /// * `shell`: a command that runs `sh`.
    /// * `server`: the server's own command line; it is to stay in the foreground.
    pub(crate) fn foreign(mut shell: Command, server: &[&OsStr], port: u16) -> io::Result<Self> {
        shell.args(["-c", WATCHED, "sh"]).args(server);
        let child = shell.stdin(Stdio::piped()).spawn()?;
        let mut spawned = Self { child, port };
        let patience = Instant::now() + Duration::from_secs(5);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            if let Some(status) = spawned.child.try_wait()? {
                return Err(io::Error::other(format!("it ended at once: {status}")));
            }
            if Instant::now() > patience {
                return Err(io::Error::other("it does not listen"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(spawned)
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Spawned {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let patience = Instant::now() + Duration::from_secs(2);
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > patience {
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
