//! Places, and the record of one that a device has left.

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{corrupt, decode, encode};
use crate::hub::Place;
use crate::id::{DeviceId, HubName};
use crate::store::StoreError;
use crate::time::Timestamp;

#[derive(Serialize, Deserialize)]
pub(super) struct StoredPlace<'a> {
    hub: Cow<'a, str>,
    device: Cow<'a, str>,
}

impl<'a> StoredPlace<'a> {
    pub(super) fn of(place: &'a Place) -> Self {
        Self {
            hub: place.hub.as_str().into(),
            device: place.device.as_str().into(),
        }
    }

    pub(super) fn into_place(self) -> Result<Place, StoreError> {
        Ok(Place {
            hub: HubName::parse(&self.hub).map_err(corrupt)?,
            device: DeviceId::parse(&self.device).map_err(corrupt)?,
        })
    }
}

/// A place that a device has left and that is still to be cleaned.
#[derive(Clone, Debug)]
pub(crate) struct Leaving {
    pub(crate) place: Place,
    /// Until then somebody may be at it, or the hub asked to be left alone.
    pub(crate) until: Timestamp,
    pub(crate) attempts: u32,
}

#[derive(Serialize, Deserialize)]
struct Stored<'a> {
    place: StoredPlace<'a>,
    until: u64,
    #[serde(default)]
    attempts: u32,
}

pub(crate) fn encode_leaving(leaving: &Leaving) -> Result<Bytes, StoreError> {
    encode(&Stored {
        place: StoredPlace::of(&leaving.place),
        until: leaving.until.0,
        attempts: leaving.attempts,
    })
}

pub(crate) fn decode_leaving(value: &[u8]) -> Result<Leaving, StoreError> {
    let stored: Stored<'static> = decode(value)?;
    Ok(Leaving {
        place: stored.place.into_place()?,
        until: Timestamp(stored.until),
        attempts: stored.attempts,
    })
}
