//! What a device says first.

use std::fmt;

use super::QoS;
use super::error::DecodeError;
use super::reader::Reader;

/// What a device says first. Not shown whole: the password is a token.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Connect<'a> {
    pub(crate) clean_session: bool,
    /// In seconds; 0 means that the device will not speak up by itself.
    pub(crate) keep_alive: u16,
    pub(crate) client_id: &'a str,
    pub(crate) will: Option<Will<'a>>,
    pub(crate) user_name: Option<&'a str>,
    pub(crate) password: Option<&'a [u8]>,
}

/// A message to publish when the device is gone. No device sends one, and it is never published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Will<'a> {
    pub(crate) topic: &'a str,
    pub(crate) payload: &'a [u8],
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
}

pub(crate) const PROTOCOL: &str = "MQTT";
pub(crate) const LEVEL: u8 = 4;

pub(crate) const CLEAN_SESSION: u8 = 0b10;
pub(crate) const WILL: u8 = 0b100;
pub(crate) const WILL_QOS: u8 = 0b1_1000;
pub(crate) const WILL_RETAIN: u8 = 0b10_0000;
pub(crate) const PASSWORD: u8 = 0b100_0000;
pub(crate) const USER_NAME: u8 = 0b1000_0000;

impl<'a> Connect<'a> {
    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let protocol = reader.text()?;
        if reader.byte()? != LEVEL || protocol != PROTOCOL {
            return Err(DecodeError::Protocol);
        }
        let flags = reader.byte()?;
        if flags & 1 != 0 {
            // [MQTT-3.1.2-3]
            return Err(DecodeError::Reserved);
        }
        let has = |flag: u8| flags & flag != 0;
        // [MQTT-3.1.2-11, 3.1.2-13, 3.1.2-15, 3.1.2-22]
        let contradicts = !has(WILL) && has(WILL_QOS | WILL_RETAIN);
        if contradicts || (has(PASSWORD) && !has(USER_NAME)) {
            return Err(DecodeError::Flags);
        }
        let keep_alive = reader.number()?;
        let client_id = reader.text()?;
        let will = if has(WILL) {
            Some(Will {
                topic: reader.text()?,
                payload: reader.binary()?,
                qos: QoS::from_bits((flags & WILL_QOS) >> 3).ok_or(DecodeError::QoS)?,
                retain: has(WILL_RETAIN),
            })
        } else {
            None
        };
        Ok(Self {
            clean_session: has(CLEAN_SESSION),
            keep_alive,
            client_id,
            will,
            user_name: has(USER_NAME).then(|| reader.text()).transpose()?,
            password: has(PASSWORD).then(|| reader.binary()).transpose()?,
        })
    }
}

impl fmt::Debug for Connect<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect")
            .field("clean_session", &self.clean_session)
            .field("keep_alive", &self.keep_alive)
            .field("client_id", &self.client_id)
            .field("user_name", &self.user_name)
            .field("has_password", &self.password.is_some())
            .finish_non_exhaustive()
    }
}
