//! Accepting connections.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::time::Duration;

use dps_core::access::Ingress;
use socket2::{Domain, Protocol as IpProtocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::limits::{Gate, Permit};
use crate::secured::Secured;
use crate::{ByteStream, Limits, Peer, Protocol, ServerTls, Tasks};

/// How many finished TCP handshakes the kernel keeps for us; it may cap this (on Linux at
/// `net.core.somaxconn`, 4096 by default).
const BACKLOG: i32 = 4096;

/// How long accepting rests after an error such as "too many open files": doubled each time.
const FIRST_REST: Duration = Duration::from_millis(5);
const LONGEST_REST: Duration = Duration::from_secs(1);

/// Accepts connections and hands them, past TLS, to one [`Protocol`]. Cheap to clone; clones share
/// their limits.
///
/// One listener may serve several sockets, on one runtime or on many: see [`bind_shared`].
#[derive(Clone)]
pub struct Listener {
    tls: ServerTls,
    protocol: Arc<dyn Protocol>,
    tasks: Tasks,
    limits: Limits,
    gate: Arc<Gate>,
    ingress: Ingress,
}

impl Listener {
    /// A listener with the default [`Limits`].
    ///
    /// * `tasks`: shared by all listeners of a process, and drained once for all.
    #[must_use]
    pub fn new(tls: ServerTls, protocol: Arc<dyn Protocol>, tasks: Tasks) -> Self {
        let limits = Limits::default();
        Self {
            tls,
            protocol,
            tasks,
            limits,
            gate: Arc::new(Gate::new(limits)),
            ingress: Ingress::Public,
        }
    }

    /// Sets the limits; what was counted so far is forgotten.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self.gate = Arc::new(Gate::new(limits));
        self
    }

    /// Says that who connects comes through `ingress`. Default: [`Ingress::Public`].
    ///
    /// For a socket that is bound to an address of a private network: it serves only instances that name the
    /// endpoint.
    #[must_use]
    pub fn with_ingress(mut self, ingress: Ingress) -> Self {
        self.ingress = ingress;
        self
    }

    /// Offers these application protocols (ALPN), such as `http/1.1`; none unless set.
    #[must_use]
    pub fn with_alpn(mut self, protocols: &[&str]) -> Self {
        self.tls = self.tls.with_alpn(protocols);
        self
    }

    /// Accepts from `socket` until the [`Tasks`] are drained, and returns when that is over.
    ///
    /// Connections run on the runtime that this is polled on. Errors of single connections end
    /// nothing; when the process has no file descriptors left, accepting rests for a while.
    ///
    /// # Errors
    /// The socket cannot be used.
    pub async fn serve(&self, socket: StdListener) -> io::Result<()> {
        socket.set_nonblocking(true)?;
        let socket = TcpListener::from_std(socket)?;
        let mut draining = Box::pin(self.tasks.draining());
        tokio::select! {
            biased;
            () = &mut draining => {}
            () = accept_all(&socket, |io, from| {
                // Without it, Nagle's algorithm and delayed acknowledgements cost 45 ms a connection.
                if let Err(error) = io.set_nodelay(true) {
                    tracing::debug!(%error, "TCP_NODELAY");
                }
                self.admit(io, from);
            }) => {}
        }
        drop(socket);
        self.tasks.ended().await;
        Ok(())
    }

    /// Serves a connection that was accepted elsewhere, in a task of its own.
    ///
    /// Returns whether it is; otherwise the limits are reached or a drain has begun, and `io` is
    /// closed.
    ///
    /// # Panics
    /// Outside a runtime.
    pub fn admit(&self, io: impl ByteStream, address: IpAddr) -> bool {
        if self.tasks.is_draining() {
            return false;
        }
        match self.gate.enter(address) {
            Ok(permit) => {
                let this = self.clone();
                self.tasks.spawn_connection(this.run(io, address, permit));
                true
            }
            Err(full) => {
                tracing::debug!(%address, ?full, "connection refused");
                false
            }
        }
    }

    async fn run(self, io: impl ByteStream, address: IpAddr, permit: Permit) {
        // Boxed, so that what a handshake needs is given back when it is over.
        let Some((stream, peer)) = Box::pin(self.shake_hands(io, address)).await else {
            return;
        };
        let Self {
            protocol, tasks, ..
        } = self;
        protocol.serve(stream, peer, tasks).await;
        drop(permit);
    }

    async fn shake_hands(
        &self,
        io: impl ByteStream,
        address: IpAddr,
    ) -> Option<(Box<dyn ByteStream>, Peer)> {
        let handshake = TlsAcceptor::from(self.tls.config()).accept(io);
        let shaken = tokio::select! {
            biased;
            () = self.tasks.draining() => return None,
            shaken = tokio::time::timeout(self.limits.handshake, handshake) => shaken,
        };
        match shaken {
            Ok(Ok(stream)) => {
                let mut peer = peer_of(&stream, address);
                peer.ingress = self.ingress.clone();
                Some((Box::new(Secured::new(stream)), peer))
            }
            Ok(Err(error)) => {
                tracing::debug!(%address, %error, "the handshake failed");
                None
            }
            Err(_) => {
                tracing::debug!(%address, "the handshake took too long");
                None
            }
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener")
            .field("tls", &self.tls)
            .field("protocol", &self.protocol)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Binds `address` with a backlog of 4096. Port 0 takes a free one.
///
/// # Errors
/// The address is taken, is not ours, or needs privileges.
pub fn bind(address: SocketAddr) -> io::Result<StdListener> {
    open(address, false)
}

/// Binds `count` sockets to one address and port; the kernel spreads connections over them.
///
/// For one current-thread runtime a core, each with a socket of its own: that takes 6 to 8 % less
/// CPU than one multi-thread runtime. At least one socket is bound. Port 0 takes a free one, the
/// same for all.
///
/// # Errors
/// As for [`bind`]; also if the system has no `SO_REUSEPORT` and `count` is above 1.
pub fn bind_shared(address: SocketAddr, count: usize) -> io::Result<Vec<StdListener>> {
    if count <= 1 {
        return Ok(vec![bind(address)?]);
    }
    let first = open(address, true)?;
    let address = first.local_addr()?;
    let mut sockets = vec![first];
    for _ in 1..count {
        sockets.push(open(address, true)?);
    }
    Ok(sockets)
}

fn open(address: SocketAddr, shared: bool) -> io::Result<StdListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(IpProtocol::TCP),
    )?;
    // As the standard library does: restarts need not wait for old connections. On Windows the
    // option would let others take the port.
    #[cfg(not(windows))]
    socket.set_reuse_address(true)?;
    if shared {
        share(&socket)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(all(unix, not(any(target_os = "solaris", target_os = "illumos"))))]
fn share(socket: &Socket) -> io::Result<()> {
    socket.set_reuse_port(true)
}

#[cfg(not(all(unix, not(any(target_os = "solaris", target_os = "illumos")))))]
fn share(_: &Socket) -> io::Result<()> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "several sockets cannot share a port here",
    ))
}

fn peer_of<S>(stream: &TlsStream<S>, address: IpAddr) -> Peer {
    let (_, session) = stream.get_ref();
    let mut peer = Peer::anonymous(address);
    peer.server_name = session.server_name().map(Arc::from);
    if let Some(chain) = session.peer_certificates() {
        peer.chain = Arc::from(chain);
    }
    peer
}

/// Where connections come from.
trait Source: Sync {
    type Stream: Send;
    fn next(&self) -> impl Future<Output = io::Result<(Self::Stream, IpAddr)>> + Send;
}

impl Source for TcpListener {
    type Stream = TcpStream;

    async fn next(&self) -> io::Result<(TcpStream, IpAddr)> {
        let (stream, from) = self.accept().await?;
        Ok((stream, from.ip()))
    }
}

/// Never ends. Rests after errors that the next call would meet again.
async fn accept_all<S: Source>(source: &S, mut take: impl FnMut(S::Stream, IpAddr) + Send) {
    let mut rest = FIRST_REST;
    loop {
        match source.next().await {
            Ok((stream, from)) => {
                rest = FIRST_REST;
                take(stream, from);
            }
            Err(error) if is_of_one_connection(&error) => {
                tracing::debug!(%error, "a connection was gone before it was accepted");
            }
            Err(error) => {
                tracing::warn!(%error, ?rest, "cannot accept; resting");
                tokio::time::sleep(rest).await;
                rest = (rest * 2).min(LONGEST_REST);
            }
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Has no file descriptors left.
    #[derive(Default)]
    struct Exhausted {
        asked: AtomicUsize,
    }

    impl Source for Exhausted {
        type Stream = ();

        async fn next(&self) -> io::Result<((), IpAddr)> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            Err(io::Error::other("too many open files"))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn accepting_rests_while_it_cannot_succeed() {
        let source = Exhausted::default();
        let minute = Duration::from_secs(60);
        let _ = tokio::time::timeout(minute, accept_all(&source, |(), _| {})).await;
        let asked = source.asked.into_inner();
        assert!((60..80).contains(&asked), "{asked} times in a minute");
    }

    #[test]
    #[cfg(feature = "aws-lc")]
    fn a_connection_keeps_no_room_for_its_handshake() {
        /// Waits for the drain, as an idle connection does.
        #[derive(Debug)]
        struct Idle;

        #[async_trait::async_trait]
        impl Protocol for Idle {
            async fn serve(&self, _: Box<dyn ByteStream>, _: Peer, tasks: Tasks) {
                tasks.draining().await;
            }
        }

        let named = rcgen::generate_simple_self_signed(["dps.test".to_owned()]).unwrap();
        let tls = ServerTls::from_der(
            &crate::TlsProvider::aws_lc(),
            vec![named.cert.der().clone()],
            rustls_pki_types::PrivateKeyDer::Pkcs8(named.signing_key.serialize_der().into()),
        );
        let listener = Listener::new(tls.unwrap(), Arc::new(Idle), Tasks::new());
        let address = IpAddr::from([127, 0, 0, 1]);
        let permit = listener.gate.enter(address).unwrap();
        let (io, _far) = tokio::io::duplex(1024);
        let size = size_of_val(&listener.run(io, address, permit));
        assert!(size < 512, "{size} bytes");
    }

    #[tokio::test]
    async fn several_sockets_share_one_port() {
        let sockets = bind_shared(SocketAddr::from(([127, 0, 0, 1], 0)), 3).unwrap();
        let ports: Vec<u16> = sockets
            .iter()
            .map(|socket| socket.local_addr().unwrap().port())
            .collect();
        assert_eq!(ports.len(), 3);
        assert!(ports.iter().all(|port| *port == ports[0] && *port > 0));
    }
}
