//! As much of the encoding of AMQP as a device needs, written in the form that needs least thought: every
//! length takes four bytes.

/// Says that a value comes which is called by the code after it.
const DESCRIBED: [u8; 2] = [0, 0x53];
const ERROR: u8 = 0x1d;
const APPLICATION_PROPERTIES: u8 = 0x74;
const DATA: u8 = 0x75;

pub(super) fn null() -> Vec<u8> {
    vec![0x40]
}

pub(super) fn boolean(value: bool) -> Vec<u8> {
    vec![if value { 0x41 } else { 0x42 }]
}

pub(super) fn number(value: u32) -> Vec<u8> {
    [&[0x70][..], &value.to_be_bytes()].concat()
}

pub(super) fn binary(bytes: &[u8]) -> Vec<u8> {
    sized(0xb0, bytes)
}

pub(super) fn text(text: &str) -> Vec<u8> {
    sized(0xb1, text.as_bytes())
}

pub(super) fn symbol(text: &str) -> Vec<u8> {
    sized(0xb3, text.as_bytes())
}

pub(super) fn list(code: u8, fields: &[Vec<u8>]) -> Vec<u8> {
    described(code, &counted(0xd0, fields))
}

pub(super) fn map(pairs: &[[Vec<u8>; 2]]) -> Vec<u8> {
    counted(0xd1, &pairs.concat())
}

pub(super) fn described(code: u8, value: &[u8]) -> Vec<u8> {
    [&DESCRIBED, &[code][..], value].concat()
}

/// * `kind`: 0 for AMQP, 1 for SASL.
pub(super) fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    let size = (8 + body.len() as u32).to_be_bytes();
    [&size, &[2, kind, 0, 0][..], body].concat()
}

/// A field of what a frame begins with.
pub(super) fn field(said: &[u8], nth: usize) -> Option<&[u8]> {
    items(split(said)?.0)?.get(nth).copied()
}

/// What the message behind a transfer is about.
pub(super) fn data(said: &[u8]) -> Option<&[u8]> {
    section(said, DATA).and_then(contents)
}

/// How many seconds the message behind a transfer says to wait.
pub(super) fn delay(said: &[u8]) -> Option<u64> {
    let properties = items(section(said, APPLICATION_PROPERTIES)?)?;
    let mut pairs = properties.chunks_exact(2);
    let delay = pairs.find(|pair| contents(pair[0]) == Some(b"retry-after"))?[1];
    match delay {
        [0x54, seconds] => Some((*seconds).into()),
        [0x71, seconds @ ..] => Some(u32::from_be_bytes(seconds.try_into().ok()?).into()),
        _ => None,
    }
}

/// The words of an error, wherever it is in what a frame begins with.
pub(super) fn description(said: &[u8]) -> Option<&[u8]> {
    let value = split(said)?.0;
    let items = items(value)?;
    if value.starts_with(&[0, 0x53, ERROR]) {
        return contents(items.get(1)?);
    }
    items.iter().find_map(|item| description(item))
}

fn section(said: &[u8], code: u8) -> Option<&[u8]> {
    let (mut section, mut rest) = split(said)?;
    while section.get(2) != Some(&code) {
        (section, rest) = split(rest)?;
    }
    section.get(3..)
}

/// The value that `bytes` begin with, and what follows it.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = match bytes.first()? {
        0 => 3 + split(bytes.get(3..)?)?.0.len(),
        // The first half of a code says how much follows it.
        code => match code >> 4 {
            4 => 1,
            5 => 2,
            6 => 3,
            7 => 5,
            8 => 9,
            9 => 17,
            0xa | 0xc | 0xe => 2 + usize::from(*bytes.get(1)?),
            _ => 5 + u32::from_be_bytes(*bytes.get(1..)?.first_chunk()?) as usize,
        },
    };
    bytes.split_at_checked(length)
}

/// The values in a list or a map, or in a described one.
fn items(value: &[u8]) -> Option<Vec<&[u8]>> {
    let mut rest = match *value.first()? {
        0 => return items(value.get(3..)?),
        0xc0 | 0xc1 => value.get(3..)?,
        0xd0 | 0xd1 => value.get(9..)?,
        _ => &[],
    };
    let mut items = Vec::new();
    while !rest.is_empty() {
        let (item, after) = split(rest)?;
        items.push(item);
        rest = after;
    }
    Some(items)
}

/// The bytes of a text or a binary.
fn contents(value: &[u8]) -> Option<&[u8]> {
    match value.first()? >> 4 {
        0xa => value.get(2..),
        0xb => value.get(5..),
        _ => None,
    }
}

fn sized(code: u8, bytes: &[u8]) -> Vec<u8> {
    [&[code], &(bytes.len() as u32).to_be_bytes()[..], bytes].concat()
}

fn counted(code: u8, items: &[Vec<u8>]) -> Vec<u8> {
    let count = (items.len() as u32).to_be_bytes();
    sized(code, &[&count[..], &items.concat()].concat())
}
