//! Fields, one after the other.

use super::error::DecodeError;

/// What is left of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn bytes(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(DecodeError::Short)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, DecodeError> {
        let (&byte, rest) = self.0.split_first().ok_or(DecodeError::Short)?;
        self.0 = rest;
        Ok(byte)
    }

    pub(crate) fn number(&mut self) -> Result<u16, DecodeError> {
        let (&bytes, rest) = self.0.split_first_chunk().ok_or(DecodeError::Short)?;
        self.0 = rest;
        Ok(u16::from_be_bytes(bytes))
    }

    /// A packet identifier; never 0 [MQTT-2.3.1-1].
    pub(crate) fn id(&mut self) -> Result<u16, DecodeError> {
        match self.number()? {
            0 => Err(DecodeError::Id),
            id => Ok(id),
        }
    }

    /// Bytes with their length before them.
    pub(crate) fn binary(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = self.number()?;
        self.bytes(usize::from(length))
    }

    /// A text with its length before it [MQTT-1.5.3-1, 1.5.3-2].
    pub(crate) fn text(&mut self) -> Result<&'a str, DecodeError> {
        let bytes = self.binary()?;
        if bytes.contains(&0) {
            return Err(DecodeError::Text);
        }
        std::str::from_utf8(bytes).map_err(|_| DecodeError::Text)
    }

    pub(crate) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
