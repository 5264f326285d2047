//! Answers that decide nothing.

use bytes::Bytes;

use super::Setup;
use crate::client::complete;
use crate::packets::{self, CONNACK, PUBACK, SUBACK};

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
    /// Options: `protocol` (`http` or `mqtt`; `http`), `body` (bytes of the answer's body, 600), `keep`
    /// (over HTTP, keep connections open after an answer, false).
    pub fn of(setup: &Setup) -> Self {
        let answer = Answer::of(setup.option("body", 600));
        if setup.option("protocol", "http".to_owned()) == "mqtt" {
            let message = packets::publish(&packets::answer_topic(), answer.body());
            return Self::Mqtt {
                answer: [PUBACK, &message].concat(),
            };
        }
        let keep = setup.option("keep", false);
        Self::Http {
            message: answer.message(!keep),
            keep,
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
        }
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
