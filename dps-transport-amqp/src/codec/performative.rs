//! What the two ends of a connection say to each other [2.7], and of messages [3.4].

use super::composite::{Composite, Field, Role, Symbol, Unread, composites};
use super::error::DecodeError;
use super::reader::Reader;
use super::value::{List, Map, Value};
use super::writer::{ListWriter, Writer};

composites! {
    /// Begins a connection [2.7.1].
    Open<'a> = 0x10, "amqp:open:list" {
        container_id: &'a str,
        hostname: Option<&'a str>,
        /// Absent: any.
        max_frame_size: Option<u32>,
        /// Absent: 65,535.
        channel_max: Option<u16>,
        /// In milliseconds.
        idle_time_out: Option<u32>,
        outgoing_locales: Unread,
        incoming_locales: Unread,
        offered_capabilities: Unread,
        desired_capabilities: Unread,
        properties: Option<Map<'a>>,
    }
    /// Begins a session [2.7.2].
    Begin = 0x11, "amqp:begin:list" {
        remote_channel: Option<u16>,
        next_outgoing_id: u32,
        incoming_window: u32,
        outgoing_window: u32,
        /// Absent: any.
        handle_max: Option<u32>,
    }
    /// Begins a link [2.7.3].
    Attach<'a> = 0x12, "amqp:attach:list" {
        name: &'a str,
        handle: u32,
        role: Role,
        snd_settle_mode: Option<u8>,
        rcv_settle_mode: Option<u8>,
        source: Option<Value<'a>>,
        target: Option<Value<'a>>,
        unsettled: Unread,
        incomplete_unsettled: Unread,
        initial_delivery_count: Option<u32>,
        max_message_size: Option<u64>,
        offered_capabilities: Unread,
        desired_capabilities: Unread,
        properties: Option<Map<'a>>,
    }
    /// Says what may be sent [2.7.4].
    Flow = 0x13, "amqp:flow:list" {
        next_incoming_id: Option<u32>,
        incoming_window: u32,
        next_outgoing_id: u32,
        outgoing_window: u32,
        handle: Option<u32>,
        delivery_count: Option<u32>,
        link_credit: Option<u32>,
        available: Option<u32>,
        drain: bool,
        echo: bool,
    }
    /// A message, or a part of one; the bytes come after it in its frame [2.7.5].
    Transfer<'a> = 0x14, "amqp:transfer:list" {
        handle: u32,
        delivery_id: Option<u32>,
        delivery_tag: Option<&'a [u8]>,
        message_format: Option<u32>,
        settled: Option<bool>,
        more: bool,
        rcv_settle_mode: Option<u8>,
        state: Unread,
        resume: bool,
        aborted: bool,
    }
    /// What became of messages [2.7.6].
    Disposition<'a> = 0x15, "amqp:disposition:list" {
        role: Role,
        first: u32,
        last: Option<u32>,
        settled: bool,
        state: Option<Outcome<'a>>,
    }
    /// Ends a link [2.7.7].
    Detach<'a> = 0x16, "amqp:detach:list" {
        handle: u32,
        closed: bool,
        error: Option<ErrorInfo<'a>>,
    }
    /// Ends a session [2.7.8].
    End<'a> = 0x17, "amqp:end:list" {
        error: Option<ErrorInfo<'a>>,
    }
    /// Ends a connection [2.7.9].
    Close<'a> = 0x18, "amqp:close:list" {
        error: Option<ErrorInfo<'a>>,
    }
    /// What went wrong [2.8.14].
    ErrorInfo<'a> = 0x1d, "amqp:error:list" {
        condition: Symbol<'a>,
        description: Option<&'a str>,
        info: Option<Map<'a>>,
    }
    Accepted = 0x24, "amqp:accepted:list" {}
    Rejected<'a> = 0x25, "amqp:rejected:list" {
        error: Option<ErrorInfo<'a>>,
    }
    Source<'a> = 0x28, "amqp:source:list" {
        address: Option<&'a str>,
    }
    Target<'a> = 0x29, "amqp:target:list" {
        address: Option<&'a str>,
    }
}

/// What is said in a frame.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Performative<'a> {
    Open(Open<'a>),
    Begin(Begin),
    Attach(Attach<'a>),
    Flow(Flow),
    /// With the bytes after it.
    Transfer(Transfer<'a>, &'a [u8]),
    Disposition(Disposition<'a>),
    Detach(Detach<'a>),
    End(End<'a>),
    Close(Close<'a>),
}

impl<'a> Performative<'a> {
    /// Reads what is in a frame.
    pub(crate) fn read(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader(body);
        let value = Value::read(&mut reader)?;
        let Value::Described(descriptor, mut inside) = value else {
            return Err(DecodeError::Unknown);
        };
        let Value::List(fields) = Value::read_checked(&mut inside)? else {
            return Err(DecodeError::Type);
        };
        macro_rules! first_of {
            ($($name:ident)*) => {
                $(if $name::is_described_by(descriptor) {
                    Self::$name($name::read(fields)?)
                } else)* if Transfer::is_described_by(descriptor) {
                    return Ok(Self::Transfer(Transfer::read(fields)?, reader.0));
                } else {
                    return Err(DecodeError::Unknown);
                }
            };
        }
        let performative = first_of!(Flow Disposition Attach Begin Open Detach End Close);
        if reader.is_empty() {
            Ok(performative)
        } else {
            Err(DecodeError::Long)
        }
    }

    pub(crate) fn put(&self, writer: &mut Writer<'_>) {
        match self {
            Self::Open(open) => open.put(writer),
            Self::Begin(begin) => begin.put(writer),
            Self::Attach(attach) => attach.put(writer),
            Self::Flow(flow) => flow.put(writer),
            Self::Transfer(transfer, payload) => {
                transfer.put(writer);
                writer.0.extend(*payload);
            }
            Self::Disposition(disposition) => disposition.put(writer),
            Self::Detach(detach) => detach.put(writer),
            Self::End(end) => end.put(writer),
            Self::Close(close) => close.put(writer),
        }
    }
}

impl<'a> ErrorInfo<'a> {
    pub(crate) const fn new(condition: &'a str, description: Option<&'a str>) -> Self {
        Self {
            condition: Symbol(condition),
            description,
            info: None,
        }
    }
}

impl<'a> Field<'a> for Option<ErrorInfo<'a>> {
    fn read(value: Value<'a>) -> Result<Self, DecodeError> {
        match value {
            Value::Null => Ok(None),
            value => ErrorInfo::of(value)?.ok_or(DecodeError::Type).map(Some),
        }
    }

    fn write(&self, fields: &mut ListWriter<'_>) {
        match self {
            Some(error) => error.put(&mut fields.next()),
            None => fields.null(),
        }
    }
}

/// What became of a message [3.4].
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome<'a> {
    Accepted,
    Rejected(Option<ErrorInfo<'a>>),
    /// Another, or how far it is.
    Other(Value<'a>),
}

impl<'a> Field<'a> for Option<Outcome<'a>> {
    fn read(value: Value<'a>) -> Result<Self, DecodeError> {
        if value == Value::Null {
            return Ok(None);
        }
        if Accepted::of(value)?.is_some() {
            return Ok(Some(Outcome::Accepted));
        }
        Ok(Some(match Rejected::of(value)? {
            Some(rejected) => Outcome::Rejected(rejected.error),
            None => Outcome::Other(value),
        }))
    }

    fn write(&self, fields: &mut ListWriter<'_>) {
        match self {
            None => fields.null(),
            Some(Outcome::Accepted) => Accepted {}.put(&mut fields.next()),
            Some(Outcome::Rejected(error)) => {
                Rejected {
                    error: error.clone(),
                }
                .put(&mut fields.next());
            }
            Some(Outcome::Other(value)) => fields.next().value(value),
        }
    }
}

/// One end of a link, as far as anybody asks: where messages come from, or go to [3.5].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Terminus<'a> {
    Source(Option<&'a str>),
    Target(Option<&'a str>),
}

impl<'a> Terminus<'a> {
    /// Reads a source or a target; `None` if it is neither, such as a coordinator of transactions.
    pub(crate) fn of(value: Value<'a>) -> Result<Option<Self>, DecodeError> {
        if let Some(source) = Source::of(value)? {
            return Ok(Some(Self::Source(source.address)));
        }
        Ok(Target::of(value)?.map(|target| Self::Target(target.address)))
    }

    #[cfg(test)]
    pub(crate) fn put(self, writer: &mut Writer<'_>) {
        match self {
            Self::Source(address) => Source { address }.put(writer),
            Self::Target(address) => Target { address }.put(writer),
        }
    }
}
