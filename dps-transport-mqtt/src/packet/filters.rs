//! The lists in SUBSCRIBE and UNSUBSCRIBE, read where they lie.

use super::QoS;
use super::error::DecodeError;
use super::reader::Reader;

/// Topic filters with the quality asked for each; at least one. Checked when made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Requested<'a>(Reader<'a>);

/// Topic filters; at least one. Checked when made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Filters<'a>(Reader<'a>);

impl<'a> Requested<'a> {
    /// Reads the list through, so that going over it cannot fail [MQTT-3.8.3-3].
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader(bytes);
        if reader.is_empty() {
            return Err(DecodeError::Filters);
        }
        while !reader.is_empty() {
            requested(&mut reader)?;
        }
        Ok(Self(Reader(bytes)))
    }

    pub(crate) const fn as_bytes(&self) -> &'a [u8] {
        self.0.0
    }
}

impl<'a> Filters<'a> {
    /// Reads the list through, so that going over it cannot fail [MQTT-3.10.3-2].
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader(bytes);
        if reader.is_empty() {
            return Err(DecodeError::Filters);
        }
        while !reader.is_empty() {
            filter(&mut reader)?;
        }
        Ok(Self(Reader(bytes)))
    }

    pub(crate) const fn as_bytes(&self) -> &'a [u8] {
        self.0.0
    }
}

impl<'a> Iterator for Requested<'a> {
    type Item = (&'a str, QoS);

    fn next(&mut self) -> Option<Self::Item> {
        requested(&mut self.0).ok()
    }
}

impl<'a> Iterator for Filters<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<Self::Item> {
        filter(&mut self.0).ok()
    }
}

fn requested<'a>(reader: &mut Reader<'a>) -> Result<(&'a str, QoS), DecodeError> {
    let filter = filter(reader)?;
    // [MQTT-3.8.3-4]
    let qos = QoS::from_bits(reader.byte()?).ok_or(DecodeError::QoS)?;
    Ok((filter, qos))
}

fn filter<'a>(reader: &mut Reader<'a>) -> Result<&'a str, DecodeError> {
    // [MQTT-4.7.3-1]
    match reader.text()? {
        "" => Err(DecodeError::Topic),
        filter => Ok(filter),
    }
}
