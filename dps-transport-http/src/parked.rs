//! A connection with nothing to do, as small as it can be.
//!
//! hyper keeps its buffers, some 11 kB, for as long as it has a connection. One that is idle is
//! therefore taken out of it, and a new one made when the next byte comes. That byte has been read by
//! then: [`Resumed`] gives it back before it reads on.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use dps_transport::ByteStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::connection::Activity;

/// Waits for the next bytes; none means that the peer is done.
pub(crate) async fn next_bytes(io: &mut Box<dyn ByteStream>) -> io::Result<Bytes> {
    poll_fn(|cx| {
        // On the stack, so that waiting holds nothing.
        let mut room = [0; 2048];
        let mut buf = ReadBuf::new(&mut room);
        ready!(Pin::new(&mut *io).poll_read(cx, &mut buf))?;
        Poll::Ready(Ok(Bytes::copy_from_slice(buf.filled())))
    })
    .await
}

/// A stream with the bytes that were read of it before. Tells when an answer is out.
pub(crate) struct Resumed {
    pub(crate) early: Bytes,
    pub(crate) io: Box<dyn ByteStream>,
    pub(crate) activity: Activity,
}

impl AsyncRead for Resumed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.early.is_empty() {
            return Pin::new(&mut self.io).poll_read(cx, buf);
        }
        let length = self.early.len().min(buf.remaining());
        buf.put_slice(&self.early[..length]);
        self.early.advance(length);
        if self.early.is_empty() {
            self.early = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Resumed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    /// hyper flushes what is below it only when it has nothing left to write itself.
    ///
    /// The last answer is left to the shutdown, which hyper calls in the same turn: so that the
    /// answer and the end of the connection go out together.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.activity.is_last() {
            return Poll::Ready(Ok(()));
        }
        ready!(Pin::new(&mut self.io).poll_flush(cx))?;
        self.activity.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
