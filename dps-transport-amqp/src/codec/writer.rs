//! From values to bytes, each in the shortest form there is.

use super::value::{Array, Descriptor, Map, Value};

/// Writes values behind what is there.
#[derive(Debug)]
pub(crate) struct Writer<'o>(pub(crate) &'o mut Vec<u8>);

impl Writer<'_> {
    pub(crate) fn null(&mut self) {
        self.0.push(0x40);
    }

    pub(crate) fn bool(&mut self, value: bool) {
        self.0.push(if value { 0x41 } else { 0x42 });
    }

    pub(crate) fn ubyte(&mut self, value: u8) {
        self.0.extend([0x50, value]);
    }

    pub(crate) fn ushort(&mut self, value: u16) {
        self.fixed(0x60, value.to_be_bytes());
    }

    pub(crate) fn uint(&mut self, value: u32) {
        match u8::try_from(value) {
            Ok(0) => self.0.push(0x43),
            Ok(small) => self.0.extend([0x52, small]),
            Err(_) => self.fixed(0x70, value.to_be_bytes()),
        }
    }

    pub(crate) fn ulong(&mut self, value: u64) {
        match u8::try_from(value) {
            Ok(0) => self.0.push(0x44),
            Ok(small) => self.0.extend([0x53, small]),
            Err(_) => self.fixed(0x80, value.to_be_bytes()),
        }
    }

    pub(crate) fn int(&mut self, value: i32) {
        match i8::try_from(value) {
            Ok(small) => self.fixed(0x54, small.to_be_bytes()),
            Err(_) => self.fixed(0x71, value.to_be_bytes()),
        }
    }

    pub(crate) fn long(&mut self, value: i64) {
        match i8::try_from(value) {
            Ok(small) => self.fixed(0x55, small.to_be_bytes()),
            Err(_) => self.fixed(0x81, value.to_be_bytes()),
        }
    }

    pub(crate) fn binary(&mut self, bytes: &[u8]) {
        self.sized(0xa0, bytes);
    }

    pub(crate) fn string(&mut self, text: &str) {
        self.sized(0xa1, text.as_bytes());
    }

    pub(crate) fn symbol(&mut self, symbol: &str) {
        self.sized(0xa3, symbol.as_bytes());
    }

    pub(crate) fn descriptor(&mut self, descriptor: Descriptor<'_>) {
        self.0.push(0x00);
        match descriptor {
            Descriptor::Code(code) => self.ulong(code),
            Descriptor::Symbol(symbol) => self.symbol(symbol),
        }
    }

    pub(crate) fn list(&mut self, write: impl FnOnce(&mut ListWriter<'_>)) {
        self.compound(0xc0, write);
    }

    /// Keys and values in turn.
    pub(crate) fn map(&mut self, write: impl FnOnce(&mut ListWriter<'_>)) {
        self.compound(0xc1, write);
    }

    /// Symbols as an array, also if there is one, or none: uamqp takes nothing else as the list of
    /// mechanisms (azure-uamqp-c `src/sasl_client_io.c`).
    pub(crate) fn symbols(&mut self, symbols: &[&str]) {
        let short = symbols.iter().all(|symbol| symbol.len() <= 0xff);
        self.compound(0xe0, |elements| {
            elements.raw(&[if short { 0xa3 } else { 0xb3 }]);
            for symbol in symbols {
                let length = wide(symbol.len());
                elements.raw(if short { &length[3..] } else { &length });
                elements.raw(symbol.as_bytes());
            }
            elements.count = symbols.len();
        });
    }

    /// A value that was written before.
    pub(crate) fn encoded(&mut self, value: &[u8]) {
        self.0.extend(value);
    }

    /// A value as it was read. What is inside of it keeps its form.
    pub(crate) fn value(&mut self, value: &Value<'_>) {
        match *value {
            Value::Null => self.null(),
            Value::Bool(value) => self.bool(value),
            Value::UByte(value) => self.ubyte(value),
            Value::UShort(value) => self.ushort(value),
            Value::UInt(value) => self.uint(value),
            Value::ULong(value) => self.ulong(value),
            Value::Byte(value) => self.fixed(0x51, value.to_be_bytes()),
            Value::Short(value) => self.fixed(0x61, value.to_be_bytes()),
            Value::Int(value) => self.int(value),
            Value::Long(value) => self.long(value),
            Value::Timestamp(value) => self.fixed(0x83, value.to_be_bytes()),
            Value::Uuid(value) => self.fixed(0x98, value),
            Value::Binary(bytes) => self.binary(bytes),
            Value::String(text) => self.string(text),
            Value::Symbol(symbol) => self.symbol(symbol),
            Value::List(values) => self.again(0xc0, values.parts()),
            Value::Map(Map(pairs)) => self.again(0xc1, pairs.parts()),
            Value::Array(Array { count, bytes }) => self.again(0xe0, (count, bytes)),
            Value::Described(descriptor, inside) => {
                self.descriptor(descriptor);
                self.0.extend(inside.0);
            }
            Value::Other(code, bytes) => {
                self.0.push(code);
                self.0.extend(bytes);
            }
        }
    }

    fn fixed<const N: usize>(&mut self, code: u8, bytes: [u8; N]) {
        self.0.push(code);
        self.0.extend(bytes);
    }

    /// Bytes with their length before them; `code` is that of the short form.
    fn sized(&mut self, code: u8, bytes: &[u8]) {
        self.length(code, bytes.len());
        self.0.extend(bytes);
    }

    /// A length of one byte, or of four; the code of the long form is 0x10 above that of the short one.
    fn length(&mut self, code: u8, length: usize) {
        match u8::try_from(length) {
            Ok(short) => self.0.extend([code, short]),
            Err(_) => self.fixed(code + 0x10, wide(length)),
        }
    }

    /// So many values, which have been written before.
    fn again(&mut self, code: u8, (count, bytes): (usize, &[u8])) {
        self.compound(code, |values| {
            values.raw(bytes);
            values.count = count;
        });
    }

    /// Writes what is inside first, and makes room for its length if it does not fit into a byte.
    fn compound(&mut self, code: u8, write: impl FnOnce(&mut ListWriter<'_>)) {
        let start = self.0.len();
        self.0.extend([code, 0, 0]);
        let mut list = ListWriter {
            out: &mut *self.0,
            count: 0,
            nulls: 0,
        };
        write(&mut list);
        let count = list.count;
        let inside = self.0.len() - (start + 3);
        if (code, count) == (0xc0, 0) {
            self.0.truncate(start);
            self.0.push(0x45);
        } else if let (Ok(size), Ok(count)) = (u8::try_from(inside + 1), u8::try_from(count)) {
            self.0[start + 1..start + 3].copy_from_slice(&[size, count]);
        } else {
            self.0[start] = code + 0x10;
            let header = [wide(inside + 4), wide(count)].concat();
            self.0.splice(start + 1..start + 3, header);
        }
    }
}

/// Writes the values of a list, of which those that are null at its end are left out [1.4].
#[derive(Debug)]
pub(crate) struct ListWriter<'o> {
    out: &'o mut Vec<u8>,
    count: usize,
    nulls: usize,
}

impl ListWriter<'_> {
    /// The next value, if there is one to write after it or it is not null.
    pub(crate) fn null(&mut self) {
        self.nulls += 1;
    }

    /// The next value.
    pub(crate) fn next(&mut self) -> Writer<'_> {
        for _ in 0..self.nulls {
            self.out.push(0x40);
        }
        self.count += self.nulls + 1;
        self.nulls = 0;
        Writer(self.out)
    }

    fn raw(&mut self, bytes: &[u8]) {
        self.out.extend(bytes);
    }
}

/// Nothing that is written comes near four gigabytes.
fn wide(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes()
}
