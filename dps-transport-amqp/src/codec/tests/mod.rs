mod depth;
mod frames;
mod messages;
mod oracle;
mod performatives;
mod sasl;
mod tree;
mod values;

use super::value::{Array, Descriptor, List};
use super::*;

/// Bytes in hexadecimal digits, with spaces anywhere.
fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(16)).collect();
    let pairs = digits.chunks(2);
    pairs
        .map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap())
        .collect()
}

fn encoded(write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut Writer(&mut out));
    out
}

/// Reads bytes that have to be one value.
fn whole(bytes: &[u8]) -> Result<Value<'_>, DecodeError> {
    let mut reader = Reader(bytes);
    let value = Value::read(&mut reader)?;
    assert!(reader.is_empty(), "{bytes:02x?}");
    Ok(value)
}

/// A described list, as it stands in frames.
fn described(code: u64, fields: &[&[u8]]) -> Vec<u8> {
    encoded(|writer| {
        writer.descriptor(Descriptor::Code(code));
        writer.list(|list| {
            for field in fields {
                list.next().encoded(field);
            }
        });
    })
}
