//! The load: many tasks on one thread, each doing one unit of work after the other.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::{JoinHandle, LocalSet};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// How many source addresses (127.0.0.1 and following) the connections come from, in rotation.
///
/// One address alone runs out of ports, because closed connections keep theirs for a minute.
const SOURCES: u64 = 32;

/// What one unit of work sends: as whom, and which bytes.
#[derive(Clone, Debug)]
pub struct Visit {
    /// The handshake, with the device's certificate if it has one.
    pub tls: Arc<ClientConfig>,
    /// The request, complete: head and body.
    pub request: Bytes,
}

/// Who visits: the n-th unit of work of a run asks for the n-th visit.
pub type Visits = Rc<dyn Fn(u64) -> Visit>;

/// One kind of load on one server.
#[derive(Clone)]
pub struct Load {
    /// The server's port on 127.0.0.1.
    pub port: u16,
    /// How many tasks work at once.
    pub tasks: usize,
    /// What each task does again and again.
    pub unit: Unit,
    /// What to send. A connection that is kept stays what the first visit of its task made it.
    pub visits: Visits,
    /// What an answer must contain to count; with [`ACCEPTED`] it must also be a 202.
    pub wanted: &'static [u8],
}

impl fmt::Debug for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            port, tasks, unit, ..
        } = self;
        write!(f, "Load({tasks} tasks on port {port}, {unit:?})")
    }
}

/// How each answer must begin.
pub const ACCEPTED: &[u8] = b"HTTP/1.1 202";

/// One unit of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Connect, shake hands, ask, read the answer up to close_notify, close.
    Connection,
    /// Ask and read the answer, on a connection made once for each task.
    Request,
}

/// The handshake of a device: TLS 1.3, no resumption, and the server's certificate is not verified, so
/// that the client is cheaper than any server.
///
/// * `identity`: the client certificate, if any.
/// * `post_quantum`: offer X25519MLKEM768 and X25519, instead of X25519 alone.
///
/// The order of cipher suites is that of OpenSSL and most others: AES-256 with SHA-384 first.
pub fn handshake(identity: Option<Arc<CertifiedKey>>, post_quantum: bool) -> Arc<ClientConfig> {
    use aws_lc_rs::kx_group::{X25519, X25519MLKEM768};
    let provider = Arc::new(CryptoProvider {
        kx_groups: if post_quantum {
            vec![X25519MLKEM768, X25519]
        } else {
            vec![X25519]
        },
        ..aws_lc_rs::default_provider()
    });
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("the provider can do TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyServer));
    let mut config = match identity {
        Some(key) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key))),
        None => builder.with_no_client_auth(),
    };
    config.resumption = Resumption::disabled();
    Arc::new(config)
}

/// The same handshake as `like`, as another device.
pub fn handshake_as(like: &ClientConfig, identity: Arc<CertifiedKey>) -> Arc<ClientConfig> {
    let mut config = like.clone();
    config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(identity));
    Arc::new(config)
}

/// What a running load has done so far.
#[derive(Debug, Default)]
pub struct Tally {
    done: Cell<u64>,
    failed: Cell<u64>,
    failure: RefCell<Option<String>>,
    stop: Cell<bool>,
}

impl Tally {
    /// Units completed with the wanted answer.
    pub fn done(&self) -> u64 {
        self.done.get()
    }

    /// Units that failed, and how the first one did.
    pub fn failures(&self) -> (u64, Option<String>) {
        (self.failed.get(), self.failure.borrow().clone())
    }

    fn failed(&self, error: &io::Error) {
        self.failed.set(self.failed.get() + 1);
        self.failure
            .borrow_mut()
            .get_or_insert_with(|| error.to_string());
    }
}

/// A load that is running, until [`Running::stop`].
#[derive(Debug)]
pub struct Running {
    tally: Rc<Tally>,
    tasks: Vec<JoinHandle<()>>,
}

/// Starts a load.
///
/// The client never sleeps while it runs: on loopback the kernel charges waking a sleeper to whoever
/// sends to it, so a server would pay for every answer that comes after a pause, which only servers
/// slower than the client make. Devices are woken by their own network card.
///
/// * `set`: where its tasks run.
/// * `next`: the number of the next visit; loads that share it never make the same visit twice.
pub fn start(set: &LocalSet, load: &Load, next: &Rc<Cell<u64>>) -> Running {
    let tally = Rc::new(Tally::default());
    let mut tasks: Vec<_> = (0..load.tasks)
        .map(|_| {
            let (load, next, tally) = (load.clone(), Rc::clone(next), Rc::clone(&tally));
            set.spawn_local(async move { work(&load, &next, &tally).await })
        })
        .collect();
    let awake = Rc::clone(&tally);
    tasks.push(set.spawn_local(async move {
        while !awake.stop.get() {
            tokio::task::yield_now().await;
        }
    }));
    Running { tally, tasks }
}

impl Running {
    /// What was done so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Lets every task finish its unit, at most for two seconds, and ends them.
    pub async fn stop(self) {
        self.tally.stop.set(true);
        let deadline = tokio::time::Instant::now() + Duration::from_secs(2);
        for mut task in self.tasks {
            if tokio::time::timeout_at(deadline, &mut task).await.is_err() {
                task.abort();
            }
        }
    }
}

async fn work(load: &Load, next: &Cell<u64>, tally: &Tally) {
    let mut answer = Vec::with_capacity(4096);
    let mut kept: Option<TlsStream<TcpStream>> = None;
    while !tally.stop.get() {
        let number = next.get();
        next.set(number + 1);
        let visit = (load.visits)(number);
        let result = match load.unit {
            Unit::Connection => visit_once(load, number, &visit, &mut answer).await,
            Unit::Request => visit_again(load, number, &visit, &mut kept, &mut answer).await,
        };
        match result {
            Ok(()) => tally.done.set(tally.done.get() + 1),
            Err(error) => {
                kept = None;
                tally.failed(&error);
                // A server that refuses everything must not make us spin.
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
}

async fn visit_once(load: &Load, n: u64, visit: &Visit, answer: &mut Vec<u8>) -> io::Result<()> {
    let mut stream = connect(load.port, n, &visit.tls).await?;
    ask(&mut stream, &visit.request, load.wanted, answer).await?;
    // TLS tells an orderly end (close_notify) from a cut: the latter is an error here.
    match stream.read(&mut [0; 64]).await? {
        0 => Ok(()),
        _ => Err(io::Error::other("more than one answer")),
    }
}

async fn visit_again(
    load: &Load,
    n: u64,
    visit: &Visit,
    kept: &mut Option<TlsStream<TcpStream>>,
    answer: &mut Vec<u8>,
) -> io::Result<()> {
    let stream = match kept {
        Some(stream) => stream,
        None => kept.insert(connect(load.port, n, &visit.tls).await?),
    };
    ask(stream, &visit.request, load.wanted, answer).await
}

/// Connects and shakes hands; `n` chooses the source address.
///
/// # Errors
/// Whatever the kernel or TLS reports.
pub async fn connect(
    port: u16,
    n: u64,
    tls: &Arc<ClientConfig>,
) -> io::Result<TlsStream<TcpStream>> {
    let socket = TcpSocket::new_v4()?;
    let last = u8::try_from(n % SOURCES).unwrap_or(0) + 1;
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0)))?;
    let stream = socket
        .connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        .await?;
    stream.set_nodelay(true)?;
    let name = ServerName::try_from("localhost").expect("a valid name");
    TlsConnector::from(Arc::clone(tls))
        .connect(name, stream)
        .await
}

/// The bytes in the body of the answer to one visit.
///
/// # Errors
/// As for [`ask`].
pub async fn body_length(port: u16, visit: &Visit, wanted: &[u8]) -> io::Result<usize> {
    let mut stream = connect(port, 0, &visit.tls).await?;
    let mut answer = Vec::new();
    ask(&mut stream, &visit.request, wanted, &mut answer).await?;
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n");
    Ok(answer.len() - head.map_or(0, |at| at + 4))
}

/// Sends one request and reads one answer, headers and body, into `answer`.
///
/// # Errors
/// What TLS reports, or that the answer is not the wanted one.
pub async fn ask(
    stream: &mut TlsStream<TcpStream>,
    request: &[u8],
    wanted: &[u8],
    answer: &mut Vec<u8>,
) -> io::Result<()> {
    stream.write_all(request).await?;
    stream.flush().await?;
    answer.clear();
    let length = loop {
        if stream.read_buf(answer).await? == 0 {
            return Err(io::Error::other("closed before the answer was complete"));
        }
        if let Some(length) = complete(answer) {
            break length;
        }
    };
    if length != answer.len() {
        return Err(io::Error::other("more than one answer"));
    }
    if !answer.starts_with(ACCEPTED) || !contains(answer, wanted) {
        let text = String::from_utf8_lossy(answer);
        return Err(io::Error::other(format!(
            "another answer than wanted: {text}"
        )));
    }
    Ok(())
}

/// The length of the whole message once head and body are there; `Content-Length` must say it.
pub(crate) fn complete(message: &[u8]) -> Option<usize> {
    let head = message.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let body = message[..head]
        .split(|byte| *byte == b'\n')
        .find_map(|line| {
            let (name, value) = line.split_at_checked("content-length:".len())?;
            name.eq_ignore_ascii_case(b"content-length:")
                .then_some(value)
        })
        .map_or(Some(0), |value| {
            std::str::from_utf8(value).ok()?.trim().parse().ok()
        })?;
    (message.len() >= head + body).then_some(head + body)
}

fn contains(text: &[u8], wanted: &[u8]) -> bool {
    wanted.is_empty() || text.windows(wanted.len()).any(|part| part == wanted)
}

/// Believes every server.
#[derive(Debug)]
struct AnyServer;

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_complete_with_its_whole_body() {
        let text = b"HTTP/1.1 202 Accepted\r\ncontent-LENGTH: 4\r\n\r\nbody";
        assert_eq!(complete(text), Some(text.len()));
        assert_eq!(complete(&text[..text.len() - 1]), None);
        assert_eq!(complete(b"PUT / HTTP/1.1\r\nContent"), None);
        assert_eq!(complete(b"GET / HTTP/1.1\r\n\r\n"), Some(18));
    }
}
