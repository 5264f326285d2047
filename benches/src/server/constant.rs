//! The answer that decides nothing.

use bytes::Bytes;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_has_the_size_asked_for() {
        assert_eq!(Answer::of(600).body().len(), 600);
    }
}
