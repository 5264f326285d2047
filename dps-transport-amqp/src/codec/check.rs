//! Whether a value is well-formed, in all its depth.

use super::error::DecodeError;
use super::reader::Reader;
use super::value::{Descriptor, Value, exists, is_plain, skip_of, width};

/// How deep values may stand in values: every list, map, array and descriptor around one counts. Our
/// choice: what devices send is at most eight deep.
pub(super) const MAX_DEPTH: usize = 32;

/// A list, map or array that is being walked.
#[derive(Clone, Copy)]
struct Level {
    /// Where it ends.
    end: usize,
    /// How many values are still to come.
    left: usize,
    /// How deep they stand.
    depth: usize,
    /// Their type, if it is an array.
    element: Option<u8>,
}

/// How long the value at the beginning of `bytes` is, once all that is in it has been found good.
pub(super) fn length(bytes: &[u8]) -> Result<usize, DecodeError> {
    let outside = Level {
        end: bytes.len(),
        left: 0,
        depth: 0,
        element: None,
    };
    // The first is what stands around it all.
    let mut levels = [outside; MAX_DEPTH + 1];
    let mut top = 0_usize;
    let mut at = 0;
    loop {
        let level = levels[top];
        let mut reader = Reader(&bytes[at..level.end]);
        let (code, depth) = match level.element {
            Some(code) => (code, level.depth),
            None => constructor(&mut reader, level.depth)?,
        };
        if is_plain(code) {
            Value::of(code, &mut reader)?;
            at = level.end - reader.0.len();
        } else {
            // No level stands deeper than its values do.
            top += 1;
            let inside = levels.get_mut(top).ok_or(DecodeError::Depth)?;
            (*inside, at) = open(code, depth, reader, level.end)?;
        }
        // On to the next value, out of all that is complete.
        while top > 0 && levels[top].left == 0 {
            if levels[top].end != at {
                return Err(DecodeError::Long);
            }
            top -= 1;
        }
        if top == 0 {
            return Ok(at);
        }
        levels[top].left -= 1;
    }
}

/// Takes a type with the descriptors before it, which are at `depth`; with it, how deep it stands.
fn constructor(reader: &mut Reader<'_>, mut depth: usize) -> Result<(u8, usize), DecodeError> {
    loop {
        match reader.byte()? {
            0x00 if depth == MAX_DEPTH => return Err(DecodeError::Depth),
            0x00 => {
                Descriptor::read(reader)?;
                depth += 1;
            }
            code if exists(code) => return Ok((code, depth)),
            _ => return Err(DecodeError::Code),
        }
    }
}

/// Goes into a list, map or array at `depth`, which is at the beginning of what ends at `end`; with it,
/// where its first value begins.
fn open(
    code: u8,
    depth: usize,
    mut reader: Reader<'_>,
    end: usize,
) -> Result<(Level, usize), DecodeError> {
    if depth == MAX_DEPTH {
        return Err(DecodeError::Depth);
    }
    let mut behind = reader;
    skip_of(code, &mut behind)?;
    let end = end - behind.0.len();
    let width = width(code);
    let mut inside = Reader(reader.sized(width)?);
    let left = inside.size(width)?;
    let (element, depth) = match code {
        0xc0 | 0xd0 => (None, depth + 1),
        0xc1 | 0xd1 if left % 2 == 0 => (None, depth + 1),
        0xc1 | 0xd1 => return Err(DecodeError::Map),
        0xe0 | 0xf0 => {
            let (element, depth) = constructor(&mut inside, depth + 1)?;
            (Some(element), depth)
        }
        _ => return Err(DecodeError::Code),
    };
    // Every value takes a byte, but for those that an array says are all the same: with no bytes to
    // count, their number could be anything.
    if left > inside.0.len() {
        return Err(DecodeError::Count);
    }
    let level = Level {
        end,
        left,
        depth,
        element,
    };
    Ok((level, end - inside.0.len()))
}
