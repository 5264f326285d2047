//! Answers that decide nothing.

use bytes::Bytes;

use super::Setup;
use crate::client::complete;
use crate::frames;
use crate::packets::{self, CONNACK, PUBACK, SUBACK};
use crate::visits::{SCOPE, device_id};

/// A constant answer of the shape and size of an `assigned` one.
#[derive(Clone, Debug)]
pub struct Answer {
    body: Bytes,
}

impl Answer {
    /// The content type the device API answers with.
    pub const CONTENT_TYPE: &'static str = "application/json; charset=utf-8";

    /// An answer whose body has `bytes` bytes, but no fewer than its fixed parts need (about 100).
    pub fn of(bytes: usize) -> Self {
        let head = r#"{"operationId":"4.0000000000000000.00000000-0000-0000-0000-000000000000","status":"assigned","pad":""#;
        let tail = "\"}";
        let pad = "x".repeat(bytes.saturating_sub(head.len() + tail.len()));
        Self {
            body: Bytes::from(format!("{head}{pad}{tail}")),
        }
    }

    /// The body.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The whole message, with the fewest headers that make sense.
    ///
    /// * `close`: say that the connection ends with it.
    pub fn message(&self, close: bool) -> Vec<u8> {
        let connection = if close { "connection: close\r\n" } else { "" };
        let mut message = format!(
            "HTTP/1.1 202 Accepted\r\ncontent-type: {}\r\ncontent-length: {}\r\n{connection}\r\n",
            Self::CONTENT_TYPE,
            self.body.len(),
        )
        .into_bytes();
        message.extend_from_slice(&self.body);
        message
    }
}

/// What a constant server answers to what.
#[derive(Clone, Debug)]
pub enum Canned {
    /// To every request the same.
    Http {
        /// The answer.
        message: Vec<u8>,
        /// Leave the connection open.
        keep: bool,
    },
    /// To every packet what a registration gets; packets are believed to be what they seem.
    Mqtt {
        /// To a PUBLISH: PUBACK and a PUBLISH.
        answer: Vec<u8>,
    },
    /// To every frame what a registration gets; frames are believed to be what they seem.
    Amqp(Box<Frames>),
}

/// Constant frames.
#[derive(Clone, Debug)]
pub struct Frames {
    mechanisms: Vec<u8>,
    outcome: Vec<u8>,
    open: Vec<u8>,
    begin: Vec<u8>,
    answers: Vec<u8>,
    /// With credit.
    requests: Vec<u8>,
    /// What became of the register, and the answer.
    answer: Vec<u8>,
    close: Vec<u8>,
}

/// One thing that was asked, and what is to be said to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said<'a> {
    /// The length of the question.
    pub taken: usize,
    /// The answer; may be empty.
    pub answer: &'a [u8],
    /// Whether the connection ends after it.
    pub last: bool,
}

impl Canned {
    /// Options: `protocol` (`http`, `mqtt` or `amqp`; `http`), `body` (bytes of the answer's body, 600), `keep`
    /// (over HTTP, keep connections open after an answer, false).
    pub fn of(setup: &Setup) -> Self {
        let answer = Answer::of(setup.option("body", 600));
        match setup.option("protocol", "http".to_owned()).as_str() {
            "mqtt" => {
                let message = packets::publish(&packets::answer_topic(), answer.body());
                Self::Mqtt {
                    answer: [PUBACK, &message].concat(),
                }
            }
            "amqp" => Self::Amqp(Box::new(Frames::around(&answer))),
            _ => {
                let keep = setup.option("keep", false);
                Self::Http {
                    message: answer.message(!keep),
                    keep,
                }
            }
        }
    }

    /// Answers what stands at the beginning of `text`, if it is whole.
    pub fn answer(&self, text: &[u8]) -> Option<Said<'_>> {
        match self {
            Self::Http { message, keep } => Some(Said {
                taken: complete(text)?,
                answer: message,
                last: !keep,
            }),
            Self::Mqtt { answer } => {
                let taken = packets::length(text, 1)?;
                let (answer, last) = match text[0] >> 4 {
                    1 => (CONNACK, false),
                    3 => (&answer[..], false),
                    8 => (SUBACK, false),
                    14 => (&b""[..], true),
                    _ => (&b""[..], false),
                };
                Some(Said {
                    taken,
                    answer,
                    last,
                })
            }
            Self::Amqp(frames) => {
                let taken = frames::length(text, 1)?;
                let (answer, last) = frames.answer(&text[..taken]);
                Some(Said {
                    taken,
                    answer,
                    last,
                })
            }
        }
    }
}

impl Frames {
    fn around(answer: &Answer) -> Self {
        use frames::{ANSWERS, REQUESTS, attach};
        // As long as any device's.
        let address = format!("{SCOPE}/registrations/{}", device_id(0));
        let message = frames::answer(answer.body());
        Self {
            mechanisms: [frames::SASL, &frames::mechanisms()].concat(),
            outcome: frames::outcome(),
            open: frames::open("dps-00000000-0000-0000-0000-000000000000"),
            begin: frames::begin(true),
            answers: attach(ANSWERS, &address, true),
            requests: [attach(REQUESTS, &address, true), frames::credit(REQUESTS)].concat(),
            answer: [frames::accepted(), frames::transfer(ANSWERS, &message)].concat(),
            close: frames::close(),
        }
    }

    /// What is said to one frame, and whether it is the last.
    fn answer(&self, frame: &[u8]) -> (&[u8], bool) {
        let answer: &[u8] = match frames::what(frame) {
            None if frame == frames::SASL => &self.mechanisms,
            None => frames::AMQP,
            Some(0x41) => &self.outcome,
            Some(0x10) => &self.open,
            Some(0x11) => &self.begin,
            Some(0x12) if frames::is_for_requests(frame) => &self.requests,
            Some(0x12) => &self.answers,
            Some(0x14) => &self.answer,
            Some(0x18) => return (&self.close, true),
            Some(_) => b"",
        };
        (answer, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_has_the_size_asked_for() {
        assert_eq!(Answer::of(600).body().len(), 600);
    }
}
