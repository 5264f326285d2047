//! WebSockets past the upgrade: what peers send in one piece, in pieces, and byte by byte is heard and
//! answered the same, as tungstenite hears it, and the answers are what tungstenite reads. The first
//! byte of the input says how long the pieces are.
#![no_main]

use std::io::{Cursor, ErrorKind};

use dps_transport_http::fuzzing::{Echoed, echo};
use libfuzzer_sys::fuzz_target;
use tungstenite::Message;
use tungstenite::error::{Error, ProtocolError};
use tungstenite::protocol::frame::FrameSocket;
use tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};
use tungstenite::protocol::{Role, WebSocket, WebSocketConfig};

/// The longest message that is taken.
const LIMIT: usize = 128 * 1024;

/// Below this many bytes of answers none is left out because others wait.
const UNTAKEN: usize = 1024;

/// What tungstenite makes of the bytes.
#[derive(Default)]
struct Read {
    said: Vec<u8>,
    pings: Vec<Vec<u8>>,
    /// With this code, if there is one that may be sent.
    close: Option<Option<u16>>,
    text: bool,
    end: Option<Error>,
}

/// A connection that takes everything.
struct Deaf<'a>(&'a [u8]);

impl std::io::Read for Deaf<'_> {
    fn read(&mut self, room: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(room)
    }
}

impl std::io::Write for Deaf<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn oracle(stream: &[u8]) -> Read {
    let limits = WebSocketConfig::default()
        .read_buffer_size(1024)
        .max_message_size(Some(LIMIT))
        .max_frame_size(Some(LIMIT));
    let mut socket = WebSocket::from_raw_socket(Deaf(stream), Role::Server, Some(limits));
    let mut read = Read::default();
    loop {
        match socket.read() {
            Ok(Message::Binary(more)) => read.said.extend_from_slice(&more),
            Ok(Message::Ping(payload)) => read.pings.push(payload.to_vec()),
            Ok(Message::Pong(_)) => {}
            Ok(Message::Close(frame)) => {
                read.close = Some(frame.map(|frame| u16::from(frame.code)));
            }
            Ok(Message::Text(_) | Message::Frame(_)) => {
                read.text = true;
                return read;
            }
            Err(error) => {
                read.end = Some(error);
                return read;
            }
        }
    }
}

/// What the peer is told.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    said: Vec<u8>,
    pongs: Vec<Vec<u8>>,
    close: Vec<u8>,
}

fn told(bytes: &[u8]) -> Told {
    let mut told = Told::default();
    let (mut length, mut closed) = (0, false);
    let mut socket = FrameSocket::new(Cursor::new(bytes.to_vec()));
    while let Some(frame) = socket.read(None).expect("what peers are told are frames") {
        assert!(!closed, "nothing follows a close");
        let head = frame.header();
        assert!(head.is_final && head.mask.is_none());
        assert!(!head.rsv1 && !head.rsv2 && !head.rsv3);
        length += frame.len();
        let (code, payload) = (head.opcode, frame.into_payload());
        match code {
            OpCode::Data(Data::Binary) => told.said.extend_from_slice(&payload),
            OpCode::Control(Control::Pong) => told.pongs.push(payload.to_vec()),
            OpCode::Control(Control::Close) => {
                told.close = payload.to_vec();
                closed = true;
            }
            other => panic!("a server does not send {other}"),
        }
    }
    assert_eq!(length, bytes.len(), "the last frame is whole");
    assert!(closed, "it says goodbye");
    told
}

/// Whether a text has begun; tungstenite says so only when it is whole.
fn begins_text(stream: &[u8]) -> bool {
    let mut socket = FrameSocket::new(Cursor::new(stream.to_vec()));
    std::iter::from_fn(|| socket.read(Some(LIMIT)).ok().flatten())
        .any(|frame| frame.header().opcode == OpCode::Data(Data::Text))
}

fn is_sendable(code: u16) -> bool {
    CloseCode::from(code).is_allowed()
}

fuzz_target!(|input: &[u8]| {
    let Some((&choice, stream)) = input.split_first() else {
        return;
    };
    let piece = usize::from(choice).max(1);
    let whole = echo([stream], 4096);
    let answers = told(&whole.told);
    assert_eq!(answers.said, whole.heard);
    for other in [
        echo(stream.chunks(1), 7 + piece),
        echo(stream.chunks(piece), 7),
    ] {
        assert_eq!((&other.heard, &other.end), (&whole.heard, &whole.end));
        let others = told(&other.told);
        assert_eq!(others.close, answers.close);
        if other.told.len() < UNTAKEN && whole.told.len() < UNTAKEN {
            assert_eq!(others, answers);
        }
    }

    let read = oracle(stream);
    assert!(whole.heard.starts_with(&read.said));
    let mut pings = read.pings.iter();
    for pong in &answers.pongs {
        assert!(pings.any(|ping| ping == pong), "a pong without its ping");
    }
    agrees(&whole, &answers.close, &read, || begins_text(stream));
});

fn agrees(ours: &Echoed, close: &[u8], theirs: &Read, begins_text: impl Fn() -> bool) {
    let code = <[u8; 2]>::try_from(close).ok().map(u16::from_be_bytes);
    assert!(code.is_some_and(is_sendable) || close.is_empty());
    match ours.end {
        Ok(()) => match (&theirs.end, &theirs.close) {
            (Some(Error::ConnectionClosed), Some(said)) => {
                assert_eq!(code, *said, "a close is answered with its code");
            }
            (Some(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)), None) => {
                assert_eq!(code, Some(1000));
            }
            // Why somebody closes is not read.
            (Some(Error::Utf8(_)), None) => {}
            other => panic!("it ended well, and not so for tungstenite: {other:?}"),
        },
        Err(ErrorKind::UnexpectedEof) => assert!(matches!(
            &theirs.end,
            Some(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake))
        )),
        Err(ErrorKind::InvalidData) => {
            let refused = theirs.text
                || theirs.close == Some(Some(1002))
                || !matches!(&theirs.end, Some(Error::ConnectionClosed))
                || (code == Some(1003) && begins_text());
            assert!(refused, "it is refused, and not so by tungstenite");
            assert!(matches!(code, Some(1002 | 1003 | 1009)));
        }
        ref other => panic!("{other:?}"),
    }
}
