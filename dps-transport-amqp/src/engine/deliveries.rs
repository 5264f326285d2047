//! Messages on their way out.

use std::collections::VecDeque;

use super::link::LinkId;
use super::session::Session;
use super::{put_transfer, session};

/// How many messages may wait until no more is asked for. Our choice.
const MANY: usize = 8;

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

    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= MANY
    }

    /// Gives up on a message whose link is gone.
    pub(super) fn forget(&mut self, gone: impl Fn(LinkId) -> bool) {
        self.current.take_if(|current| gone(current.link));
    }

    /// Sends what links and windows take.
    pub(super) fn flush(&mut self, sessions: &mut [Session], max_frame: usize, out: &mut Vec<u8>) {
        while let Some(mut current) = self.current.take().or_else(|| self.start(sessions)) {
            let Some(session) = session(sessions, current.link.channel) else {
                continue;
            };
            if !session.has(current.link) {
                continue;
            }
            while !current.is_done() {
                if !session.take_window() {
                    self.current = Some(current);
                    return;
                }
                put_transfer(&mut current, max_frame, out);
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

impl Current {
    fn is_done(&self) -> bool {
        self.sent > 0 && self.sent == self.message.len()
    }
}
