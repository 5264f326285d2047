//! Messages on their way out.

use std::collections::VecDeque;

use super::link::{LinkId, MAX_MESSAGE_BYTES};
use super::session::Session;
use super::{put_transfer, session};

/// How many messages may wait until there are too many, and how many bytes. Our choice.
const MANY: usize = 8;
const MANY_BYTES: usize = MAX_MESSAGE_BYTES;

/// Messages that wait for a link, for credit, or for a window.
#[derive(Debug)]
pub(super) struct Outbox {
    waiting: VecDeque<Vec<u8>>,
    current: Option<Current>,
}

/// A message of which a part has been sent.
#[derive(Debug)]
pub(super) struct Current {
    pub(super) link: LinkId,
    pub(super) delivery: u32,
    pub(super) settled: bool,
    pub(super) message: Vec<u8>,
    pub(super) sent: usize,
}

impl Outbox {
    pub(super) const fn new() -> Self {
        Self {
            waiting: VecDeque::new(),
            current: None,
        }
    }

    pub(super) fn push(&mut self, message: Vec<u8>) {
        self.waiting.push_back(message);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.current.is_none()
    }

    /// Whether all that waits has at least been begun.
    pub(super) fn has_begun_all(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= MANY || self.bytes() >= MANY_BYTES
    }

    pub(super) fn bytes(&self) -> usize {
        let begun = self.current.iter().map(|current| &current.message);
        self.waiting.iter().chain(begun).map(Vec::len).sum()
    }

    /// Sends what links and windows take. A message whose link is gone before its end is given up.
    pub(super) fn flush(&mut self, sessions: &mut [Session], max_frame: usize, out: &mut Vec<u8>) {
        while let Some(mut current) = self.current.take().or_else(|| self.start(sessions)) {
            let Some(session) = session(sessions, current.link.channel) else {
                continue;
            };
            if !session.has(current.link) {
                continue;
            }
            loop {
                if !session.take_window() {
                    self.current = Some(current);
                    return;
                }
                put_transfer(&mut current, max_frame, out);
                if current.sent == current.message.len() {
                    break;
                }
            }
        }
        if self.waiting.is_empty() {
            self.waiting = VecDeque::new();
        }
    }

    fn start(&mut self, sessions: &mut [Session]) -> Option<Current> {
        let message = self.waiting.pop_front()?;
        let Some((link, delivery, settled)) = sessions.iter_mut().find_map(Session::start_delivery)
        else {
            self.waiting.push_front(message);
            return None;
        };
        Some(Current {
            link,
            delivery,
            settled,
            message,
            sent: 0,
        })
    }
}
