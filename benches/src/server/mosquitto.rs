//! The mosquitto of the distribution: the broker that devices would meet elsewhere.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;

use super::Spawned;
use crate::Bench;
use crate::pki::PkiFiles;

/// A mosquitto that is installed.
#[derive(Clone, Debug)]
pub struct Mosquitto {
    program: &'static str,
    version: String,
}

impl Mosquitto {
    /// Looks for mosquitto.
    ///
    /// # Errors
    /// A sentence for the reader that says what is missing.
    pub fn find() -> Result<Self, String> {
        // Debian keeps it where only root looks.
        let found = ["mosquitto", "/usr/sbin/mosquitto"]
            .into_iter()
            .find_map(|program| Some((program, Command::new(program).arg("-h").output().ok()?)));
        let (program, output) = found.ok_or_else(|| {
            "mosquitto is not installed (Debian, Ubuntu: apt-get install mosquitto); \
             the comparison with it is left out"
                .to_owned()
        })?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = text.lines().find(|line| line.contains("version"));
        let version = line.and_then(|line| line.split_whitespace().last());
        let version = version.unwrap_or("?").to_owned();
        Ok(Self { program, version })
    }

    /// Its version, as in `2.0.11`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Starts it, pinned like all servers; it keeps nothing, logs nothing, and believes everybody.
    ///
    /// * `mutual`: TLS 1.3, AES-128-GCM-SHA256, and a client certificate under the root is required;
    ///   otherwise no TLS. All else is what the distribution's OpenSSL does.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(&self, bench: &Bench, mutual: bool) -> io::Result<Spawned> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
            .local_addr()?
            .port();
        let file = bench.folder().join(format!("mosquitto-{port}.conf"));
        fs::write(&file, configuration(bench.pki().files(), mutual, port))?;
        let command = [OsStr::new(self.program), OsStr::new("-c"), file.as_os_str()];
        Spawned::foreign(bench.on_server_cpu("sh"), &command, port)
    }
}

fn configuration(files: &PkiFiles, mutual: bool, port: u16) -> String {
    let tls = if mutual {
        let (root, chain, key) = (files.root(), files.server_chain(), files.server_key());
        let (root, chain, key) = (root.display(), chain.display(), key.display());
        format!(
            "cafile {root}\ncertfile {chain}\nkeyfile {key}\nrequire_certificate true\n\
             tls_version tlsv1.3\nciphers_tls1.3 TLS_AES_128_GCM_SHA256\n"
        )
    } else {
        String::new()
    };
    // Started by root it would become somebody else, who cannot read this run's files.
    format!(
        "user root\npersistence false\nlog_dest none\nconnection_messages false\nset_tcp_nodelay true\n\
         listener {port} 127.0.0.1\nallow_anonymous true\nmax_connections -1\n{tls}"
    )
}
