//! Messages: what a device asks, and what it is told [3.2].

use std::borrow::Cow;

use super::error::DecodeError;
use super::reader::Reader;
use super::value::{Descriptor, List, Map, Value};
use super::writer::Writer;

/// The sections of a message, in the order in which they may stand, and those of a body after one
/// another.
const SECTIONS: [(u64, &str); 9] = [
    (0x70, "amqp:header:list"),
    (0x71, "amqp:delivery-annotations:map"),
    (0x72, "amqp:message-annotations:map"),
    (0x73, "amqp:properties:list"),
    (0x74, "amqp:application-properties:map"),
    (0x75, "amqp:data:binary"),
    (0x76, "amqp:amqp-sequence:list"),
    (0x77, "amqp:amqp-value:*"),
    (0x78, "amqp:footer:map"),
];

/// What a message says, as far as anybody asks.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Message<'a> {
    pub(crate) message_id: Option<MessageId<'a>>,
    pub(crate) correlation_id: Option<MessageId<'a>>,
    pub(crate) application_properties: Map<'a>,
    pub(crate) body: Body<'a>,
}

/// What is in a message.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Body<'a> {
    #[default]
    Absent,
    /// The bytes of all its data sections.
    Data(Cow<'a, [u8]>),
    /// A value, or the first of several sequences.
    Value(Value<'a>),
}

/// What a message is called, in one of the four types there are [3.2.11 to 3.2.14].
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct MessageId<'a>(Value<'a>);

impl<'a> MessageId<'a> {
    fn of(value: Value<'a>) -> Result<Option<Self>, DecodeError> {
        match value {
            Value::Null => Ok(None),
            Value::ULong(_) | Value::Uuid(_) | Value::Binary(_) | Value::String(_) => {
                Ok(Some(Self(value)))
            }
            _ => Err(DecodeError::Type),
        }
    }

    pub(crate) const fn value(&self) -> &Value<'a> {
        &self.0
    }
}

impl<'a> Message<'a> {
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader(bytes);
        let mut message = Self::default();
        let mut last = 0;
        while !reader.is_empty() {
            let Value::Described(descriptor, mut inside) = Value::read(&mut reader)? else {
                return Err(DecodeError::Unknown);
            };
            let section = section(descriptor)?;
            let again = section == last && matches!(section, 0x75 | 0x76);
            let second_body = matches!(section, 0x75..=0x77) && matches!(last, 0x75..=0x77);
            if section < last || (section == last && !again) || (second_body && !again) {
                return Err(DecodeError::Section);
            }
            last = section;
            message.take(section, Value::read_checked(&mut inside)?)?;
        }
        Ok(message)
    }

    fn take(&mut self, section: u64, value: Value<'a>) -> Result<(), DecodeError> {
        match (section, value) {
            (0x70, Value::List(_)) | (0x71 | 0x72 | 0x78, Value::Map(_)) => {}
            (0x73, Value::List(fields)) => self.properties(fields)?,
            (0x74, Value::Map(pairs)) => self.application_properties = pairs,
            (0x75, Value::Binary(bytes)) => self.data(bytes),
            (0x76, Value::List(_)) if self.body != Body::Absent => {}
            (0x76, Value::List(_)) | (0x77, _) => self.body = Body::Value(value),
            _ => return Err(DecodeError::Type),
        }
        Ok(())
    }

    fn properties(&mut self, mut fields: List<'a>) -> Result<(), DecodeError> {
        let mut next = || fields.take().map(|value| value.unwrap_or(Value::Null));
        self.message_id = MessageId::of(next()?)?;
        // user-id, to, subject, reply-to
        for _ in 0..4 {
            next()?;
        }
        self.correlation_id = MessageId::of(next()?)?;
        Ok(())
    }

    fn data(&mut self, bytes: &'a [u8]) {
        match &mut self.body {
            Body::Data(all) => all.to_mut().extend(bytes),
            body => *body = Body::Data(Cow::Borrowed(bytes)),
        }
    }
}

fn section(descriptor: Descriptor<'_>) -> Result<u64, DecodeError> {
    let found = SECTIONS.iter().find(|(code, symbol)| match descriptor {
        Descriptor::Code(found) => found == *code,
        Descriptor::Symbol(found) => found == *symbol,
    });
    found.map(|(code, _)| *code).ok_or(DecodeError::Unknown)
}

/// What a device is told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Response<'a> {
    /// What the device called its request, encoded.
    pub(crate) id: Option<&'a [u8]>,
    /// In seconds; written under both spellings, because C and Node.js read `retry-after`
    /// (`prov_transport_amqp_common.c`, `amqp.ts`) and C# reads `Retry-After`
    /// (`ProvisioningTransportHandlerAmqp.cs`).
    pub(crate) retry_after: Option<i32>,
    pub(crate) body: &'a [u8],
}

impl Response<'_> {
    pub(crate) fn put(&self, writer: &mut Writer<'_>) {
        writer.descriptor(Descriptor::Code(0x73));
        writer.list(|fields| {
            // message-id, user-id, to, subject, reply-to
            for _ in 0..5 {
                fields.null();
            }
            match self.id {
                Some(id) => fields.next().encoded(id),
                None => fields.null(),
            }
            fields.next().symbol("application/json; charset=utf-8");
        });
        if let Some(seconds) = self.retry_after {
            writer.descriptor(Descriptor::Code(0x74));
            writer.map(|pairs| put_retry_after(seconds, pairs, |key, to| to.string(key)));
        }
        writer.descriptor(Descriptor::Code(0x75));
        writer.binary(self.body);
    }
}

/// Both spellings of one delay; `key` writes them in the type that keys have there.
pub(crate) fn put_retry_after(
    seconds: i32,
    pairs: &mut super::ListWriter<'_>,
    key: impl Fn(&str, &mut Writer<'_>),
) {
    for name in ["retry-after", "Retry-After"] {
        key(name, &mut pairs.next());
        pairs.next().int(seconds);
    }
}
