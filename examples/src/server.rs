//! Listening: one thread a core, each with a runtime and an accepting socket of its own.
//!
//! The kernel spreads connections over the sockets, and a connection stays on its thread. All of them
//! share one service.

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use dps_transport::{Drained, Listener, Protocol, ServerTls, Tasks, bind, bind_shared};
use tokio::runtime;

/// Threads that listen. Dropping it leaves them running.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    tasks: Tasks,
    threads: Vec<JoinHandle<io::Result<()>>>,
}

impl Server {
    /// Accepts connections for `protocol` at `address` from now on; port 0 takes a free one.
    ///
    /// * `tasks`: what is drained in the end.
    ///
    /// # Errors
    /// The address is taken, is not ours, or needs privileges.
    pub fn start(
        protocol: Arc<dyn Protocol>,
        tls: ServerTls,
        address: SocketAddr,
        tasks: Tasks,
    ) -> io::Result<Self> {
        let threads = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let listener = Listener::new(tls, protocol, tasks.clone()).with_alpn(&["http/1.1"]);
        if address.port() != 0 {
            // Sockets that share a port would share it with another server of this user too.
            drop(bind(address)?);
        }
        let sockets = bind_shared(address, threads.get())?;
        let mut server = Self {
            address,
            tasks,
            threads: Vec::new(),
        };
        for socket in sockets {
            server.address = socket.local_addr()?;
            let listener = listener.clone();
            let name = format!("dps-{}", server.threads.len());
            let run = move || {
                let runtime = runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()?;
                runtime.block_on(listener.serve(socket))
            };
            server
                .threads
                .push(thread::Builder::new().name(name).spawn(run)?);
        }
        Ok(server)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
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
