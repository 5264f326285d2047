//! Stands between a store and its server, understands where messages begin, and cuts.
//!
//! # Source
//! *PostgreSQL: Documentation*, "Frontend/Backend Protocol", "Message Formats".

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use parking_lot::Mutex;

/// What happens at the chosen message from the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The server never sees it.
    Before,
    /// The server sees half of it.
    Half,
    /// The server sees it, and what it does of it is not waited for.
    AtOnce,
    /// The server does what it is asked, and its answer is lost.
    AfterTheAnswer,
    /// The server never sees it, and nobody can connect until all is mended.
    Away,
}

impl Cut {
    pub(crate) const ALL: [Self; 5] = [
        Self::AfterTheAnswer,
        Self::Before,
        Self::AtOnce,
        Self::Half,
        Self::Away,
    ];
}

/// Listens on a port of its own.
#[derive(Debug)]
pub(crate) struct Proxy {
    port: u16,
    shared: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    messages: usize,
    armed: Option<(usize, Cut)>,
    has_cut: bool,
    away: bool,
    open: Vec<TcpStream>,
}

impl Proxy {
    /// Forwards to the server on this port of this machine.
    pub(crate) fn start(server: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared: Arc<Mutex<State>> = Arc::default();
        let state = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let mut held = state.lock();
                let Ok(server) = TcpStream::connect(("127.0.0.1", server)) else {
                    continue;
                };
                if !held.away {
                    held.open.push(client.try_clone().unwrap());
                    held.open.push(server.try_clone().unwrap());
                    serve(client, server, &state);
                }
            }
        });
        Self { port, shared }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Cuts at the `nth` message from now on, counted from 1.
    pub(crate) fn arm(&self, nth: usize, cut: Cut) {
        let mut state = self.shared.lock();
        (state.messages, state.armed, state.has_cut) = (0, Some((nth, cut)), false);
    }

    pub(crate) fn has_cut(&self) -> bool {
        self.shared.lock().has_cut
    }

    /// Cuts no more.
    pub(crate) fn mend(&self) {
        let mut state = self.shared.lock();
        (state.armed, state.away) = (None, false);
    }
}

/// One connection: how many answers the server owes before the connection is cut, if it is to be.
#[derive(Debug, Default)]
struct Answers {
    owed: usize,
    given: usize,
    swallow: bool,
}

fn serve(client: TcpStream, server: TcpStream, state: &Arc<Mutex<State>>) {
    let answers: Arc<Mutex<Answers>> = Arc::default();
    // Messages are passed on one by one.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    let (state, owed) = (Arc::clone(state), Arc::clone(&answers));
    thread::spawn(move || {
        let _ = ask(&from, &to, &state, &owed);
        end(&from, &to);
    });
    thread::spawn(move || {
        let _ = answer(&server, &client, &answers);
        end(&server, &client);
    });
}

fn end(one: &TcpStream, other: &TcpStream) {
    let _ = one.shutdown(Shutdown::Both);
    let _ = other.shutdown(Shutdown::Both);
}

/// From the store to the server.
fn ask(
    mut from: &TcpStream,
    mut to: &TcpStream,
    state: &Mutex<State>,
    answers: &Mutex<Answers>,
) -> io::Result<()> {
    // The first message has no letter in front, and is answered when the server is ready.
    let mut first = true;
    loop {
        let message = read(&mut from, !first)?;
        let is_answered = first || matches!(message[0], b'S' | b'Q');
        first = false;
        let cut = {
            let state = &mut *state.lock();
            state.messages += 1;
            match state.armed {
                Some((nth, cut)) if nth == state.messages && !state.has_cut => {
                    state.has_cut = true;
                    if cut == Cut::Away {
                        state.away = true;
                        for stream in state.open.drain(..) {
                            let _ = stream.shutdown(Shutdown::Both);
                        }
                    }
                    Some(cut)
                }
                _ => None,
            }
        };
        if is_answered {
            answers.lock().owed += 1;
        }
        match cut {
            None => to.write_all(&message)?,
            Some(Cut::Before | Cut::Away) => return Ok(()),
            Some(Cut::Half) => return to.write_all(&message[..message.len() / 2]),
            Some(Cut::AtOnce) => return to.write_all(&message),
            Some(Cut::AfterTheAnswer) => {
                if !is_answered {
                    return to.write_all(&message);
                }
                answers.lock().swallow = true;
                to.write_all(&message)?;
                // Whoever forwards the answers ends it.
                let mut rest = [0; 1024];
                while from.read(&mut rest)? > 0 {}
            }
        }
    }
}

/// From the server to the store.
fn answer(mut from: &TcpStream, mut to: &TcpStream, answers: &Mutex<Answers>) -> io::Result<()> {
    loop {
        let message = read(&mut from, true)?;
        let mut answers = answers.lock();
        // Ready for the next question.
        answers.given += usize::from(message[0] == b'Z');
        match answers.swallow {
            true if answers.given >= answers.owed => return Ok(()),
            true => {}
            false => to.write_all(&message)?,
        }
    }
}

/// One message whole: perhaps a letter, then its length without the letter, then the rest.
fn read(from: &mut &TcpStream, letter: bool) -> io::Result<Vec<u8>> {
    let head = 4 + usize::from(letter);
    let mut message = vec![0; head];
    from.read_exact(&mut message)?;
    let length = u32::from_be_bytes(message[head - 4..].try_into().unwrap());
    message.resize(head - 4 + length as usize, 0);
    from.read_exact(&mut message[head..])?;
    Ok(message)
}
