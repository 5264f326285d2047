//! A device twin, as far as provisioning touches it.

use serde_json::{Map, Value};

/// Tags and properties of a device at its hub. All are free JSON objects.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Twin {
    /// Seen by operators only.
    pub tags: Map<String, Value>,
    /// What operators want of the device.
    pub desired: Map<String, Value>,
    /// What the device says of itself. Empty but where a twin is carried over from another hub.
    pub reported: Map<String, Value>,
}
