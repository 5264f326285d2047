//! Lists whose places have names [1.4].

use super::error::DecodeError;
use super::value::{Descriptor, List, Map, Value};
use super::writer::{ListWriter, Writer};

/// A described list whose places have names: a performative, an outcome, a terminus.
pub(crate) trait Composite<'a>: Sized {
    /// Its descriptor as a number, without the domain, which is 0.
    const CODE: u64;
    /// Its descriptor as a symbol.
    const SYMBOL: &'static str;

    fn read(fields: List<'a>) -> Result<Self, DecodeError>;
    fn write(&self, fields: &mut ListWriter<'_>);

    fn is_described_by(descriptor: Descriptor<'_>) -> bool {
        descriptor == Descriptor::Code(Self::CODE) || descriptor == Descriptor::Symbol(Self::SYMBOL)
    }

    /// Reads a value that has been looked into so far; `None` if it is something else.
    fn of(value: Value<'a>) -> Result<Option<Self>, DecodeError> {
        match value {
            Value::Described(descriptor, mut inside) if Self::is_described_by(descriptor) => {
                match Value::read_checked(&mut inside)? {
                    Value::List(fields) => Self::read(fields).map(Some),
                    _ => Err(DecodeError::Type),
                }
            }
            _ => Ok(None),
        }
    }

    fn put(&self, writer: &mut Writer<'_>) {
        writer.descriptor(Descriptor::Code(Self::CODE));
        writer.list(|fields| self.write(fields));
    }
}

/// What can stand at a place. One that is left out is null, and what null means is said by the type:
/// nothing for an [`Option`], `false` for a `bool`, and an error for others, which must be there.
pub(crate) trait Field<'a>: Sized {
    fn read(value: Value<'a>) -> Result<Self, DecodeError>;
    fn write(&self, fields: &mut ListWriter<'_>);

    fn next(fields: &mut List<'a>) -> Result<Self, DecodeError> {
        Self::read(fields.take()?.unwrap_or(Value::Null))
    }
}

/// Defines composites. Their fields stand in the order of the standard, up to the last one of use.
macro_rules! composites {
    ($($(#[$doc:meta])* $name:ident $(<$life:lifetime>)? = $code:literal, $symbol:literal {
        $($(#[$field_doc:meta])* $field:ident: $type:ty,)*
    })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq)]
        pub(crate) struct $name $(<$life>)? {
            $($(#[$field_doc])* pub(crate) $field: $type,)*
        }

        impl<'a> $crate::codec::Composite<'a> for composites!(@of $name $(<$life>)?) {
            const CODE: u64 = $code;
            const SYMBOL: &'static str = $symbol;

            #[allow(unused_mut, unused_variables, reason = "not all of them have fields")]
            fn read(mut fields: List<'a>) -> Result<Self, DecodeError> {
                Ok(Self { $($field: Field::next(&mut fields)?,)* })
            }

            #[allow(unused_variables, reason = "not all of them have fields")]
            fn write(&self, fields: &mut ListWriter<'_>) {
                $(Field::write(&self.$field, fields);)*
            }
        }
    )*};
    (@of $name:ident <$life:lifetime>) => { $name<'a> };
    (@of $name:ident) => { $name };
}
pub(super) use composites;

/// A place that is not looked at, and written as null.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unread;

/// Which end of a link somebody is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Role {
    #[default]
    Sender,
    Receiver,
}

impl Field<'_> for Unread {
    fn read(_: Value<'_>) -> Result<Self, DecodeError> {
        Ok(Self)
    }

    fn write(&self, fields: &mut ListWriter<'_>) {
        fields.null();
    }
}

impl Field<'_> for bool {
    fn read(value: Value<'_>) -> Result<Self, DecodeError> {
        match value {
            Value::Bool(value) => Ok(value),
            Value::Null => Ok(false),
            _ => Err(DecodeError::Type),
        }
    }

    fn write(&self, fields: &mut ListWriter<'_>) {
        if *self {
            fields.next().bool(true);
        } else {
            fields.null();
        }
    }
}

impl Field<'_> for Role {
    fn read(value: Value<'_>) -> Result<Self, DecodeError> {
        match value {
            Value::Bool(false) => Ok(Self::Sender),
            Value::Bool(true) => Ok(Self::Receiver),
            Value::Null => Err(DecodeError::Missing),
            _ => Err(DecodeError::Type),
        }
    }

    fn write(&self, fields: &mut ListWriter<'_>) {
        fields.next().bool(*self == Self::Receiver);
    }
}

impl<'a> Field<'a> for Option<Value<'a>> {
    fn read(value: Value<'a>) -> Result<Self, DecodeError> {
        Ok((value != Value::Null).then_some(value))
    }

    fn write(&self, fields: &mut ListWriter<'_>) {
        match self {
            Some(value) => fields.next().value(value),
            None => fields.null(),
        }
    }
}

/// Types with one variant of [`Value`]: as such, and where they may be left out.
macro_rules! plain_fields {
    ($($type:ty, $variant:ident, |$writer:ident, $value:ident| $write:expr;)*) => {$(
        impl<'a> Field<'a> for $type {
            fn read(value: Value<'a>) -> Result<Self, DecodeError> {
                match value {
                    Value::$variant(value) => Ok(value),
                    Value::Null => Err(DecodeError::Missing),
                    _ => Err(DecodeError::Type),
                }
            }

            fn write(&self, fields: &mut ListWriter<'_>) {
                let $value = self;
                let mut $writer = fields.next();
                $write;
            }
        }

        impl<'a> Field<'a> for Option<$type> {
            fn read(value: Value<'a>) -> Result<Self, DecodeError> {
                if value == Value::Null {
                    return Ok(None);
                }
                <$type as Field<'a>>::read(value).map(Some)
            }

            fn write(&self, fields: &mut ListWriter<'_>) {
                match self {
                    Some(value) => value.write(fields),
                    None => fields.null(),
                }
            }
        }
    )*};
}

plain_fields! {
    u8, UByte, |to, value| to.ubyte(*value);
    u16, UShort, |to, value| to.ushort(*value);
    u32, UInt, |to, value| to.uint(*value);
    u64, ULong, |to, value| to.ulong(*value);
    &'a str, String, |to, value| to.string(value);
    &'a [u8], Binary, |to, value| to.binary(value);
    Map<'a>, Map, |to, value| to.value(&Value::Map(*value));
}

impl<'a> Field<'a> for Option<bool> {
    fn read(value: Value<'a>) -> Result<Self, DecodeError> {
        match value {
            Value::Null => Ok(None),
            value => bool::read(value).map(Some),
        }
    }

    fn write(&self, fields: &mut ListWriter<'_>) {
        match self {
            Some(value) => fields.next().bool(*value),
            None => fields.null(),
        }
    }
}

/// A symbol, such as the name of an error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Symbol<'a>(pub(crate) &'a str);

impl<'a> Field<'a> for Symbol<'a> {
    fn read(value: Value<'a>) -> Result<Self, DecodeError> {
        match value {
            Value::Symbol(symbol) => Ok(Self(symbol)),
            Value::Null => Err(DecodeError::Missing),
            _ => Err(DecodeError::Type),
        }
    }

    fn write(&self, fields: &mut ListWriter<'_>) {
        fields.next().symbol(self.0);
    }
}
