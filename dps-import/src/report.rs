//! What an import tells.

use dps_core::admin::{AdminError, EntryId};
use dps_transport_http::service::EnrollmentError;
use serde::{Deserialize, Serialize};

use crate::MAX_LINE_BYTES;

/// Something that whoever imports may want to know.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A line was not taken.
    Rejected {
        /// Which, from 1.
        line: u64,
        /// Whom it is about, if it could be read.
        id: Option<&'a EntryId>,
        /// Why.
        why: &'a LineError,
    },
    /// A line was taken although it is probably not meant as it is.
    Note {
        /// Which, from 1.
        line: u64,
        /// What is the matter.
        text: &'a str,
    },
    /// So far the import has come; after each batch.
    Progress(&'a Summary),
}

/// How far an import has come, and what became of the lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Bytes that have been read.
    pub bytes: u64,
    /// Lines that have been read, with blank ones and the one that names the columns.
    pub lines: u64,
    /// Entries that are new.
    pub created: u64,
    /// Entries that have taken the place of others.
    pub replaced: u64,
    /// Entries that were there already, the same.
    pub same: u64,
    /// Lines that were not taken.
    pub rejected: u64,
    /// Whether it ended before the file, because too many lines were rejected.
    #[serde(skip)]
    pub stopped: bool,
}

impl Summary {
    /// Lines that say an entry, taken or not.
    #[must_use]
    pub const fn entries(&self) -> u64 {
        self.created + self.replaced + self.same + self.rejected
    }
}

/// Why a line was not taken. No text repeats what stands in the line, which may be secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LineError {
    /// It was passed over unread.
    #[error("the line is longer than {MAX_LINE_BYTES} bytes")]
    TooLong,
    /// It is not text.
    #[error("the line is not UTF-8")]
    NotText,
    /// It says nobody.
    #[error("it has neither registrationId nor enrollmentGroupId")]
    Nobody,
    /// It says a device and a group.
    #[error("it has both registrationId and enrollmentGroupId")]
    Both,
    /// It has more fields, or fewer, than there are columns.
    #[error("it does not have {columns} fields, as the first line has")]
    Fields {
        /// How many there should be.
        columns: usize,
    },
    /// A quote is missing.
    #[error("a quoted field does not end in its line")]
    OpenQuote,
    /// A field is not as its column has to be.
    #[error("{column}: must be {expected}")]
    Field {
        /// The column.
        column: &'static str,
        /// What should stand there.
        expected: &'static str,
    },
    /// It is not an enrollment.
    #[error(transparent)]
    Document(#[from] EnrollmentError),
    /// There is an earlier line with its id.
    #[error("an earlier line has the same id")]
    Twice,
    /// There is an entry with its id, and it was to be kept.
    #[error("it is there already, and differs")]
    Differs,
    /// The entry cannot be written.
    #[error(transparent)]
    Refused(AdminError),
}

impl From<AdminError> for LineError {
    fn from(error: AdminError) -> Self {
        match error {
            AdminError::Exists => Self::Differs,
            other => Self::Refused(other),
        }
    }
}
