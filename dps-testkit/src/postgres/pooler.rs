//! A pooler in front of a server.

use std::net::TcpStream;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::ServerError;
use super::process::{Folder, wait_until};
use super::server::free_port;
use super::url::Url;

/// A PgBouncer that gives each transaction another connection to a server (`pool_mode = transaction`).
///
/// It ends with whoever started it, as a [`Server`](super::Server) does, and listens on a free port of `127.0.0.1`.
#[derive(Debug)]
pub struct Pooler {
    port: u16,
    process: Child,
    // After the process: it goes with it.
    folder: Folder,
}

/// Few, so that what one client does comes over all of them.
const SERVER_CONNECTIONS: u8 = 4;

impl Pooler {
    /// Starts one in front of the server with this URL, for all of its databases, and the user of the URL.
    ///
    /// # Errors
    /// [`ServerError::NoPooler`] if PgBouncer is not installed, and the rest of [`ServerError`].
    pub fn start(server: &str) -> Result<Self, ServerError> {
        let program = program().ok_or(ServerError::NoPooler)?;
        for _ in 0..20 {
            let (port, folder) = (free_port()?, Folder::new()?);
            folder.write(&folder.path().join("users"), &users(server))?;
            folder.write(&folder.path().join("settings"), &settings(server, port))?;
            let mut command = Command::new(&program);
            command
                .args(["--quiet", "settings"])
                .env_clear()
                .process_group(0)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            let process = folder.inside(&mut command).spawn()?;
            let mut pooler = Self {
                port,
                process,
                folder,
            };
            pooler.folder.tell(Some(pooler.process.id()))?;
            // Somebody may have been faster with the port.
            if pooler.is_up()? {
                return Ok(pooler);
            }
        }
        Err(ServerError::Slow("start PgBouncer"))
    }

    /// The URL through this of what has the URL `direct`.
    #[must_use]
    pub fn url(&self, direct: &str) -> String {
        let host = format!("127.0.0.1:{}", self.port);
        Url::of(direct).with_host(&host).to_string()
    }

    /// Waits until it takes connections, which is `true`, or has ended.
    fn is_up(&mut self) -> Result<bool, ServerError> {
        let mut ended = false;
        wait_until("start PgBouncer", || {
            ended = self.process.try_wait()?.is_some();
            Ok(ended || TcpStream::connect(("127.0.0.1", self.port)).is_ok())
        })?;
        Ok(!ended)
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        // What is still there ends with the folder.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = self.folder.tell(None);
    }
}

/// Debian has it where only root looks.
fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into()])
        .map(|folder| folder.join("pgbouncer"))
        .find(|program| program.is_file())
}

fn settings(server: &str, port: u16) -> String {
    let server = Url::of(server);
    let (host, server_port) = server.host();
    let access = match server.user() {
        (_, "") => "trust",
        _ => "scram-sha-256",
    };
    format!(
        "[databases]\n\
         * = host={host} port={server_port}\n\
         [pgbouncer]\n\
         listen_addr = 127.0.0.1\n\
         listen_port = {port}\n\
         unix_socket_dir =\n\
         auth_type = {access}\n\
         auth_file = users\n\
         pool_mode = transaction\n\
         default_pool_size = {SERVER_CONNECTIONS}\n\
         server_round_robin = 1\n\
         max_client_conn = 2000\n"
    )
}

/// Who is let in, and lets itself into the server.
fn users(server: &str) -> String {
    let (user, password) = Url::of(server).user();
    format!("\"{user}\" \"{password}\"\n")
}
