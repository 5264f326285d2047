//! What operators are sent. Everything is ASCII; members stand in the order of the API's description.

mod attestation;
mod certificate;
mod enrollment;
mod instance;
mod registration;
mod why;

use std::fmt::Display;

use serde::Serializer;

pub(super) use self::attestation::Mechanism;
pub(super) use self::certificate::CaCertificate;
pub(super) use self::enrollment::Entry;
pub(super) use self::instance::{Hub, Instance, List, Part, Policy, Tagged};
pub(super) use self::registration::State;
pub(super) use self::why::Why;

/// Whether keys are in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keys {
    Told,
    Hidden,
}

/// Writes a value as it is shown.
fn shown<T: Display, S: Serializer>(value: &T, writer: S) -> Result<S::Ok, S::Error> {
    writer.collect_str(value)
}

fn shown_if<T: Display, S: Serializer>(value: &Option<T>, writer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => writer.collect_str(value),
        None => writer.serialize_none(),
    }
}

fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let digit = |value| char::from_digit(u32::from(value), 16).unwrap_or('0');
    digits
        .map(|value| digit(value).to_ascii_uppercase())
        .collect()
}
