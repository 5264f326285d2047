//! The service as a process of its own, for examples that end processes the hard way.
//!
//! An example starts itself again, with other arguments, and that process calls [`serve`].

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::thread;

use dps_core::Provisioner;
use dps_core::allocate::{Allocation, AllocationHook, AllocationRequest, HookError};
use dps_core::crypto::AWS_LC;
use dps_core::store::{BoxError, Store};
use dps_core::tenant::OneStore;
use dps_testkit::certs::Ca;
use dps_testkit::hubs::FakeHubs;
use dps_transport::{Listener, ServerTls, Tasks, TlsProvider, bind};
use dps_transport_http::Http;
use rustls_pki_types::CertificateDer;

/// Which name the certificate of the service is for.
pub const HOST: &str = "localhost";

/// Puts a certificate and its key into `folder`, for every node. Returns the root that devices trust.
///
/// # Errors
/// The folder cannot be written to.
pub fn write_certificate(folder: &Path) -> Result<CertificateDer<'static>, BoxError> {
    let root = Ca::root("Server Root");
    let server = root.server(&[HOST])?;
    std::fs::write(folder.join("server.pem"), server.chain_pem())?;
    std::fs::write(folder.join("server.key"), server.key_pem())?;
    Ok(root.certificate_der().clone())
}

/// Serves devices over HTTPS from what is in `store`, with the certificate in `folder`. Prints the address, a free one.
///
/// Hubs are fakes in this process, and are chosen at random by whoever is asked: two answers for one device would
/// differ, if nobody remembered the first. Ends with the process that started this one.
///
/// # Errors
/// The address or the certificate cannot be had.
pub async fn serve(store: Arc<dyn Store>, folder: &Path) -> Result<(), BoxError> {
    let hubs = Arc::new(FakeHubs::new().without_record());
    let service = Provisioner::builder(Arc::new(OneStore::new(store)), hubs)
        .hook(Arc::new(AtRandom))
        .build()?;
    let chain = std::fs::read(folder.join("server.pem"))?;
    let key = std::fs::read(folder.join("server.key"))?;
    let tls = ServerTls::from_pem(&TlsProvider::aws_lc(), &chain, &key)?;
    let http = Arc::new(Http::new(Arc::new(service)));
    let listener = Listener::new(tls, http, Tasks::new()).with_alpn(&["http/1.1"]);
    let socket = bind(([127, 0, 0, 1], 0).into())?;
    {
        use io::Write;
        let mut out = io::stdout();
        writeln!(out, "{}", socket.local_addr()?)?;
        out.flush()?;
    }
    // Nobody writes anything there: it ends when the other process does.
    thread::spawn(|| {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    listener.serve(socket).await?;
    Ok(())
}

/// A policy that never remembers what it said.
#[derive(Debug)]
struct AtRandom;

#[async_trait::async_trait]
impl AllocationHook for AtRandom {
    async fn allocate(&self, request: &AllocationRequest<'_>) -> Result<Allocation, HookError> {
        let [byte] = AWS_LC.random::<1>().map_err(|error| HookError::Retry {
            after: None,
            source: Some(error.into()),
        })?;
        let chosen = usize::from(byte) % request.hubs.len().max(1);
        let hub = request.hubs.get(chosen).ok_or(HookError::NoHub)?;
        Ok(hub.name.clone().into())
    }
}

/// A process that calls [`serve`]. It is killed when this is dropped.
#[derive(Debug)]
pub struct Node {
    process: Child,
    /// Where it serves devices.
    pub address: SocketAddr,
    _lifeline: Option<ChildStdin>,
}

impl Node {
    /// Starts this program again, with these arguments, and waits until it serves.
    ///
    /// # Errors
    /// It ended, or said something else than an address.
    pub fn start<I>(arguments: I) -> Result<Self, BoxError>
    where
        I: IntoIterator<Item: AsRef<OsStr>>,
    {
        let mut process = Command::new(std::env::current_exe()?)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        if let Some(out) = process.stdout.take() {
            BufReader::new(out).read_line(&mut line)?;
        }
        let Ok(address) = line.trim_end().parse() else {
            let status = process.wait()?;
            return Err(format!("a node did not start: {status} {line}").into());
        };
        Ok(Self {
            _lifeline: process.stdin.take(),
            process,
            address,
        })
    }

    /// Which process it is.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Ends it at once: SIGKILL, which no process can catch.
    ///
    /// # Errors
    /// It is not ours to end.
    pub fn kill(&mut self) -> io::Result<()> {
        self.process.kill()?;
        self.process.wait().map(drop)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}
