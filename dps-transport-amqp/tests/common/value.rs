//! Values of AMQP, apart from the code that is tested: written in the longest form there is, and read in
//! any.

#[derive(Clone, Debug, PartialEq)]
pub enum V {
    Null,
    Bool(bool),
    UByte(u8),
    UShort(u16),
    UInt(u32),
    ULong(u64),
    Int(i32),
    Binary(Vec<u8>),
    Text(String),
    Symbol(String),
    List(Vec<Self>),
    Map(Vec<(Self, Self)>),
    Array(Vec<Self>),
    Described(u64, Box<Self>),
}

pub fn text(text: &str) -> V {
    V::Text(text.to_owned())
}

pub fn symbol(symbol: &str) -> V {
    V::Symbol(symbol.to_owned())
}

/// A described list.
pub fn composite(code: u64, fields: Vec<V>) -> V {
    V::Described(code, Box::new(V::List(fields)))
}

impl V {
    pub fn bytes(&self) -> Vec<u8> {
        let sized = |code: u8, bytes: &[u8]| {
            let length = u32::try_from(bytes.len()).unwrap();
            [&[code], &length.to_be_bytes()[..], bytes].concat()
        };
        let compound = |code: u8, values: Vec<Vec<u8>>| {
            let count = u32::try_from(values.len()).unwrap();
            sized(code, &[&count.to_be_bytes(), &values.concat()[..]].concat())
        };
        match self {
            Self::Null => vec![0x40],
            Self::Bool(value) => vec![0x56, (*value).into()],
            Self::UByte(value) => vec![0x50, *value],
            Self::UShort(value) => [&[0x60][..], &value.to_be_bytes()].concat(),
            Self::UInt(value) => [&[0x70][..], &value.to_be_bytes()].concat(),
            Self::ULong(value) => [&[0x80][..], &value.to_be_bytes()].concat(),
            Self::Int(value) => [&[0x71][..], &value.to_be_bytes()].concat(),
            Self::Binary(bytes) => sized(0xb0, bytes),
            Self::Text(text) => sized(0xb1, text.as_bytes()),
            Self::Symbol(symbol) => sized(0xb3, symbol.as_bytes()),
            Self::List(values) => compound(0xd0, values.iter().map(Self::bytes).collect()),
            Self::Map(pairs) => {
                let values = pairs.iter().flat_map(|(key, value)| [key, value]);
                compound(0xd1, values.map(Self::bytes).collect())
            }
            Self::Array(_) => panic!("devices send none"),
            Self::Described(code, value) => {
                [&[0][..], &Self::ULong(*code).bytes(), &value.bytes()].concat()
            }
        }
    }

    /// Takes a value from the beginning of `bytes`.
    pub fn take(bytes: &mut &[u8]) -> Self {
        match next(bytes, 1)[0] {
            0 => {
                let Self::ULong(code) = Self::take(bytes) else {
                    panic!("a descriptor is a number");
                };
                Self::Described(code, Box::new(Self::take(bytes)))
            }
            code => Self::of(code, bytes),
        }
    }

    fn of(code: u8, bytes: &mut &[u8]) -> Self {
        match code {
            0x40 => Self::Null,
            0x41 => Self::Bool(true),
            0x42 => Self::Bool(false),
            0x43 => Self::UInt(0),
            0x44 => Self::ULong(0),
            0x45 => Self::List(Vec::new()),
            0x50 => Self::UByte(next(bytes, 1)[0]),
            0x52 => Self::UInt(next(bytes, 1)[0].into()),
            0x53 => Self::ULong(next(bytes, 1)[0].into()),
            0x54 => Self::Int((next(bytes, 1)[0] as i8).into()),
            0x60 => Self::UShort(u16::from_be_bytes(next(bytes, 2).try_into().unwrap())),
            0x70 => Self::UInt(u32::from_be_bytes(next(bytes, 4).try_into().unwrap())),
            0x71 => Self::Int(i32::from_be_bytes(next(bytes, 4).try_into().unwrap())),
            0x80 => Self::ULong(u64::from_be_bytes(next(bytes, 8).try_into().unwrap())),
            0xa0 | 0xb0 => Self::Binary(sized(code, bytes).to_vec()),
            0xa1 | 0xb1 => Self::Text(String::from_utf8(sized(code, bytes).to_vec()).unwrap()),
            0xa3 | 0xb3 => Self::Symbol(String::from_utf8(sized(code, bytes).to_vec()).unwrap()),
            0xc0 | 0xd0 | 0xc1 | 0xd1 => {
                let mut inside = sized(code, bytes);
                let count = size(code, &mut inside);
                let values: Vec<_> = (0..count).map(|_| Self::take(&mut inside)).collect();
                assert!(inside.is_empty());
                if code & 1 == 0 {
                    return Self::List(values);
                }
                let pairs = values.chunks(2);
                Self::Map(
                    pairs
                        .map(|pair| (pair[0].clone(), pair[1].clone()))
                        .collect(),
                )
            }
            0xe0 | 0xf0 => {
                let mut inside = sized(code, bytes);
                let count = size(code, &mut inside);
                let element = next(&mut inside, 1)[0];
                let values = (0..count).map(|_| Self::of(element, &mut inside)).collect();
                assert!(inside.is_empty());
                Self::Array(values)
            }
            _ => panic!("nobody sends {code:x}"),
        }
    }

    /// The field at a place of a list; what is left out is null.
    pub fn at(&self, place: usize) -> &Self {
        match self {
            Self::List(fields) => fields.get(place).unwrap_or(&Self::Null),
            other => panic!("no list: {other:?}"),
        }
    }

    /// What stands under a key.
    pub fn under(&self, key: &str) -> Option<&Self> {
        let Self::Map(pairs) = self else {
            return None;
        };
        let is_it =
            |found: &Self| matches!(found, Self::Text(text) | Self::Symbol(text) if text == key);
        pairs
            .iter()
            .find(|(found, _)| is_it(found))
            .map(|(_, value)| value)
    }
}

fn next<'a>(bytes: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at(count);
    *bytes = rest;
    taken
}

fn size(code: u8, bytes: &mut &[u8]) -> usize {
    if matches!(code >> 4, 0xa | 0xc | 0xe) {
        return next(bytes, 1)[0].into();
    }
    u32::from_be_bytes(next(bytes, 4).try_into().unwrap()) as usize
}

fn sized<'a>(code: u8, bytes: &mut &'a [u8]) -> &'a [u8] {
    let length = size(code, bytes);
    next(bytes, length)
}
