//! A WebSocket as a stream of bytes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use dps_transport::ByteStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::frame::{self, Fault, Head, Kind, MAX_MESSAGE, Partial};

/// The longest payload we put into one frame, in bytes; with its head it fills a TLS record.
const LONGEST_FRAME: usize = 16 * 1024 - 10;

/// How many bytes may wait to be taken before pings are no longer answered: a peer that pings
/// without reading costs no more than this.
const UNTAKEN: usize = 1024;

/// How much is still read and thrown away after a fault, in bytes. A connection that is closed with
/// unread bytes in it is reset, and the peer never sees our close frame.
const LEFTOVERS: u64 = 1024 * 1024;

/// The server's end of a WebSocket, past the upgrade: what is written goes out in binary frames, and
/// what is read is the payload of those that come. Where frames begin and end means nothing.
///
/// Pings are answered, pongs ignored, and a close is answered and read as the end.
#[derive(Debug)]
pub(crate) struct WebSocket<S> {
    io: S,
    reading: Reading,
    head: Partial,
    /// The bytes of the current message so far announced, while it is not whole.
    message: Option<u64>,
    /// Whole frames, or what is left of them, on their way out.
    out: Vec<u8>,
    taken: usize,
    /// A close frame is among what has been put out: nothing may follow.
    closed: bool,
    shut: bool,
}

#[derive(Debug)]
enum Reading {
    Head,
    Data { head: Head, at: u64 },
    Control { head: Head, payload: Vec<u8> },
    End,
    Fault { fault: Fault, left: u64 },
}

impl<S: ByteStream> WebSocket<S> {
    pub(crate) fn new(io: S) -> Self {
        Self {
            io,
            reading: Reading::Head,
            head: Partial::default(),
            message: None,
            out: Vec::new(),
            taken: 0,
            closed: false,
            shut: false,
        }
    }

    /// Hands out what waits. When nothing does, no room is kept for it.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.taken < self.out.len() {
            let waiting = &self.out[self.taken..];
            match ready!(Pin::new(&mut self.io).poll_write(cx, waiting))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                taken => self.taken += taken,
            }
        }
        self.out = Vec::new();
        self.taken = 0;
        Poll::Ready(Ok(()))
    }

    fn poll_flush_all(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx))?;
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shut(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.shut {
            ready!(self.poll_flush_all(cx))?;
            ready!(Pin::new(&mut self.io).poll_shutdown(cx))?;
            self.shut = true;
        }
        Poll::Ready(Ok(()))
    }

    fn close(&mut self, payload: &[u8]) {
        if !self.closed {
            frame::put(&mut self.out, Kind::Close, payload);
            self.closed = true;
        }
    }

    fn fail(&mut self, fault: Fault) {
        self.close(&(fault as u16).to_be_bytes());
        let left = LEFTOVERS;
        self.reading = Reading::Fault { fault, left };
    }

    /// What follows from a head that is whole.
    fn begin(&mut self, head: Head) -> Result<Reading, Fault> {
        match (head.kind, self.message) {
            (Kind::Close | Kind::Ping | Kind::Pong, _) => {
                let payload = Vec::new();
                return Ok(Reading::Control { head, payload });
            }
            (Kind::Binary, None) | (Kind::Continuation, Some(_)) => {}
            (Kind::Binary, Some(_)) | (Kind::Continuation, None) => return Err(Fault::Protocol),
        }
        let length = self.message.unwrap_or(0).saturating_add(head.length);
        if length > MAX_MESSAGE {
            return Err(Fault::TooLong);
        }
        self.message = (!head.last).then_some(length);
        Ok(Reading::Data { head, at: 0 })
    }

    /// What follows from a ping, pong or close that is whole.
    fn end_control(&mut self, kind: Kind, payload: &[u8]) -> Result<Reading, Fault> {
        match kind {
            Kind::Ping if !self.closed && self.out.len() - self.taken < UNTAKEN => {
                frame::put(&mut self.out, Kind::Pong, payload);
            }
            Kind::Close => {
                let code = &payload[..payload.len().min(2)];
                if !frame::may_close(code) {
                    return Err(Fault::Protocol);
                }
                self.close(code);
                return Ok(Reading::End);
            }
            _ => {}
        }
        Ok(Reading::Head)
    }

    /// Reads on, up to the next bytes of a payload.
    ///
    /// Returns how many there are; `None` if something else has come.
    fn poll_step(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<Option<usize>>> {
        match &mut self.reading {
            Reading::Head => {
                let read = ready!(poll_fill(&mut self.io, cx, self.head.room()))?;
                if read == 0 {
                    // Without a close, but it is the end all the same.
                    self.reading = Reading::End;
                    return Poll::Ready(Ok(None));
                }
                let begun = self.head.came(read).and_then(|head| match head {
                    Some(head) => self.begin(head),
                    None => Ok(Reading::Head),
                });
                self.go_on(begun);
                Poll::Ready(Ok(None))
            }
            Reading::Data { head, at } if *at == head.length => {
                self.reading = Reading::Head;
                Poll::Ready(Ok(None))
            }
            Reading::Data { head, at } => {
                let left = usize::try_from(head.length - *at).unwrap_or(usize::MAX);
                let room = buf.initialize_unfilled_to(left.min(buf.remaining()));
                let read = ready!(poll_fill(&mut self.io, cx, room))?;
                if read == 0 {
                    return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
                }
                frame::unmask(&mut room[..read], head.mask, *at);
                *at += read as u64;
                Poll::Ready(Ok(Some(read)))
            }
            Reading::Control { head, payload } if payload.len() as u64 == head.length => {
                let (mask, kind) = (head.mask, head.kind);
                let mut payload = std::mem::take(payload);
                frame::unmask(&mut payload, mask, 0);
                let ended = self.end_control(kind, &payload);
                self.go_on(ended);
                Poll::Ready(Ok(None))
            }
            Reading::Control { head, payload } => {
                let mut room = [0; 125];
                let missing = head.length as usize - payload.len();
                let read = ready!(poll_fill(&mut self.io, cx, &mut room[..missing]))?;
                if read == 0 {
                    return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
                }
                payload.extend_from_slice(&room[..read]);
                Poll::Ready(Ok(None))
            }
            Reading::End => Poll::Ready(Ok(Some(0))),
            Reading::Fault { fault, left } => {
                let (fault, mut remains) = (*fault, *left);
                if remains > 0 {
                    // The close frame is out, and the end of our side with it; or never will be.
                    let shut = ready!(self.poll_shut(cx));
                    let mut room = [0; 2048];
                    let read = match shut {
                        Ok(()) => ready!(poll_fill(&mut self.io, cx, &mut room)).unwrap_or(0),
                        Err(_) => 0,
                    };
                    remains = match read {
                        0 => 0,
                        read => remains.saturating_sub(read as u64),
                    };
                    self.reading = Reading::Fault {
                        fault,
                        left: remains,
                    };
                    return Poll::Ready(Ok(None));
                }
                Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, fault)))
            }
        }
    }

    fn go_on(&mut self, next: Result<Reading, Fault>) {
        match next {
            Ok(reading) => self.reading = reading,
            Err(fault) => self.fail(fault),
        }
    }
}

fn poll_fill<S: AsyncRead + Unpin>(
    io: &mut S,
    cx: &mut Context<'_>,
    room: &mut [u8],
) -> Poll<io::Result<usize>> {
    let mut buf = ReadBuf::new(room);
    ready!(Pin::new(io).poll_read(cx, &mut buf))?;
    Poll::Ready(Ok(buf.filled().len()))
}

impl<S: ByteStream> AsyncRead for WebSocket<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            let step = this.poll_step(cx, buf);
            // What the step put out, or an earlier one, goes out while we wait.
            let idle = step.is_pending() || matches!(this.reading, Reading::End);
            if idle
                && !this.out.is_empty()
                && let Poll::Ready(Err(error)) = this.poll_flush_all(cx)
            {
                return Poll::Ready(Err(error));
            }
            if let Some(read) = ready!(step)? {
                buf.advance(read);
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: ByteStream> AsyncWrite for WebSocket<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.closed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        ready!(this.poll_drain(cx))?;
        let length = buf.len().min(LONGEST_FRAME);
        if length > 0 {
            frame::put(&mut this.out, Kind::Binary, &buf[..length]);
            // It is ours now; what is not taken at once goes out with the next call or a flush.
            if let Poll::Ready(Err(error)) = this.poll_drain(cx) {
                return Poll::Ready(Err(error));
            }
        }
        Poll::Ready(Ok(length))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_flush_all(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.close(&1000_u16.to_be_bytes());
        this.poll_shut(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// Neither a long message nor a long answer leaves room behind.
    #[tokio::test]
    async fn an_idle_websocket_holds_no_buffer() {
        let (near, mut far) = tokio::io::duplex(1024 * 1024);
        let mut socket = WebSocket::new(near);
        far.write_all(&[0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0])
            .await
            .unwrap();
        far.write_all(&[7; 0x1_0000]).await.unwrap();
        let mut heard = vec![0; 0x1_0000];
        socket.read_exact(&mut heard).await.unwrap();
        socket.write_all(&heard).await.unwrap();
        socket.flush().await.unwrap();
        assert_eq!(socket.out.capacity(), 0);
        assert!(size_of_val(&socket) < 256, "{}", size_of_val(&socket));
    }
}
