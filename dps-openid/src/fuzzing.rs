//! For the fuzz targets, which see nothing but the public API.

use crate::{discovery, keys};

/// Reads a set of keys; tells how many there are.
#[must_use]
pub fn keys(document: &[u8]) -> usize {
    keys::parse(document).map_or(0, |keys| keys.len())
}

/// Reads a provider's description; tells where its keys are.
#[must_use]
pub fn keys_address(document: &[u8], issuer: &str) -> Option<String> {
    discovery::keys_address(document, issuer).ok()
}
