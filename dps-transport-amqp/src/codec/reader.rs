//! Bytes, one after the other.

use super::error::DecodeError;

/// What is left of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn bytes(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(DecodeError::Short)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(crate) fn fixed<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (&bytes, rest) = self.0.split_first_chunk().ok_or(DecodeError::Short)?;
        self.0 = rest;
        Ok(bytes)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, DecodeError> {
        self.fixed().map(|[byte]| byte)
    }

    /// A length or a count, in one byte or in four.
    pub(crate) fn size(&mut self, width: Width) -> Result<usize, DecodeError> {
        match width {
            Width::One => self.byte().map(usize::from),
            Width::Four => {
                let size = u32::from_be_bytes(self.fixed()?);
                usize::try_from(size).map_err(|_| DecodeError::Short)
            }
        }
    }

    /// Bytes with their length before them.
    pub(crate) fn sized(&mut self, width: Width) -> Result<&'a [u8], DecodeError> {
        let size = self.size(width)?;
        self.bytes(size)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// How many bytes a length and a count take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    One,
    Four,
}
