//! The lines of a file of keys.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dps_core::seal::KeyName;
use zeroize::Zeroizing;

/// The most bytes of a file.
pub const MAX_FILE_BYTES: usize = 256 << 10;

/// The most keys of a file.
pub const MAX_KEYS: usize = 1000;

/// 32 bytes in base64.
const KEY_CHARACTERS: usize = 44;

/// What is wrong with a line. It shows nothing of the line, in which any word may be a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LineError {
    /// It is no text.
    #[error("the line is not UTF-8")]
    NoText,
    /// It begins with another word.
    #[error("the line begins with neither `key` nor `current`")]
    UnknownWord,
    /// It has too few or too many words.
    #[error("a line is `key NAME BASE64` or `current NAME`")]
    Words,
    /// The second word is no name of a key.
    #[error("the name is not 1 to 64 letters, digits, `-`, `.`, `_`, `:` or `/`")]
    Name,
    /// The third word is no key.
    #[error("the key is not 32 bytes in base64, which are 44 characters")]
    Key,
    /// The name stands in an earlier line.
    #[error("an earlier line has the same name")]
    SameName,
    /// The key stands in an earlier line, under another name.
    #[error("an earlier line has the same key")]
    SameKey,
    /// An earlier line says which is current.
    #[error("an earlier line says which key is current")]
    SecondCurrent,
    /// The key that is current is not there.
    #[error("the current key has no line of its own")]
    CurrentUnknown,
    /// There are too many.
    #[error("the file has more than {MAX_KEYS} keys")]
    TooMany,
    /// The name had another key when the file was last read.
    #[error("the name had another key before; give a new key a new name")]
    Changed,
}

/// What is wrong with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A line, counted from 1.
    Line(usize, LineError),
    /// No line says which is current.
    NoCurrent,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Line(line, error) => write!(f, "line {line}: {error}"),
            Self::NoCurrent => f.write_str("no line says which key is current"),
        }
    }
}

/// A key of a file.
pub(crate) struct Line {
    pub(crate) number: usize,
    pub(crate) name: KeyName,
    pub(crate) bytes: Zeroizing<[u8; 32]>,
}

/// A whole file, in the order of its lines.
pub(crate) struct Parsed {
    pub(crate) keys: Vec<Line>,
    pub(crate) current: KeyName,
}

/// Reads a file of at most [`MAX_FILE_BYTES`].
pub(crate) fn parse(bytes: &[u8]) -> Result<Parsed, Fault> {
    let mut keys: Vec<Line> = Vec::new();
    let mut names = BTreeSet::new();
    let mut seen = Zeroizing::new(Vec::with_capacity(MAX_KEYS));
    let mut current = None;
    for (nth, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let number = nth + 1;
        let fault = |error| Fault::Line(number, error);
        let text = str::from_utf8(line).map_err(|_| fault(LineError::NoText))?;
        let text = text.split_once('#').map_or(text, |(text, _)| text);
        let mut words = text
            .split([' ', '\t', '\r'])
            .filter(|word| !word.is_empty());
        let words = [words.next(), words.next(), words.next(), words.next()];
        let name = |name| KeyName::parse(name).map_err(|_| fault(LineError::Name));
        match words {
            [None, ..] => {}
            [Some("key"), Some(named), Some(key), None] => {
                let name = name(named)?;
                let bytes = key_bytes(key).ok_or_else(|| fault(LineError::Key))?;
                if keys.len() == MAX_KEYS {
                    return Err(fault(LineError::TooMany));
                }
                if !names.insert(name.clone()) {
                    return Err(fault(LineError::SameName));
                }
                if seen.contains(&*bytes) {
                    return Err(fault(LineError::SameKey));
                }
                seen.push(*bytes);
                keys.push(Line {
                    number,
                    name,
                    bytes,
                });
            }
            [Some("current"), Some(named), None, _] => {
                if current.is_some() {
                    return Err(fault(LineError::SecondCurrent));
                }
                current = Some((number, name(named)?));
            }
            [Some("key" | "current"), ..] => return Err(fault(LineError::Words)),
            _ => return Err(fault(LineError::UnknownWord)),
        }
    }
    let (number, current) = current.ok_or(Fault::NoCurrent)?;
    match names.contains(&current) {
        true => Ok(Parsed { keys, current }),
        false => Err(Fault::Line(number, LineError::CurrentUnknown)),
    }
}

fn key_bytes(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    // A whole number of triples is asked for, of which the last byte stays empty.
    let mut bytes = Zeroizing::new([0; 33]);
    if text.len() != KEY_CHARACTERS || STANDARD.decode_slice(text, &mut bytes[..]) != Ok(32) {
        return None;
    }
    let mut key = Zeroizing::new([0; 32]);
    key.copy_from_slice(&bytes[..32]);
    Some(key)
}

#[cfg(test)]
mod tests;
