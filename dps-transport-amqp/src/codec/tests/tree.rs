//! Values that hold what is in them: those of serde_amqp, read and written by us.

use proptest::collection::vec;
use proptest::prelude::*;
pub(super) use serde_amqp::Value as Tree;
use serde_amqp::described::Described;
use serde_amqp::descriptor::Descriptor as TreeDescriptor;
use serde_amqp::primitives::Array as TreeArray;
use serde_amqp::{from_slice, to_vec};

use super::*;

fn descriptor() -> impl Strategy<Value = TreeDescriptor> {
    prop_oneof![
        any::<u64>().prop_map(TreeDescriptor::Code),
        (0_u64..300).prop_map(TreeDescriptor::Code),
        "[!-~]{0,20}".prop_map(|name| TreeDescriptor::Name(name.into())),
    ]
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![vec(any::<u8>(), 0..20), vec(any::<u8>(), 240..270)]
}

fn leaf() -> impl Strategy<Value = Tree> {
    prop_oneof![
        Just(Tree::Null),
        any::<bool>().prop_map(Tree::Bool),
        any::<u8>().prop_map(Tree::Ubyte),
        any::<u16>().prop_map(Tree::Ushort),
        any::<u32>().prop_map(Tree::Uint),
        (0_u32..300).prop_map(Tree::Uint),
        any::<u64>().prop_map(Tree::Ulong),
        (0_u64..300).prop_map(Tree::Ulong),
        any::<i8>().prop_map(Tree::Byte),
        any::<i16>().prop_map(Tree::Short),
        any::<i32>().prop_map(Tree::Int),
        (-200_i32..200).prop_map(Tree::Int),
        any::<i64>().prop_map(Tree::Long),
        (-200_i64..200).prop_map(Tree::Long),
        any::<f32>().prop_map(|number| Tree::Float(number.into())),
        any::<f64>().prop_map(|number| Tree::Double(number.into())),
        any::<[u8; 4]>().prop_map(|bytes| Tree::Decimal32(bytes.into())),
        any::<[u8; 8]>().prop_map(|bytes| Tree::Decimal64(bytes.into())),
        any::<[u8; 16]>().prop_map(|bytes| Tree::Decimal128(bytes.into())),
        any::<char>().prop_map(Tree::Char),
        any::<i64>().prop_map(|millis| Tree::Timestamp(millis.into())),
        any::<[u8; 16]>().prop_map(|bytes| Tree::Uuid(bytes.into())),
        bytes().prop_map(|bytes| Tree::Binary(bytes.into())),
        "\\PC{0,100}".prop_map(Tree::String),
        "[ -~]{0,300}".prop_map(|text| Tree::Symbol(text.into())),
    ]
}

pub(super) fn array() -> impl Strategy<Value = Tree> {
    prop_oneof![
        vec(any::<i64>().prop_map(Tree::Long), 1..40).prop_map(|all| Tree::Array(TreeArray(all))),
        vec("[ -~]{0,60}", 1..8).prop_map(|all| {
            let symbols = all.into_iter().map(|text| Tree::Symbol(text.into()));
            Tree::Array(TreeArray(symbols.collect()))
        }),
    ]
}

fn key() -> impl Strategy<Value = Tree> {
    prop_oneof![
        (0_u64..300).prop_map(Tree::Ulong),
        "\\PC{0,20}".prop_map(Tree::String),
        "[ -~]{0,20}".prop_map(|text| Tree::Symbol(text.into())),
    ]
}

/// Without arrays, and with few kinds of keys: serde_amqp writes lists behind arrays as arrays, and values
/// behind times as times.
pub(super) fn tree() -> impl Strategy<Value = Tree> {
    leaf().prop_recursive(6, 64, 8, |inner| {
        let pair = (key(), inner.clone());
        prop_oneof![
            vec(inner.clone(), 0..8).prop_map(Tree::List),
            vec(pair, 0..6).prop_map(|pairs| Tree::Map(pairs.into_iter().collect())),
            (descriptor(), inner).prop_map(|(descriptor, value)| {
                Tree::Described(Box::new(Described { descriptor, value }))
            }),
        ]
    })
}

/// Writes a value, and all in it, with our means.
pub(super) fn put(tree: &Tree, writer: &mut Writer<'_>) {
    let value = match tree {
        Tree::Null => Value::Null,
        Tree::Bool(value) => Value::Bool(*value),
        Tree::Ubyte(value) => Value::UByte(*value),
        Tree::Ushort(value) => Value::UShort(*value),
        Tree::Uint(value) => Value::UInt(*value),
        Tree::Ulong(value) => Value::ULong(*value),
        Tree::Byte(value) => Value::Byte(*value),
        Tree::Short(value) => Value::Short(*value),
        Tree::Int(value) => Value::Int(*value),
        Tree::Long(value) => Value::Long(*value),
        Tree::Float(value) => return other(writer, 0x72, &value.to_be_bytes()),
        Tree::Double(value) => return other(writer, 0x82, &value.to_be_bytes()),
        Tree::Decimal32(value) => return other(writer, 0x74, value.as_inner()),
        Tree::Decimal64(value) => return other(writer, 0x84, value.as_inner()),
        Tree::Decimal128(value) => return other(writer, 0x94, value.as_inner()),
        Tree::Char(value) => return other(writer, 0x73, &u32::from(*value).to_be_bytes()),
        Tree::Timestamp(value) => Value::Timestamp(value.milliseconds()),
        Tree::Uuid(value) => Value::Uuid(*value.as_inner()),
        Tree::Binary(bytes) => Value::Binary(bytes),
        Tree::String(text) => Value::String(text),
        Tree::Symbol(symbol) => Value::Symbol(symbol.as_str()),
        Tree::List(values) => {
            return writer.list(|list| {
                for value in values {
                    put(value, &mut list.next());
                }
            });
        }
        Tree::Map(pairs) => {
            return writer.map(|map| {
                for (key, value) in pairs.iter() {
                    put(key, &mut map.next());
                    put(value, &mut map.next());
                }
            });
        }
        Tree::Array(elements) => {
            let symbols = elements.iter().map(|element| match element {
                Tree::Symbol(symbol) => Some(symbol.as_str()),
                _ => None,
            });
            return match symbols.collect::<Option<Vec<_>>>() {
                Some(symbols) => writer.symbols(&symbols),
                None => writer.encoded(&to_vec(tree).unwrap()),
            };
        }
        Tree::Described(described) => {
            writer.descriptor(match &described.descriptor {
                TreeDescriptor::Code(code) => Descriptor::Code(*code),
                TreeDescriptor::Name(name) => Descriptor::Symbol(name.as_str()),
            });
            return put(&described.value, writer);
        }
    };
    writer.value(&value);
}

fn other(writer: &mut Writer<'_>, code: u8, bytes: &[u8]) {
    writer.value(&Value::Other(code, bytes));
}

/// All that is in a value, as we read it.
pub(super) fn tree_of(value: Value<'_>) -> Tree {
    match value {
        Value::List(mut list) => Tree::List(all(&mut list)),
        Value::Map(mut map) => {
            let mut pairs = Vec::new();
            while let Some((key, value)) = map.take().unwrap() {
                pairs.push((tree_of(key), tree_of(value)));
            }
            Tree::Map(pairs.into_iter().collect())
        }
        Value::Described(descriptor, mut inside) => {
            let descriptor = match descriptor {
                Descriptor::Code(code) => TreeDescriptor::Code(code),
                Descriptor::Symbol(name) => TreeDescriptor::Name(name.into()),
            };
            let value = tree_of(Value::read_checked(&mut inside).unwrap());
            assert!(inside.is_empty());
            Tree::Described(Box::new(Described { descriptor, value }))
        }
        // These are read by us, and nothing is inside of them that could be read differently.
        plain => from_slice(&encoded(|writer| writer.value(&plain))).unwrap(),
    }
}

fn all(list: &mut List<'_>) -> Vec<Tree> {
    let mut values = Vec::new();
    while let Some(value) = list.take().unwrap() {
        values.push(tree_of(value));
    }
    values
}
