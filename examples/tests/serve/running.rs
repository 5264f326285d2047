//! The example server as a process.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};

use dps_examples::device::Service;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::support::Folder;

/// Cargo builds examples beside the tests of their package, unless told to build one test only.
pub(super) fn program() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    tests
        .parent()
        .and_then(Path::parent)
        .unwrap()
        .join("examples/serve")
}

pub(super) struct Running {
    process: Child,
    log: BufReader<ChildStderr>,
    pub(super) address: SocketAddr,
    mqtts: Option<SocketAddr>,
    amqps: Option<SocketAddr>,
}

impl Running {
    pub(super) fn start(folder: &Folder) -> Self {
        Self::start_with(folder, &[])
    }

    pub(super) fn start_with(folder: &Folder, more: &[&str]) -> Self {
        let mut process = Command::new(program())
            .arg(folder.config())
            .args(more)
            .env("RUST_LOG", "warn,serve=info")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap());
        let mut line = String::new();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        let address = line.trim_end().strip_prefix("https listening on ");
        let Some(address) = address else {
            let mut said = String::new();
            log.read_to_string(&mut said).unwrap();
            panic!("{line}{said}")
        };
        let config = fs::read_to_string(folder.config()).unwrap();
        let mut listening = |name: &str| {
            config.contains(name).then(|| {
                let mut line = String::new();
                output.read_line(&mut line).unwrap();
                let address = line.trim_end().strip_prefix(name).unwrap();
                let address = address.strip_prefix(" listening on ").unwrap();
                address.parse().unwrap()
            })
        };
        let (mqtts, amqps) = (listening("mqtts"), listening("amqps"));
        Self {
            address: address.parse().unwrap(),
            mqtts,
            amqps,
            process,
            log,
        }
    }

    pub(super) fn signal(mut self, name: &str) -> ExitStatus {
        self.tell(name);
        self.process.wait().unwrap()
    }

    pub(super) fn tell(&self, signal: &str) {
        let id = self.process.id().to_string();
        let sent = Command::new("kill").args(["-s", signal, &id]).status();
        assert!(sent.unwrap().success());
    }

    /// Waits until it logs this.
    pub(super) fn hear(&mut self, text: &str) {
        let mut heard = String::new();
        while !heard.lines().last().unwrap_or_default().contains(text) {
            let read = self.log.read_line(&mut heard).unwrap();
            assert!(read > 0, "{text} is not in\n{heard}");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(super) fn service(folder: &Folder, running: &Running) -> Service {
    let root = CertificateDer::from_pem_file(folder.config().with_file_name("root.pem")).unwrap();
    let service = Service::new(running.address, "localhost", root, "0ne00000001").unwrap();
    let service = match running.mqtts {
        Some(address) => service.with_mqtts(address),
        None => service,
    };
    match running.amqps {
        Some(address) => service.with_amqps(address),
        None => service,
    }
}
