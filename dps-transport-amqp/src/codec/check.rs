//! Whether a value is well-formed, in all its depth.

use super::error::DecodeError;
use super::reader::Reader;
use super::value::{Descriptor, check_plain, is_plain, skip_of, width};

/// How deep values may stand in values. Our choice: what devices send is at most five deep.
pub(crate) const MAX_DEPTH: usize = 32;

/// A list, map or array that is being walked.
#[derive(Clone, Copy)]
struct Level {
    /// Where it ends.
    end: usize,
    /// How many values are still to come.
    left: usize,
    /// The type of its elements, if it is an array.
    element: Option<u8>,
}

/// How long the value at the beginning of `bytes` is, once all that is in it has been found good.
pub(super) fn length(bytes: &[u8]) -> Result<usize, DecodeError> {
    let mut levels = [const {
        Level {
            end: 0,
            left: 0,
            element: None,
        }
    }; MAX_DEPTH];
    let mut depth = 0_usize;
    let mut at = 0;
    loop {
        let inside = depth.checked_sub(1).map(|top| &mut levels[top]);
        let end = inside.as_ref().map_or(bytes.len(), |level| level.end);
        let mut reader = Reader(&bytes[at..end]);
        let code = match inside.and_then(|level| level.element) {
            Some(code) => code,
            None => constructor(&mut reader)?,
        };
        if is_plain(code) {
            check_plain(code, &mut reader)?;
            at = end - reader.0.len();
        } else {
            let level = levels.get_mut(depth).ok_or(DecodeError::Depth)?;
            (*level, at) = open(code, &reader, end)?;
            depth += 1;
        }
        // What has been taken is counted, and what is complete is left.
        loop {
            let Some(top) = depth.checked_sub(1) else {
                return Ok(at);
            };
            let level = &mut levels[top];
            if level.left > 0 {
                level.left -= 1;
                break;
            }
            if level.end != at {
                return Err(DecodeError::Long);
            }
            depth = top;
        }
    }
}

/// Takes a type, with the descriptors before it.
fn constructor(reader: &mut Reader<'_>) -> Result<u8, DecodeError> {
    loop {
        match reader.byte()? {
            0x00 => Descriptor::read(reader).map(drop)?,
            code => return Ok(code),
        }
    }
}

/// Goes into a list, map or array; with it, where its first value begins.
fn open(code: u8, reader: &Reader<'_>, end: usize) -> Result<(Level, usize), DecodeError> {
    let mut behind = *reader;
    skip_of(code, &mut behind)?;
    let level_end = end - behind.0.len();
    let mut reader = *reader;
    let width = width(code);
    // Its length, which has just been believed.
    reader.size(width)?;
    let mut inside = Reader(&reader.0[..reader.0.len() - behind.0.len()]);
    let left = inside.size(width)?;
    let element = match code {
        0xc0 | 0xd0 => None,
        0xc1 | 0xd1 if left % 2 == 0 => None,
        0xc1 | 0xd1 => return Err(DecodeError::Map),
        0xe0 | 0xf0 => Some(constructor(&mut inside)?),
        _ => return Err(DecodeError::Code),
    };
    // Every value takes a byte, but for those that an array says are all the same: with no bytes to
    // count, their number could be anything.
    if left > inside.0.len() {
        return Err(DecodeError::Count);
    }
    let level = Level {
        end: level_end,
        left,
        element,
    };
    Ok((level, level_end - inside.0.len()))
}
