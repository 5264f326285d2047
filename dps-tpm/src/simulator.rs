//! A TPM in software, for tests and for trying things out: a `swtpm` of one's own.
//!
//! Debian has it in the package `swtpm`. It keeps what it is told, secrets too, in a directory that is gone
//! with the [`Simulator`]: never give a real device such a TPM.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use std::{env, fs, io, process};

/// How often to look for two ports that are free side by side.
const ATTEMPTS: u32 = 16;

/// How long a simulator may take to answer for the first time.
const PATIENCE: Duration = Duration::from_secs(30);

/// CMD_GET_CAPABILITY of swtpm's control channel: `swtpm/tpm_ioctl.h`.
const ARE_YOU_THERE: [u8; 4] = [0, 0, 0, 1];

/// Runs a command with standard streams alone. The TPM software stack opens a connection for each command, and
/// lets child processes inherit it: a simulator that starts while another is at work in this process would keep
/// that one's connection open, and it would wait for its end for ever.
const WITH_NOTHING_INHERITED: &str = r#"
    for fd in /dev/fd/*; do
        fd=${fd##*/}
        if ((fd > 2)); then exec {fd}>&-; fi
    done
    exec "$@""#;

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A running simulator, with nothing in it at first. Dropping it ends it and removes what it has kept; a program
/// that is killed leaves both behind.
#[derive(Debug)]
pub struct Simulator {
    address: SocketAddrV4,
    // Before the directory, so that it ends before that is removed.
    _process: Running,
    directory: Directory,
}

impl Simulator {
    /// Starts `swtpm`, and waits until it answers: some milliseconds.
    ///
    /// # Errors
    /// `swtpm` or bash is not on the path ([`io::ErrorKind::NotFound`]), or the simulator does not start; what it
    /// said is in the error.
    pub fn start() -> io::Result<Self> {
        if !Self::is_installed() {
            let text = "swtpm is not on the path: install it (Debian: swtpm)";
            return Err(io::Error::new(io::ErrorKind::NotFound, text));
        }
        let directory = Directory::new()?;
        let mut attempt = 0;
        loop {
            attempt += 1;
            match Running::start(&directory.0) {
                Ok((process, address)) => {
                    return Ok(Self {
                        address,
                        _process: process,
                        directory,
                    });
                }
                // Somebody had one of the two ports.
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && attempt < ATTEMPTS => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether `swtpm` is on the path.
    #[must_use]
    pub fn is_installed() -> bool {
        let path = env::var_os("PATH").unwrap_or_default();
        env::split_paths(&path).any(|directory| directory.join("swtpm").is_file())
    }

    /// Its name for [`Tpm::open`](crate::Tpm::open), which one program at a time can do.
    #[must_use]
    pub fn name(&self) -> String {
        format!(
            "swtpm:host={},port={}",
            self.address.ip(),
            self.address.port()
        )
    }

    /// Where it keeps what it is told.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory.0
    }
}

/// The process.
#[derive(Debug)]
struct Running(Child);

impl Running {
    /// TPM software knows the port for commands and takes the next one for control. The latter is bound
    /// here and handed over as the simulator's standard input; connections to it wait until it is ready.
    fn start(directory: &Path) -> io::Result<(Self, SocketAddrV4)> {
        let control = TcpListener::bind((own_address(), 0))?;
        let ip = own_address();
        let port = control.local_addr()?.port();
        let commands = SocketAddrV4::new(ip, port - 1);
        let mut child = Command::new("bash")
            .args(["-c", WITH_NOTHING_INHERITED, "swtpm", "swtpm"])
            .args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear"])
            .arg("--tpmstate")
            .arg(format!("dir={}", directory.display()))
            .args(["--ctrl", "type=tcp,fd=0", "--server"])
            .arg(format!("type=tcp,port={},bindaddr={ip}", port - 1))
            .stdin(Stdio::from(std::os::fd::OwnedFd::from(control)))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let said = child.stderr.take();
        let running = Self(child);
        if is_there(SocketAddrV4::new(ip, port)) {
            return Ok((running, commands));
        }
        drop(running);
        let mut text = String::new();
        if let Some(mut said) = said {
            said.read_to_string(&mut text)?;
        }
        let text = text.trim();
        let kind = if text.contains("in use") {
            io::ErrorKind::AddrInUse
        } else {
            io::ErrorKind::Other
        };
        Err(io::Error::new(
            kind,
            format!("swtpm does not start: {text}"),
        ))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself; there is nobody to tell.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A directory for nobody else.
#[derive(Debug)]
struct Directory(PathBuf);

impl Directory {
    fn new() -> io::Result<Self> {
        loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = env::temp_dir().join(format!("dps-tpm-{}-{count}", process::id()));
            match fs::create_dir(&path) {
                Ok(()) => return Ok(Self(path)),
                // Left by a process that had this number before.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A loopback address of this process, so that simulators of two processes never meet at a port.
fn own_address() -> Ipv4Addr {
    let [_, high, middle, low] = process::id().to_be_bytes();
    Ipv4Addr::new(127, 64 | high & 63, middle, low)
}

/// Asks it, and waits for the answer. It is none if the simulator has ended.
fn is_there(control: SocketAddrV4) -> bool {
    let ask = || {
        let mut control = TcpStream::connect(control)?;
        control.set_read_timeout(Some(PATIENCE))?;
        control.write_all(&ARE_YOU_THERE)?;
        control.read_exact(&mut [0; 8])
    };
    ask().is_ok()
}
