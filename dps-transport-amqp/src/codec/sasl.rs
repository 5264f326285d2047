//! What is said before a connection begins, to prove who one is [5.3].

use super::composite::{Composite, Field, Symbol, Unread, composites};
use super::error::DecodeError;
use super::reader::Reader;
use super::value::{Array, List, Value};
use super::writer::{ListWriter, Writer};

composites! {
    Mechanisms<'a> = 0x40, "amqp:sasl-mechanisms:list" {
        mechanisms: Symbols<'a>,
    }
    Init<'a> = 0x41, "amqp:sasl-init:list" {
        mechanism: Symbol<'a>,
        initial_response: Option<&'a [u8]>,
        hostname: Unread,
    }
    Challenge<'a> = 0x42, "amqp:sasl-challenge:list" {
        challenge: &'a [u8],
    }
    Response<'a> = 0x43, "amqp:sasl-response:list" {
        response: &'a [u8],
    }
    SaslOutcome = 0x44, "amqp:sasl-outcome:list" {
        code: u8,
    }
}

/// What is said in a SASL frame.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum SaslFrame<'a> {
    Mechanisms(Symbols<'a>),
    Init {
        mechanism: &'a str,
        initial_response: Option<&'a [u8]>,
    },
    Challenge(&'a [u8]),
    Response(&'a [u8]),
    Outcome(u8),
}

/// How a proof ends [5.3.3.6].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SaslCode {
    Ok = 0,
    /// Not believed.
    Auth = 1,
    /// Cannot be judged now; trying again later makes sense.
    SysTemp = 4,
}

impl<'a> SaslFrame<'a> {
    /// Reads what is in a SASL frame: one value and nothing else.
    pub(crate) fn read(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader(body);
        let value = Value::read(&mut reader)?;
        if !reader.is_empty() {
            return Err(DecodeError::Long);
        }
        if let Some(init) = Init::of(value)? {
            return Ok(Self::Init {
                mechanism: init.mechanism.0,
                initial_response: init.initial_response,
            });
        }
        if let Some(response) = Response::of(value)? {
            return Ok(Self::Response(response.response));
        }
        if let Some(mechanisms) = Mechanisms::of(value)? {
            return Ok(Self::Mechanisms(mechanisms.mechanisms));
        }
        if let Some(challenge) = Challenge::of(value)? {
            return Ok(Self::Challenge(challenge.challenge));
        }
        match SaslOutcome::of(value)? {
            Some(outcome) => Ok(Self::Outcome(outcome.code)),
            None => Err(DecodeError::Unknown),
        }
    }

    pub(crate) fn put(&self, writer: &mut Writer<'_>) {
        match *self {
            Self::Mechanisms(mechanisms) => Mechanisms { mechanisms }.put(writer),
            Self::Init {
                mechanism,
                initial_response,
            } => Init {
                mechanism: Symbol(mechanism),
                initial_response,
                hostname: Unread,
            }
            .put(writer),
            Self::Challenge(challenge) => Challenge { challenge }.put(writer),
            Self::Response(response) => Response { response }.put(writer),
            Self::Outcome(code) => SaslOutcome { code }.put(writer),
        }
    }
}

/// Names of mechanisms: ours to offer, or as a peer sends them, one symbol or an array.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Symbols<'a> {
    Ours(&'a [&'a str]),
    One(&'a str),
    Theirs(Array<'a>),
}

impl Default for Symbols<'_> {
    fn default() -> Self {
        Self::Ours(&[])
    }
}

impl<'a> Field<'a> for Symbols<'a> {
    fn read(value: Value<'a>) -> Result<Self, DecodeError> {
        match value {
            Value::Symbol(symbol) => Ok(Self::One(symbol)),
            Value::Array(array) => Ok(Self::Theirs(array)),
            Value::Null => Err(DecodeError::Missing),
            _ => Err(DecodeError::Type),
        }
    }

    fn write(&self, fields: &mut ListWriter<'_>) {
        let mut writer = fields.next();
        match self {
            Self::Ours(symbols) => writer.symbols(symbols),
            Self::One(symbol) => writer.symbol(symbol),
            Self::Theirs(array) => writer.value(&Value::Array(*array)),
        }
    }
}
