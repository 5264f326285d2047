//! The servers: how one is started as a process of its own, and what those to compare with share.

mod constant;
pub mod fe2o3;
pub mod hyper;
mod mosquitto;
mod nginx;
pub mod ours;
pub mod plain;
mod spawn;
pub mod tight;

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::NoServerSessionStorage;
use tokio::net::{TcpSocket, TcpStream};

use crate::pki::PkiFiles;

pub use constant::{Answer, Canned, Frames, Said};
pub use mosquitto::Mosquitto;
pub use nginx::{Nginx, NginxTls};
pub use spawn::Spawned;

/// A server in a process of its own: what it is told, and the duty to say when it listens.
///
/// It runs until the process ends, which [`Setup::listening`] sees to.
pub type Role = fn(&Setup) -> io::Result<()>;

/// What a server process is told when it starts.
#[derive(Clone, Debug)]
pub struct Setup {
    pki: PathBuf,
    options: BTreeMap<String, String>,
}

impl Setup {
    pub(crate) fn new(pki: PathBuf, options: BTreeMap<String, String>) -> Self {
        Self { pki, options }
    }

    /// The certificates of this run.
    pub fn pki(&self) -> PkiFiles {
        PkiFiles::in_folder(&self.pki)
    }

    /// One option, or `default` if it was not given.
    ///
    /// # Panics
    /// When the option was given and cannot be read as a `T`.
    pub fn option<T: std::str::FromStr>(&self, name: &str, default: T) -> T {
        match self.options.get(name) {
            None => default,
            Some(text) => match text.parse() {
                Ok(value) => value,
                Err(_) => panic!("option {name} cannot be {text:?}"),
            },
        }
    }

    /// Tells the benchmark that this server accepts connections on `port` of 127.0.0.1, and ends this
    /// process when the benchmark ends.
    ///
    /// # Errors
    /// When the benchmark is gone already.
    pub fn listening(&self, port: u16) -> io::Result<()> {
        let mut out = io::stdout();
        writeln!(out, "{}{port}", spawn::LISTENING)?;
        out.flush()?;
        std::thread::spawn(|| {
            // The benchmark holds the other end and never writes to it.
            let _ = io::stdin().read(&mut [0]);
            std::process::exit(0);
        });
        Ok(())
    }
}

/// Says that the server listens, on a free port of 127.0.0.1 with room for a burst of connections, and
/// hands each connection, with where it comes from, to a task of its own.
///
/// # Errors
/// When the kernel gives no port, or no connection.
pub async fn accept_all<F>(setup: &Setup, serve: impl Fn(TcpStream, IpAddr) -> F) -> io::Result<()>
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let socket = TcpSocket::new_v4()?;
    socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
    let listener = socket.listen(4096)?;
    setup.listening(listener.local_addr()?.port())?;
    loop {
        let (stream, from) = listener.accept().await?;
        stream.set_nodelay(true)?;
        // A client that breaks off is the client's business: it counts the failure.
        tokio::spawn(serve(stream, from.ip()));
    }
}

/// Runs `server` on a current-thread runtime, which is the cheapest for one core.
///
/// # Errors
/// Whatever `server` reports.
pub fn on_one_core<F: Future<Output = io::Result<()>>>(server: F) -> io::Result<()> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(server)
}

/// The TLS settings that all rustls servers here share, and that cost least: AES-128-GCM-SHA256 first by
/// the server's order, no tickets, no session cache.
///
/// With option `mutual=true` a client certificate is required and verified by [`tight::Chain`].
fn tls(setup: &Setup) -> Arc<ServerConfig> {
    use aws_lc_rs::cipher_suite::{TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384};
    let provider = Arc::new(CryptoProvider {
        cipher_suites: vec![TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384],
        ..aws_lc_rs::default_provider()
    });
    let files = setup.pki();
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("the provider can do TLS 1.3");
    let builder = if setup.option("mutual", false) {
        let root = PkiFiles::certificate(&files.root());
        builder.with_client_cert_verifier(Arc::new(tight::Chain::new(&root, provider)))
    } else {
        builder.with_no_client_auth()
    };
    let mut config = builder
        .with_single_cert(
            vec![PkiFiles::certificate(&files.server_chain())],
            files.key(),
        )
        .expect("the run's own certificate and key");
    config.ignore_client_order = true;
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Arc::new(config)
}
