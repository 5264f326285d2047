//! Listening: one thread a core, each with a runtime and accepting sockets of its own.
//!
//! The kernel spreads connections over the sockets, and a connection stays on its thread. All of them
//! share one service.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use dps_transport::{Drained, Listener, Protocol, ServerTls, Tasks, bind, bind_shared};
use futures_util::future::try_join_all;
use tokio::runtime;

/// Threads that listen. Dropping it leaves them running.
#[derive(Debug)]
pub struct Server {
    tls: ServerTls,
    tasks: Tasks,
    /// What each thread is going to accept from.
    sockets: Vec<Vec<(Listener, TcpListener)>>,
    threads: Vec<JoinHandle<io::Result<()>>>,
}

impl Server {
    /// A server that listens nowhere yet.
    ///
    /// * `tls`: its certificate, on all ports.
    /// * `tasks`: what is drained in the end.
    #[must_use]
    pub fn new(tls: ServerTls, tasks: Tasks) -> Self {
        let threads = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Self {
            tls,
            tasks,
            sockets: (0..threads.get()).map(|_| Vec::new()).collect(),
            threads: Vec::new(),
        }
    }

    /// Takes a port for `protocol`; port 0 takes a free one. Connections are accepted from
    /// [`Server::start`] on.
    ///
    /// * `alpn`: what to agree on with peers that offer something; empty for whatever they offer.
    ///
    /// Returns where it listens.
    ///
    /// # Errors
    /// The address is taken, is not ours, or needs privileges.
    pub fn bind(
        &mut self,
        protocol: Arc<dyn Protocol>,
        alpn: &[&str],
        mut address: SocketAddr,
    ) -> io::Result<SocketAddr> {
        let listener = Listener::new(self.tls.clone(), protocol, self.tasks.clone());
        let listener = listener.with_alpn(alpn);
        if address.port() != 0 {
            // Sockets that share a port would share it with another server of this user too.
            drop(bind(address)?);
        }
        let sockets = bind_shared(address, self.sockets.len())?;
        for (socket, thread) in sockets.into_iter().zip(&mut self.sockets) {
            address = socket.local_addr()?;
            thread.push((listener.clone(), socket));
        }
        Ok(address)
    }

    /// Accepts connections from now on.
    ///
    /// # Errors
    /// The system has no more threads.
    pub fn start(&mut self) -> io::Result<()> {
        for sockets in self.sockets.drain(..) {
            let name = format!("dps-{}", self.threads.len());
            let run = move || {
                let runtime = runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()?;
                runtime.block_on(async {
                    let accepting = sockets
                        .into_iter()
                        .map(|(listener, socket)| async move { listener.serve(socket).await });
                    try_join_all(accepting).await.map(drop)
                })
            };
            let thread = thread::Builder::new().name(name).spawn(run)?;
            self.threads.push(thread);
        }
        Ok(())
    }

    /// Stops accepting, lets connections and their work end, and cuts off what is left after `bound`.
    ///
    /// # Errors
    /// A thread could not listen any more, or panicked.
    pub async fn stop(self, bound: Duration) -> io::Result<Drained> {
        let drained = self.tasks.drain(bound).await;
        for thread in self.threads {
            thread
                .join()
                .map_err(|_| io::Error::other("a thread panicked"))??;
        }
        Ok(drained)
    }
}
