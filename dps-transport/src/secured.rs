//! A connection past its handshake, that gathers what it sends.

use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server::TlsStream;

use crate::ByteStream;

/// A TLS stream that sends in one piece what is written between two flushes; the farewell
/// (`close_notify`) goes with what was written before it.
///
/// What is written waits, encrypted, in rustls: for a flush, a shutdown, a read, or until there is too
/// much of it (64 KiB). The peer's system is told of the end when this is dropped, or read from after
/// the shutdown: that saves a system call for whoever does not linger.
pub(crate) struct Secured<S> {
    tls: TlsStream<S>,
    end: End,
}

/// How much of the end of the sending direction has been sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    NotYet,
    /// `close_notify` is written.
    Tls,
    /// The stream below is shut down too.
    Below,
}

impl<S: ByteStream> Secured<S> {
    pub(crate) fn new(tls: TlsStream<S>) -> Self {
        Self {
            tls,
            end: End::NotYet,
        }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_flush(cx)
    }

    /// Lets rustls take bytes, and makes room for them if need be.
    fn poll_take(
        &mut self,
        cx: &mut Context<'_>,
        mut take: impl FnMut(rustls::Writer<'_>) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        if self.end != End::NotYet {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let taken = take(self.tls.get_mut().1.writer())?;
        if taken > 0 {
            return Poll::Ready(Ok(taken));
        }
        ready!(self.poll_send(cx))?;
        Poll::Ready(take(self.tls.get_mut().1.writer()))
    }
}

impl<S: ByteStream> AsyncRead for Secured<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // Whoever waits for an answer wants the question sent. If it cannot be sent now we are woken
        // when it can; reading goes on meanwhile, or two peers with full buffers would wait for ever.
        if self.tls.get_ref().1.wants_write()
            && let Poll::Ready(Err(error)) = self.poll_send(cx)
        {
            return Poll::Ready(Err(error));
        }
        if self.end == End::Tls
            && !self.tls.get_ref().1.wants_write()
            && Pin::new(self.tls.get_mut().0).poll_shutdown(cx).is_ready()
        {
            self.end = End::Below;
        }
        Pin::new(&mut self.tls).poll_read(cx, buf)
    }
}

impl<S: ByteStream> AsyncWrite for Secured<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.poll_take(cx, |mut writer| writer.write(buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if bufs.iter().all(|buf| buf.is_empty()) {
            return Poll::Ready(Ok(0));
        }
        self.poll_take(cx, |mut writer| writer.write_vectored(bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_send(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.end == End::NotYet {
            self.tls.get_mut().1.send_close_notify();
            self.end = End::Tls;
        }
        match ready!(self.poll_send(cx)) {
            // A peer that has gone needs no farewell.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Poll::Ready(Ok(())),
            sent => Poll::Ready(sent),
        }
    }
}

#[cfg(all(test, feature = "aws-lc"))]
mod tests {
    use std::sync::{Arc, Mutex};

    use rustls_pki_types::{PrivateKeyDer, ServerName};
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
    use tokio_rustls::{TlsAcceptor, TlsConnector, client};

    use super::*;

    /// A pipe that notes what is done to it.
    struct Noted {
        io: DuplexStream,
        notes: Arc<Mutex<Vec<&'static str>>>,
    }

    impl Noted {
        fn note(&self, what: &'static str) {
            self.notes.lock().unwrap().push(what);
        }
    }

    impl AsyncRead for Noted {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Pin::new(&mut self.io).poll_read(cx, buf)
        }
    }

    impl AsyncWrite for Noted {
        fn poll_write(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buf: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.note("write");
            Pin::new(&mut self.io).poll_write(cx, buf)
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            bufs: &[io::IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            self.note("write");
            Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
        }

        fn is_write_vectored(&self) -> bool {
            true
        }

        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.io).poll_flush(cx)
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.note("shutdown");
            Pin::new(&mut self.io).poll_shutdown(cx)
        }
    }

    /// Both ends of a connection, through a pipe of so many bytes, and what is noted from now on.
    async fn connected(
        pipe: usize,
    ) -> (
        Secured<Noted>,
        client::TlsStream<DuplexStream>,
        Arc<Mutex<Vec<&'static str>>>,
    ) {
        let named = rcgen::generate_simple_self_signed(["dps.test".to_owned()]).unwrap();
        let key = PrivateKeyDer::Pkcs8(named.signing_key.serialize_der().into());
        let provider = crate::TlsProvider::aws_lc();
        let chain = vec![named.cert.der().clone()];
        let tls = crate::ServerTls::from_der(&provider, chain, key).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(named.cert.der().clone()).unwrap();
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let config = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let (near, io) = tokio::io::duplex(pipe);
        let notes = Arc::default();
        let noted = Noted {
            io,
            notes: Arc::clone(&notes),
        };
        let name = ServerName::try_from("dps.test").unwrap();
        let (ours, theirs) = tokio::join!(
            TlsAcceptor::from(tls.config()).accept(noted),
            TlsConnector::from(Arc::new(config)).connect(name, near),
        );
        notes.lock().unwrap().clear();
        (Secured::new(ours.unwrap()), theirs.unwrap(), notes)
    }

    #[tokio::test]
    async fn the_farewell_goes_out_with_what_was_written_before_it() {
        let (mut ours, mut theirs, notes) = connected(64 * 1024).await;
        ours.write_all(b"head").await.unwrap();
        ours.write_all(b"body").await.unwrap();
        assert!(notes.lock().unwrap().is_empty());
        ours.shutdown().await.unwrap();
        assert_eq!(*notes.lock().unwrap(), ["write"]);
        let mut heard = Vec::new();
        // Without `close_notify` this would be an error, also while the pipe is open.
        theirs.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, b"headbody");
        assert!(ours.write_all(b"more").await.is_err());
    }

    #[tokio::test]
    async fn whoever_reads_on_has_sent_what_was_written() {
        let (mut ours, mut theirs, _) = connected(64 * 1024).await;
        ours.write_all(b"ping").await.unwrap();
        let answering = async {
            let mut heard = [0; 4];
            theirs.read_exact(&mut heard).await.unwrap();
            theirs.write_all(&heard).await.unwrap();
            theirs.flush().await.unwrap();
        };
        let mut echo = [0; 4];
        let (read, ()) = tokio::join!(ours.read_exact(&mut echo), answering);
        read.unwrap();
        assert_eq!(&echo, b"ping");
    }

    #[tokio::test]
    async fn whoever_lingers_after_the_farewell_ends_the_stream_below() {
        let (mut ours, theirs, notes) = connected(64 * 1024).await;
        ours.shutdown().await.unwrap();
        drop(theirs);
        let _ = ours.read_u8().await;
        assert_eq!(*notes.lock().unwrap(), ["write", "shutdown"]);
    }

    #[tokio::test]
    async fn more_than_is_kept_comes_through_a_narrow_pipe_whole() {
        let (mut ours, mut theirs, _) = connected(1_000).await;
        let said: Vec<u8> = (0..300_000_u32).flat_map(u32::to_be_bytes).collect();
        let saying = async {
            ours.write_all(&said).await.unwrap();
            ours.shutdown().await.unwrap();
        };
        let mut heard = Vec::new();
        let (read, ()) = tokio::join!(theirs.read_to_end(&mut heard), saying);
        read.unwrap();
        assert!(heard == said);
    }
}
