//! Lists: what operators ask for, what of it they want, and page by page.
//!
//! ```
//! use dps_core::admin::query::{Listing, Query};
//!
//! let text = "SELECT * FROM enrollments WHERE STARTSWITH(registrationId, 'press-')";
//! assert!(Query::parse(Listing::Enrollments, text).is_ok());
//! ```
//!
//! The service itself passes over whatever follows `WHERE`; here it counts:
//!
//! ```text
//! SELECT * [FROM name] [WHERE condition]
//!
//! field = 'text'   field != 'text'   field < 'text'   <=   >   >=   <> is the same as !=
//! field IN ('text', 'text')          field NOT IN (...)             [...] is the same as (...)
//! STARTSWITH(field, 'text')
//! condition AND condition   condition OR condition   NOT condition   (condition)
//! ```
//!
//! `AND` binds closer than `OR`. Words and names of fields are taken in any case of letters. Text stands
//! in single or double quotes; a backslash stands before a quote or a backslash that is meant, or
//! `\uXXXX` for a character. Moments are texts, `'2026-11-21T08:00:00Z'` or `'2026-11-21'`. A field that an
//! entry does not have is equal to nothing; of a field with several values one has to fit.

mod filter;
mod lexer;
mod page;
mod parser;
mod position;

use std::fmt;

pub use self::filter::Filter;
pub use self::page::{DEFAULT_PAGE, MAX_PAGE, Page};
pub use self::position::{Position, PositionError};
use crate::id::GroupId;

/// The longest text with a filter that is taken, in bytes. Our choice.
pub const MAX_QUERY_BYTES: usize = 8 * 1024;

/// How deep conditions may nest. Our choice.
pub const MAX_QUERY_DEPTH: usize = 32;

/// How many values a filter may compare with. Our choice: a page is compared 10,000 times.
pub const MAX_QUERY_VALUES: usize = 256;

/// A list that can be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Listing {
    /// Individual enrollments.
    Enrollments,
    /// Groups.
    Groups,
    /// What is known of all devices.
    Registrations,
    /// What is known of the devices that came through a group last.
    RegistrationsOf(GroupId),
}

/// A list, and what of it is wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    listing: Listing,
    filter: Option<Filter>,
    warning: Option<QueryError>,
}

/// What of a query cannot be understood. Its text is ASCII and says nothing of what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{expected} (at character {at})")]
pub struct QueryError {
    /// Where, in bytes from 0.
    pub at: usize,
    /// What should stand there.
    pub expected: &'static str,
}

impl Query {
    /// All of a list.
    #[must_use]
    pub const fn all(listing: Listing) -> Self {
        Self {
            listing,
            filter: None,
            warning: None,
        }
    }

    /// Reads a query.
    ///
    /// A text without a `WHERE` that is not understood asks for all, and its pages carry a warning. No
    /// text at all asks for all without one.
    ///
    /// # Errors
    /// [`QueryError`] for a `WHERE` that is not understood: an answer that left it out would be worse than
    /// none.
    ///
    /// # Source
    /// The service takes any text for `SELECT *` (Azure/azure-iot-sdk-csharp issues 2188 and 3478).
    pub fn parse(listing: Listing, text: &str) -> Result<Self, QueryError> {
        match parser::parse(&listing, text) {
            Ok(filter) => Ok(Self {
                listing,
                filter,
                warning: None,
            }),
            Err(error) if lexer::says_where(text) => Err(error),
            Err(error) => Ok(Self {
                listing,
                filter: None,
                warning: Some(error),
            }),
        }
    }

    /// The list.
    #[must_use]
    pub const fn listing(&self) -> &Listing {
        &self.listing
    }

    /// What of it is wanted; `None` for all.
    #[must_use]
    pub const fn filter(&self) -> Option<&Filter> {
        self.filter.as_ref()
    }
}

impl fmt::Display for Query {
    /// As it could have been written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SELECT *")?;
        match &self.filter {
            Some(filter) => write!(f, " WHERE {filter}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
