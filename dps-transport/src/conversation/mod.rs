//! A device's connection as a conversation without I/O, and what drives it.

mod driver;
mod stamp;

use std::time::Duration;

use dps_core::api::{DeviceHello, DeviceRequest, DeviceResponse};
use dps_core::error::ServiceError;
use dps_core::id::ApiVersion;

pub use self::driver::Terms;
pub use self::stamp::{ClockStamps, Stamp, Stamps};

/// One device's connection, without I/O: bytes in, questions out; answers in, bytes out.
///
/// MQTT and AMQP are spoken this way, and a protocol of one's own can be. Time comes in too, as what has
/// passed since the connection began. [`Terms::hold`] reads while [`Conversation::wants_bytes`], asks what
/// [`Conversation::question`] says, one thing at a time, and writes what is in the output.
pub trait Conversation: Send {
    /// Takes what has come.
    fn receive(&mut self, bytes: &[u8], now: Duration);

    /// Goes on with what has come before, after the output has been written.
    fn resume(&mut self, now: Duration);

    /// Whether more bytes would be of use now. If not, an answer has to come in, or the output has to
    /// be written first.
    fn wants_bytes(&self) -> bool;

    /// What to ask next; `None` if a question is out, or there is nothing to ask.
    fn question(&mut self) -> Option<Question>;

    /// Takes the answer to [`Question::Authenticate`].
    fn judged(&mut self, verdict: Verdict, now: Duration);

    /// Takes the answer to [`Question::Call`].
    fn answered(&mut self, response: &DeviceResponse, now: Duration);

    /// What is to be written; ends up empty.
    fn take_output(&mut self) -> Vec<u8>;

    /// When [`Conversation::expire`] has to be called, if nothing comes before; `None` if nothing but an
    /// answer is waited for.
    fn deadline(&self) -> Option<Duration>;

    /// Does what is due, if its time has come: says that we are alive, or ends the conversation.
    fn expire(&mut self, now: Duration);

    /// Whether all that was asked has been answered.
    fn is_quiet(&self) -> bool;

    /// Says goodbye, if the protocol has a word for it: the service ends.
    fn leave(&mut self);

    /// Whether the conversation is over. What is in the output is still to be written.
    fn is_over(&self) -> bool;
}

/// What has to be found out.
#[derive(Debug)]
pub enum Question {
    /// Whether the device is who it says.
    Authenticate(DeviceHello),
    /// What the device, proven by now, asks.
    Call(ApiVersion, DeviceRequest),
}

/// What became of a device's credentials.
#[derive(Debug)]
pub enum Verdict {
    /// It is who it says.
    Believed,
    /// It is not believed, or cannot be judged now.
    Denied(ServiceError),
    /// It has to answer this first. Protocols that cannot ask for it deny.
    Challenge(Vec<u8>),
}
