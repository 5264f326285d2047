//! The heads of frames (RFC 6455, section 5.2).

/// The longest message, over all its frames, in bytes: above what any SDK sends at a time, and above
/// the longest packet that is of use here.
pub(super) const MAX_MESSAGE: u64 = 128 * 1024;

/// The longest head of a masked frame, in bytes.
const LONGEST_HEAD: usize = 14;

/// The longest payload of a ping, pong or close, in bytes.
const LONGEST_CONTROL: u64 = 125;

/// What the peer did wrong, by the code that the close frame gives it (RFC 6455, section 7.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("a frame against the rules")]
    Protocol = 1002,
    #[error("a text frame")]
    Text = 1003,
    #[error("a message over 128 KiB")]
    TooLong = 1009,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Continuation,
    Binary,
    Close,
    Ping,
    Pong,
}

/// What comes before the payload of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) last: bool,
    pub(super) kind: Kind,
    /// Of the payload, in bytes.
    pub(super) length: u64,
    pub(super) mask: [u8; 4],
}

/// The head of a frame as far as it has come.
#[derive(Debug, Default)]
pub(super) struct Partial {
    bytes: [u8; LONGEST_HEAD],
    come: usize,
}

impl Partial {
    /// Room for as much of the head as is known to be missing; never empty.
    pub(super) fn room(&mut self) -> &mut [u8] {
        let whole = match (self.come, self.bytes[1] & 0x7f) {
            (0 | 1, _) => 2,
            (_, 126) => 8,
            (_, 127) => LONGEST_HEAD,
            _ => 6,
        };
        &mut self.bytes[self.come..whole]
    }

    /// Takes `more` bytes that were put into the room; returns the head when it is whole.
    ///
    /// # Errors
    /// As soon as it is seen that no such frame may come.
    pub(super) fn came(&mut self, more: usize) -> Result<Option<Head>, Fault> {
        self.come += more;
        if self.come < 2 {
            return Ok(None);
        }
        let kind = kind(self.bytes[0])?;
        if self.bytes[1] & 0x80 == 0 {
            return Err(Fault::Protocol);
        }
        let short = self.bytes[1] & 0x7f;
        let (length, mask) = match short {
            126 => (
                u64::from(u16::from_be_bytes([self.bytes[2], self.bytes[3]])),
                4,
            ),
            127 => {
                let [_, _, length @ .., _, _, _, _] = self.bytes;
                (u64::from_be_bytes(length), 10)
            }
            short => (u64::from(short), 2),
        };
        if self.come < mask + 4 {
            return Ok(None);
        }
        let head = Head {
            last: self.bytes[0] & 0x80 != 0,
            kind,
            length,
            mask: [0, 1, 2, 3].map(|at| self.bytes[mask + at]),
        };
        let control = matches!(kind, Kind::Close | Kind::Ping | Kind::Pong);
        if control && (!head.last || length > LONGEST_CONTROL) {
            return Err(Fault::Protocol);
        }
        *self = Self::default();
        Ok(Some(head))
    }
}

/// Extensions are never agreed on, so that their bits may not be set.
fn kind(first: u8) -> Result<Kind, Fault> {
    match first & 0x7f {
        0x0 => Ok(Kind::Continuation),
        0x1 => Err(Fault::Text),
        0x2 => Ok(Kind::Binary),
        0x8 => Ok(Kind::Close),
        0x9 => Ok(Kind::Ping),
        0xa => Ok(Kind::Pong),
        _ => Err(Fault::Protocol),
    }
}

/// Whether a close may begin with this: a code that a client may send (RFC 6455, section 7.4, and
/// those registered since; 1014 is a gateway's), or nothing at all.
pub(super) fn may_close(code: &[u8]) -> bool {
    match *code {
        [] => true,
        [high, low] => matches!(
            u16::from_be_bytes([high, low]),
            1000..=1003 | 1007..=1013 | 3000..=4999
        ),
        _ => false,
    }
}

/// Takes the mask off bytes that begin `at` bytes into a payload.
pub(super) fn unmask(bytes: &mut [u8], mask: [u8; 4], at: u64) {
    let from = (at % 4) as usize;
    for (nth, byte) in bytes.iter_mut().enumerate() {
        *byte ^= mask[(from + nth) % 4];
    }
}

/// Appends one whole, unmasked frame.
pub(super) fn put(out: &mut Vec<u8>, kind: Kind, payload: &[u8]) {
    let code = match kind {
        Kind::Continuation => 0x0,
        Kind::Binary => 0x2,
        Kind::Close => 0x8,
        Kind::Ping => 0x9,
        Kind::Pong => 0xa,
    };
    out.reserve_exact(LONGEST_HEAD + payload.len());
    out.push(0x80 | code);
    match payload.len() {
        short @ 0..=125 => out.push(short as u8),
        middle @ 126..=0xffff => {
            out.push(126);
            out.extend_from_slice(&(middle as u16).to_be_bytes());
        }
        long => {
            out.push(127);
            out.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
}
