//! Values, looked into one level at a time.

use super::check;
use super::error::DecodeError;
use super::reader::{Reader, Width};

/// One value [1.6]. What is inside of it is read when it is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    UByte(u8),
    UShort(u16),
    UInt(u32),
    ULong(u64),
    Byte(i8),
    Short(i16),
    Int(i32),
    Long(i64),
    /// In milliseconds since 1970.
    Timestamp(i64),
    Uuid([u8; 16]),
    Binary(&'a [u8]),
    String(&'a str),
    Symbol(&'a str),
    List(List<'a>),
    Map(Map<'a>),
    Array(Array<'a>),
    /// What it is, and the value itself, encoded.
    Described(Descriptor<'a>, Reader<'a>),
    /// A number that nobody here has a use for: float, double, decimal, char; its type and its bytes.
    Other(u8, &'a [u8]),
}

/// What a described value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Descriptor<'a> {
    Code(u64),
    Symbol(&'a str),
}

/// The values of a list, from the first on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct List<'a> {
    values: Reader<'a>,
    left: usize,
}

/// The pairs of a map, from the first on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Map<'a>(pub(crate) List<'a>);

/// The elements of an array, encoded: nobody here has a use for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Array<'a> {
    pub(super) count: usize,
    /// What all of them are, and then each of them.
    pub(super) bytes: &'a [u8],
}

impl<'a> Value<'a> {
    /// Takes one value that is well-formed in all its depth.
    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let length = check::length(reader.0)?;
        let mut value = Reader(reader.bytes(length)?);
        Self::read_checked(&mut value)
    }

    /// Takes one value of bytes that have been checked; only its own level is looked at.
    pub(super) fn read_checked(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        match reader.byte()? {
            0x00 => {
                let descriptor = Descriptor::read(reader)?;
                let start = reader.0;
                skip(reader)?;
                let length = start.len() - reader.0.len();
                Ok(Self::Described(descriptor, Reader(&start[..length])))
            }
            code => Self::of(code, reader),
        }
    }

    /// What `code` says comes next.
    pub(super) fn of(code: u8, reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(match code {
            0x40 => Self::Null,
            0x41 => Self::Bool(true),
            0x42 => Self::Bool(false),
            0x43 => Self::UInt(0),
            0x44 => Self::ULong(0),
            0x45 => Self::List(List::default()),
            0x50 => Self::UByte(reader.byte()?),
            0x51 => Self::Byte(i8::from_be_bytes(reader.fixed()?)),
            0x52 => Self::UInt(reader.byte()?.into()),
            0x53 => Self::ULong(reader.byte()?.into()),
            0x54 => Self::Int(i8::from_be_bytes(reader.fixed()?).into()),
            0x55 => Self::Long(i8::from_be_bytes(reader.fixed()?).into()),
            0x56 => match reader.byte()? {
                0 => Self::Bool(false),
                1 => Self::Bool(true),
                _ => return Err(DecodeError::Value),
            },
            0x60 => Self::UShort(u16::from_be_bytes(reader.fixed()?)),
            0x61 => Self::Short(i16::from_be_bytes(reader.fixed()?)),
            0x70 => Self::UInt(u32::from_be_bytes(reader.fixed()?)),
            0x71 => Self::Int(i32::from_be_bytes(reader.fixed()?)),
            0x73 => {
                let bytes = reader.bytes(4)?;
                let number = Reader(bytes).fixed().map(u32::from_be_bytes)?;
                char::from_u32(number).ok_or(DecodeError::Value)?;
                Self::Other(code, bytes)
            }
            0x72 | 0x74 => Self::Other(code, reader.bytes(4)?),
            0x80 => Self::ULong(u64::from_be_bytes(reader.fixed()?)),
            0x81 => Self::Long(i64::from_be_bytes(reader.fixed()?)),
            0x82 | 0x84 => Self::Other(code, reader.bytes(8)?),
            0x83 => Self::Timestamp(i64::from_be_bytes(reader.fixed()?)),
            0x94 => Self::Other(code, reader.bytes(16)?),
            0x98 => Self::Uuid(reader.fixed()?),
            0xa0 | 0xb0 => Self::Binary(reader.sized(width(code))?),
            0xa1 | 0xb1 => Self::String(text(reader.sized(width(code))?)?),
            0xa3 | 0xb3 => Self::Symbol(symbol(reader.sized(width(code))?)?),
            0xc0 | 0xd0 => Self::List(List::read(reader, width(code))?),
            0xc1 | 0xd1 => Self::Map(Map(List::read(reader, width(code))?)),
            0xe0 | 0xf0 => Self::Array(Array::read(reader, width(code))?),
            _ => return Err(DecodeError::Code),
        })
    }
}

impl<'a> Descriptor<'a> {
    /// Takes a descriptor, after the byte that announces it. Others than these two are reserved [1.2].
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        match reader.byte()? {
            code @ (0x44 | 0x53 | 0x80 | 0xa3 | 0xb3) => match Value::of(code, reader)? {
                Value::ULong(code) => Ok(Self::Code(code)),
                Value::Symbol(symbol) => Ok(Self::Symbol(symbol)),
                _ => Err(DecodeError::Descriptor),
            },
            _ => Err(DecodeError::Descriptor),
        }
    }
}

impl<'a> List<'a> {
    fn read(reader: &mut Reader<'a>, width: Width) -> Result<Self, DecodeError> {
        let mut values = Reader(reader.sized(width)?);
        let left = values.size(width)?;
        Ok(Self { values, left })
    }

    /// Takes the next value; `None` at the end.
    pub(crate) fn take(&mut self) -> Result<Option<Value<'a>>, DecodeError> {
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(None);
        };
        self.left = left;
        Value::read_checked(&mut self.values).map(Some)
    }

    /// How many values are left, and their bytes.
    pub(super) const fn parts(&self) -> (usize, &'a [u8]) {
        (self.left, self.values.0)
    }
}

impl<'a> Map<'a> {
    /// Takes the next pair; `None` at the end.
    pub(crate) fn take(&mut self) -> Result<Option<(Value<'a>, Value<'a>)>, DecodeError> {
        let Some(key) = self.0.take()? else {
            return Ok(None);
        };
        let value = self.0.take()?.ok_or(DecodeError::Map)?;
        Ok(Some((key, value)))
    }

    /// What stands under `key`, a text or a symbol.
    pub(crate) fn get(mut self, key: &str) -> Option<Value<'a>> {
        while let Ok(Some((found, value))) = self.take() {
            if matches!(found, Value::String(text) | Value::Symbol(text) if text == key) {
                return Some(value);
            }
        }
        None
    }
}

impl<'a> Array<'a> {
    fn read(reader: &mut Reader<'a>, width: Width) -> Result<Self, DecodeError> {
        let mut elements = Reader(reader.sized(width)?);
        let count = elements.size(width)?;
        Ok(Self {
            count,
            bytes: elements.0,
        })
    }
}

/// Passes over one value by what its lengths say.
fn skip(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    let mut code = reader.byte()?;
    while code == 0x00 {
        Descriptor::read(reader)?;
        code = reader.byte()?;
    }
    skip_of(code, reader)
}

/// Passes over what `code` says comes next [1.2.1 to 1.2.4].
pub(super) fn skip_of(code: u8, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    match code >> 4 {
        0x4 => Ok(()),
        class @ 0x5..=0x9 => reader.bytes(1 << (class - 5)).map(drop),
        0xa | 0xc | 0xe => reader.sized(Width::One).map(drop),
        0xb | 0xd | 0xf => reader.sized(Width::Four).map(drop),
        _ => Err(DecodeError::Code),
    }
}

/// How long the length of a value of variable length is.
pub(super) const fn width(code: u8) -> Width {
    match code >> 4 {
        0xa | 0xc | 0xe => Width::One,
        _ => Width::Four,
    }
}

fn text(bytes: &[u8]) -> Result<&str, DecodeError> {
    std::str::from_utf8(bytes).map_err(|_| DecodeError::Text)
}

fn symbol(bytes: &[u8]) -> Result<&str, DecodeError> {
    text(bytes).and_then(|text| {
        if text.is_ascii() {
            Ok(text)
        } else {
            Err(DecodeError::Text)
        }
    })
}

/// Whether `code` is of a type that has no values inside of it.
pub(super) const fn is_plain(code: u8) -> bool {
    !matches!(code >> 4, 0x0 | 0xc..=0xf)
}

/// Whether there is a type of this code [1.6].
pub(super) const fn exists(code: u8) -> bool {
    matches!(
        code,
        0x40..=0x45
            | 0x50..=0x56
            | 0x60..=0x61
            | 0x70..=0x74
            | 0x80..=0x84
            | 0x94
            | 0x98
            | 0xa0..=0xa1
            | 0xa3
            | 0xb0..=0xb1
            | 0xb3
            | 0xc0..=0xc1
            | 0xd0..=0xd1
            | 0xe0
            | 0xf0
    )
}
