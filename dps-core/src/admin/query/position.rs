//! Where the next page of a list begins, as clients carry it.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::Listing;
use crate::id::RegistrationId;

/// The longest token that is looked at, in bytes; ours have at most 348.
const MAX_TOKEN_BYTES: usize = 1024;

/// Where in a list the next page begins: after a record, whether that is still there or not.
///
/// It is good for its list as long as that exists, across restarts and on every node. It holds nothing but
/// the names of list and record, so that one that somebody makes up is a place in the list like any other,
/// and leads nowhere else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    pub(super) listing: Listing,
    /// The last record that was looked at, in lower case.
    pub(super) after: Arc<str>,
}

/// A text is not a position of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a position of this list")]
pub struct PositionError;

impl Position {
    /// The place in `listing` after the record of this name, whether there is one or not.
    #[must_use]
    pub fn after(listing: &Listing, id: &RegistrationId) -> Self {
        Self {
            listing: listing.clone(),
            after: Arc::clone(id.folded()),
        }
    }

    /// Reads a position of `listing`.
    ///
    /// # Errors
    /// [`PositionError`] for whatever `Display` has not written for that list; callers are told
    /// [`Reason::BadContinuation`](crate::error::Reason::BadContinuation).
    pub fn parse(listing: &Listing, token: &str) -> Result<Self, PositionError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(PositionError);
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| PositionError)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| PositionError)?;
        let id = text.strip_prefix(&*mark(listing)).ok_or(PositionError)?;
        let id = RegistrationId::parse(id).map_err(|_| PositionError)?;
        if id.as_str() != &**id.folded() {
            return Err(PositionError);
        }
        Ok(Self::after(listing, &id))
    }
}

impl fmt::Display for Position {
    /// Letters, digits, `-` and `_`: at most 1 KiB.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}{}", mark(&self.listing), self.after);
        f.write_str(&URL_SAFE_NO_PAD.encode(text))
    }
}

/// What the positions of a list begin with. The digit is their format's.
fn mark(listing: &Listing) -> String {
    match listing {
        Listing::Enrollments => "1e/".to_owned(),
        Listing::Groups => "1g/".to_owned(),
        Listing::Registrations => "1r/".to_owned(),
        Listing::RegistrationsOf(group) => format!("1m/{}/", group.folded()),
    }
}
