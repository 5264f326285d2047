//! What is said on a connection, and when the answer to it is whole.

use std::io;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use rustls::ClientConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Line;
use crate::{frames, packets};

/// What one unit of work sends: as whom, and which bytes.
#[derive(Clone, Debug)]
pub struct Visit {
    /// The handshake, with the device's certificate if it has one; none means no TLS.
    pub tls: Option<Arc<ClientConfig>>,
    /// What is said, each when what was said before is answered.
    pub talk: Rc<[Exchange]>,
    /// What is said last; both it and its answer may be empty.
    pub goodbye: Exchange,
}

/// Something said, and its answer.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// In one write.
    pub said: Bytes,
    /// What it is answered with.
    pub heard: Heard,
}

/// An answer.
#[derive(Clone, Copy, Debug)]
pub enum Heard {
    /// An HTTP message that begins so.
    Http(&'static str),
    /// These bytes.
    Exactly(&'static [u8]),
    /// So many MQTT packets.
    Packets(usize),
    /// So many AMQP frames, or headers of its protocols.
    Frames(usize),
    /// One short message in a WebSocket.
    Message,
}

impl Heard {
    /// The length of what has come, once it is whole.
    ///
    /// # Errors
    /// When it is another answer.
    fn whole(self, came: &[u8]) -> io::Result<Option<usize>> {
        let whatever = |length: Option<usize>| (true, length.map(|length| (length, &b""[..])));
        let (fits, length) = match self {
            Self::Http(start) => (
                true,
                complete(came).map(|length| (length, start.as_bytes())),
            ),
            Self::Exactly(bytes) => (
                bytes.starts_with(&came[..came.len().min(bytes.len())]),
                (came.len() >= bytes.len()).then_some((bytes.len(), bytes)),
            ),
            Self::Packets(count) => whatever(packets::length(came, count)),
            Self::Frames(count) => whatever(frames::length(came, count)),
            Self::Message => whatever(packets::frame_length(came)),
        };
        match length {
            None if fits => Ok(None),
            Some((length, start)) if fits && length == came.len() && came.starts_with(start) => {
                Ok(Some(length))
            }
            _ => Err(unwanted(came)),
        }
    }
}

impl Exchange {
    /// What is said last where nothing is answered to it.
    pub const fn unanswered(said: Bytes) -> Self {
        let heard = Heard::Exactly(b"");
        Self { said, heard }
    }

    /// Says it; the answer is then in `answer`.
    async fn take_place(&self, line: &mut Line, answer: &mut Vec<u8>) -> io::Result<()> {
        line.write_all(&self.said).await?;
        line.flush().await?;
        answer.clear();
        while self.heard.whole(answer)?.is_none() {
            if line.read_buf(answer).await? == 0 {
                return Err(io::Error::other("closed before the answer was complete"));
            }
        }
        Ok(())
    }
}

impl Visit {
    /// Says everything but goodbye; the last answer, which must contain `wanted`, is then in `answer`.
    ///
    /// # Errors
    /// What the connection reports, or that an answer is not the wanted one.
    pub async fn converse(
        &self,
        line: &mut Line,
        wanted: &[u8],
        answer: &mut Vec<u8>,
    ) -> io::Result<()> {
        for exchange in &*self.talk {
            exchange.take_place(line, answer).await?;
        }
        if contains(answer, wanted) {
            Ok(())
        } else {
            Err(unwanted(answer))
        }
    }

    /// Says goodbye, and waits for the end of the connection.
    ///
    /// # Errors
    /// What the connection reports. TLS tells an orderly end (`close_notify`) from a cut: the latter is
    /// an error here.
    pub async fn part(&self, line: &mut Line) -> io::Result<()> {
        if !self.goodbye.said.is_empty() {
            self.goodbye.take_place(line, &mut Vec::new()).await?;
        }
        match line.read(&mut [0; 64]).await? {
            0 => Ok(()),
            _ => Err(io::Error::other("more than one answer")),
        }
    }
}

/// The bytes in the body of the last answer to one visit; it is an object of JSON.
///
/// Nobody waits for the end of the connection, which may be one that is kept.
///
/// # Errors
/// As for [`Visit::converse`].
pub async fn body_length(port: u16, visit: &Visit, wanted: &[u8]) -> io::Result<usize> {
    let mut line = Line::open(port, 0, visit.tls.as_ref()).await?;
    let mut answer = Vec::new();
    visit.converse(&mut line, wanted, &mut answer).await?;
    let body = answer.iter().position(|byte| *byte == b'{');
    Ok(answer.len() - body.unwrap_or(0))
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

fn unwanted(answer: &[u8]) -> io::Error {
    let text = String::from_utf8_lossy(answer);
    io::Error::other(format!("another answer than wanted: {text:?}"))
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

    #[test]
    fn an_answer_that_begins_wrong_is_not_waited_for() {
        let heard = Heard::Exactly(&[0x20, 2, 0, 0]);
        assert_eq!(heard.whole(&[0x20, 2]).ok(), Some(None));
        assert_eq!(heard.whole(&[0x20, 2, 0, 0]).ok(), Some(Some(4)));
        assert!(heard.whole(&[0x20, 2, 0, 5]).is_err());
        assert!(heard.whole(&[0x30]).is_err());
    }

    #[test]
    fn two_answers_are_not_one() {
        let heard = Heard::Packets(1);
        assert!(heard.whole(&[0x20, 2, 0, 0, 0x20]).is_err());
    }
}
